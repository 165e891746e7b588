"""The JSON document of a comparison. Its schema is made of it."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from zenplan.commands.estimate.document import PointDocument, point
from zenplan.commands.shared.document import Name, Positive
from zenplan.documents import Document
from zenplan.domain.answer.comparison import Case, Comparison


class CaseDocument(Document):
    """One of the questions, with its recommended plan."""

    values: Annotated[tuple[str, ...], Meta(description="Of what is compared, in the order of the names.")]
    met: Annotated[bool, Meta(description="Whether it meets the deadline and the budget; false where nothing runs it.")]
    tokens: Annotated[
        Positive | None,
        Meta(description="Of the whole run, a count, in the unit of the model's data; null where nothing runs it."),
    ]
    best: Annotated[PointDocument | None, Meta(description="The recommended plan; null where nothing runs it.")]
    why: Annotated[str, Meta(description="Why nothing runs it; empty where something does.")]


class CompareDocument(Document, tag_field="schema", tag="zenplan.compare/1"):
    """Answer of 'zenplan compare'.

    The same training with something else each time. Quantities are in base units, named by the suffix of the field;
    null is not known, never 0.
    """

    names: Annotated[tuple[Name, ...], Meta(description="What is compared: flags, without their dashes.")]
    cases: Annotated[tuple[CaseDocument, ...], Meta(min_length=1, description="In the order asked.")]


def document(found: Comparison) -> CompareDocument:
    """The whole comparison in base units."""
    return CompareDocument(names=found.names, cases=tuple(_case(case) for case in found.cases))


def _case(case: Case) -> CaseDocument:
    answer = case.answer
    return CaseDocument(
        values=case.values,
        met=answer.met if answer else False,
        tokens=answer.plan.tokens if answer else None,
        best=point(answer.recommended) if answer else None,
        why=case.why,
    )
