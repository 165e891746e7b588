"""DataSet: what there is to train on, counted or measured on a sample."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from zenplan.domain import checks
from zenplan.domain.range import Range


class DataKind(StrEnum):
    """What a data set is of, which decides what can be trained on it."""

    TEXT = "text"  # documents
    CHAT = "chat"  # lists of messages
    INSTRUCTIONS = "instructions"  # a prompt and its completion
    ROWS = "rows"  # of a table without text
    IMAGES = "images"

    @property
    def has_tokens(self) -> bool:
        """Whether a language model can learn from it."""
        return self not in (DataKind.ROWS, DataKind.IMAGES)

    @property
    def record(self) -> str:
        """What one of its records is called, in the plural."""
        return {DataKind.TEXT: "documents", DataKind.CHAT: "conversations", DataKind.INSTRUCTIONS: "examples"}.get(
            self, str(self)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """What was not counted, and why.

    Attributes:
        what: files, or records; ``example`` is the first of them: a path, with the line or byte of a record.
        count: how many were seen: all of the files, of records those in what was read.
    """

    what: str
    why: str
    count: int
    example: str

    def __post_init__(self) -> None:
        checks.one_of("left out", "what", self.what, ("files", "records"))
        checks.named("left out", why=self.why, example=self.example)
        checks.positive("left out", count=self.count)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """A file or a folder of data.

    Ranges are 80 % intervals; one that is a single value was counted, not sampled.

    Attributes:
        path: as the user named it.
        files: that hold records, a count; ``size_bytes`` is what they take on disk, compressed as they are.
        formats: of these files, as in ``JSONL``.
        records: documents, conversations, rows or images, a count.
        text_bytes: of the text in them, in UTF-8, without quotes, keys and markup of the format; None without text.
        tokens: in all of it; None without text.
        tokens_per_record: the mean, in tokens; ``median_tokens`` and ``p95_tokens`` are percentiles of records, read
            off those that were measured.
        columns: names of columns or keys that were found; ``text_columns`` are those that were read.
        unread_columns: of text, beside those that were read.
        classes: sub-folders that hold images; 0 where there are none.
        read_bytes: of the files, what was read to measure this; ``whole`` where it is all of them.
        tokenizer: the file with which tokens were counted; empty where they go by the kind of text.
        how: all this was arrived at, for people.
        left_out: what was not counted.
    """

    path: str
    kind: DataKind
    files: int
    size_bytes: float
    formats: tuple[str, ...]
    records: Range
    text_bytes: Range | None = None
    tokens: Range | None = None
    tokens_per_record: Range | None = None
    median_tokens: float | None = None
    p95_tokens: float | None = None
    columns: tuple[str, ...] = ()
    text_columns: tuple[str, ...] = ()
    unread_columns: tuple[str, ...] = ()
    classes: int = 0
    read_bytes: float
    whole: bool
    tokenizer: str = ""
    how: str
    left_out: tuple[LeftOut, ...] = ()

    def __post_init__(self) -> None:
        checks.named("data set", path=self.path, how=self.how)
        checks.positive(
            "data set", files=self.files, size_bytes=self.size_bytes, records=self.records.mid, low=self.records.low
        )
        checks.not_negative(
            "data set", classes=self.classes, read_bytes=self.read_bytes, median=self.median_tokens, p95=self.p95_tokens
        )
        for each in (self.text_bytes, self.tokens, self.tokens_per_record):
            if each is not None:
                checks.positive("data set", low=each.low, mid=each.mid, high=each.high)
