"""The probe: some records of some files, to find the columns that hold the text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, Final

from zenplan.adapters.data.columns import TextColumns, find_columns
from zenplan.adapters.data.drawing import Drawing, Group
from zenplan.adapters.data.estimates import Draw
from zenplan.adapters.data.records import Reader
from zenplan.domain.training.data_set import DataKind

# Of how many files, and how many records of each from its start and from somewhere behind.
_FILES: Final = 16
_RECORDS: Final = 64
_PART: Final = 65_536.0
_BEHIND: Final = 0.6

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Probed:
    """What was found in a group of files.

    Attributes:
        columns: how its records have their text, the most frequent first; files may differ. None has text, or all have.
        names: of all columns.
    """

    columns: tuple[TextColumns, ...]
    names: tuple[str, ...]

    @property
    def kind(self) -> DataKind:
        """Of most of it."""
        return self.columns[0].kind


def probe(group: Group, drawing: Drawing, wanted: str | None) -> Probed | None:
    """The columns of a group; None where no record of it could be read.

    Raises:
        UsageError: ``wanted`` is no column of these.
    """
    if group.format == "text":
        return Probed((TextColumns(DataKind.TEXT, ("text",)),), ())
    found = list[tuple[int, list[Row]]]()
    step = -(-len(group.files) // _FILES)
    # Where those that were chosen are all broken, another may not be.
    for place, file in enumerate((*group.files[::step], *group.files)):
        if place >= len(group.files[::step]) and found:
            break
        rows = list[Row]()
        drawing.read(file, partial(_look, rows, group))
        if rows:
            found.append((file.size_bytes, rows))
    if not found:
        return None
    names = tuple(dict.fromkeys(name for _, rows in found for row in rows for name in row))
    if wanted is not None:
        return Probed((find_columns([row for _, rows in found for row in rows], wanted),), names)
    return Probed(_by_size(found), names)


def _by_size(found: Sequence[tuple[int, list[Row]]]) -> tuple[TextColumns, ...]:
    sizes: dict[TextColumns, int] = {}
    for size, rows in found:
        columns = find_columns(rows, None)
        sizes[columns] = sizes.get(columns, 0) + size
    texts = {columns: size for columns, size in sizes.items() if columns.kind.has_tokens} or sizes
    return tuple(sorted(texts, key=lambda columns: -texts[columns]))


def _look(rows: list[Row], group: Group, reader: Reader) -> list[Draw]:
    rows += (r.row for r in islice(reader.records(), _RECORDS) if not r.problem)
    # To enter a Parquet file means to decode what stands before.
    if reader.size and reader.size > 4 * _PART and not reader.sequential and group.format != "Parquet":
        low = _BEHIND * reader.size
        rows += (r.row for r in islice(reader.records(low, low + _PART), _RECORDS) if not r.problem)
    return []
