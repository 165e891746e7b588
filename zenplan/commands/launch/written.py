"""Files of a launch in their folder: written whole, and never over what somebody has edited."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from zenplan import documents
from zenplan.adapters.files.folders import check_folder
from zenplan.adapters.files.regular_file import read_bytes, read_text
from zenplan.adapters.files.whole_file import write_whole
from zenplan.commands.launch.document import LaunchDocument, launch_document
from zenplan.commands.launch.launched import LAUNCH, Launched
from zenplan.errors import DataError, InputFileError, UsageError, ZenplanError

_MOST_BYTES: Final = 50_000_000


def write_files(found: Launched, overwrite: bool) -> None:
    """All of them, what says so last. Raises UsageError: one was edited since it was written, or is somebody else's."""
    check_folder(found.folder, "--out names another folder")
    written = {} if overwrite else _hashes(found.folder)
    if not overwrite:
        for name, text in found.files.items():
            path = found.folder / name
            if path.exists() and _sha256(_text(path)) not in (_sha256(text), written.get(name)):
                what = "was edited since it was written" if name in written else "is there already"
                raise UsageError(f"{path} {what}", "--overwrite replaces it; --out names another folder")
    try:
        found.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ZenplanError(f"{found.folder} cannot be made: {error.strerror}", "--out names another folder") from error
    for name, text in found.files.items():
        write_whole(found.folder / name, text)
    if found.wheel:
        content = read_bytes(found.wheel, str(found.wheel), _MOST_BYTES, "--package names another")
        write_whole(found.folder / found.wheel.name, content)
    write_whole(found.folder / LAUNCH, documents.encode(documents.published(launch_document(found)), indent=2) + "\n")


def _hashes(folder: Path) -> Mapping[str, str]:
    """Of the files as they were written; none where nothing was."""
    path = folder / LAUNCH
    if not path.exists():
        return {}
    try:
        found = documents.decode(_text(path), LaunchDocument, str(path))
    except DataError as error:
        raise UsageError(
            f"{path} is not as zenplan wrote it: {error.message}", "--overwrite replaces it, and all beside it"
        ) from error
    return {each.name: each.sha256 for each in found.files}


def _text(path: Path) -> str:
    try:
        return read_text(path, str(path), _MOST_BYTES, "--out names another folder")
    except InputFileError as error:
        raise UsageError(error.message, "--out names another folder") from error


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
