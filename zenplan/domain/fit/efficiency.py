"""Efficiency: what fraction of a data sheet a device reaches when it trains, in one precision and software."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from zenplan.domain import checks
from zenplan.domain.fit.attention import AttentionKernel
from zenplan.errors import DataError

# --- intervals

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
    """The 80 % interval of measured over predicted time, by conformal prediction on left-out publishers.

    Runs of one publisher err alike, so a publisher of many rows must not speak for all. Each has its own distribution
    of ``|ln(measured / predicted)|`` over the run's scale; the width holds 80 % of the mean of those (Dunn et al. 2023,
    arXiv 1809.07441, section 3.1). The scale is the product of ``factors`` of the traits that the run has, each to the
    power of how much of it; a trait only ever widens.

    Attributes:
        new: half-width in ln for publishers and software of which no run was fitted.
        known: the same where others of their runs were.
        factors: trait to what it makes of the width, 1 or more.
        seen: what the fitted runs had: ``generation/Ampere``, ``bf16 on Ampere``.
        devices: the most that any of them had.
        basis: which runs, from how many publishers, left out of which fit.
    """

    new: float
    known: float
    factors: Mapping[str, float] = field(default_factory=dict)
    seen: frozenset[str] = frozenset()
    devices: float = 1.0
    basis: str

    def __post_init__(self) -> None:
        checks.named("interval", basis=self.basis)
        checks.positive("interval", new=self.new, known=self.known, devices=self.devices)
        if not all(f >= 1 for f in self.factors.values()):
            raise DataError("interval: factors must be 1 or more")

    def scale(self, traits: Mapping[str, float]) -> float:
        """What the traits make of the width."""
        return math.exp(sum(amount * math.log(self.factors.get(name, 1.0)) for name, amount in traits.items()))

    def of(self, traits: Mapping[str, float], known: bool = False) -> Spread:
        """The interval of a run with these traits, as ratios of time; ``known`` as the attribute."""
        width = max((self.known if known else self.new) * self.scale(traits), _LEAST_LN)
        wider = [name for name in traits if self.factors.get(name, 1.0) > 1.0]
        why = f"; wider for {', '.join(wider)}" if wider else ""
        return Spread(low=math.exp(-width), high=math.exp(width), basis=self.basis + why)


# --- corrections


# To what a measured step of one device is carried over.
BATCH, DEVICES = "batch", "devices"
ACCELERATOR, ACCELERATOR_DEVICES = "accelerator", "accelerator devices"
VENDOR, MODEL, MODEL_DEVICES = "vendor", "model", "model devices"
KINDS: Final = {
    BATCH: "another batch",
    DEVICES: "several devices",
    ACCELERATOR: "another accelerator of the maker",
    ACCELERATOR_DEVICES: "several devices of another accelerator of the maker",
    VENDOR: "an accelerator of another maker",
    MODEL: "another model of the family",
    MODEL_DEVICES: "another model of the family on several devices",
}


class Grounds(StrEnum):
    """What a step time rests on, strongest first."""

    MEASURED = "measured"  # on this accelerator, this model
    CARRIED = "carried over"  # from another accelerator, by the ratio of what is predicted for the two
    PUBLISHED = "published"  # fitted to published runs
    ASSUMED = "assumed"  # on a processor, or of a maker without such runs: what those of others let expect


# Makers of the accelerators of the published runs that the coefficients were fitted to.
FITTED_MAKERS = frozenset({"AMD", "AWS", "Google", "Intel", "NVIDIA"})


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedOver:
    """How well a measured step carries, from pairs of published runs.

    Attributes:
        kind: one of ``KINDS``.
        power: that its ratio to the prediction is carried over with; 0 where that makes predictions no better.
        down, up: of the interval around a prediction without it, the share that is left.
        pairs, publishers: of runs that this is from.
    """

    kind: str
    power: float
    down: float
    up: float
    pairs: int
    publishers: int

    def __post_init__(self) -> None:
        checks.one_of("carried over", "kind", self.kind, tuple(KINDS))
        checks.positive(
            f"carried over to {self.kind}", down=self.down, up=self.up, pairs=self.pairs, publishers=self.publishers
        )
        if not 0 <= self.power <= 1:
            raise DataError(f"carried over to {self.kind}: power {self.power:g} is not in 0..1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """What a measurement makes of a prediction.

    Attributes:
        factor: of the time that a device takes for its own work; communication is not touched.
        spread: how far steps lie from the corrected prediction; its basis says what was measured where.
        calibration: the id of the one that it is from.
    """

    factor: float
    grounds: Grounds
    spread: Spread
    calibration: str

    def __post_init__(self) -> None:
        checks.positive("correction", factor=self.factor)
        checks.named("correction", calibration=self.calibration)


# --- efficiency


@dataclass(frozen=True, slots=True, kw_only=True)
class Efficiency:
    """The coefficients of the step-time model for one architecture, precision and kind of software.

    Attributes:
        matmul: fraction of the dense peak that large matrix products reach, in the plan's own precision.
        wide_matmul: the same for products that stay in a wider format under fp8.
        attention: of the speed that the kernel of fused attention has alone, what is left of it in a training step.
        kernel: of fused attention.
        convolution: fraction of the dense peak that large convolutions reach, by the FLOP of computing them
            directly; above 1 where the library has a way with fewer.
        feed: FLOP of a convolution that a multiprocessor can feed its cores in a clock, with operands of 16 bits.
        memory: fraction of the memory bandwidth that streams reach: of language models by the traffic of fused
            kernels, of others by that of an eager framework's, of which it may do less than is counted.
        link: fraction of the device-to-device bandwidth that collectives reach.
        pcie: the same over PCIe.
        staged: the same over PCIe where devices cannot reach each other, and all goes through the host's memory.
        network: the same between nodes.
        fill_elements: length of a product's inner dimension that is lost to filling and draining its pipeline, at the
            pace of an A100's multiprocessor.
        operator_s: fixed time of an operator on the device: ramp-up and tail.
        launch_s: time of the host to launch one operator.
        host_s: what the host does between two steps: input, launches of the optimizer, logging.
        contention: share of hidden communication that is paid all the same, because it slows what hides it.
        variation: of a device's own time, by how much devices of one kind differ: one standard deviation.
        link_hop_s, network_hop_s: latency of one hop of a collective.
        interval: how far measured runs lie from the prediction.
        source: where the coefficients come from.
        correction: what a measurement makes of what they predict; None without one.
    """

    architecture: str
    matmul: float
    wide_matmul: float
    attention: float
    kernel: AttentionKernel
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
    variation: float
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
            variation=self.variation,
            link_hop_s=self.link_hop_s,
            network_hop_s=self.network_hop_s,
        )
