"""Which columns or keys hold the text of a record, found on a sample of records."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from zenplan.domain.training.data_set import DataKind
from zenplan.errors import UsageError

# The names that data sets use, the surer first: lists of messages, a text, pairs, and the rest.
_KNOWN: Final[tuple[tuple[DataKind, tuple[str, ...], tuple[str, ...]], ...]] = (
    (DataKind.CHAT, ("messages",), ("tools",)),
    (DataKind.CHAT, ("conversations",), ("system",)),
    (DataKind.CHAT, ("conversation",), ("system",)),
    (DataKind.INSTRUCTIONS, ("prompt", "chosen"), ()),
    (DataKind.TEXT, ("text",), ()),
    (DataKind.INSTRUCTIONS, ("prompt", "completion"), ()),
    (DataKind.INSTRUCTIONS, ("prompt", "response"), ()),
    (DataKind.INSTRUCTIONS, ("instruction", "output"), ("input",)),
    (DataKind.INSTRUCTIONS, ("instruction", "response"), ("context",)),
    (DataKind.INSTRUCTIONS, ("question", "answer"), ("context",)),
    (DataKind.TEXT, ("content",), ()),
)
# Of a column whose name says nothing: letters that a value has on average, for it to be text and no label or path.
_LETTERS: Final = 20
_IMAGE_KEYS: Final = {"bytes", "path"}


@dataclass(frozen=True, slots=True)
class TextColumns:
    """What is read of a record.

    Attributes:
        kind: of data.
        needed: columns that hold the text; a record without any text in them is broken.
        more: columns that are read where they are there.
        other: text columns that were found beside them and are not read.
    """

    kind: DataKind
    needed: tuple[str, ...] = ()
    more: tuple[str, ...] = ()
    other: tuple[str, ...] = ()

    def text(self, row: Mapping[str, Any]) -> str | None:
        """The text of a record, its parts on lines of their own; None where it has none."""
        parts = [plain(row[name]) for name in (*self.needed, *self.more) if name in row]
        return "\n".join(filter(None, parts)) or None


def find_columns(rows: Sequence[Mapping[str, Any]], wanted: str | None) -> TextColumns:
    """The text columns of records like these.

    Args:
        rows: some records, from all over the data.
        wanted: a column that the user named; None to find it.

    Raises:
        UsageError: no record has that column.
    """
    seen = Counter(name for row in rows for name in row)
    if wanted is not None:
        if wanted not in seen:
            names = ", ".join(list(seen)[:12])
            raise UsageError(f"--text-column: the data have no column '{wanted}'", f"they have {names}")
        return TextColumns(_kind_of(rows, wanted), (wanted,))
    most = 0.5 * len(rows)
    for kind, needed, more in _KNOWN:
        if all(seen[name] > most for name in needed):
            found = tuple(name for name in more if name in seen)
            text = TextColumns(kind, needed, found)
            if any(text.text(row) for row in rows):
                return text
    lengths = {name: _letters(rows, name) for name in seen}
    texts = sorted((name for name in lengths if lengths[name] >= _LETTERS), key=lambda name: -lengths[name])
    if texts:
        return TextColumns(_kind_of(rows, texts[0]), (texts[0],), other=tuple(texts[1:]))
    images = any(isinstance(v, Mapping) and v.keys() >= _IMAGE_KEYS for row in rows for v in row.values())
    return TextColumns(DataKind.IMAGES if images else DataKind.ROWS)


def plain(value: Any) -> str:
    """The text in a value: of a list of messages their contents, of parts of a message theirs."""
    if isinstance(value, str):
        return _decoded(value)
    if isinstance(value, list | tuple):
        return "\n".join(filter(None, map(plain, value)))
    if isinstance(value, Mapping):
        # OpenAI's messages have content, ShareGPT's have value; the parts of a content have text.
        return next((plain(value[key]) for key in ("content", "value", "text") if value.get(key)), "")
    return ""


def _decoded(text: str) -> str:
    """A cell of a table may hold messages as JSON."""
    if text[:2] == "[{" and text[-1:] == "]":
        try:
            return plain(json.loads(text)) or text
        except (ValueError, RecursionError):
            return text
    return text


def _kind_of(rows: Sequence[Mapping[str, Any]], name: str) -> DataKind:
    messages = sum(isinstance(row.get(name), list) for row in rows)
    return DataKind.CHAT if messages > 0.5 * len(rows) else DataKind.TEXT


def _letters(rows: Sequence[Mapping[str, Any]], name: str) -> float:
    """Of the column's values, on average; 0 where most of them are not text."""
    values = [row[name] for row in rows if row.get(name) is not None]
    texts = [value for value in values if isinstance(value, str) and not _number(value)]
    return sum(map(len, texts)) / len(texts) if len(texts) > 0.5 * len(values) else 0.0


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
