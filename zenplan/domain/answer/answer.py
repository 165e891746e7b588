"""Answer: what ``zenplan estimate`` found, before it is written down."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from zenplan.domain.answer.estimate import Bill, Quote
from zenplan.domain.answer.project import Project
from zenplan.domain.provenance import Origin
from zenplan.domain.range import Range
from zenplan.domain.training.operations import Operations
from zenplan.domain.training.plan import TrainingPlan
from zenplan.domain.training.request import Request

if TYPE_CHECKING:
    from zenplan.domain.measured.prediction import LocalStep


class Label(StrEnum):
    """What a quote is among all: ``nearest`` stands for ``recommended`` where nothing meets what was asked."""

    RECOMMENDED = "recommended"
    NEAREST = "nearest"
    CHEAPEST = "cheapest"
    FASTEST = "fastest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """A quote, and what it is among all: one thing, several, or between them.

    ``bill`` is the one under the billing kind that quotes are ranked by.
    """

    quote: Quote
    bill: Bill
    labels: tuple[Label, ...] = ()

    @property
    def wall_clock_s(self) -> Range:
        """From the start of the run to its end."""
        return self.bill.run.wall_clock_s

    @property
    def gpu_hours(self) -> Range:
        """Hours of all devices that are rented."""
        return self.quote.gpu_hours(self.bill)

    @property
    def total_usd(self) -> Range | None:
        """Machines, storage and egress; None where the machines have no price."""
        return self.bill.total_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The recommended plan with another value of one input.

    Attributes:
        value: of the input, as it is shown.
        usd: middle dollars; None where no price is known.
        wall_clock_s: middle wall-clock time.
    """

    value: str
    usd: float | None
    wall_clock_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """How far one input moves the recommended plan.

    Attributes:
        input: its name, as in the facts of the plan.
        value: what was taken.
        origin: where that is from.
        changes: with a smaller and a larger value, in that order.
    """

    input: str
    value: str
    origin: Origin
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The quotes worth showing, and what was looked at to find them.

    Attributes:
        today: the day it was asked.
        ranked: the recommended first, then from cheap to fast.
        verdict: with a deadline or a budget, whether it is met and by what margin; empty without.
        met: whether the deadline and the budget are met; True without them.
        options, layouts: how many combinations of offer and size, and layouts, were compared.
        frontier: the quotes that no other beats in both time and dollars, from cheap to fast.
        sensitivity: inputs by how far they move the recommended plan, the farthest first.
        project: the bill around the recommended plan.
        judgement: whether the amount of training is sensible, a line each; none where all is as usual.
        left_out: what was not quoted, or not used, and why, one line each.
        here: what the model takes on this machine's own processor, where that was measured.
    """

    request: Request
    today: date
    plan: TrainingPlan
    operations: Operations
    ranked: tuple[Ranked, ...]
    verdict: str
    met: bool
    options: int
    layouts: int
    frontier: tuple[Ranked, ...]
    sensitivity: tuple[Effect, ...]
    project: Project
    left_out: tuple[str, ...]
    here: tuple[LocalStep, ...] = ()
    judgement: tuple[str, ...] = ()

    @property
    def recommended(self) -> Ranked:
        """The first quote; where nothing meets what was asked, the nearest."""
        return self.ranked[0]

    def labelled(self, label: Label) -> Ranked | None:
        """The quote that is that; None where none is."""
        return next((r for r in self.ranked if label in r.labels), None)

    @property
    def finish(self) -> date | None:
        """The day the recommended plan ends if it starts today, by its middle; None where no calendar goes so far."""
        try:
            return self.today + timedelta(seconds=self.recommended.wall_clock_s.mid)
        except OverflowError:
            return None
