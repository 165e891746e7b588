"""How weights are changed: Keras's optimizers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from zenplan.errors import UnknownName, UsageError
from zenplan.worker.protocol import Optimizer
from zenplan.worker.training.rate import check_rate

_CLASSES = {
    "adafactor": "Adafactor",
    "adagrad": "Adagrad",
    "adam": "Adam",
    "adamw": "AdamW",
    "lamb": "Lamb",
    "lion": "Lion",
    "nadam": "Nadam",
    "rmsprop": "RMSprop",
    "sgd": "SGD",
}


def made(wanted: Optimizer, model: keras.Model, scaled: bool, trained: Sequence[Any] | None = None) -> Any:
    """The optimizer, built: its state is there before anything is restored into it.

    Args:
        scaled: whether the loss is scaled so that gradients do not vanish in fp16.
        trained: variables that it changes, such as this worker's parts of them; None for the model's own.

    Raises:
        UsageError: a name or a figure of it is wrong.
    """
    if wanted.name not in _CLASSES:
        raise UnknownName("optimizer", wanted.name, _CLASSES)
    check_rate(wanted)
    options: dict[str, Any] = {"learning_rate": wanted.learning_rate}
    if wanted.momentum:
        if wanted.name not in ("sgd", "rmsprop"):
            raise UsageError(f"{wanted.name} has no momentum to set", "sgd and rmsprop have")
        options["momentum"] = wanted.momentum
    # AdamW decays by 0.004 where it is not told.
    if wanted.weight_decay or wanted.name == "adamw":
        options["weight_decay"] = wanted.weight_decay
    optimizer = getattr(keras.optimizers, _CLASSES[wanted.name])(**options)
    if not model.trainable_variables:
        raise UsageError(f"model {model.name} has nothing to train", "one of its layers must be trainable")
    trained = list(model.trainable_variables if trained is None else trained)
    kept = [v for v in trained if len(v.shape) < 2]
    if wanted.weight_decay and kept:
        optimizer.exclude_from_weight_decay(var_list=kept)
    if scaled:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(trained)
    return optimizer


def rate_variable(optimizer: Any) -> Any:
    """The variable that holds the learning rate; the loop sets it before each step."""
    return getattr(optimizer, "inner_optimizer", optimizer)._learning_rate
