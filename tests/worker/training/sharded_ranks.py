"""A rank of several, for ``test_sharded``: models that are divided, against the same undivided. Prints what is found."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np

from zenplan.errors import UsageError
from zenplan.worker.protocol import Optimizer
from zenplan.worker.training.group import Share
from zenplan.worker.training.group_torch import TorchGroup
from zenplan.worker.training.losses import Loss
from zenplan.worker.training.optimizer import made, rate_variable
from zenplan.worker.training.parts import Parts
from zenplan.worker.training.sharded_torch import sharded
from zenplan.worker.training.steps_sharded_torch import ShardedStepper
from zenplan.worker.training.steps_torch import TorchStepper

RATE, STEPS = 0.05, 3


class Scaled(keras.layers.Layer):
    """A number that is trained, a loss of its own, and a weight that nothing uses."""

    def build(self, shape: Any) -> None:
        self.number = self.add_weight(name="number", shape=(), initializer="ones")
        self.matrix = self.add_weight(name="matrix", shape=(shape[-1], 3))
        self.unused = self.add_weight(name="unused", shape=(5, 4))

    def call(self, x: Any) -> Any:
        y = self.number * keras.ops.matmul(x, self.matrix)
        self.add_loss(0.1 * keras.ops.mean(keras.ops.square(y)))
        return y


class Outside(keras.Model):
    """Uses a table past the layer that has it."""

    def __init__(self) -> None:
        super().__init__()
        self.table = keras.layers.Embedding(7, 6)

    def call(self, x: Any) -> Any:
        return keras.ops.matmul(self.table(x)[:, 0], keras.ops.transpose(self.table.embeddings))


class Tied(keras.Model):
    """Calls a table for its first and its last matrix, and a layer twice, which nothing outside of it knows."""

    def __init__(self) -> None:
        super().__init__()
        self.table = keras.layers.ReversibleEmbedding(20, 4)
        self.layer, self.head = keras.layers.Dense(4, activation="tanh"), keras.layers.Dense(3)

    def call(self, x: Any) -> Any:
        found = self.table(keras.ops.cast(keras.ops.abs(x) * 2, "int32"))
        found = found + self.layer(self.layer(found))
        return self.head(keras.ops.tanh(self.table(keras.ops.mean(found, axis=1), reverse=True)))


def tied() -> keras.Model:
    model = Tied()
    model(np.zeros((1, 6), np.float32))
    return model


def halved() -> keras.Model:
    """In fp16, whose loss is scaled."""
    x = keras.Input((6,))
    y = keras.layers.Dense(8, activation="tanh", dtype="mixed_float16")(x)
    return keras.Model(x, keras.layers.Dense(3, dtype="mixed_float16")(y))


def twice() -> keras.Model:
    x = keras.Input((6,))
    layer = keras.layers.Dense(6, activation="tanh")
    inner = keras.Sequential(
        [keras.Input((6,)), keras.layers.Dense(5, use_bias=False), keras.layers.BatchNormalization()]
    )
    return keras.Model(x, keras.layers.Dense(3)(inner(layer(layer(x)))))


def own() -> keras.Model:
    x = keras.Input((6,))
    return keras.Model(x, Scaled()(keras.layers.Dense(4, activation="tanh")(x)))


def masked() -> keras.Model:
    x = keras.Input((6,))
    tokens = keras.ops.cast(keras.ops.abs(x) * 2, "int32")
    y = keras.layers.Embedding(20, 4, mask_zero=True)(tokens)
    return keras.Model(x, keras.layers.Dense(3)(keras.layers.LSTM(4)(y)))


def adapted() -> keras.Model:
    x = keras.Input((6,))
    layer = keras.layers.Dense(8, activation="tanh")
    model = keras.Model(x, keras.layers.Dense(3)(layer(x)))
    layer.enable_lora(2)
    layer.lora_kernel_b.assign(np.full(layer.lora_kernel_b.shape, 0.1))
    return model


def regular() -> keras.Model:
    x = keras.Input((6,))
    return keras.Model(x, keras.layers.Dense(3, kernel_regularizer="l2")(x))


def outside() -> keras.Model:
    model = Outside()
    model(np.zeros((1, 6), np.int32))
    return model


def parts_of(model: keras.Model, trained: Any, scaled: bool, more: dict[str, Any]) -> Parts:
    wanted = Optimizer(name="adamw", learning_rate=RATE, weight_decay=0.1)
    optimizer = made(wanted, model, scaled, trained)
    loss = Loss("", lambda y, found: keras.ops.mean(keras.ops.square(found - y), axis=-1), {})
    usual = {"rate": rate_variable(optimizer), "clip_norm": 0.3, "scaled": scaled, "compiled": False}
    return Parts(model=model, optimizer=optimizer, loss=loss, **usual, **more)


def compared(make: Callable[[], keras.Model], group: TorchGroup) -> dict[str, Any]:
    """Steps of both kinds of workers on the same samples, and who holds what."""
    random = np.random.default_rng(2)
    x, y = random.normal(size=(8, 6)).astype(np.float32), random.normal(size=(8, 3)).astype(np.float32)
    mine = [(x[part], y[part]) for part in np.split(group.share.part(np.arange(8)), 2)]
    states, norms = [], []
    for divided in (False, True):
        keras.utils.set_random_seed(1)
        model = make()
        whole = sharded(model, "cpu") if divided else None
        parts = parts_of(model, whole and whole.trained, make is halved, {"shape_of": whole.shape_of} if whole else {})
        stepper: Any = ShardedStepper(parts, group, 0, whole) if whole else TorchStepper(parts, group, 0)
        # The first step is taken back, as it is in a run: of copies it finds out what is not used.
        beginning = {name: array.copy() for name, array in stepper.read()}
        stepper.step(mine, RATE)
        stepper.write(beginning)
        for _ in range(STEPS):
            norms.append(float(stepper.step(mine, RATE).norm))
            evaluated = [float(n) for n in stepper.evaluate(x, y, np.ones(8, np.float32))]
        states.append((dict(stepper.read()), evaluated))
    before = states[1][0]
    stepper.write(before)
    again = dict(stepper.read())
    apart = max(float(np.abs(states[0][0][n] - a).max()) for n, a in before.items() if not n.startswith("random"))
    weights = whole.weights.values()
    have, of = sum(w.to_local().numel() for w in weights), sum(w.numel() for w in weights)
    slots = [v for v in parts.optimizer.variables if v._layout is not None]
    found = {
        "apart": max(apart, *(abs(a - b) for a, b in zip(*(each[1] for each in states), strict=True))),
        "norms_apart": float(np.abs(np.subtract(norms[:STEPS], norms[STEPS:])).max()),
        "written": all(np.array_equal(before[n], again[n]) for n in before),
        "have": have,
        "of": of,
        "slots": sum(v.value.numel() for v in slots),
        "slots_of": sum(int(np.prod(parts.shape_of(v))) for v in slots),
        "held": group.held(stepper.weights),
        "parameters": sum(int(np.prod(v.shape)) for v in model.variables),
    }
    stepper.settle()
    settled = max(float(np.abs(keras.ops.convert_to_numpy(v) - before[n]).max()) for n, v in _of_model(parts))
    called = keras.ops.convert_to_numpy(model(x))
    return {**found, "settled": settled, "called": bool(np.isfinite(called).all())}


def left_out(group: TorchGroup) -> list[bool]:
    """Whether each gradient is no number, where rank 0 alone has one that is none."""
    model = halved()
    whole = sharded(model, "cpu")
    stepper = ShardedStepper(parts_of(model, whole.trained, True, {"shape_of": whole.shape_of}), group, 0, whole)
    stepper.step([(np.ones((2, 6), np.float32), np.ones((2, 3), np.float32))], RATE)
    if group.rank == 0:
        whole.tensors[0].grad.to_local().fill_(float("inf"))
    return [bool(each.isnan().all()) for each in stepper._gradients()]


def _of_model(parts: Parts) -> list[tuple[str, Any]]:
    return [(name, v) for name, v in parts.variables.items() if name.startswith("model/") and "seed" not in v.path]


def refused(make: Callable[[], keras.Model]) -> str:
    try:
        sharded(make(), "cpu")(np.zeros((1, 6), np.int32))
    except UsageError as error:
        return error.message
    return ""


def main(rank: int, size: int, port: int) -> None:
    import torch
    from torch import distributed

    torch.set_num_threads(1)
    distributed.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=size)
    group = TorchGroup(rank=rank, size=size, share=Share(rank, size), control=distributed.group.WORLD)
    found: dict[str, Any] = {
        make.__name__: compared(make, group) for make in (twice, own, masked, adapted, tied, halved)
    }
    found |= {make.__name__: refused(make) for make in (regular, outside)}
    found["left out"] = left_out(group)
    sys.stdout.write(f"{json.dumps(found)}\n")
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
