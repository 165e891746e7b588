"""``zenplan watch``: a run that another process does is shown as that shows it, to its end."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from zenplan import units
from zenplan.commands.train.past import Starting
from zenplan.commands.train.screen import Screen
from zenplan.commands.train.stopping import ENDS, SIGINT, SIGTERM
from zenplan.commands.watch.alarming import Alarms, Sender
from zenplan.commands.watch.following import Followed
from zenplan.commands.watch.sources import Source, newest
from zenplan.domain.measured.training_run import RUNNING, RunResult, RunStatus
from zenplan.errors import ZenplanError

# The result is written after the state.
_RESULT_S, _LOOK_S = 5.0, 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A run at the end of watching it.

    Attributes:
        status: as it was last seen.
        result: what came out, with its folder; None where that is not known.
    """

    status: RunStatus
    result: tuple[RunResult, Path] | None


def watch(source: Source, screen: Screen, sender: Sender) -> Watched:
    """Show it until it is over.

    Raises:
        ZenplanError: it cannot be seen; or nobody is at it any more, though it is not over.
    """
    run = Followed(source, screen)
    alarms = Alarms(screen, sender)
    try:
        _begun(run, screen, source.every_s)
        while True:
            view = run.view()
            screen.update(view)
            if why := run.gone:
                raise gone(run.status, why)
            if run.status.state != RUNNING:
                break
            alarms.look(run, view)
            time.sleep(source.every_s)
            run.look()
        sender.send(_title(run.status), said(run.status))
    except ZenplanError as error:
        sender.send("zenplan watch", error.message)
        raise
    finally:
        sender.close()
    return Watched(status=run.status, result=result_at_end(source, run.status))


def _begun(run: Followed, screen: Screen, every_s: float) -> None:
    """Look at it; one that starts is waited for."""
    said = False
    while True:
        try:
            run.look()
            return
        except Starting as error:
            if not said:
                screen.tell("starting", error.message, {})
            said = True
            time.sleep(every_s)


def gone(status: RunStatus, why: str) -> ZenplanError:
    """The error of a run that nobody is at."""
    return ZenplanError(why, f"zenplan train --resume {status.id}")


def result_at_end(source: Source, status: RunStatus) -> tuple[RunResult, Path] | None:
    """What came out of a run that has just ended; None where that does not come."""
    end = time.monotonic() + _RESULT_S
    while (found := newest(source, status)) is None and time.monotonic() < end:
        time.sleep(_LOOK_S)
    return found


def _title(status: RunStatus) -> str:
    return f"zenplan: run {status.id}, {status.name}"


def said(status: RunStatus) -> str:
    """How a run stands, in a line."""
    why = f" ({status.reason})" if status.reason not in ("", status.state) else ""
    cost = "" if status.usd is None else f", {units.usd(status.usd)}"
    message = f": {status.message}" if status.message else ""
    step = f"at step {status.step:,} of {status.steps:,}, {units.duration(status.spent.total_s)}{cost}"
    return f"run {status.id} is {status.state}{why} {step}{message}"


# That of Ctrl-C would say that it is the watching which was interrupted.
_CODES: Final = {ENDS[SIGINT][1]: ENDS[SIGTERM][1]}


def code_of(status: RunStatus) -> int:
    """The exit code of watching a run to its end: that of the run, but for Ctrl-C at it, which is as SIGTERM is."""
    code = 1 if status.exit_code is None else status.exit_code
    return _CODES.get(code, code)
