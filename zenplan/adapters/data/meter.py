"""The meter: records of one draw into what they hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from zenplan.adapters.data.columns import TextColumns
from zenplan.adapters.data.estimates import Draw
from zenplan.adapters.data.records import Record
from zenplan.adapters.data.walk import PassedBy
from zenplan.families.transformer.tokens import kinds_of

# Texts to the number of tokens of each.
Tokenize = Callable[[Sequence[str]], Sequence[int]]
# A tokenizer takes much longer over one long text without spaces than over its pieces.
_PIECE: Final = 16_384


class Meter:
    """Measures draws, all of one format.

    Args:
        columns: what is read of a record: the first of these that it has.
        tokenize: counts tokens; None to go by the kind of text.
        most_bytes: of text of a draw that are looked at for its kind and tokens.
        passed_by: told of records that cannot be used.
    """

    def __init__(
        self, columns: Sequence[TextColumns], tokenize: Tokenize | None, most_bytes: float, passed_by: PassedBy
    ) -> None:
        self._columns, self._tokenize, self._most, self._passed_by = columns, tokenize, most_bytes, passed_by

    def draw(self, records: Iterable[Record], measure: float, path: str) -> Draw:
        """What a part of that measure holds."""
        draw, sample, left = Draw(measure=measure), list[str](), self._most
        for record in records:
            draw.raw += record.size
            if record.problem:
                self._passed_by.add(f"{path}, {record.place}", record.problem, "records")
                continue
            if not self._columns[0].kind.has_tokens:
                draw.records += 1
                continue
            text = self._text(record.row)
            if text is None:
                names = " and ".join(self._columns[0].needed)
                self._passed_by.add(f"{path}, {record.place}", f"no text under {names}", "records")
                continue
            size = len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
            draw.text_bytes += size
            if record.begins:
                draw.records += 1
                draw.lengths.append(size)
            elif draw.lengths:
                draw.lengths[-1] += size
            while left > 0 and text:
                sample.append(text[: int(min(_PIECE, left) + 1)])
                left -= len(sample[-1])
                text = text[len(sample[-1]) :]
        self._look_at(draw, sample)
        return draw

    def _text(self, row: Mapping[str, Any]) -> str | None:
        for columns in self._columns:
            if row.keys() >= set(columns.needed):
                return columns.text(row)
        return None

    def draws(self, records: Iterator[Record], measure: float, path: str) -> Iterator[Draw]:
        """All records of a file, in draws of about that measure each."""
        for first in records:
            group = _Group(first, records, measure)
            draw = self.draw(group, measure, path)
            draw.measure = draw.raw
            yield draw

    def _look_at(self, draw: Draw, sample: Sequence[str]) -> None:
        if self._tokenize is not None:
            draw.tokens = float(sum(self._tokenize(sample))) if sample else 0.0
        for text in sample:
            for kind, size in kinds_of(text).items():
                draw.kinds[kind] = draw.kinds.get(kind, 0.0) + size
        draw.sampled_bytes = sum(draw.kinds.values())


class _Group:
    """A record, and those after it until they are of so much together; those that go on with a text among them."""

    def __init__(self, first: Record, others: Iterator[Record], measure: float) -> None:
        self._next, self._others, self._left = [first], others, measure

    def __iter__(self) -> Iterator[Record]:
        record = self._next.pop()
        while True:
            self._left -= record.size
            yield record
            following = next(self._others, None) if self._left > 0 else None
            if following is None:
                return
            record = following
