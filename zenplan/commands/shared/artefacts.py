"""Where an artefact of a run's model goes, and the folder beside that place in which it is made."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zenplan.adapters.files.scratch import scratch
from zenplan.errors import UsageError, ZenplanError


def folder_of(out: Path | None, usual: Path) -> Path:
    """What ``--out`` names, or the usual folder.

    Raises:
        UsageError: it is no path.
    """
    if out is not None and (not os.fspath(out) or "\0" in os.fspath(out)):
        raise UsageError("-o is no path", "name a folder")
    return usual if out is None else out.absolute()


@contextmanager
def drafts(place: Path) -> Iterator[Path]:
    """A folder on the disk of that place, for what is to take it; gone at the end.

    Raises:
        ZenplanError: nothing can be written there.
    """
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with scratch(place.parent) as folder:
            yield folder
    except OSError as error:
        raise ZenplanError(
            f"{error.filename or place} cannot be written: {error.strerror or error}",
            "name a place that you may write, with room on its disk: -o PATH",
        ) from error
