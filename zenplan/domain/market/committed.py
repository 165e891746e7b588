"""What is paid for machines whether a run uses them or not."""

from __future__ import annotations

from dataclasses import dataclass

from zenplan.domain import checks


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """A reservation or a savings plan.

    Attributes:
        what: for people, as in "reservation for 1 yr".
        term_s: whoever takes it pays for so long; None where it is paid for already, with a run and without.
        usd_per_h: of all that is committed to; None for the machines that a run takes, at their price.
    """

    what: str
    term_s: float | None
    usd_per_h: float | None = None

    def __post_init__(self) -> None:
        checks.named("commitment", what=self.what)
        checks.positive(f"commitment {self.what}", term_s=self.term_s, usd_per_h=self.usd_per_h)
