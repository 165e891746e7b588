"""What was exported of a run: ``exports/`` in its folder, and ``exports.json`` there, which has those elsewhere too."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from zenplan.adapters.files.placing import digest_of
from zenplan.adapters.run_folder.folder import put_json, take
from zenplan.domain.measured.export import Export
from zenplan.errors import DataError

EXPORTS: Final = "exports"
# A smaller version of the model, in a folder of its own, and what that was compared with.
COMPRESSED, COMPARISON, COMPARISON_SVG = "compressed", "compression.json", "compression.svg"
_RECORD: Final = "exports.json"
_SCHEMA: Final = "zenplan.artefacts/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    schema: str
    exports: tuple[Export, ...]


def read_exports(run: Path) -> tuple[Export, ...]:
    """Those of a run, by its folder, that are still there; in the order in which they were made.

    Raises:
        InputFileError, DataError: what lists them cannot be read.
    """
    return tuple(each for each in _listed(run) if Path(each.path).exists())


def _listed(run: Path) -> tuple[Export, ...]:
    folder = run.resolve() / EXPORTS
    if not (folder / _RECORD).exists():
        return ()
    found = take(folder, _RECORD, _Record)
    if found.schema != _SCHEMA:
        raise DataError(f"{folder / _RECORD} is of another version: {found.schema}", f"this one reads {_SCHEMA}")
    # Those within are listed by their names: a run's folder may have been moved.
    return tuple(replace(each, path=str(folder / each.path)) for each in found.exports)


def add_export(run: Path, export: Export) -> None:
    """List it, in place of what was at its path. Raises ZenplanError: the list cannot be written."""
    folder = run.resolve() / EXPORTS
    folder.mkdir(parents=True, exist_ok=True)
    others = [each for each in _listed(run) if each.path != export.path]
    listed = [replace(each, path=_name(folder, each.path)) for each in (*others, export)]
    put_json(folder, _RECORD, _Record(schema=_SCHEMA, exports=tuple(listed)))


def _name(folder: Path, path: str) -> str:
    inside = Path(path).parent == folder
    return Path(path).name if inside else path


def manifest_of(path: Path) -> Path:
    """The file beside an artefact that says what it takes, and what it came to."""
    return path.with_name(f"{path.name}.json")


def manifest_text(made: Export) -> str:
    """What stands in it. It is moved with what it describes, so files are named without their folder."""
    from zenplan import documents

    found = documents.plain(replace(made, path=Path(made.path).name, tokenizer=Path(made.tokenizer).name))
    return documents.encode({"schema": "zenplan.artefact/1", **found}, indent=2) + "\n"


def tokenizer_of(path: Path) -> Path:
    """The copy of the tokenizer beside an artefact."""
    return path.with_name(f"{path.name}.tokenizer.json")


def remove_exports(run: Path) -> None:
    """Remove what was exported into a run's own folder and is as it was then. Anything else there stays."""
    folder = run.resolve() / EXPORTS
    smaller = run.resolve() / COMPRESSED
    with suppress(DataError, OSError):
        for path in _ours((folder, smaller), _listed(run)):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
        for path in (folder / _RECORD, smaller / COMPARISON, smaller / COMPARISON_SVG):
            path.unlink(missing_ok=True)
    for each in (folder, smaller):
        with suppress(OSError):
            each.rmdir()


def _ours(folders: tuple[Path, ...], listed: tuple[Export, ...]) -> Iterator[Path]:
    for each in listed:
        path = Path(each.path)
        if path.parent in folders and path.exists() and digest_of(path) == each.sha256:
            yield from (path, manifest_of(path), tokenizer_of(path))
