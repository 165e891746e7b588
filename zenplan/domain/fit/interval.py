"""Interval: how far measured runs lie from the prediction, for runs of given traits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from zenplan.domain import checks
from zenplan.errors import DataError

# Narrower than this no interval is: the same run on the next version of a framework differs by so much.
_LEAST_LN = 0.04


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How far published runs lie from the prediction, as ratios of measured to predicted time.

    Attributes:
        low, high: 10th and 90th percentile of measured / predicted time.
        basis: how many runs, of which group, from how many sources.
    """

    low: float
    high: float
    basis: str

    def __post_init__(self) -> None:
        if not 0 < self.low <= 1 <= self.high:
            raise DataError(f"spread {self.low}–{self.high} must enclose 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """The 80 % interval of measured over predicted time, by cross-conformal prediction on left-out runs.

    ``ln(measured / predicted)`` of a run, divided by the run's scale, lies between ``-down`` and ``up`` in 80 of
    100 cases (Vovk 2015; locally weighted as in Lei et al. 2018, section 5.2). The scale is the product of
    ``factors`` of the traits that the run has, each to the power of how much of it.

    Attributes:
        down, up: of a run without any trait that has a factor; in ln.
        factors: trait to what it makes of the width; every generation that was measured is among them.
        devices: the most that any of the runs had.
        basis: which runs, from how many sources, left out of which fit.
    """

    down: float
    up: float
    factors: Mapping[str, float] = field(default_factory=dict)
    devices: float = 1.0
    basis: str

    def __post_init__(self) -> None:
        checks.named("interval", basis=self.basis)
        if not (self.down > 0 and self.up > 0 and self.devices > 0 and all(f > 0 for f in self.factors.values())):
            raise DataError("interval: down, up, devices and factors must be above zero")

    def scale(self, traits: Mapping[str, float]) -> float:
        """What the traits make of the width."""
        return math.exp(sum(amount * math.log(self.factors.get(name, 1.0)) for name, amount in traits.items()))

    def of(self, traits: Mapping[str, float]) -> Spread:
        """The interval of a run with these traits, as ratios of time."""
        scale = self.scale(traits)
        wider = [name for name in traits if self.factors.get(name, 1.0) > 1.0 and "/" not in name]
        why = f"; wider for {', '.join(wider)}" if wider else ""
        return Spread(
            low=math.exp(-max(self.down * scale, _LEAST_LN)),
            high=math.exp(max(self.up * scale, _LEAST_LN)),
            basis=self.basis + why,
        )
