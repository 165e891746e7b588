"""Where the fit begins: each coefficient with its unit, meaning and bounds, and how far groups may differ.

A value here is what is believed before any run is seen, a width how sure that is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from zenplan.domain.fit.coefficients import FAMILY, GENERATION, PRECISION, SOFTWARE, Coefficient, Coefficients
from zenplan.domain.fit.efficiency import Interval


def _c(name: str, value: float, least: float, most: float, unit: str, meaning: str) -> Coefficient:
    return Coefficient(name=name, value=value, unit=unit, meaning=meaning, least=least, most=most)


# Of these the host hands over a program of the whole step, compiled ahead: no operator waits for a launch, and what it
# needs first is fetched while the one before it runs. A tenth of what that takes elsewhere is left, which is assumed.
_WHOLE_PROGRAMS = ("TPU", "Gaudi", "NeuronCore-v2", "NeuronCore-v3")
# Large arrays that begin with one product's tile while they end another's: on a TPU v7 products of 8,192 elements run within
# 2 % of those of 18,432 (yangwhale/gpu-tpu-pedia, results_v7_trace.csv), on Gaudi2 the best reach 0.97 of the peak
# (stas00/ml-engineering). A fifth of what a GPU's multiprocessors lose is near both. Of Trainium nobody published it.
_DEEP_PIPELINES = ("TPU", "Gaudi")

START = {
    c.name: c
    for c in (
        _c("matmul", 0.65, 0.25, 0.92, "of the dense peak", "what large matrix products reach"),
        _c("attention", 0.80, 0.30, 1.00, "of the kernel alone", "what a kernel of fused attention reaches in a step"),
        _c("convolution", 0.50, 0.05, 2.00, "of the dense peak", "what large convolutions reach, counted directly"),
        # Since Hopper multiprocessors load a tile once for two of them, and cores take it from shared memory (NVIDIA H100
        # architecture paper: thread block clusters, TMA); assumed to halve what has to come.
        Coefficient(
            name="feed",
            value=500.0,
            unit="FLOP a clock",
            meaning="what a multiprocessor feeds its cores in a convolution",
            least=50.0,
            most=5000.0,
            factors={f"{GENERATION}/{name}": 2.0 for name in ("Hopper", "Blackwell", "Blackwell Ultra")},
        ),
        _c(
            "memory", 0.75, 0.15, 0.95, "of the memory bandwidth", "what streams reach, counting fused kernels' traffic"
        ),
        _c("streams", 0.70, 0.10, 2.00, "of the memory bandwidth", "what streams reach, counted kernel by kernel"),
        _c("link", 0.67, 0.30, 0.90, "of the link", "what collectives reach between linked devices"),
        _c("network", 0.65, 0.20, 0.95, "of the network", "what collectives reach between nodes"),
        Coefficient(
            name="fill_elements",
            value=200.0,
            unit="elements",
            meaning="of a product's inner dimension, lost to filling its pipeline, on an A100",
            least=10.0,
            most=1500.0,
            factors={f"{GENERATION}/{name}": 0.2 for name in _DEEP_PIPELINES},
        ),
        Coefficient(
            name="operator_s",
            value=8e-6,
            unit="s",
            meaning="ramp-up and tail of an operator on the device",
            least=1e-6,
            most=40e-6,
            factors={f"{GENERATION}/{name}": 0.1 for name in _WHOLE_PROGRAMS},
        ),
        # JAX dispatches a step while the device is busy with the one before it (JAX documentation, Asynchronous
        # dispatch), and the optimizer is in the same program: what is left is assumed, not fitted.
        Coefficient(
            name="host_s",
            value=8e-3,
            unit="s",
            meaning="between two steps of a language model: input, launches of the optimizer, logging",
            least=2e-4,
            most=0.15,
            factors={f"{SOFTWARE}/jax": 0.1},
        ),
        # What is written for speed keeps its data on the device, updates all weights in one launch and records the step.
        Coefficient(
            name="loop_s",
            value=4e-3,
            unit="s",
            meaning="between two steps of any other model: the loop, launches of the optimizer",
            least=2e-4,
            most=0.05,
            factors={f"{SOFTWARE}/fused": 0.15},
        ),
        _c("contention", 0.19, 0.02, 1.0, "of hidden communication", "paid all the same, as it slows what hides it"),
        # Devices of one kind differ by 8 % on average, on five clusters (Sinha et al. 2022, arXiv 2208.11035). Of a normal
        # distribution 99 % lie within five standard deviations, so that one is taken to be a fifth of it.
        _c("variation", 0.016, 0.001, 0.1, "of a device's own time", "devices differ: one standard deviation"),
        # Only mixtures of many experts wait for their host; by software, what eager PyTorch and compiled graphs are known
        # for.
        Coefficient(
            name="launch_s",
            value=20e-6,
            unit="s",
            meaning="the host launches one operator",
            least=1e-9,
            most=100e-6,
            factors={
                **{f"{SOFTWARE}/{k}": f for k, f in (("eager", 1.2), ("compiled", 0.3), ("xla", 0.3), ("jax", 0.3))},
                **{f"{GENERATION}/{name}": 1e-3 for name in _WHOLE_PROGRAMS},
            },
        ),
        _c("pcie", 0.5, 0.05, 0.90, "of PCIe", "what collectives reach over PCIe"),
        _c("staged", 0.15, 0.005, 0.90, "of PCIe", "what collectives reach over PCIe and through the host's memory"),
        _c("link_hop_s", 8e-6, 8e-6, 8e-6, "s", "latency of a hop between linked devices; not fitted"),
        _c("network_hop_s", 15e-6, 15e-6, 15e-6, "s", "latency of a hop between nodes; not fitted"),
    )
}

# How far a common value may be from where it starts: one standard deviation of ln.
WIDTH = 0.6
# What a group's factor is drawn to, where it is not 1: products on plain cores reach nine tenths of their peak, which no
# power limit holds down (cuBLAS's SGEMM on V100 and A100; NVIDIA, Matrix Multiplication Background User's Guide).
MEANS = {("matmul", f"{PRECISION}/fp32"): 1.4}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One of the fits that follow each other. What an earlier one fitted stands.

    Attributes:
        tables: names of the tables of published runs that it is fitted to.
        common: coefficients whose common value it fits.
        groups: coefficient to the kinds of groups that may differ in it, and by how much they are expected to: one
            standard deviation of ln.
        sure: of common values that more is known of, how far they may be from where they start, in place of ``WIDTH``.
        pull: how strongly all of that is drawn to where it starts; the larger, the more runs it takes to move it.
    """

    tables: tuple[str, ...]
    common: tuple[str, ...]
    groups: Mapping[str, Mapping[str, float]]
    pull: float
    sure: Mapping[str, float] = field(default_factory=dict)


