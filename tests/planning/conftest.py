"""Round figures to do sums with: a device of 100 TFLOP/s and 1 TB/s that reaches all of it, without latency.

Every figure can be changed by the test that needs another one.
"""

import math
from dataclasses import replace
from typing import Any

import pytest

from zenplan.domain.fit.attention import AttentionKernel
from zenplan.domain.fit.efficiency import Efficiency, Interval
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.hardware.cluster import Cluster
from zenplan.domain.model.operators import Operator
from zenplan.domain.model.workload import Block, Workload
from zenplan.domain.precision import PRECISIONS
from zenplan.domain.training.layout import Layout
from zenplan.domain.training.plan import OPTIMIZERS, TrainingPlan
from zenplan.families.transformer.lowering import lower
from zenplan.families.transformer.shape import TransformerShape
from zenplan.planning.physics.columns import Hardware, Layouts

SHEET = Accelerator(
    name="Round-80GB",
    vendor="Test",
    architecture="Test",
    peak_flop_per_s={"bf16": 100e12, "fp8": 200e12},
    memory_bytes=80e9,
    memory_bytes_per_s=1e12,
    link="nvlink",
    link_bytes_per_s=100e9,
    link_devices=8,
    node_devices=8,
    pcie_generation=4,
    power_w=500.0,
)
# Its products run at the peak, and all else is hidden under them.
IDEAL = AttentionKernel(name="ideal", what="ideal", forward=1, backward=1, softmax=0, ramp_keys=0, source="made up")
PERFECT = Efficiency(
    architecture="Test",
    matmul=1.0,
    wide_matmul=1.0,
    attention=1.0,
    kernel=IDEAL,
    convolution=1.0,
    feed=1e12,
    memory=1.0,
    link=1.0,
    pcie=1.0,
    staged=1.0,
    network=1.0,
    fill_elements=0.0,
    operator_s=0.0,
    launch_s=0.0,
    host_s=0.0,
    contention=0.0,
    variation=0.0,
    link_hop_s=0.0,
    network_hop_s=0.0,
    interval=Interval(new=math.log(1.25), known=math.log(1.1), basis="made up"),
    source="made up",
)
# A small GPT with everything the formulas of the papers count: biases, dropout, a tied head.
GPT = TransformerShape(
    layers=4, width=512, heads=8, ff_width=2048, vocab=1024, seq_len=1024, positions=1024, dropout=True
)


class Make:
    """What tests are made of; each argument replaces a round figure."""

    gpt = GPT
    # What no step is ever limited by: for tests of the arithmetic alone.
    no_limit = 1e30

    def sheet(self, **changes: Any) -> Accelerator:
        return replace(SHEET, **changes)

    def efficiency(self, **changes: float) -> Efficiency:
        return replace(PERFECT, **changes)

    def cluster(
        self, sheet: dict[str, Any] | None = None, efficiency: dict[str, float] | None = None, **changes: Any
    ) -> Cluster:
        values = {"node_devices": 8, "network_bytes_per_s": 10e9, **changes}
        return Cluster(accelerator=self.sheet(**sheet or {}), efficiency=self.efficiency(**efficiency or {}), **values)

    def workload(self, shape: TransformerShape = GPT, **changes: Any) -> Workload:
        return lower(replace(shape, **changes), "test")

    def only(self, *operators: Operator, **changes: Any) -> Workload:
        """A workload of one block with these operators."""
        block = Block(name="only", operators=operators, **changes)
        return Workload(name="test", family="decoder", blocks=(block,), tokens_per_sample=1)

    def plan(self, workload: Workload | None = None, **changes: Any) -> TrainingPlan:
        values: dict[str, Any] = {"samples": 6400.0, "global_batch": 64, **changes}
        precision, optimizer = values.pop("precision", "bf16"), values.pop("optimizer", "adamw")
        return TrainingPlan(
            workload=workload or self.workload(),
            precision=PRECISIONS[precision],
            optimizer=OPTIMIZERS[optimizer],
            **values,
        )

    def columns(self, *layouts: Layout) -> Layouts:
        return Layouts.of(layouts)

    def hardware(self, *clusters: Cluster, precision: str = "bf16") -> Hardware:
        return Hardware.of(clusters or (self.cluster(),), PRECISIONS[precision])


@pytest.fixture(scope="session")
def make() -> Make:
    return Make()
