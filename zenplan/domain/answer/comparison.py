"""Comparison: the same question asked several times, with something else each time."""

from __future__ import annotations

from dataclasses import dataclass

from zenplan.domain.answer.answer import Answer, Change, Ranked


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One of the questions.

    Attributes:
        values: of what is compared, as they were given, in the order of ``Comparison.names``.
        answer: None where nothing can run it; then ``why`` says so.
    """

    values: tuple[str, ...]
    answer: Answer | None
    why: str = ""

    @property
    def best(self) -> Ranked | None:
        """Its recommended plan."""
        return self.answer.recommended if self.answer else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Several questions and their recommended plans.

    Attributes:
        names: flags that were given more than once.
        cases: in the order asked; of accelerators that nobody named, in the order in which they would be recommended.
    """

    names: tuple[str, ...]
    cases: tuple[Case, ...]

    @property
    def met(self) -> bool:
        """Whether any of them meets what was asked."""
        return any(case.answer.met for case in self.cases if case.answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """A plan, and the same with something changed.

    Attributes:
        before: what was asked.
        alone: each change by itself, on the machines of the recommended plan; None where they cannot run it.
        together: all changes on those machines; None where they cannot run it.
        after: the changed question with all offers to choose from; None where the change is of the machines' speed
            alone, or nothing can run it.
    """

    before: Answer
    alone: tuple[tuple[str, Change | None], ...]
    together: Change | None
    after: Answer | None