# Language models first: there the most is known of each run.
LANGUAGE = Stage(
    tables=("language_models.csv", "small_transformers.csv"),
    common=(
        "matmul",
        "attention",
        "memory",
        "link",
        "network",
        "fill_elements",
        "operator_s",
        "host_s",
        "contention",
        "variation",
        "launch_s",
    ),
    groups={
        "matmul": {GENERATION: 0.10, SOFTWARE: 0.15, PRECISION: 0.20},
        "attention": {GENERATION: 0.10, SOFTWARE: 0.10},
        "memory": {SOFTWARE: 0.3},
        "host_s": {SOFTWARE: 0.7},
    },
    # What was measured by itself. Kernels of attention, under the same power limit: a step has most of that. Collectives
    # of tens of megabytes reach 0.65 to 0.8 of NVLink (NCCL tests on 8 A100 and 8 H100; MooreThreads/SimuMax,
    # configs/system, on 8 B200), streams 0.67 of an 8 TB/s B200 there and 0.85 to 0.9 of an A100 (BabelStream). Products
    # and kernels beside collectives take 18.9 % longer on average, on A100, H100 and MI250 (Lee et al. 2025, arXiv
    # 2507.03114): runs alone cannot tell that from a slow network.
    sure={"attention": 0.05, "contention": 0.1, "link": 0.12, "memory": 0.15, "launch_s": 0.3},
    pull=0.04,
)
# Then the other families: what only they have, and how far each differs in the rest. A family is measured by few
# publishers, so that it may differ little: with twice these widths the factors of one publisher mislead on others.
OTHERS = Stage(
    tables=("other_models.csv",),
    common=("convolution", "feed", "streams", "loop_s", "pcie", "staged"),
    groups={
        "convolution": {GENERATION: 0.25, SOFTWARE: 0.25, PRECISION: 0.4},
        "staged": {GENERATION: 1.0},
        "streams": {GENERATION: 0.15, SOFTWARE: 0.4, FAMILY: 0.2},
        "matmul": {FAMILY: 0.08, GENERATION: 0.10},
        "launch_s": {FAMILY: 0.3},
        "loop_s": {SOFTWARE: 1.0},
    },
    pull=0.01,
)
STAGES = (LANGUAGE, OTHERS)


def start() -> Coefficients:
    """Where the fit begins; its intervals say nothing yet."""
    none = Interval(new=1, known=1, basis="none")
    return Coefficients(all=START, interval=none, other_interval=none, source="start")
