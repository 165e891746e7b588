"""Models with loops, choices and products of weights: ``python looping_models.py [TURNS]`` prints their counts as JSON.

A product of one turn is (1, 4) by (4, 4): 32 FLOP, in which all is given. A ``raw`` layer refuses symbolic tensors, so
that the backend traces it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import keras
from keras import layers, ops

from zenplan.worker.counting.count import count_model

PRODUCT = 2 * 4 * 4


class Own(layers.Layer):
    """A weight of 4 by 4, and how it is used."""

    def __init__(self, use: Callable[[Callable[[Any], Any], Any], Any], raw: bool = False) -> None:
        super().__init__()
        self.use, self.raw = use, raw

    def build(self, shape: Any) -> None:
        self.w = self.add_weight(shape=(4, 4))
        self.built = True

    def call(self, x: Any) -> Any:
        def turn(y: Any) -> Any:
            if self.raw:
                assert not isinstance(y, keras.KerasTensor)
            return ops.matmul(y, self.w)

        return self.use(turn, x)


def bounded(turn: Any, x: Any) -> Any:
    return ops.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, turn(y)), (0, x), maximum_iterations=7)[1]


def open_ended(turn: Any, x: Any) -> Any:
    return ops.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, turn(y)), (0, x))[1]


def alone(turn: Any, x: Any) -> Any:
    return ops.while_loop(lambda y: ops.sum(y) < 5, turn, x)


def open_for(turn: Any, x: Any) -> Any:
    return ops.fori_loop(0, ops.cast(ops.sum(x), "int32"), lambda i, y: turn(y), x)


def scanned(turn: Any, x: Any) -> Any:
    def step(carry: Any, entry: Any) -> Any:
        made = turn(carry) + entry
        return made, made

    return ops.scan(step, ops.zeros_like(x[:, 0]), ops.transpose(x, (1, 0, 2)))[0]


def choosing(turn: Any, x: Any) -> Any:
    return ops.cond(ops.sum(x) > 0, lambda: x, lambda: turn(turn(x)))


def switching(turn: Any, x: Any) -> Any:
    index = ops.cast(ops.sum(x), "int32")
    return ops.switch(index, [lambda y: y, lambda y: turn(turn(turn(y))), turn], x)


def backend_loop(_: Any, x: Any) -> Any:
    """A loop that is none of Keras's."""
    match keras.config.backend():
        case "jax":
            import jax

            return jax.lax.while_loop(lambda y: y.sum() < 5, lambda y: y @ jax.numpy.ones((4, 4)), x)
        case "torch":
            import torch

            while x.sum() < 5:
                x = x @ torch.ones((4, 4), device=x.device)
            return x
        case _:
            import tensorflow as tf

            return tf.while_loop(lambda y: tf.reduce_sum(y) < 5, lambda y: (y @ tf.ones((4, 4)),), (x,))[0]


class Within(layers.Layer):
    """A layer of its own in a loop."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = layers.Dense(4, name="inside")

    def call(self, x: Any) -> Any:
        return ops.while_loop(lambda y: ops.sum(y) < 5, lambda y: (self.dense(y),), (x,))[0]


class LowRank(layers.Layer):
    """A weight, and the product of two thin ones."""

    def build(self, shape: Any) -> None:
        self.w, self.a, self.b = (self.add_weight(shape=s) for s in ((4, 4), (4, 2), (2, 4)))
        self.built = True

    def call(self, x: Any) -> Any:
        return ops.matmul(x, self.w + 0.5 * ops.matmul(self.a, self.b))


class Fourier(layers.Layer):
    def call(self, x: Any) -> Any:
        return ops.fft((x, ops.zeros_like(x)))[0]


class TwoInputs(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = layers.Dense(4), layers.Dense(4)

    def call(self, x: Any, y: Any) -> Any:
        return self.left(x) + self.right(y)


def two_inputs() -> keras.Model:
    model = TwoInputs()
    model.build({"x": (None, 4), "y": (None, 4)})
    return model


def low_rank_dense() -> keras.Model:
    model = keras.Sequential([keras.Input((4,)), layers.Dense(4)])
    model.layers[0].enable_lora(2)
    return model


def of(layer: Callable[[], Any], *shape: int) -> Callable[[], keras.Model]:
    def make() -> keras.Model:
        x = keras.Input(shape)
        return keras.Model(x, layer()(x))

    return make


def own(use: Any, *shape: int) -> dict[str, Callable[[], keras.Model]]:
    return {"": of(lambda: Own(use), *shape), "_raw": of(lambda: Own(use, raw=True), *shape)}


USES: dict[str, tuple[Any, tuple[int, ...]]] = {
    "bounded": (bounded, (4,)),
    "open_ended": (open_ended, (4,)),
    "alone": (alone, (4,)),
    "for": (lambda turn, x: ops.fori_loop(0, 5, lambda i, y: turn(y), x), (4,)),
    "open_for": (open_for, (4,)),
    "scan": (scanned, (6, 4)),
    "map": (lambda turn, x: ops.map(turn, x), (6, 4)),
    "vectorized": (lambda turn, x: ops.vectorized_map(turn, x), (6, 4)),
    "cond": (choosing, (4,)),
    "switch": (switching, (4,)),
}
MODELS = {name + raw: make for name, (use, shape) in USES.items() for raw, make in own(use, *shape).items()} | {
    "backend_loop": of(lambda: Own(backend_loop), 4),
    "within": of(Within, 4),
    "low_rank": of(LowRank, 4),
    "low_rank_dense": low_rank_dense,
    "fourier": of(Fourier, 8),
    "two_inputs": two_inputs,
}


def counted(make: Callable[[], keras.Model], loop: int | None) -> dict[str, Any]:
    count = count_model(make(), loop=loop)
    return {
        "products": count.forward_flop / PRODUCT,
        "training": count.training_flop / PRODUCT,
        "unknown": len(count.unknown),
        "notes": "; ".join(layer.note for layer in count.layers),
    }


if __name__ == "__main__":
    turns = int(sys.argv[1]) if len(sys.argv) > 1 else None
    sys.stdout.write(json.dumps({name: counted(make, turns) for name, make in MODELS.items()}))
