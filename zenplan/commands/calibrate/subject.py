"""What is measured of a model: its own blocks at full width, a few deep, the whole of it, or it at parts of its batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from msgspec import structs

from zenplan.domain.measured.calibration import PROGRAM, STEP, Point
from zenplan.domain.model.workload import Block, Workload
from zenplan.domain.training.layout import Layout
from zenplan.domain.training.plan import TrainingPlan
from zenplan.errors import DataError
from zenplan.planning.calibration.features import features_of_blocks
from zenplan.planning.physics.columns import Layouts
from zenplan.planning.physics.memory import peak_memory
from zenplan.worker.protocol import WAYS, Blocks, Model, Target

# Less deep than that, nothing is saved by running less than the whole.
_SHALLOW: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A point, and the model that a worker is to make for it; of several workers, the ways in which they step it."""

    point: Point
    model: Model
    ways: tuple[str, ...] = WAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A model that is to be predicted.

    Attributes:
        name: as it was asked for.
        plan: of the whole model.
        batch: samples of the step that is wanted.
        model: the whole, as the worker takes it.
        stand_in: how what runs differs from it; empty where it is the user's own.
        depth: repetitions of the one block that repeats; None where the whole is run.
        vary: the argument of the user's builder that is the depth; empty where blocks are repeated here.
        depths: at which it is to be run; none to have them chosen.
        device: of which memory is predicted, ``cpu`` or ``gpu``.
    """

    name: str
    plan: TrainingPlan
    batch: int
    model: Model
    stand_in: str = ""
    depth: int | None = None
    vary: str = ""
    depths: tuple[int, ...] = ()
    device: str = "cpu"
    facts: tuple[str, ...] = field(default=())

    @property
    def target(self) -> Point:
        """The step that is wanted."""
        found = self.point(STEP, self.depth, self.batch)
        return replace(found, key="target", features=features_of_blocks(self.plan.workload.blocks, self.batch))

    def point(self, role: str, depth: int | None, batch: int) -> Point:
        """It at that depth and batch."""
        what = "whole" if depth is None else f"depth={depth}"
        key = f"{what} batch={batch}" if role == STEP else f"{role} {what} batch={batch}"
        workload = self.workload(depth)
        memory = None if workload is None or role == PROGRAM else self._peak_bytes(workload, batch)
        # What runs of a proxy model is made of these blocks; a builder's is counted as it is built.
        own = workload is not None and isinstance(self.model, Blocks)
        features = features_of_blocks(workload.blocks, batch) if workload is not None and own else {}
        return Point(key=key, role=role, depth=depth, batch=batch, predicted_bytes=memory, features=features)

    def task(self, role: str, depth: int | None, batch: int) -> Task:
        """The same with the model for it."""
        return Task(point=self.point(role, depth, batch), model=self._model(depth))

    def tasks(self, depths: Sequence[int | None], batches: Sequence[int], role: str = STEP) -> list[Task]:
        """Every depth at every batch, small ones first."""
        return [self.task(role, depth, batch) for batch in batches for depth in depths]

    def workload(self, depth: int | None) -> Workload | None:
        """What it is at that depth; None where only its builder knows."""
        whole = self.plan.workload
        if depth == self.depth:
            return whole
        return None if self.vary else replace(whole, blocks=at_depth(whole.blocks, depth or 1))

    def flop(self, depth: int | None, batch: int) -> float:
        """Of a training step; where only the builder knows, by the depth's share of the whole."""
        known = self.workload(depth)
        if known is not None:
            return known.training_flop_per_sample * batch
        return self.plan.workload.training_flop_per_sample * batch * (depth or 1) / (self.depth or 1)

    def _model(self, depth: int | None) -> Model:
        if depth is None or depth == self.depth:
            return self.model
        if isinstance(self.model, Target):
            return structs.replace(self.model, arguments={**self.model.arguments, self.vary: depth})
        if isinstance(self.model, Blocks):
            return structs.replace(self.model, blocks=at_depth(self.model.blocks, depth))
        raise DataError(f"{self.name} is a file, of one depth")

    def _peak_bytes(self, workload: Workload, batch: int) -> float:
        """Predicted for one device. A processor has no context of a GPU's driver."""
        plan = replace(self.plan, workload=workload, global_batch=batch)
        memory = peak_memory(plan, Layouts.of([Layout(micro_batch=batch)])).at(0)
        return memory.total_bytes - (memory.workspace_bytes if self.device == "cpu" else 0.0)


def repeated(workload: Workload) -> int | None:
    """How often the one block repeats that does; None where several do, or it is so few times that it saves nothing."""
    found = [b.repeat for b in workload.blocks if b.place == "middle" and b.repeat > 1]
    return found[0] if len(found) == 1 and found[0] >= _SHALLOW else None


def at_depth(blocks: Sequence[Block], depth: int) -> tuple[Block, ...]:
    """The blocks with the one that repeats ``depth`` times."""
    return tuple(replace(b, repeat=depth) if b.place == "middle" and b.repeat > 1 else b for b in blocks)
