"""The training step on PyTorch where the workers have a part each of weights, gradients and what the optimizer keeps."""

from __future__ import annotations

from typing import Any

import keras
import torch
from torch import distributed

from zenplan.domain.training.several import undivided
from zenplan.errors import UsageError
from zenplan.worker.protocol import Train
from zenplan.worker.training.group import Group
from zenplan.worker.training.parts import Parts
from zenplan.worker.training.prepared import Array
from zenplan.worker.training.sharded_torch import Division, Sharded, sharded
from zenplan.worker.training.steps_torch import TorchStepper


def divided(job: Train, model: keras.Model) -> Sharded:
    """The model of a job, its weights divided over the workers.

    Raises:
        UsageError: something of it goes by whole weights.
    """
    if why := undivided(job.optimizer.name, job.compiled, job.quantize):
        raise UsageError(*why)
    return sharded(model, torch.device(keras.src.backend.torch.core.get_device()).type)


class ShardedStepper(TorchStepper):
    """The optimizer changes this worker's part by its part of the gradient; what is read and written is whole."""

    def __init__(self, parts: Parts, group: Group, seed: int, model: Sharded) -> None:
        super().__init__(parts, group, seed)
        self.model = self._shared = model
        self._trained, self._tensors = model.trained, model.tensors

    def evaluate(self, x: Any, y: Array, weights: Array) -> Any:
        """As of ``Stepper``."""
        found = super().evaluate(x, y, weights)
        self.model.apart()
        return found

    def settle(self) -> None:
        """As of ``Stepper``."""
        self.model.settle()

    @property
    def weights(self) -> list[Any]:
        """Tensors of the model, divided or not."""
        return self.model.held

    def _begin_together(self, first: tuple[Any, Any]) -> None:
        super()._begin_together(first)
        # From here on it waits for the others, layer by layer.
        self.group.pace.own_part_done()

    def _predicted(self, x: Any) -> Any:
        return self.model(x, **self.parts.mode(False))

    def _gradients(self) -> list[Any]:
        found = [each.to_local() for each in super()._gradients()]
        if self.parts.scaled:
            finite = torch.stack([each.isfinite().all() for each in found]).all().int()
            distributed.all_reduce(finite, distributed.ReduceOp.MIN)
            if not finite:
                # A step that one leaves out is left out by all.
                found = [torch.full_like(each, float("nan")) for each in found]
        return found

    def _global_norm(self, gradients: list[Any]) -> Any:
        return self._sum(super()._global_norm(gradients).square()).sqrt()

    def _own_value(self, variable: Any) -> Any:
        return self.model.own(variable).value

    def _own_part(self, variable: Any, whole: Any) -> Any:
        layout = self.model.own(variable)._layout
        return layout.share(whole) if isinstance(layout, Division) else whole

    def _whole(self, variable: Any) -> Any:
        own = self.model.own(variable)
        return own._layout.whole(own.value) if isinstance(own._layout, Division) else own.value.detach()
