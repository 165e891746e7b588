"""``zenplan stop``: a run is told to end with a checkpoint, and waited for."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from zenplan import units
from zenplan.commands.train.screen import Unseen, View
from zenplan.commands.watch.following import GONE_S, Followed
from zenplan.commands.watch.sources import Source
from zenplan.commands.watch.use_case import gone, said
from zenplan.domain.measured.training_run import FAILED, FINISHED, RUNNING, RunStatus
from zenplan.errors import ZenplanError

_LOOK_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """A run that was told to end.

    Attributes:
        status: as it was last seen.
        text: what became of it, for people, a line each.
        code: the exit code.
    """

    status: RunStatus
    text: tuple[str, ...]
    code: int = 0


def stop(source: Source, wait: bool, tell: Callable[[str, float], None]) -> Stopped:
    """Tell it to end.

    Args:
        source: of the run; wait: until it has.
        tell: told what is waited for, and the seconds so far.

    Raises:
        ZenplanError: it cannot be told, or does not end.
    """
    run = Followed(source, Unseen())
    run.look()
    status = run.status
    if why := run.gone:
        return Stopped(status=status, text=(why, *_go_on(status)))
    if status.state != RUNNING:
        return Stopped(status=status, text=(f"nothing to stop: {said(status)}", *_go_on(status)))
    source.stop()
    if not wait:
        follow = f"run {status.id} is told to end with a checkpoint; 'zenplan watch {source.name}' follows it"
        return Stopped(status=status, text=(follow,))
    began_s, needs_s = time.monotonic(), _needed_s(run.view())
    while run.status.state == RUNNING:
        waited_s = time.monotonic() - began_s
        tell(_waits(run.view(), needs_s, waited_s), waited_s)
        time.sleep(_LOOK_S)
        run.look()
        if why := run.gone:
            raise gone(run.status, why)
        if run.silent_s > GONE_S:
            raise ZenplanError(
                f"run {status.id} gives no sign of life for {units.duration(run.silent_s, 2)}",
                f"on {status.host or 'its machine'}: kill -TERM {status.pid}",
            )
    status = run.status
    return Stopped(status=status, text=(said(status), *_go_on(status)), code=1 if status.state == FAILED else 0)


def _waits(view: View, needs_s: float | None, waited_s: float) -> str:
    """What the run is at, which it ends first."""
    if view.loss is None and view.stage:
        return f"the run is not at its steps yet, and hears the order once this is done: {view.stage}"
    left = "" if needs_s is None else f", about {units.duration(max(0.0, needs_s - waited_s), 2)} left"
    return f"at step {view.step:,}, a checkpoint is to come{left}"


def _needed_s(view: View) -> float | None:
    """Seconds of a step, a checkpoint and the end, as predicted; None where that is not known."""
    known = view.prediction
    if known is None or known.checkpoint_s is None:
        return None
    return (view.step_s or 0.0) + known.checkpoint_s + (known.ending_s or 0.0)


def _go_on(status: RunStatus) -> tuple[str, ...]:
    if status.state == FINISHED:
        return ()
    return (f"its checkpoint is of step {status.checkpoint:,}; it goes on with: zenplan train --resume {status.id}",)
