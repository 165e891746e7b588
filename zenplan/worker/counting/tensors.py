"""Tensors: what is known of each tensor that a model's call meets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import keras

from zenplan.worker.counting.call import Tensor


@dataclass(slots=True)
class Tensors:
    """The tensors of a call.

    Attributes:
        known: by id, each with itself, so that no other gets its id.
        kept: keys of those that are kept for the backward pass.
        owned: ids of weights that a product has counted as its own.
    """

    known: dict[int, tuple[Any, Tensor]] = field(default_factory=dict)
    kept: set[object] = field(default_factory=set)
    owned: set[int] = field(default_factory=set)

    def seen(self, tensor: Any, layer: Any) -> Tensor:
        """What is known of a tensor; of a new one, what it is.

        Args:
            tensor: symbolic, a variable, or an array of the backend's.
            layer: whose call it is met in; None for the model's.
        """
        if id(tensor) in self.known:
            return self.known[id(tensor)][1]
        if isinstance(tensor, keras.KerasTensor):
            return self.remember(tensor, False)
        # A weight, or what the backend made of weights before any symbolic tensor came in.
        variable = isinstance(tensor, keras.Variable)
        learns = tensor.trainable if variable else layer is not None and layer.trainable_weights
        found = Tensor(
            shape=tuple(tensor.shape), learns=bool(learns), weight=True, variable=id(tensor) if variable else 0
        )
        self.known[id(tensor)] = (tensor, found)
        return found

    def remember(self, tensor: Any, learns: bool, key: object = None) -> Tensor:
        """A symbolic tensor, which ``learns`` unless it has no gradient; ``key`` is that of the one it is a view of."""
        differentiable = "float" in str(tensor.dtype) or "complex" in str(tensor.dtype)
        found = Tensor(shape=tuple(tensor.shape), learns=learns and differentiable, key=key or object())
        self.known[id(tensor)] = (tensor, found)
        return found
