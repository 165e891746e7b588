"""``zenplan.watch``: a run that is followed from Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from zenplan.adapters.notify import Notifier
from zenplan.commands.train.screen import Told, Unseen
from zenplan.commands.watch.alarming import Sender
from zenplan.commands.watch.following import Followed
from zenplan.commands.watch.sources import Source, newest, source_of
from zenplan.commands.watch.use_case import gone, watch
from zenplan.domain.measured.training_run import RunResult

Progress = Callable[[float, str], None]


def followed(run: str, token: str, notify: Sequence[str], once: bool, progress: Progress) -> tuple[RunResult, Path]:
    """The run at its end, or as it stands now, and its folder. Arguments and errors as of ``zenplan.watch``."""
    notifier = Notifier(notify) if notify else None
    with source_of(run, token) as source:
        if not once:
            screen = Told(progress)
            found = watch(source, screen, Sender(notifier, screen))
            if found.result is not None:
                return found.result
        seen = Followed(source, Unseen())
        seen.look()
        if why := seen.gone:
            raise gone(seen.status, why)
        return as_it_stands(source, seen)


def as_it_stands(source: Source, run: Followed) -> tuple[RunResult, Path]:
    """What came out of it, or what is known so far."""
    if found := newest(source, run.status):
        return found
    view = run.view()
    metrics = {"validation": dict(view.evaluated)} if view.evaluated else {}
    known = RunResult(
        status=run.status, prediction=view.prediction, last_loss=run.loss, metrics=metrics, step_s=view.step_s
    )
    return known, Path(source.name)
