"""``zenplan.train``: a run, or a search, that was asked for in Python, to its end."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zenplan.commands.shared.output import loaded_plugins
from zenplan.commands.train.ending import store
from zenplan.commands.train.flags import Flags
from zenplan.commands.train.screen import Screen, Told
from zenplan.commands.train.search.running import begun, searched
from zenplan.commands.train.search.table import has_search
from zenplan.commands.train.search.use_case import Trial, Trials
from zenplan.commands.train.session import Session, session_of
from zenplan.commands.train.stopping import SIGINT
from zenplan.domain.measured.training_run import FINISHED, RunResult
from zenplan.errors import ZenplanError
from zenplan.plugins import Plugins

Progress = Callable[[float, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """What came of it.

    Attributes:
        result: of the run, or of the best of a search; folder: that it is in.
        trials: of a search; None of a single run. search_folder: that they are in.
    """

    result: RunResult
    folder: Path
    trials: tuple[Trial, ...] | None = None
    search_folder: Path | None = None


def trained(
    given: Mapping[str, Any],
    request: str | os.PathLike[str] | None,
    options: Mapping[str, Any],
    compiled: bool | None,
    progress: Progress | None,
    autoresume: bool = False,
) -> Came:
    """What came out.

    Args:
        given: arguments as flags, as texts.
        request: a file of them.
        options: of the kind of model.
        compiled: as of the command.
        progress: told the share that is done, and a line.
        autoresume: as of the command; a run that is finished is an error here.

    Raises:
        ZenplanError: it cannot be run, or failed.
    """
    began_s = time.monotonic()
    own = dict(given)
    resume, out = own.pop("resume", None), own.pop("out", None)
    flags = Flags(
        file=Path(request) if request is not None else None,
        given=own,
        options=tuple(f"{name}={value}" for name, value in options.items()),
        compiled=compiled,
        resume=None if resume is None else os.fspath(resume),
        out=None if out is None else Path(out),
        autoresume=autoresume,
    )
    show = progress or _unseen
    with loaded_plugins(_warn) as plugins:
        if flags.file is not None and flags.resume is None and has_search(flags.file):
            return _search(flags.file, flags, plugins, show, began_s)
        return _run(flags, plugins, show, began_s)


def _run(flags: Flags, plugins: Plugins, show: Progress, began_s: float) -> Came:
    session = session_of(flags, plugins, _warn, show, _unseen, began_s)
    outcome = session.go(Told(show))
    if outcome.error is not None:
        raise outcome.error
    if outcome.result.status.reason == SIGINT:
        raise KeyboardInterrupt
    if outcome.result.status.state == FINISHED:
        store(outcome.supervisor, outcome.result)
    return Came(result=outcome.result, folder=session.place.folder)


def _search(file: Path, flags: Flags, plugins: Plugins, show: Progress, began_s: float) -> Came:
    """Told as a share of all trials: what is predicted of them before is none of it."""
    so_far: list[Trials] = []

    def tell(share: float, text: str) -> None:
        found = so_far[0].found if so_far else []
        show((len(found) + share) / len(planned) if so_far else 0.0, text)

    def begin(each: Flags) -> Session:
        return session_of(each, plugins, _warn, lambda _, text: tell(0.0, text), _unseen, time.monotonic())

    def shown() -> AbstractContextManager[Screen]:
        return nullcontext(Told(tell))

    trials, planned = begun(file, flags, begin, shown, began_s)
    so_far.append(trials)
    searched(trials, planned, file)
    if trials.reason == SIGINT:
        raise KeyboardInterrupt
    best = trials.best
    if best is None or best.result is None:
        why = next((trial.why for trial in trials.found if trial.why), "each was stopped before it")
        raise ZenplanError(f"no trial came to its end: {why}", f"the same with out={str(trials.out)!r} goes on with it")
    return Came(result=best.result, folder=best.folder, trials=tuple(trials.found), search_folder=trials.out)


def _warn(text: str) -> None:
    warnings.warn(text, UserWarning, stacklevel=2)


def _unseen(*progress: object) -> None:
    pass
