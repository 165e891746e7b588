"""The loss that a model is trained with where its builder chose none."""

from __future__ import annotations

from typing import Any

import keras


def usual_losses(outputs: Any) -> Any:
    """For each output its loss, nested as the model returns them: of classes, or of numbers.

    Args:
        outputs: symbolic, of closed shapes with the batch first.
    """
    return keras.tree.map_structure(_usual_loss, outputs)


def _usual_loss(output: Any) -> keras.losses.Loss:
    if len(output.shape) > 1 and output.shape[-1] > 1:
        return keras.losses.SparseCategoricalCrossentropy(from_logits=not _is_softmax(output))
    return keras.losses.MeanSquaredError()


def _is_softmax(output: Any) -> bool:
    """Whether the layer that it comes from, as far as Keras knows it, ends in a softmax."""
    history = getattr(output, "_keras_history", None)
    if history is None:
        return False
    layer = history.operation
    inside = getattr(getattr(layer, "_functional", layer), "outputs", None)
    if inside:
        return _is_softmax(inside[history.tensor_index])
    activation = getattr(getattr(layer, "activation", None), "__name__", "")
    return isinstance(layer, keras.layers.Softmax) or activation == "softmax"
