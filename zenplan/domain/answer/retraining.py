"""RetrainPlan: when a model is trained again, for how fast it gets worse and what that costs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from zenplan.domain import checks
from zenplan.domain.provenance import Origin

# A point of a metric: accuracy that falls from 0.91 to 0.90 has lost one.
POINT: Final = 0.01
LINEAR, EXPONENTIAL = "linear", "exponential"
FORMS: Final = (LINEAR, EXPONENTIAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decay:
    """How a metric gets worse with the age of the model.

    Attributes:
        start: the metric of the new model.
        rises: whether it is worse the higher it is, as a loss.
        form: one of ``FORMS``: so much a day, or such a share of what is left.
        low, mid, high: what it loses a day: of the metric where linear, a rate in ln where exponential; the low end may
            be below 0, where what was measured may be chance.
    """

    metric: str
    start: float
    rises: bool
    form: str
    low: float
    mid: float
    high: float
    origin: Origin
    why: str

    def __post_init__(self) -> None:
        checks.named("decay", metric=self.metric)
        checks.one_of("decay", "form", self.form, FORMS)
        checks.positive("decay", mid=self.mid, high=self.high)

    @property
    def ends(self) -> tuple[float, float, float]:
        """Low, middle and high."""
        return self.low, self.mid, self.high

    def lost(self, days: float, rate: float) -> float:
        """By how much the metric is worse at an age."""
        if self.form == LINEAR:
            return rate * days
        grown = self.start * math.expm1(rate * days if self.rises else -rate * days)
        return grown if self.rises else -grown

    def lost_until(self, days: float, rate: float) -> float:
        """That, summed up over all days until then: metric · days."""
        if self.form == LINEAR:
            return rate * days * days / 2.0
        sign = 1.0 if self.rises else -1.0
        return sign * self.start * (math.expm1(sign * rate * days) / (sign * rate) - days)


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """Days of an age, by the high, the middle and the low of a decay; None where it never comes."""

    low: float | None
    mid: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainPlan:
    """When to train again.

    Attributes:
        run: its id; trained_on: the day it ended; today: the day of the answer.
        run_usd, run_s: what one more run costs and takes, as this one did.
        usd_per_point_day: what a point (0.01) of the metric is worth a day; None where it was not given.
        interval: between two runs, at which both together cost the least; None without that value.
        run_usd_per_day, lost_usd_per_day: at the middle of it; None where there is none.
        limit: the worst that the metric may be; reached: when it is that bad. None where it was not given.
    """

    run: str
    trained_on: date
    today: date
    decay: Decay
    run_usd: float | None
    run_s: float
    usd_per_point_day: float | None
    interval: Days | None
    run_usd_per_day: float | None
    lost_usd_per_day: float | None
    limit: float | None
    reached: Days | None
    notes: tuple[str, ...] = ()

    @property
    def days(self) -> float | None:
        """The age at which it is replaced: the earlier of interval and limit; None where neither ever comes."""
        known = [each.mid for each in (self.interval, self.reached) if each is not None and each.mid is not None]
        return min(known, default=None)

    def day_of(self, days: float | None) -> date | None:
        """The day of that age; None where no calendar goes so far."""
        try:
            return None if days is None else self.trained_on + timedelta(days=math.floor(days))
        except OverflowError:
            return None
