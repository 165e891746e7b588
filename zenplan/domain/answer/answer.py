"""Answer: what ``zenplan estimate`` found, before it is written down."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from zenplan.domain.answer.estimate import Bill, Quote
from zenplan.domain.answer.federation import Federation
from zenplan.domain.answer.project import Project
from zenplan.domain.market.offer import Price
from zenplan.domain.provenance import Origin
from zenplan.domain.range import Range
from zenplan.domain.training.operations import Operations
from zenplan.domain.training.plan import TrainingPlan
from zenplan.domain.training.request import Request
from zenplan.units import DAY_S

if TYPE_CHECKING:
    from zenplan.domain.measured.prediction import LocalStep


class Label(StrEnum):
    """What a quote is among those within what was asked: deadline, budget and horizon.

    ``cheapest`` has the least dollars, ``fastest`` the least time, ``recommended`` is the knee between them
    (``planning.money.ranking``); where nothing is within what was asked, ``nearest`` stands for it and the others are
    of all.
    """

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
    def price(self) -> Price | None:
        """Of one machine, that the bill is made of; None where it is not known."""
        return self.quote.offer.price(self.bill.billing)

    @property
    def wall_clock_s(self) -> Range:
        """From the start of the run to the end of what follows it, serving not counted."""
        return self.bill.wall_clock_s

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
        tight: whether it may run out of memory, where the recommended plan fits.
    """

    value: str
    usd: float | None
    wall_clock_s: float
    tight: bool = False


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
class WouldHelp:
    """A change of the request that would meet what was asked, where nothing meets it as it is.

    Attributes:
        change: as flags of the command: ``--billing spot``.
        text: what there is then, for people.
        usd: middle dollars of that plan; None where not known.
        wall_clock_s: its middle wall-clock time.
    """

    change: str
    text: str
    usd: float | None
    wall_clock_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The quotes worth showing, and what was looked at to find them.

    Attributes:
        today: the day it was asked; of_day_s: how much of it was over, by the local clock.
        ranked: the recommended first, then from cheap to fast.
        rule: which plan is recommended, in one line.
        verdict: with a deadline or a budget, whether it is met and by what margin, or that nothing is within the
            horizon; empty where neither is to be said.
        met: whether the deadline and the budget are met; True without them.
        would_help: where they are not, or nothing is within the horizon: what would do, the easiest first.
        cheaper_old: with a budget, what costs less than the cheapest quote by a price that is old, a line; else empty.
        options, layouts: how many combinations of offer and size, and layouts, were compared.
        frontier: of the quotes within what was asked, those that no other beats in both time and dollars, from
            cheap to fast; of all within the horizon where none is.
        sensitivity: inputs by how far they move the recommended plan, the farthest first.
        project: the bill around the recommended plan.
        judgement: whether the amount of training is sensible, a line each; none where all is as usual.
        notices: what of the data and of price tables was not used, a line each; they are in ``left_out`` too.
        left_out: what was not quoted, or not used, and why, one line each.
        federation: what it takes to train it by clients instead; None where that was not asked.
        here: what the model takes on this machine's own processor, where that was measured.
    """

    request: Request
    today: date
    plan: TrainingPlan
    operations: Operations
    ranked: tuple[Ranked, ...]
    rule: str
    verdict: str
    met: bool
    would_help: tuple[WouldHelp, ...]
    options: int
    layouts: int
    frontier: tuple[Ranked, ...]
    sensitivity: tuple[Effect, ...]
    project: Project
    left_out: tuple[str, ...]
    notices: tuple[str, ...] = ()
    here: tuple[LocalStep, ...] = ()
    judgement: tuple[str, ...] = ()
    federation: Federation | None = None
    cheaper_old: str = ""
    of_day_s: float = 0.0

    @property
    def recommended(self) -> Ranked:
        """The first quote; where nothing meets what was asked, the nearest."""
        return self.ranked[0]

    def labelled(self, label: Label) -> Ranked | None:
        """The quote that is that; None where none is."""
        return next((r for r in self.ranked if label in r.labels), None)

    @property
    def finish(self) -> date | None:
        """The day on which the recommended plan ends if it starts now, by its middle; None where no calendar goes so far."""
        return day_of_end(self.today, self.recommended.wall_clock_s.mid, self.of_day_s)


def day_of_end(today: date, time_s: float, of_day_s: float = 0.0) -> date | None:
    """The day on which a run ends that starts now, by the local clock; None where no calendar goes so far.

    Args:
        today: the day; of_day_s: how much of it is over.
        time_s: that the run takes.
    """
    try:
        return today + timedelta(days=max(0, math.ceil((of_day_s + time_s) / DAY_S) - 1))
    except OverflowError:
        return None
