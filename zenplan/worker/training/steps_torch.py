"""The training step on PyTorch: eager, or the model and its loss compiled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import keras
import numpy as np
import torch
from torch import distributed
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from torch.nn.parallel import DistributedDataParallel

from zenplan.worker.training.group import ALONE, Group
from zenplan.worker.training.parts import Parts, clipped
from zenplan.worker.training.prepared import Array
from zenplan.worker.training.stepper import Done, plain

_RNG, _RNG_GPU = "random/torch", "random/torch_gpu"


class TorchStepper:
    """State is in the model's own variables, and in PyTorch's generators, from which dropout draws.

    Of several workers each has a copy of it under DistributedDataParallel, and draws by the step and its rank.
    """

    def __init__(self, parts: Parts, group: Group = ALONE, seed: int = 0) -> None:
        self.parts = parts
        self.group, self.seed = group, seed
        self._shared: Any = None
        self._own: set[str] = set()
        self._alike = True
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
        self._begin_together(micro_batches[0])
        self._alike = False
        loss: Any = None
        for number, (x, y) in enumerate(micro_batches, 1):
            with nullcontext() if self._shared is None or number == count else self._shared.no_sync():
                each = self._forward(self._moved(x), self._moved(y))
                scaled = self.parts.optimizer.scale_loss(each) if self.parts.scaled else each
                (scaled / count if count > 1 else scaled).backward()
            loss = each.detach() if loss is None else loss + each.detach()
        self.group.pace.released()
        loss = self._mean(loss)
        with torch.no_grad():
            gradients, norm = clipped(self.parts, self._gradients(), self._global_norm, self._scale())
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
        self._make_alike()
        with torch.no_grad():
            predicted = self._predicted(self._moved(x))
            return self._sum(self.parts.loss.sums(self._moved(y), predicted, self._moved(weights)))

    def read(self) -> Iterator[tuple[str, Array]]:
        """As of ``Stepper``."""
        self._make_alike()
        for name, variable in self.parts.variables.items():
            value = self._whole(variable)
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
                value, array = self._own_value(variable), torch.from_numpy(np.array(arrays[name]))
                array = array.view(value.dtype) if array.dtype == torch.uint16 else array
                value.copy_(self._own_part(variable, array))
        if _RNG in arrays:
            torch.set_rng_state(torch.from_numpy(np.array(arrays[_RNG])))
        if self.on_gpu and _RNG_GPU in arrays:
            torch.cuda.set_rng_state(torch.from_numpy(np.array(arrays[_RNG_GPU])))
        self._rate = float("nan")

    def settle(self) -> None:
        """As of ``Stepper``."""

    def copies(self) -> Iterator[tuple[str, Sequence[Array]]]:
        """As of ``Stepper``: a worker has one device."""
        yield from ()

    def own(self) -> Sequence[str]:
        """As of ``Stepper``."""
        return tuple(sorted(self._own))

    def _loss(self, x: Any, y: Any) -> Any:
        model = self.parts.model
        predicted = (
            self.parts.call(x, training=True) if self._shared is None else self._shared(x, **self.parts.mode(True))
        )
        loss = self.parts.loss.mean(y, predicted)
        if self._has_losses is None:
            # Looking for them takes longer than a small step.
            self._has_losses = bool(model.losses)
        if self._has_losses:
            for each in model.losses:
                loss = loss + keras.ops.cast(each, loss.dtype)
        return loss

    def _predicted(self, x: Any) -> Any:
        """What the model returns in an evaluation."""
        return self.parts.call(x, training=False)

    def _gradients(self) -> list[Any]:
        return [t.grad if t.grad is not None else torch.zeros_like(t) for t in self._tensors]

    def _global_norm(self, gradients: list[Any]) -> Any:
        return torch.nn.utils.get_total_norm(gradients)

    # --- of a variable: what this worker has of it, and the whole

    def _own_value(self, variable: Any) -> Any:
        return variable.value

    def _own_part(self, variable: Any, whole: Any) -> Any:
        return whole

    def _whole(self, variable: Any) -> Any:
        return variable.value.detach()

    # --- several workers

    @property
    def weights(self) -> list[Any]:
        """Tensors of the model."""
        return [v.value for v in self.parts.model.variables]

    def _begin_together(self, first: tuple[Any, Any]) -> None:
        """Before a step of several workers: numbers are drawn by the step and the rank, whatever was drawn before."""
        if self.group.size == 1:
            return
        step = int(self.parts.optimizer.iterations.value)
        torch.manual_seed(hash((self.seed, step, self.group.rank)) % 2**63)
        if self._shared is None:
            unused = self._has_unused(first)
            self._shared = DistributedDataParallel(
                _with_trained(self.parts.model, self._tensors), find_unused_parameters=unused
            )
            # The library reads what is written on its arguments, and takes none that is a text.
            self._shared.register_comm_hook(None, lambda _state, bucket: self._reduced(bucket))

    def _has_unused(self, first: tuple[Any, Any]) -> bool:
        """Whether a parameter is left out of a step: none is looked for where there are none."""
        self._loss(self._moved(first[0]), self._moved(first[1])).backward()
        found = any(tensor.grad is None for tensor in self._tensors)
        for tensor in self._tensors:
            tensor.grad = None
        return found

    def _reduced(self, bucket: Any) -> Any:
        if bucket.is_last():
            self.group.pace.own_part_done()
        return allreduce_hook(None, bucket)

    def _sum(self, value: Any) -> Any:
        if self.group.size > 1:
            distributed.all_reduce(value)
        return value

    def _mean(self, loss: Any) -> Any:
        """Of the batch: each worker has that of its share."""
        return loss if self.group.size == 1 else self._sum(loss.clone()) / self.group.size

    def _make_alike(self) -> None:
        """What layers keep of the batches, and each worker has its own of, becomes the mean of all."""
        if self.group.size == 1 or self._alike:
            return
        for variable in self.parts.statistics:
            value = variable.value.detach()
            first = value.clone()
            distributed.broadcast(first, 0)
            # What is the same everywhere stays as it is to the bit.
            apart = self._sum(value - first)
            if apart.any():
                self._own.add(str(variable.path))
                value.copy_(first + apart / self.group.size)
        self._alike = True

    def _moved(self, nested: Any) -> Any:
        return keras.tree.map_structure(self._on_device, nested)

    def _on_device(self, array: Array) -> torch.Tensor:
        tensor = torch.from_numpy(array if array.flags.writeable else np.array(array))
        # From pinned memory the copy runs beside the step before.
        return tensor.pin_memory().to(self.device, non_blocking=True) if self.on_gpu else tensor

    def _scale(self) -> Any:
        return self.parts.optimizer.dynamic_scale.value if self.parts.scaled else 1.0


def _with_trained(model: Any, tensors: Sequence[Any]) -> Any:
    """The model as a module that has these parameters: of adapters that came later Keras's own has no account."""
    module = torch.nn.Module()
    module.trained = torch.nn.ParameterList(tensors)
    module.forward = lambda x, **mode: model(x, **mode)
    return module
