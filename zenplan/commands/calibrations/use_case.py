"""Calibrations: what is in the store, shared with others through files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from zenplan.adapters.store.file import read_calibration_file, shared
from zenplan.adapters.store.store import CalibrationStore
from zenplan.domain.checks import one_line
from zenplan.domain.measured.calibration import DONE, UNFINISHED, Stored
from zenplan.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What became of a file's calibrations, by their ids; those ``there`` already were left as they are."""

    added: tuple[str, ...]
    there: tuple[str, ...]


def chosen(store: CalibrationStore, names: Sequence[str]) -> tuple[tuple[Stored, ...], tuple[str, ...]]:
    """Those with these ids, or ids that begin so, all without any; and what was left out of them, a line each.

    Raises:
        UnknownName, UsageError: a name is of none, or of several.
        DataError: one cannot be read.
    """
    if not names:
        return store.entries(), store.left_out
    found: list[Stored] = []
    left_out: list[str] = []
    for id in dict.fromkeys(map(store.find, names)):
        found.append(store.entry(id))
        left_out += store.left_out
    return tuple(found), tuple(left_out)


def take_in(store: CalibrationStore, path: Path, now: datetime) -> Imported:
    """Add the calibrations of a file, all or none. One that is there with the same content is left as it is.

    Raises:
        InputFileError: it is no file of calibrations, or has impossible values.
        UsageError: one is there with other content.
    """
    there, added = [], []
    origin = f"imported from {one_line(path.name)[:200]} on {now.date().isoformat()}"
    known = {stored.calibration.id: stored for stored in store.entries()}
    for stored in read_calibration_file(path, now):
        id = stored.calibration.id
        if id not in known:
            added.append(replace(stored, origin=origin, state=DONE if stored.state == DONE else UNFINISHED))
        elif shared(known[id]).calibration == shared(stored).calibration:
            there.append(id)
        else:
            raise UsageError(
                f"calibration {id} is here already, with other content",
                f"'zenplan calibrations rm {id}' takes that out; nothing was imported",
            )
    store.insert(added)
    return Imported(added=tuple(s.calibration.id for s in added), there=tuple(there))


def take_out(store: CalibrationStore, names: Sequence[str]) -> tuple[str, ...]:
    """Remove those with these ids, or ids that begin so. Raises UnknownName, UsageError: then none is removed."""
    ids = tuple(dict.fromkeys(map(store.find, names)))
    for id in ids:
        store.remove(id)
    return ids
