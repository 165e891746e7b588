"""How weights are changed: Keras's optimizers, and the learning rate of each step."""

from __future__ import annotations

import math
from typing import Any

import keras

from zenplan.errors import UnknownName, UsageError
from zenplan.worker.protocol import Optimizer

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
_SCHEDULES = ("constant", "cosine", "linear")


def made(wanted: Optimizer, model: keras.Model, scaled: bool) -> Any:
    """The optimizer, built: its state is there before anything is restored into it.

    Args:
        scaled: whether the loss is scaled so that gradients do not vanish in fp16.

    Raises:
        UsageError: a name or a figure of it is wrong.
    """
    if wanted.name not in _CLASSES:
        raise UnknownName("optimizer", wanted.name, _CLASSES)
    if wanted.schedule not in _SCHEDULES:
        raise UnknownName("schedule", wanted.schedule, _SCHEDULES)
    if not (math.isfinite(wanted.learning_rate) and wanted.learning_rate > 0):
        raise UsageError(f"a learning rate of {wanted.learning_rate} is not above 0", "as in learning_rate = 3e-4")
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
    kept = [v for v in model.trainable_variables if len(v.shape) < 2]
    if wanted.weight_decay and kept:
        optimizer.exclude_from_weight_decay(var_list=kept)
    if scaled:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(model.trainable_variables)
    return optimizer


def rate_variable(optimizer: Any) -> Any:
    """The variable that holds the learning rate; the loop sets it before each step."""
    return getattr(optimizer, "inner_optimizer", optimizer)._learning_rate


def rate_at(wanted: Optimizer, step: int, steps: int) -> float:
    """The learning rate of a step.

    It rises in a line over the warm-up, then stays, or falls to ``final_share`` of the highest at the last step: along
    half a cosine (Loshchilov and Hutter 2017, https://arxiv.org/abs/1608.03983) or a line.

    Args:
        step: from 1 to ``steps``.
    """
    if step <= wanted.warmup_steps:
        return wanted.learning_rate * step / wanted.warmup_steps
    if wanted.schedule == "constant":
        return wanted.learning_rate
    done = min(1.0, (step - wanted.warmup_steps) / max(1, steps - wanted.warmup_steps))
    left = 0.5 * (1 + math.cos(math.pi * done)) if wanted.schedule == "cosine" else 1 - done
    return wanted.learning_rate * (wanted.final_share + (1 - wanted.final_share) * left)
