"""Record: one document, conversation or row, and where it lies; and what a reader of a format has to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from zenplan.adapters.data.encoding import Encoding

# A larger record is broken: it is more likely a file of another kind than something to train on.
MOST_RECORD_BYTES = 16_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One record, as its file has it.

    Attributes:
        place: where it is in the file, for people: ``byte 1024``, ``row 17``.
        size: of it in the file, in the unit of its reader's ``size``.
        row: its values by column or key; of a text the one under ``text``.
        problem: why it cannot be used; empty where it can.
        begins: whether the record starts here: a long text comes in pieces, of which the first does.
    """

    place: str
    size: float
    row: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""
    begins: bool = True


class Reader(Protocol):
    """Reads the records of one file, in bounded memory.

    Attributes:
        size: of the file, in what its places are measured in: bytes after decompression, or of its columns in
            Parquet. None where that shows at the end only (gzip).
        count: records in it, where the file says so without being read.
        sequential: whether a place in it is reached only by reading all before it as records (a JSON array).
        columns: that it names before any record is read.
    """

    size: float | None
    count: int | None
    sequential: bool
    columns: tuple[str, ...]

    def records(self, low: float = 0.0, high: float | None = None) -> Iterator[Record]:
        """Those that start from ``low`` to below ``high``, in order; all where nothing is said.

        Raises:
            BadFile: the file is not what it says, or ends too early.
        """
        ...

    @property
    def encoding(self) -> Encoding:
        """That the file is in: what comes out is text, and places and ``size`` are those of it in UTF-8."""
        ...

    @property
    def at(self) -> float:
        """Up to where it was read, in the unit of ``size``."""
        ...

    @property
    def on_disk(self) -> float:
        """The same in bytes of the file on the disk."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


class BadFile(Exception):
    """A file that cannot be used, and why in a few words."""
