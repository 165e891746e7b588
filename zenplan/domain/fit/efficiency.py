"""Efficiency: what fraction of a data sheet a device reaches when it trains, in one precision and software."""

from __future__ import annotations

from dataclasses import dataclass

from zenplan.domain import checks
from zenplan.domain.fit.correction import Correction
from zenplan.domain.fit.interval import Interval
from zenplan.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Efficiency:
    """The coefficients of the step-time model for one architecture, precision and kind of software.

    Attributes:
        matmul: fraction of the dense peak that large matrix products reach, in the plan's own precision.
        wide_matmul: the same for products that stay in a wider format under fp8.
        attention: fraction of the dense peak that fused attention reaches.
        convolution: the same for large convolutions, by the FLOP of computing them directly; above 1 where the
            library has a way with fewer.
        feed: FLOP of a convolution that a multiprocessor can feed its cores in a clock, with operands of 16 bits.
        memory: fraction of the memory bandwidth that streams reach: of language models by the traffic of fused
            kernels, of others by that of an eager framework's, of which it may do less than is counted.
        link: fraction of the device-to-device bandwidth that collectives reach.
        pcie: the same over PCIe.
        staged: the same over PCIe where devices cannot reach each other, and all goes through the host's memory.
        network: the same between nodes.
        fill_elements: length of a product's inner dimension that is lost to filling and draining its pipeline.
        operator_s: fixed time of an operator on the device: ramp-up and tail.
        launch_s: time of the host to launch one operator.
        host_s: what the host does between two steps: input, launches of the optimizer, logging.
        contention: share of hidden communication that is paid all the same, because it slows what hides it.
        link_hop_s, network_hop_s: latency of one hop of a collective.
        interval: how far measured runs lie from the prediction.
        source: where the coefficients come from.
        correction: what a measurement makes of what they predict; None without one.
    """

    architecture: str
    matmul: float
    wide_matmul: float
    attention: float
    convolution: float
    feed: float
    memory: float
    link: float
    pcie: float
    staged: float
    network: float
    fill_elements: float
    operator_s: float
    launch_s: float
    host_s: float
    contention: float
    link_hop_s: float
    network_hop_s: float
    interval: Interval
    source: str
    correction: Correction | None = None

    def __post_init__(self) -> None:
        checks.named("efficiency", architecture=self.architecture, source=self.source)
        for name in ("matmul", "wide_matmul", "attention", "link", "pcie", "staged", "network"):
            if not 0 < getattr(self, name) <= 1:
                raise DataError(f"efficiency of {self.architecture}: {name} must be in 0..1")
        # What is counted may be more than is done: multiplications that are saved, passes that are fused.
        checks.positive(
            f"efficiency of {self.architecture}", convolution=self.convolution, feed=self.feed, memory=self.memory
        )
        if not 0 <= self.contention <= 1:
            raise DataError(f"efficiency of {self.architecture}: contention must be in 0..1")
        checks.not_negative(
            f"efficiency of {self.architecture}",
            fill_elements=self.fill_elements,
            operator_s=self.operator_s,
            launch_s=self.launch_s,
            host_s=self.host_s,
            link_hop_s=self.link_hop_s,
            network_hop_s=self.network_hop_s,
        )
