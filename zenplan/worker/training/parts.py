"""What a step of zenplan's own over a Keras model and a Keras optimizer is made of, on any backend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

from zenplan.worker.training.losses import Loss


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a step is made of.

    Attributes:
        optimizer: built.
        rate: its variable of the learning rate.
        clip_norm: of the gradient over all parameters; 0 for none.
        scaled: whether the optimizer scales the loss, for fp16.
        compiled: by XLA or torch.compile.
        shape_of: the shape of an array of the state, of which a variable may be this worker's part.
    """

    model: keras.Model
    optimizer: Any
    rate: Any
    loss: Loss
    clip_norm: float
    scaled: bool
    compiled: bool
    shape_of: Callable[[Any], tuple[int, ...]] = lambda variable: tuple(int(n) for n in variable.shape)

    def call(self, x: Any, training: bool) -> Any:
        """What the model returns. A model of the user's may not ask whether it is trained."""
        return self.model(x, **self.mode(training))

    def mode(self, training: bool) -> dict[str, bool]:
        """Arguments that tell the model so."""
        return {"training": training} if self.model._call_has_training_arg else {}

    @property
    def variables(self) -> dict[str, Any]:
        """All state of the model and its optimizer by name: seed generators and the moments of Adam are in it."""
        found = {f"model/{i:05d}": v for i, v in enumerate(self.model.variables)}
        return found | {f"optimizer/{i:05d}": v for i, v in enumerate(self.optimizer.variables)}

    @property
    def statistics(self) -> list[Any]:
        """What layers keep of the batches that they have seen, such as means; frozen weights are not among it."""
        kept = [v for layer in self.model._flatten_layers() for v in layer._non_trainable_variables]
        return [v for v in kept if keras.backend.is_float_dtype(v.dtype)]


def clipped(parts: Parts, gradients: list[Any], global_norm: Callable[[list[Any]], Any], scale: Any) -> tuple[Any, Any]:
    """Gradients whose norm over all parameters is at most ``clip_norm``, and the norm that it was; None where none is set.

    Args:
        scale: that the loss was multiplied by, in fp16; 1 else.
    """
    if not parts.clip_norm:
        return gradients, None
    norm = global_norm(gradients) / scale
    factor = keras.ops.minimum(1.0, parts.clip_norm / norm)
    return [gradient * keras.ops.cast(factor, gradient.dtype) for gradient in gradients], norm
