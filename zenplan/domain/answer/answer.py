"""Answer: what ``zenplan estimate`` found, before it is written down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zenplan.domain.answer.estimate import Bill, Quote
from zenplan.domain.range import Range
from zenplan.domain.training.operations import Operations
from zenplan.domain.training.plan import TrainingPlan
from zenplan.domain.training.request import Request

if TYPE_CHECKING:
    from zenplan.domain.measured.prediction import LocalStep


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """A quote and what it is: ``best`` (or ``nearest``), ``cheapest``, ``balanced``, ``fastest``, several, or between them.

    ``bill`` is the one under the billing kind that quotes are ranked by.
    """

    quote: Quote
    bill: Bill
    labels: tuple[str, ...] = ()

    @property
    def wall_clock_s(self) -> Range:
        """From the start of the run to its end."""
        return self.bill.run.wall_clock_s

    @property
    def gpu_hours(self) -> Range:
        """Hours of all devices that are rented."""
        return self.quote.gpu_hours(self.bill)

    @property
    def total_usd(self) -> Range:
        """Machines, storage and egress."""
        return self.bill.total_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The quotes worth showing, and what was looked at to find them.

    Attributes:
        ranked: the best first, then from cheap to fast.
        verdict: with a deadline or a budget, whether it is met and by what margin; empty without.
        met: whether the deadline and the budget are met; True without them.
        options, layouts: how many combinations of offer and size, and layouts, were compared.
        frontier: quotes that no other beats in both time and dollars.
        left_out: what was not quoted, or not used, and why, one line each.
        here: what the model takes on this machine's own processor, where that was measured.
    """

    request: Request
    plan: TrainingPlan
    operations: Operations
    ranked: tuple[Ranked, ...]
    verdict: str
    met: bool
    options: int
    layouts: int
    frontier: int
    left_out: tuple[str, ...]
    here: tuple[LocalStep, ...] = ()

    @property
    def best(self) -> Ranked:
        """The first quote."""
        return self.ranked[0]
