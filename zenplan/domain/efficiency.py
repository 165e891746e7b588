"""Efficiency: what fraction of a data sheet a generation of accelerators reaches when it trains."""

from __future__ import annotations

from dataclasses import dataclass

from zenplan.domain import checks
from zenplan.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How far published runs lie from the prediction, as ratios of measured to predicted time.

    Attributes:
        low, high: 10th and 90th percentile of measured / predicted time.
        basis: how many runs, of which generation, from how many sources.
    """

    low: float
    high: float
    basis: str

    def __post_init__(self) -> None:
        if not 0 < self.low <= 1 <= self.high:
            raise DataError(f"spread {self.low}–{self.high} must enclose 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Efficiency:
    """The coefficients of the step-time model for one architecture.

    Attributes:
        matmul: fraction of the dense peak that large matrix products reach.
        attention: fraction of the dense peak that fused attention reaches.
        memory: fraction of the memory bandwidth that streams reach.
        link: fraction of the device-to-device bandwidth that collectives reach.
        pcie: the same over PCIe.
        network: the same between nodes.
        operator_s: fixed time of an operator: launch, ramp-up, tail.
        link_hop_s, network_hop_s: latency of one hop of a collective.
        spread: how far published runs lie from the prediction.
        source: where the coefficients come from.
    """

    architecture: str
    matmul: float
    attention: float
    memory: float
    link: float
    pcie: float
    network: float
    operator_s: float
    link_hop_s: float
    network_hop_s: float
    spread: Spread
    source: str

    def __post_init__(self) -> None:
        checks.named("efficiency", architecture=self.architecture, source=self.source)
        for name in ("matmul", "attention", "memory", "link", "pcie", "network"):
            if not 0 < getattr(self, name) <= 1:
                raise DataError(f"efficiency of {self.architecture}: {name} must be in 0..1")
        checks.not_negative(
            f"efficiency of {self.architecture}", operator_s=self.operator_s,
            link_hop_s=self.link_hop_s, network_hop_s=self.network_hop_s,
        )  # fmt: skip
