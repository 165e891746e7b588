"""The JSON documents of a data set and of a data card. Their schemas are made of them."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from zenplan.commands.shared.document import (
    Count,
    CountFromZero,
    Name,
    NotNegative,
    Positive,
    RangeDocument,
    one_of,
    range_document,
)
from zenplan.documents import Document, fill
from zenplan.domain.training.data_card import PARTS, DataCard
from zenplan.domain.training.data_set import DataKind, DataSet


class LeftOutDocument(Document):
    """What was not counted."""

    what: Annotated[str, one_of("files", "records"), Meta(description="Files, or records of them.")]
    count: Annotated[Count, Meta(description="How many: of files all, of records those in what was read.")]
    why: Annotated[Name, Meta(description="Why.")]
    example: Annotated[Name, Meta(description="The first of them: a path, and where in it a record is.")]


class DataDocument(Document, tag_field="schema", tag="zenplan.data/1"):
    """Answer of 'zenplan data show'.

    What there is to train on. A range of one value was counted, others are 80 % intervals of a sample; null is what
    data of that kind do not have.
    """

    path: Annotated[Name, Meta(description="The file or folder.")]
    kind: Annotated[DataKind, Meta(description="What it is of.")]
    files: Annotated[Count, Meta(description="Files that hold records, a count.")]
    size_bytes: Annotated[Positive, Meta(description="What they take on disk, in bytes.")]
    formats: Annotated[tuple[Name, ...], Meta(description="Formats of these files.")]
    records: Annotated[RangeDocument, Meta(description="Documents, conversations, rows or images, a count.")]
    text_bytes: Annotated[RangeDocument | None, Meta(description="Text in them, in bytes of UTF-8.")]
    tokens: Annotated[RangeDocument | None, Meta(description="Tokens of that text, a count.")]
    tokens_per_record: Annotated[RangeDocument | None, Meta(description="Tokens of a record, the mean.")]
    median_tokens: Annotated[NotNegative | None, Meta(description="Tokens that half of the records have at most.")]
    p95_tokens: Annotated[NotNegative | None, Meta(description="Tokens that 95 % of the records have at most.")]
    columns: Annotated[tuple[str, ...], Meta(description="Columns or keys that were found.")]
    text_columns: Annotated[tuple[str, ...], Meta(description="Those that were read.")]
    classes: Annotated[CountFromZero, Meta(description="Sub-folders with images, a count; 0 for other data.")]
    read_bytes: Annotated[NotNegative, Meta(description="What was read to measure this, in bytes.")]
    whole: Annotated[bool, Meta(description="Whether that is all of it.")]
    tokenizer: Annotated[
        str, Meta(description="The file with which tokens were counted; empty where they go by the kind of text.")
    ]
    how: Annotated[Name, Meta(description="How all this was arrived at, for people.")]
    left_out: Annotated[tuple[LeftOutDocument, ...], Meta(description="What was not counted, by reason.")]


def data_document(data: DataSet) -> DataDocument:
    """The data set."""
    return fill(
        DataDocument,
        data,
        records=fill(RangeDocument, data.records),
        text_bytes=range_document(data.text_bytes),
        tokens=range_document(data.tokens),
        tokens_per_record=range_document(data.tokens_per_record),
        left_out=tuple(fill(LeftOutDocument, each) for each in data.left_out),
    )


class PartDocument(Document):
    """One part of prepared data."""

    name: Annotated[str, one_of(*PARTS), Meta(description="Which.")]
    records: Annotated[CountFromZero, Meta(description="Records in it; texts longer than 64 kB are several.")]
    bytes: Annotated[CountFromZero, Meta(description="Of their text in UTF-8, or of their values, in bytes.")]
    tokens: Annotated[CountFromZero | None, Meta(description="Tokens in it; null for what has none.")]
    classes: Annotated[tuple[CountFromZero, ...], Meta(description="Records of each class, in the order of classes.")]


class DataCardDocument(Document, tag_field="schema", tag="zenplan.data_card/1"):
    """Answer of 'zenplan data prepare', and card.json of prepared data.

    What came in, what was dropped and why, and what is there to train on.
    """

    source: Annotated[Name, Meta(description="The file or folder.")]
    kind: Annotated[str, one_of("tokens", "arrays"), Meta(description="Of what is written.")]
    what: Annotated[
        str, one_of("text", "labelled text", "rows", "images", "arrays"), Meta(description="What it is made of.")
    ]
    files: Annotated[Count, Meta(description="Files that were read, a count.")]
    read_bytes: Annotated[NotNegative, Meta(description="What they take on disk, in bytes.")]
    records: Annotated[Count, Meta(description="Records that came in, a count.")]
    encodings: Annotated[dict[str, Count], Meta(description="Files that are not in UTF-8, by their encoding, a count.")]
    dropped: Annotated[
        tuple[LeftOutDocument, ...], Meta(description="Files and records that did not come through, by reason.")
    ]
    parts: Annotated[tuple[PartDocument, ...], Meta(description="Train, validation and test.")]
    split_by: Annotated[
        str,
        one_of("folder", "file", "record", "given"),
        Meta(description="What is never parted; given, where the data come split."),
    ]
    seed: Annotated[CountFromZero, Meta(description="Of the split.")]
    vocabulary: Annotated[Count | None, Meta(description="Tokens of the tokenizer; null without one.")]
    bytes_per_token: Annotated[Positive | None, Meta(description="Bytes of text of a token, the mean.")]
    longest: Annotated[Count | None, Meta(description="Tokens of a sample of labelled text.")]
    cut: Annotated[CountFromZero | None, Meta(description="Texts that were longer than that, a count.")]
    classes: Annotated[tuple[str, ...], Meta(description="Names of the classes; empty without.")]
    parameters: Annotated[Positive | None, Meta(description="Of the model that the data are for, a count.")]
    needed_tokens: Annotated[Positive | None, Meta(description="Tokens of the plan that was given, a count.")]
    passes: Annotated[Positive | None, Meta(description="Passes over the training data for these.")]
    cpu_s: Annotated[NotNegative, Meta(description="Time of the processor that it took, in seconds.")]
    wall_s: Annotated[NotNegative, Meta(description="Time that it took, in seconds.")]
    fixed_cpu_s: Annotated[NotNegative, Meta(description="Of cpu_s, what does not grow with the data, in seconds.")]
    unused: Annotated[tuple[str, ...], Meta(description="Columns of a table that are not learned from.")]
    unused_numbers: Annotated[
        tuple[str, ...], Meta(description="Of them, those of numbers that would be, had no others been named.")
    ]
    notes: Annotated[tuple[str, ...], Meta(description="What else should be known.")]
    version: Annotated[Name, Meta(description="Of zenplan.")]
    fingerprint: Annotated[Name, Meta(description="Of the prepared data, a SHA-256.")]


def card_document(card: DataCard) -> DataCardDocument:
    """The data card."""
    return fill(
        DataCardDocument,
        card,
        encodings=dict(card.encodings),
        dropped=tuple(fill(LeftOutDocument, each) for each in card.dropped),
        parts=tuple(fill(PartDocument, each) for each in card.parts),
    )
