"""TrainingPlan: a workload, how much of it, and with what arithmetic."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from zenplan.domain import checks
from zenplan.domain.model.workload import Workload
from zenplan.domain.precision import Precision
from zenplan.domain.provenance import Fact
from zenplan.domain.software import Software
from zenplan.domain.training.kept import Kept, usual_kept
from zenplan.domain.training.stack import Stack
from zenplan.domain.training.tuning import USUAL, Tuning

METHODS: Final = ("full", "lora", "qlora")


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimizer:
    """An optimizer, by what it keeps and moves for each trainable parameter.

    Attributes:
        state_bytes: bytes of state kept (AdamW: two fp32 moments, 8).
        in_blocks: states are of 8 bits whatever the weights are, and a kernel of their own updates them (Dettmers et
            al. 2022). Any others are as wide as the weights that they belong to.
        paged: states lie in the host's memory, and pages of them come when they are updated (Dettmers et al. 2023).
    """

    name: str
    state_bytes: float
    in_blocks: bool = False
    paged: bool = False


# Adafactor keeps row and column sums only, which is next to nothing (Shazeer & Stern 2018).
OPTIMIZERS: Final = {
    o.name: o
    for o in (
        Optimizer(name="adamw", state_bytes=8),
        Optimizer(name="adamw-8bit", state_bytes=2, in_blocks=True),
        Optimizer(name="paged-adamw", state_bytes=8, paged=True),
        Optimizer(name="paged-adamw-8bit", state_bytes=2, in_blocks=True, paged=True),
        Optimizer(name="sgd", state_bytes=0),
        Optimizer(name="sgd-momentum", state_bytes=4),
        Optimizer(name="lion", state_bytes=4),
        Optimizer(name="adafactor", state_bytes=0.1),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """What is to be trained, before it is decided on which machines and in which layout.

    Attributes:
        samples: samples seen in the whole run, repetitions of the data counted.
        epochs: those repetitions: passes over the data.
        global_batch: samples a step.
        weight_bytes: bytes of a frozen weight; under QLoRA it is 4 bits and its block constants.
        fused_attention: attention runs in a fused (flash) kernel that never writes the scores.
        channels_last: feature maps lie with their channels last (NHWC), as tensor cores take them.
        software: the kind of framework that runs it; None where it is not known.
        keeps: what that software keeps in memory; None for what its kind usually does.
        tuning: what that software overlaps, fuses and replays.
        stack: the software by name, whose layouts alone are searched; None where any layout may be run.
        batch_fact: where the global batch is from; it is one of ``facts``. None where nothing is said of it.
    """

    workload: Workload
    samples: float
    global_batch: int
    precision: Precision
    optimizer: Optimizer
    method: str = "full"
    weight_bytes: float = 2.0
    fused_attention: bool = True
    channels_last: bool = True
    software: Software | None = None
    keeps: Kept | None = None
    tuning: Tuning = USUAL
    epochs: float = 1.0
    stack: Stack | None = None
    batch_fact: Fact | None = None
    facts: tuple[Fact, ...] = ()

    def __post_init__(self) -> None:
        checks.positive(
            "plan",
            samples=self.samples,
            epochs=self.epochs,
            global_batch=self.global_batch,
            weight_bytes=self.weight_bytes,
        )
        checks.one_of("plan", "method", self.method, METHODS)

    @property
    def kept(self) -> Kept:
        """What is kept in memory for a step, beyond what the layout and the precision say."""
        return self.keeps or usual_kept(self.software, self.precision, self.method)

    @property
    def state_bytes(self) -> float:
        """Bytes of the optimizer's state of one parameter: as wide as the weight that it updates."""
        whole = self.precision.master_bytes or self.precision.compute_bytes
        return self.optimizer.state_bytes * (1.0 if self.optimizer.in_blocks else whole / 4.0)

    @property
    def steps(self) -> int:
        """Optimizer steps in the whole run, the last one full."""
        return math.ceil(self.samples / self.global_batch)

    @property
    def tokens(self) -> float:
        """Tokens seen in the whole run."""
        return self.samples * self.workload.tokens_per_sample
