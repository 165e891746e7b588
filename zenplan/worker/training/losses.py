"""What a model is trained to make small, and what an evaluation tells besides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from zenplan.errors import UsageError
from zenplan.worker.measuring.ready import is_softmax
from zenplan.worker.training.loss_names import NUMBERS, loss_name
from zenplan.worker.training.prepared import Card


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss of samples.

    Attributes:
        name: of the kind; empty for one that the model's builder chose.
        of_samples: from targets and what the model returns, the loss of each sample.
        others: what else is told of each sample in an evaluation, by name.
        unit: what gradients are divided by.
    """

    name: str
    of_samples: Callable[[Any, Any], Any]
    others: dict[str, Callable[[Any, Any], Any]]
    unit: float = 1.0

    def mean(self, y: Any, predicted: Any) -> Any:
        """Over a batch: the number that gradients are taken of, and are a ``unit``-th of."""
        found = ops.mean(self.of_samples(y, predicted))
        if self.unit == 1.0:
            return found
        shared = found / self.unit
        return shared + ops.stop_gradient(found - shared)

    def sums(self, y: Any, predicted: Any, weights: Any) -> Any:
        """Of an evaluation's batch: of the loss and of each other figure the weighted sum, then the weights' own."""
        every = [self.of_samples, *self.others.values()]
        found = [ops.sum(ops.cast(each(y, predicted), "float32") * weights) for each in every]
        return ops.stack([*found, ops.sum(weights)])


def loss_of(wanted: str, card: Card, model: keras.Model) -> Loss:
    """The loss that is asked for, or that the model was compiled with, or that the data has.

    Raises:
        UsageError: there is no such loss, or it does not go with the data.
    """
    if not wanted and getattr(model, "compiled", False) and model.loss is not None:
        return _of_builder(model.loss)
    name = loss_name(wanted, card)
    if name == NUMBERS:
        return Loss(name, _squared_error, {"rmse": _squared_error}, _variance(model))
    outputs = getattr(model, "outputs", None) or [None]
    logits = outputs[0] is None or not is_softmax(outputs[0])

    def entropy(y: Any, predicted: Any) -> Any:
        classes = predicted.shape[-1]
        flat = ops.reshape(ops.cast(predicted, "float32"), (-1, classes))
        each = ops.sparse_categorical_crossentropy(ops.reshape(y, (-1,)), flat, from_logits=logits)
        return ops.mean(ops.reshape(each, (ops.shape(predicted)[0], -1)), axis=1)

    return Loss(name, entropy, {"accuracy": _right})


def _variance(model: keras.Model) -> float:
    """Of the numbers that a model brings into the label's units at its end: its gradients are those of what comes before,
    whose variance is 1, whatever the units. 1 where it does not."""
    outputs = getattr(model, "outputs", None) or [None]
    history = getattr(outputs[0], "_keras_history", None)
    last = history and history.operation
    return float(last.scale) ** 2 if isinstance(last, keras.layers.Rescaling) and np.ndim(last.scale) == 0 else 1.0


def _right(y: Any, predicted: Any) -> Any:
    """Whether the likeliest class is the right one; of tokens, the share of those."""
    right = ops.cast(ops.equal(ops.cast(ops.argmax(predicted, axis=-1), "int32"), ops.cast(y, "int32")), "float32")
    return ops.mean(ops.reshape(right, (ops.shape(predicted)[0], -1)), axis=1)


def _squared_error(y: Any, predicted: Any) -> Any:
    found = ops.reshape(ops.cast(predicted, "float32"), (ops.shape(predicted)[0], -1))
    wanted = ops.reshape(ops.cast(y, "float32"), (ops.shape(predicted)[0], -1))
    return ops.mean(ops.square(found - wanted), axis=1)


def _of_builder(chosen: Any) -> Loss:
    """The loss that a model was compiled with: one of one output."""
    loss = keras.losses.get(chosen)
    if not callable(loss):
        raise UsageError("the model was compiled with several losses", "name one: --loss, or compile it with one")
    function = loss.call if isinstance(loss, keras.losses.Loss) else loss

    def of_samples(y: Any, predicted: Any) -> Any:
        each = ops.cast(function(y, ops.cast(predicted, "float32")), "float32")
        return ops.mean(ops.reshape(each, (ops.shape(predicted)[0], -1)), axis=1)

    return Loss("", of_samples, {})
