"""Training runs in their folders: found, read, removed."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zenplan.adapters.run_folder.exports import remove_exports
from zenplan.adapters.run_folder.folder import CHECKPOINTS, LOCK, MODEL, RESULT, STATUS, writing
from zenplan.adapters.run_folder.place import find_run, known_runs, runs_folder
from zenplan.commands.train.past import read_prediction, read_result, standing
from zenplan.domain.measured.training_run import RunResult
from zenplan.errors import DataError, InputFileError, UsageError, ZenplanError


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A run in its folder.

    Attributes:
        result: of one that is not over, what is known of it.
        alive: whether a process is at it; None where that cannot be seen from here.
    """

    folder: Path
    result: RunResult
    alive: bool | None


def entry(name: str) -> Entry:
    """The run of that id, or in that folder.

    Raises:
        UsageError: there is none; DataError: its folder holds something else.
    """
    return _read(find_run(name))


def entries() -> tuple[tuple[Entry, ...], tuple[str, ...]]:
    """All runs, the newest first; and what could not be read, a line each."""
    found, wrong = [], []
    for id, folder in known_runs().items():
        try:
            found.append(_read(folder))
        except (InputFileError, DataError) as error:
            wrong.append(f"run {id} cannot be read: {error.message}")
    return tuple(sorted(found, key=lambda each: each.result.status.started_at, reverse=True)), tuple(wrong)


def _read(folder: Path) -> Entry:
    status, alive = standing(folder)
    if (folder / RESULT).exists():
        result = read_result(folder)
        if result.status.updated_at == status.updated_at:
            return Entry(folder=folder, result=result, alive=alive)
    return Entry(folder=folder, result=RunResult(status=status, prediction=read_prediction(folder)), alive=alive)


def remove(names: Sequence[str]) -> tuple[str, ...]:
    """Remove runs, all that they wrote; their ids.

    Raises:
        UsageError: there is none of that name, or a process is at it: none is removed then.
        ZenplanError: its folder cannot be removed.
    """
    folders = {name: find_run(name) for name in names}
    found = {folder.resolve(): standing(folder) for folder in folders.values()}
    for folder, (status, alive) in found.items():
        if alive:
            raise UsageError(f"a process is at run {status.id} in {folder}", "end it first")
    for folder, (status, _) in found.items():
        _remove(folder, status.id)
    return tuple(status.id for status, _ in found.values())


def _remove(folder: Path, id: str) -> None:
    with writing(folder, False, wait_s=0.0):
        # Only what a run wrote: the folder may be one of the user's own.
        for path in [folder / CHECKPOINTS, folder / MODEL]:
            shutil.rmtree(path, ignore_errors=True)
        remove_exports(folder)
        files = [
            each for each in folder.iterdir() if each.suffix in (".json", ".jsonl", ".svg", ".png", ".md", ".toml")
        ]
        try:
            for each in sorted(files, key=lambda path: path.name == STATUS):
                each.unlink()
        except OSError as error:
            raise ZenplanError(
                f"run {id} cannot be removed: {error.strerror}", "may you write in its folder?"
            ) from error
    (folder / LOCK).unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()
    place = runs_folder() / id
    if place.is_symlink():
        place.unlink()
