"""DataCard: what became of data that were prepared for training: what came in, what was dropped and why, what is left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from zenplan import units
from zenplan.domain import checks
from zenplan.domain.training.data_set import LeftOut

PARTS = ("train", "validation", "test")
_MOST_SHOWN: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class PartCard:
    """One part of the data.

    Attributes:
        name: ``train``, ``validation`` or ``test``.
        records: in it, a count; texts longer than 64 kB are several.
        bytes: of their text in UTF-8, or of their values.
        tokens: in it, ends of documents included; None without tokens.
        classes: records of each class, in the order of the card's ``classes``; empty without classes.
    """

    name: str
    records: int
    bytes: int
    tokens: int | None = None
    classes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        checks.one_of("part", "name", self.name, PARTS)
        checks.not_negative("part", records=self.records, bytes=self.bytes, tokens=self.tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataCard:
    """What came in, what was dropped, and what is there to train on.

    Attributes:
        source: as the user named it.
        kind: of samples: ``tokens``, or ``arrays``.
        what: they are made of: ``text``, ``labelled text``, ``rows``, ``images`` or ``arrays``.
        files: that were read, a count; ``read_bytes`` is what they take on disk, compressed as they are.
        records: that came in, a count.
        encodings: files that are not in UTF-8, by theirs, a count.
        dropped: files and records that did not come through, by reason.
        parts: train, validation and test, as far as they are there.
        split_by: what is never parted: ``folder``, ``file`` or ``record``; near duplicates are not parted either.
            ``given`` for a split that the data come with.
        seed: of the split.
        vocabulary: of the tokenizer, a count; None without one.
        bytes_per_token: of text; None without tokens.
        longest: tokens of a sample of labelled text, and ``cut``, how many texts were longer; None for other data.
        classes: their names; empty without.
        parameters: of the model that the data are for, a count; None where that was not said.
        needed_tokens: of the plan that was given; None without one.
        passes: over the training data for these; None without a plan.
        cpu_s: of the processor, all threads, over all runs that it took; ``wall_s`` likewise.
        fixed_cpu_s: of ``cpu_s``, what does not grow with the data: training of the tokenizer, on a sample.
        unused: columns of a table that are not learned from; unused_numbers: of them, those of numbers, which would be
            but for columns that were named.
        notes: what else should be known, a sentence each.
        version: of zenplan. fingerprint: of the prepared data, a SHA-256.
    """

    source: str
    kind: str
    what: str
    files: int
    read_bytes: int
    records: int
    encodings: Mapping[str, int] = field(default_factory=dict)
    dropped: tuple[LeftOut, ...] = ()
    parts: tuple[PartCard, ...]
    split_by: str
    seed: int
    vocabulary: int | None = None
    bytes_per_token: float | None = None
    longest: int | None = None
    cut: int | None = None
    classes: tuple[str, ...] = ()
    parameters: float | None = None
    needed_tokens: float | None = None
    passes: float | None = None
    cpu_s: float
    wall_s: float
    fixed_cpu_s: float = 0.0
    unused: tuple[str, ...] = ()
    unused_numbers: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    version: str
    fingerprint: str

    def __post_init__(self) -> None:
        checks.one_of("data card", "kind", self.kind, ("tokens", "arrays"))
        checks.named("data card", source=self.source, what=self.what, fingerprint=self.fingerprint)
        checks.positive("data card", files=self.files, records=self.records, bytes_per_token=self.bytes_per_token)
        checks.not_negative("data card", read_bytes=self.read_bytes, cpu_s=self.cpu_s, wall_s=self.wall_s)

    @property
    def unused_columns(self) -> str:
        """Columns that are not learned from, for people; empty where all are."""
        if not self.unused:
            return ""
        numbers = _listed(self.unused_numbers)
        taken = f"; --ids alone leaves numbers out, --features takes them in: {numbers}" if numbers else ""
        return f"columns {_listed(self.unused)}{taken}"

    @property
    def left_out(self) -> str:
        """Columns and records that are not learned from, in a line; empty where all are."""
        dropped = [f"{units.many(each.count, each.what.removesuffix('s'))} ({each.why})" for each in self.dropped]
        told = "; ".join(filter(None, (", ".join(dropped), self.unused_columns)))
        return f"Not learned from, of the data: {told}." if told else ""

    @property
    def tokens(self) -> int | None:
        """Of all parts; None without tokens."""
        found = [part.tokens for part in self.parts if part.tokens is not None]
        return sum(found) if found else None

    @property
    def bytes(self) -> int:
        """Of all parts."""
        return sum(part.bytes for part in self.parts)

    @property
    def cpu_h_per_tb(self) -> float | None:
        """Hours of the processor for a TB (1e12 bytes) of such files, as measured here; None where nothing was read."""
        if not self.read_bytes:
            return None
        return max(self.cpu_s - self.fixed_cpu_s, 0.0) / 3600.0 / (self.read_bytes / 1e12)


def _listed(names: Sequence[str]) -> str:
    """Names, not more of them than a line has room for."""
    more = len(names) - _MOST_SHOWN
    return ", ".join(map(checks.one_line, names[:_MOST_SHOWN])) + (f" and {more:,} more" if more > 0 else "")
