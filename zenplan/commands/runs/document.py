"""The JSON document of training runs. Its schema is made of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta

from zenplan.commands.runs.use_case import Entry
from zenplan.commands.shared.document import Name, NotNegative, Positive, RangeDocument, range_document
from zenplan.commands.train.beside import rows
from zenplan.commands.train.document import Figures, StatusDocument, status_document
from zenplan.documents import Document


class BesideDocument(Document):
    """A figure that was predicted, beside what came of it; the suffix of its name is the unit."""

    name: Annotated[Name, Meta(description="Of the part.")]
    unit: Annotated[Name, Meta(description="Of its figures: s, usd, bytes or j.")]
    predicted: Annotated[RangeDocument | None, Meta(description="In that unit; null where nothing was predicted.")]
    actual: Annotated[NotNegative | None, Meta(description="In that unit; null where nobody measured it.")]
    ratio: Annotated[Positive | None, Meta(description="Actual over predicted; null where one is not known.")]
    inside: Annotated[bool | None, Meta(description="Whether it came out in the range; null where there is none.")]
    known: Annotated[bool, Meta(description="Whether it had passed when the prediction was made, and was measured.")]


class RunEntryDocument(Document):
    """A training run."""

    status: Annotated[StatusDocument, Meta(description="How it stands.")]
    folder: Annotated[Name, Meta(description="That it is in.")]
    alive: Annotated[
        bool | None, Meta(description="Whether a process is at it; null where that is not seen from here.")
    ]
    parts: Annotated[tuple[BesideDocument, ...], Meta(description="Predicted beside actual, by part.")]
    metrics: Annotated[Figures, Meta(description="Of the last evaluation of each part.")]


class RunsDocument(Document, tag_field="schema", tag="zenplan.runs/1"):
    """Answer of 'zenplan runs list' and 'zenplan runs compare'.

    Training runs, predicted beside actual.
    """

    runs: Annotated[tuple[RunEntryDocument, ...], Meta(description="The newest first, or as they were named.")]
    left_out: Annotated[tuple[Name, ...], Meta(description="What could not be read, a line each.")]


def runs_document(found: Sequence[Entry], left_out: Sequence[str]) -> RunsDocument:
    """The runs."""
    return RunsDocument(runs=tuple(map(_entry, found)), left_out=tuple(left_out))


def _entry(found: Entry) -> RunEntryDocument:
    result = found.result
    parts = [
        BesideDocument(
            name=row.name,
            unit=row.unit,
            predicted=range_document(row.predicted),
            actual=row.actual,
            ratio=row.ratio or None,
            inside=row.inside,
            known=row.known,
        )
        for row in rows(result)
    ]
    return RunEntryDocument(
        status=status_document(result.status),
        folder=str(found.folder),
        alive=found.alive,
        parts=tuple(parts),
        metrics={part: dict(values) for part, values in result.metrics.items()},
    )
