"""``zenplan.stop``: a run that is ended from Python."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from zenplan.commands.stop.use_case import stop
from zenplan.commands.train.screen import Unseen
from zenplan.commands.watch.following import Followed
from zenplan.commands.watch.from_python import as_it_stands
from zenplan.commands.watch.sources import source_of
from zenplan.domain.measured.training_run import RunResult


def stopped(run: str, token: str, wait: bool, progress: Callable[[float, str], None]) -> tuple[RunResult, Path]:
    """The run as it is then, and its folder. Arguments and errors as of ``zenplan.stop``."""
    with source_of(run, token) as source:
        stop(source, wait, lambda what, _seconds: progress(0.0, what))
        seen = Followed(source, Unseen())
        seen.look()
        return as_it_stands(source, seen)
