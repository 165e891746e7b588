"""``zenplan.train``: a run that was asked for in Python, to its end."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from zenplan.commands.shared.output import loaded_plugins
from zenplan.commands.train.evidence import store
from zenplan.commands.train.flags import Flags
from zenplan.commands.train.screen import Told
from zenplan.commands.train.search.table import has_search
from zenplan.commands.train.session import session_of
from zenplan.commands.train.stopping import SIGINT
from zenplan.domain.measured.training_run import FINISHED, RunResult
from zenplan.errors import UsageError


def trained(
    given: Mapping[str, Any],
    request: str | os.PathLike[str] | None,
    options: Mapping[str, Any],
    compiled: bool | None,
    progress: Callable[[float, str], None] | None,
) -> tuple[RunResult, Path]:
    """What came out, and the folder that it is in.

    Args:
        given: arguments as flags, as texts.
        request: a file of them.
        options: of the kind of model.
        compiled: as of the command.
        progress: told the share that is done, and a line.

    Raises:
        ZenplanError: it cannot be run, or failed.
    """
    if request is not None and has_search(Path(request)):
        raise UsageError(f"{os.fspath(request)} asks for a search", "'zenplan train' does it; or leave [search] out")
    own = dict(given)
    resume, out = own.pop("resume", None), own.pop("out", None)
    flags = Flags(
        file=Path(request) if request is not None else None,
        given=own,
        options=tuple(f"{name}={value}" for name, value in options.items()),
        compiled=compiled,
        resume=None if resume is None else os.fspath(resume),
        out=None if out is None else Path(out),
    )
    show = progress or _unseen
    with loaded_plugins(_warn) as plugins:
        session = session_of(flags, plugins, _warn, show, _unseen)
        outcome = session.go(Told(show))
    if outcome.error is not None:
        raise outcome.error
    if outcome.result.status.reason == SIGINT:
        raise KeyboardInterrupt
    if outcome.result.status.state == FINISHED:
        store(outcome.supervisor, outcome.result)
    return outcome.result, session.place.folder


def _warn(text: str) -> None:
    warnings.warn(text, UserWarning, stacklevel=2)


def _unseen(*progress: object) -> None:
    pass
