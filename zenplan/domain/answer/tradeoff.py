"""Tradeoff: the layouts of one cluster beside each other, before they are written down."""

from __future__ import annotations

from dataclasses import dataclass

from zenplan.domain.answer.estimate import Estimate
from zenplan.domain.hardware.cluster import Cluster
from zenplan.domain.market.offer import DevicePrice
from zenplan.domain.training.layout import Layout
from zenplan.domain.training.plan import TrainingPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerUp:
    """The best layout that is laid out differently, and why it lost.

    Attributes:
        slower: how much longer it takes for a sample, as a share of the winner's time.
        parts: part of the step to what it adds to that share, or takes from it; together they are ``slower``.
    """

    layout: Layout
    slower: float
    parts: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fewer:
    """So many devices of the same kind in their best layout.

    Attributes:
        sample_s: seconds for a sample, on all of them together.
        usd_per_token: at the price of a device-hour; None where none is known.
    """

    devices: int
    layout: Layout
    sample_s: float
    usd_per_token: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tradeoff:
    """What ``zenplan layouts`` found.

    Attributes:
        by: what the list is ordered by, ``time`` or ``memory``.
        listed: of each set of degrees, the layouts that no other one of it beats in both time and memory.
        frontier: the layouts that no other beats in both; fastest first, which is the leanest last.
        runner_up: None where there is no other layout.
        sizes: this number of devices and smaller ones that fit, the whole first, then most first.
        price: None where no offer has the accelerator.
        considered, fitting: layouts that were compared, and that fit memory.
    """

    plan: TrainingPlan
    cluster: Cluster
    by: str
    listed: tuple[Estimate, ...]
    frontier: tuple[Estimate, ...]
    runner_up: RunnerUp | None
    sizes: tuple[Fewer, ...]
    price: DevicePrice | None
    considered: int
    fitting: int

    @property
    def fastest(self) -> Estimate:
        """The best by time; on these devices also the best by cost."""
        return self.frontier[0]

    @property
    def leanest(self) -> Estimate:
        """The one that needs the least memory."""
        return self.frontier[-1]

    @property
    def cheapest(self) -> Fewer:
        """The number of devices whose device-seconds for a sample are least."""
        return min(self.sizes, key=lambda s: s.devices * s.sample_s)
