"""The training step on PyTorch: eager, or the model and its loss compiled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import torch

from zenplan.worker.training.prepared import Array
from zenplan.worker.training.stepper import Done, Parts, clipped, plain

_RNG, _RNG_GPU = "random/torch", "random/torch_gpu"


class TorchStepper:
    """State is in the model's own variables, and in PyTorch's generators, from which dropout draws."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.device = torch.device(keras.src.backend.torch.core.get_device())
        self.on_gpu = self.device.type == "cuda"
        self.ahead = self.on_gpu
        self._trained = list(parts.model.trainable_variables)
        self._tensors = [v.value for v in self._trained]
        self._has_losses: bool | None = None
        self._rate = float("nan")
        self._forward: Any = torch.compile(self._loss) if parts.compiled else self._loss

    def step(self, micro_batches: Sequence[tuple[Any, Any]], rate: float) -> Done:
        """As of ``Stepper``."""
        if rate != self._rate:
            self.parts.rate.assign(rate)
            self._rate = rate
        for tensor in self._tensors:
            tensor.grad = None
        count = len(micro_batches)
        loss: Any = None
        for x, y in micro_batches:
            each = self._forward(self._moved(x), self._moved(y))
            scaled = self.parts.optimizer.scale_loss(each) if self.parts.scaled else each
            (scaled / count if count > 1 else scaled).backward()
            loss = each.detach() if loss is None else loss + each.detach()
        with torch.no_grad():
            gradients = [t.grad if t.grad is not None else torch.zeros_like(t) for t in self._tensors]
            gradients, norm = clipped(self.parts, gradients, _global_norm, self._scale())
            self.parts.optimizer.apply(gradients, self._trained)
        mark = None
        if self.on_gpu:
            mark = torch.cuda.Event()
            mark.record()
        return Done(loss / count if count > 1 else loss, norm, mark)

    def waiting(self, done: Done) -> bool:
        """As of ``Stepper``."""
        return done.mark is not None and not done.mark.query()

    def wait(self, done: Done) -> None:
        """As of ``Stepper``."""
        if done.mark is not None:
            done.mark.synchronize()

    def numbers(self, values: Sequence[Any]) -> list[Any]:
        """As of ``Stepper``."""
        if not values:
            return []
        return list(torch.stack([torch.as_tensor(v) for v in values]).cpu().numpy())

    def evaluate(self, x: Any, y: Array, weights: Array) -> Any:
        """As of ``Stepper``."""
        with torch.no_grad():
            predicted = self.parts.call(self._moved(x), training=False)
            return self.parts.loss.sums(self._moved(y), predicted, self._moved(weights))

    def read(self) -> Iterator[tuple[str, Array]]:
        """As of ``Stepper``."""
        for name, variable in self.parts.variables.items():
            value = variable.value.detach()
            # NumPy has no bfloat16: its bits are those of a whole number.
            value = value.view(torch.uint16) if value.dtype == torch.bfloat16 else value
            yield name, plain(value.cpu().numpy())
        yield _RNG, torch.get_rng_state().numpy()
        if self.on_gpu:
            yield _RNG_GPU, torch.cuda.get_rng_state().numpy()

    def write(self, arrays: Mapping[str, Array]) -> None:
        """As of ``Stepper``."""
        with torch.no_grad():
            for name, variable in self.parts.variables.items():
                value, array = variable.value, torch.from_numpy(np.array(arrays[name]))
                value.copy_(array.view(value.dtype) if array.dtype == torch.uint16 else array)
        if _RNG in arrays:
            torch.set_rng_state(torch.from_numpy(np.array(arrays[_RNG])))
        if self.on_gpu and _RNG_GPU in arrays:
            torch.cuda.set_rng_state(torch.from_numpy(np.array(arrays[_RNG_GPU])))
        self._rate = float("nan")

    def settle(self) -> None:
        """As of ``Stepper``."""

    def _loss(self, x: Any, y: Any) -> Any:
        model = self.parts.model
        loss = self.parts.loss.mean(y, self.parts.call(x, training=True))
        if self._has_losses is None:
            # Looking for them takes longer than a small step.
            self._has_losses = bool(model.losses)
        if self._has_losses:
            for each in model.losses:
                loss = loss + keras.ops.cast(each, loss.dtype)
        return loss

    def _moved(self, nested: Any) -> Any:
        return keras.tree.map_structure(self._on_device, nested)

    def _on_device(self, array: Array) -> torch.Tensor:
        tensor = torch.from_numpy(array if array.flags.writeable else np.array(array))
        # From pinned memory the copy runs beside the step before.
        return tensor.pin_memory().to(self.device, non_blocking=True) if self.on_gpu else tensor

    def _scale(self) -> Any:
        return self.parts.optimizer.dynamic_scale.value if self.parts.scaled else 1.0


def _global_norm(gradients: list[Any]) -> Any:
    return torch.nn.utils.get_total_norm(gradients)
