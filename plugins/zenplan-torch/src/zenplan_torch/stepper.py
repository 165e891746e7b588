"""The training step: forward and backward of each micro-batch, the gradient clipped, one update."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from zenplan.worker.training.prepared import Array
from zenplan.worker.training.stepper import Done

from zenplan_torch.losses import Loss
from zenplan_torch.optimizers import state_of

_RNG, _RNG_GPU = "random/torch", "random/torch_gpu"


class TorchStepper:
    """As of ``zenplan.worker.training.stepper.Stepper``.

    Args:
        model: on its device.
        optimizer: its state built.
        loss: of samples.
        clip_norm: of the gradient over all parameters; 0 for none.
        half: whether products are computed in bfloat16, by autocast.
        compiled: by torch.compile.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        loss: Loss,
        clip_norm: float,
        half: bool,
        compiled: bool,
    ) -> None:
        self.model, self.optimizer, self.loss = model, optimizer, loss
        self.clip_norm, self.half = clip_norm, half
        self.trained = [p for p in model.parameters() if p.requires_grad]
        self.device = self.trained[0].device
        self.on_gpu = self.device.type == "cuda"
        self.ahead = self.on_gpu
        self._forward: Any = torch.compile(self._mean) if compiled else self._mean

    def step(self, micro_batches: Sequence[tuple[Any, Any]], rate: float) -> Done:
        """As of ``Stepper``."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        self.model.train()
        count = len(micro_batches)
        loss: Tensor | None = None
        for x, y in micro_batches:
            each = self._forward(self._moved(x), self._moved(y))
            (each / count if count > 1 else each).backward()
            loss = each.detach() if loss is None else loss + each.detach()
        norm = nn.utils.clip_grad_norm_(self.trained, self.clip_norm) if self.clip_norm else None
        self.optimizer.step()
        mark = None
        if self.on_gpu:
            mark = torch.cuda.Event()
            mark.record()
        return Done(loss if loss is None or count == 1 else loss / count, norm, mark)

    def waiting(self, done: Done) -> bool:
        """As of ``Stepper``."""
        return done.mark is not None and not done.mark.query()

    def wait(self, done: Done) -> None:
        """As of ``Stepper``."""
        if done.mark is not None:
            done.mark.synchronize()

    def numbers(self, values: Sequence[Any]) -> list[Any]:
        """As of ``Stepper``."""
        return list(torch.stack(list(values)).cpu().numpy()) if values else []

    def evaluate(self, x: Any, y: Array, weights: Array) -> Any:
        """As of ``Stepper``."""
        self.model.eval()
        with torch.no_grad():
            target, weight = self._moved(y), self._moved(weights)
            predicted = self._predicted(self._moved(x))
            every = (self.loss.of_samples, self.loss.other)
            return torch.stack([*((each(predicted, target) * weight).sum() for each in every), weight.sum()])

    def tensors(self) -> dict[str, Tensor]:
        """All state of the model and its optimizer by name; that of random generators is apart."""
        model = {f"model/{name}": tensor for name, tensor in self.model.state_dict().items()}
        state = state_of(self.optimizer, self.model)
        return model | {f"optimizer/{name}": tensor for name, tensor in state.items()}

    def read(self) -> Iterator[tuple[str, Array]]:
        """As of ``Stepper``."""
        for name, tensor in self.tensors().items():
            value = tensor.detach()
            # NumPy has no bfloat16: its bits are those of a whole number.
            yield name, (value.view(torch.uint16) if value.dtype == torch.bfloat16 else value).cpu().numpy()
        yield _RNG, torch.get_rng_state().numpy()
        if self.on_gpu:
            yield _RNG_GPU, torch.cuda.get_rng_state().numpy()

    def write(self, arrays: Mapping[str, Array]) -> None:
        """As of ``Stepper``."""
        with torch.no_grad():
            for name, tensor in self.tensors().items():
                array = torch.from_numpy(np.array(arrays[name]))
                tensor.copy_(array.view(torch.bfloat16) if tensor.dtype == torch.bfloat16 else array)
        if _RNG in arrays:
            torch.set_rng_state(torch.from_numpy(np.array(arrays[_RNG])))
        if self.on_gpu and _RNG_GPU in arrays:
            torch.cuda.set_rng_state(torch.from_numpy(np.array(arrays[_RNG_GPU])))

    def settle(self) -> None:
        """As of ``Stepper``: the state is the model's own."""

    def _mean(self, x: Any, y: Tensor) -> Tensor:
        return self.loss.of_samples(self._predicted(x), y).mean()

    def _predicted(self, x: Any) -> Tensor:
        with self._arithmetic():
            found: Tensor = self.model(**x) if isinstance(x, dict) else self.model(x)
        return found

    def _arithmetic(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, torch.bfloat16) if self.half else nullcontext()

    def _moved(self, nested: Any) -> Any:
        if isinstance(nested, Mapping):
            return {name: self._moved(array) for name, array in nested.items()}
        tensor = torch.from_numpy(nested if nested.flags.writeable else np.array(nested))
        # From pinned memory the copy runs beside the step before.
        return tensor.pin_memory().to(self.device, non_blocking=True) if self.on_gpu else tensor
