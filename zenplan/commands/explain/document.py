"""The JSON document of an explanation. Its schema is made of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta

from zenplan.commands.shared.document import Name
from zenplan.documents import Document, fill
from zenplan.domain.measured.explanation import Attribution, Explanation

Numbers = tuple[float, ...]
Sizes = tuple[int, ...]


class AttributionDocument(Document):
    """What each place of an input adds to a score, or to a loss where it is shuffled."""

    name: Annotated[str, Meta(description="Of the input.")]
    shape: Annotated[Sizes, Meta(description="Of the places.")]
    values: Annotated[Numbers, Meta(description="By place, in the order of rows.")]
    deviations: Annotated[Numbers, Meta(description="Of the values between repeats; empty without repeats.")]
    labels: Annotated[tuple[str, ...], Meta(description="Columns or tokens; empty where places have no names.")]


class SampleExplanationDocument(Document):
    """What the answer for one sample comes from."""

    number: Annotated[int, Meta(description="Of the sample, from 0.")]
    target: Annotated[str, Meta(description="Class or token that is explained; empty of numbers.")]
    label: Annotated[str, Meta(description="That the data have for it; empty where none is known.")]
    score: Annotated[float, Meta(description="What the model returns for the target.")]
    baseline_score: Annotated[float, Meta(description="What it returns for the baseline.")]
    inputs: Annotated[tuple[AttributionDocument, ...], Meta(description="By input.")]
    completeness_error: Annotated[float | None, Meta(description="A share; null where the method promises no sum.")]
    randomised_correlation: Annotated[
        float | None, Meta(description="With shuffled weights; null where there is none.")
    ]


class ImportanceDocument(Document):
    """How much worse the loss of a whole part gets where one place is shuffled among its samples."""

    loss: Annotated[float, Meta(description="As it is.")]
    samples: Annotated[int, Meta(description="A count.")]
    inputs: Annotated[tuple[AttributionDocument, ...], Meta(description="By input.")]
    randomised_correlation: Annotated[
        float | None, Meta(description="With shuffled weights; null where there is none.")
    ]


class CheckDocument(Document):
    """What shows whether an explanation can be believed."""

    name: Annotated[Name, Meta(description="Of the check.")]
    value: Annotated[float, Meta(description="Over all samples.")]
    most: Annotated[float, Meta(description="That it may be.")]
    passed: Annotated[bool, Meta(description="Whether it is no more.")]
    why: Annotated[str, Meta(description="What it is.")]


class ExplanationDocument(Document, tag_field="schema", tag="zenplan.explanation/1"):
    """Answer of 'zenplan explain'.

    What the answers of a trained model come from.
    """

    run: Annotated[Name, Meta(description="Its id.")]
    name: Annotated[Name, Meta(description="Of what was trained.")]
    backend: Annotated[Name, Meta(description="That it was explained on.")]
    method: Annotated[Name, Meta(description="gradients, occlusion or permutation.")]
    part: Annotated[str, Meta(description="Of the data; empty for samples that were given.")]
    steps: Annotated[int, Meta(description="Of integrated gradients; 0 of other methods.")]
    samples: Annotated[tuple[SampleExplanationDocument, ...], Meta(description="Empty of permutation.")]
    importance: Annotated[ImportanceDocument | None, Meta(description="Of permutation.")]
    checks: Annotated[tuple[CheckDocument, ...], Meta(description="Whether it can be believed.")]
    not_checked: Annotated[str, Meta(description="What could not be checked, and why; empty where all was.")]


def explanation_document(found: Explanation) -> ExplanationDocument:
    """The document of an explanation."""
    importance = found.importance
    return fill(
        ExplanationDocument,
        found,
        samples=tuple(
            fill(
                SampleExplanationDocument,
                each,
                inputs=_attributions(each.inputs),
                completeness_error=each.completeness,
                randomised_correlation=each.randomised,
            )
            for each in found.samples
        ),
        importance=None
        if importance is None
        else fill(
            ImportanceDocument,
            importance,
            inputs=_attributions(importance.inputs),
            randomised_correlation=importance.randomised,
        ),
        checks=tuple(fill(CheckDocument, each) for each in found.checks),
    )


def _attributions(found: Sequence[Attribution]) -> tuple[AttributionDocument, ...]:
    return tuple(fill(AttributionDocument, each) for each in found)
