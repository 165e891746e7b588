"""Models that are hard to count, and a script that counts them: ``python odd_models.py NAME ...`` prints JSON."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from dataclasses import asdict
from typing import Any

import keras
from keras import layers, ops

from zenplan.domain.model.operators import Elementwise, MatMul, Split
from zenplan.errors import UsageError
from zenplan.worker.counting.count import count_model
from zenplan.worker.counting.registry import register_layer


def raw_product(left: Any, right: Any) -> Any:
    """A product that Keras does not see."""
    match keras.config.backend():
        case "jax":
            import jax.numpy as jnp

            return jnp.matmul(left, right)
        case "torch":
            import torch

            return torch.matmul(left, right)
        case _:
            import tensorflow as tf

            return tf.matmul(left, right)


def raw_convolution(image: Any, kernel: Any) -> Any:
    """Of (1, 8, 8, 4) and (3, 3, 2, 6), in two groups, at every second position: (1, 3, 3, 6)."""
    match keras.config.backend():
        case "jax":
            from jax import lax

            return lax.conv_general_dilated(
                image, kernel, (2, 2), "VALID", feature_group_count=2, dimension_numbers=("NHWC", "HWIO", "NHWC")
            )
        case "torch":
            import torch

            image, kernel = image.permute(0, 3, 1, 2), kernel.permute(3, 2, 0, 1)
            return torch.nn.functional.conv2d(image, kernel, stride=2, groups=2).permute(0, 2, 3, 1)
        case _:
            import tensorflow as tf

            return tf.nn.conv2d(image, kernel, 2, "VALID")


def raw_loop(state: Any) -> Any:
    """A product of (1, 4) and (4, 4), five times."""
    match keras.config.backend():
        case "jax":
            import jax
            import jax.numpy as jnp

            return jax.lax.fori_loop(0, 5, lambda _, x: x @ jnp.ones((4, 4)), state)
        case "torch":
            import torch

            for _ in range(5):
                state = state @ torch.ones((4, 4), device=state.device)
            return state
        case _:
            import tensorflow as tf

            turns = tf.while_loop(
                lambda i, x: i < 5, lambda i, x: (i + 1, x @ tf.ones((4, 4))), (0, state), maximum_iterations=5
            )
            return turns[1]


class RawAttention(layers.Layer):
    """The backend's own attention, of (1, 6, 2, 8), by a name that Keras does not know."""

    def call(self, x):
        match keras.config.backend():
            case "jax":
                import jax

                return jax.nn.dot_product_attention(x, x, x)
            case "torch":
                import torch

                turned = x.permute(0, 2, 1, 3)
                return torch.nn.functional.scaled_dot_product_attention(turned, turned, turned).permute(0, 2, 1, 3)
            case _:
                import tensorflow as tf

                return tf.einsum("bnts,bsnh->btnh", tf.nn.softmax(tf.einsum("btnh,bsnh->bnts", x, x)), x)


class Raw(layers.Layer):
    """Code of the backend in a layer's call."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 5))

    def call(self, inputs):
        return raw_product(inputs * 2.0, ops.convert_to_tensor(self.kernel))


class RawAround(layers.Layer):
    """The backend's code around a layer of Keras's."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(4)

    def build(self, shape):
        self.dense.build(shape)

    def call(self, inputs):
        hidden = self.dense(inputs)
        return raw_product(hidden, ops.transpose(ops.convert_to_tensor(hidden)))

    def compute_output_spec(self, inputs):
        return keras.KerasTensor((inputs.shape[0], inputs.shape[0]))


class Broken(layers.Layer):
    """Nobody can run it, but it knows what comes out."""

    def call(self, inputs):
        raise RuntimeError("only on Thursdays")

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(inputs.shape, dtype=inputs.dtype)


class Looping(layers.Layer):
    """A scan over seven steps, with a product in each."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], shape[-1]))

    def call(self, inputs):
        def step(carry, x):
            carry = ops.tanh(ops.matmul(carry + x, self.kernel))
            return carry, carry

        last, _ = ops.scan(step, ops.zeros_like(inputs[:, 0]), ops.transpose(inputs, (1, 0, 2)))
        return last


class Own(layers.Layer):
    """Counted by a function of the user's."""

    def call(self, inputs):
        return inputs

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(inputs.shape, dtype=inputs.dtype)


class OwnWrong(Own):
    """Its function gives no operators."""


@register_layer(Own)
def own(layer, shapes):
    (shape,) = shapes
    if isinstance(layer, OwnWrong):
        return [3]
    return [
        MatMul(name="mine", rows=shape[0], inner=shape[1], columns=7, split=Split.NONE, tied=True),
        Elementwise(name="rest", elements=10, passes=2, split=Split.NONE),
    ]


class MyDense(layers.Dense):
    """A layer of Keras's with something before it."""

    def call(self, inputs, training=None):
        return super().call(inputs * 3.0)


class MyCell(layers.Layer):
    """A cell of the user's: two products a step."""

    state_size = 6
    output_size = 6

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inward, self.onward = layers.Dense(6, name="inward"), layers.Dense(6, name="onward")

    def build(self, shape):
        self.inward.build(shape)
        self.onward.build((shape[0], 6))

    def call(self, inputs, states):
        new = ops.tanh(self.inward(inputs) + self.onward(states[0]))
        return new, [new]


class Sliced(layers.Layer):
    """Queries and keys are parts of one tensor."""

    def call(self, x):
        return ops.matmul(x[..., :4], ops.transpose(x[..., 4:], (0, 2, 1)))


class Choosing(layers.Layer):
    def call(self, x):
        return ops.cond(ops.sum(x) > 0, lambda: ops.matmul(x, ops.ones((4, 4))), lambda: x)


def frozen_recurrence():
    recurrent = layers.LSTM(5)
    recurrent.trainable = False
    return chain(lambda: recurrent, lambda: layers.Dense(2))()


class Noisy(layers.Layer):
    """Assigns, draws at random, adds a loss."""

    def build(self, shape):
        self.seen = self.add_weight(shape=(), trainable=False, initializer="zeros")
        self.seed = keras.random.SeedGenerator(1)

    def call(self, inputs, training=False):
        self.seen.assign(self.seen + 1.0)
        if training:
            inputs = inputs + keras.random.normal(ops.shape(inputs), seed=self.seed)
        self.add_loss(ops.mean(inputs))
        return inputs


class Hopeless(keras.Model):
    """Its own call ends in the middle."""

    def __init__(self):
        super().__init__(name="hopeless")
        self.dense = layers.Dense(3)

    def build(self, shape):
        self.dense.build(shape)

    def call(self, inputs):
        self.dense(inputs)
        raise ValueError("nothing goes on from here")


def hopeless():
    model = Hopeless()
    model.build((None, 4))
    return model


class Several(keras.Model):
    """Two arguments by name, two results in a dictionary, and a layer that is never called."""

    def __init__(self):
        super().__init__(name="several")
        self.a, self.b, self.idle = layers.Dense(3), layers.Dense(4), layers.Dense(5)
        self.idle.build((None, 2))

    def call(self, left, right):
        return {"a": self.a(left), "b": self.b(right)}


def several():
    model = Several()
    model(keras.Input((6,)), keras.Input((8,)))
    return model


def named_inputs():
    inputs = {"x": keras.Input((6,), name="x"), "ids": keras.Input((4,), dtype="int32", name="ids")}
    embedded = layers.Flatten()(layers.Embedding(10, 3)(inputs["ids"]))
    joined = layers.Concatenate()([layers.Dense(5)(inputs["x"]), embedded])
    return keras.Model(inputs, {"y": layers.Dense(2)(joined), "z": layers.ReLU()(joined)})


def tied():
    table = layers.ReversibleEmbedding(50, 8)
    tokens = keras.Input((6,), dtype="int32")
    return keras.Model(tokens, table(layers.Dense(8)(table(tokens)), reverse=True))


def lora():
    model = keras.Sequential([keras.Input((20,)), layers.Dense(30), layers.Dense(4)])
    model.layers[0].enable_lora(2)
    return model


def fixed_batch():
    inputs = keras.Input(batch_shape=(8, 7, 4))
    x = layers.LSTM(5, stateful=True, return_sequences=True)(inputs)
    return keras.Model(inputs, layers.Dense(2)(ops.reshape(x, (8, 35))))


def chain(*parts, shape=(7, 4)):
    return lambda: keras.Sequential([keras.Input(shape), *(part() for part in parts)])


MODELS = {
    "raw": chain(lambda: layers.Dense(3), Raw, lambda: layers.Dense(2)),
    "raw_around": chain(lambda: layers.Dense(3), RawAround, shape=(4,)),
    "raw_lambda": chain(lambda: layers.Lambda(lambda x: raw_product(x, ops.ones((4, 9))), output_shape=(7, 9))),
    "raw_convolution": chain(
        lambda: layers.Lambda(lambda x: raw_convolution(x, ops.ones((3, 3, 2, 6))), output_shape=(3, 3, 6)),
        shape=(8, 8, 4),
    ),
    "raw_loop": chain(lambda: layers.Lambda(raw_loop, output_shape=(4,)), shape=(4,)),
    "raw_attention": chain(RawAttention, shape=(6, 2, 8)),
    "broken": chain(lambda: layers.Dense(4), Broken, lambda: layers.Dense(2)),
    "looping": chain(Looping),
    "own": chain(Own, lambda: layers.Dense(2)),
    "own_wrong": chain(OwnWrong, lambda: layers.Dense(2)),
    "my_dense": chain(lambda: MyDense(5)),
    "my_cell": chain(lambda: layers.RNN(MyCell(), return_sequences=True)),
    "cell": chain(lambda: layers.RNN(layers.LSTMCell(5, name="cell"), name="loop"), lambda: layers.Dense(2)),
    "frozen_recurrence": frozen_recurrence,
    "sliced": chain(lambda: layers.Dense(8), Sliced),
    "choosing": chain(lambda: Choosing(name="choosing")),
    "noisy": chain(lambda: layers.Dense(4), Noisy, lambda: layers.Dense(2)),
    "several": several,
    "named_inputs": named_inputs,
    "tied": tied,
    "lora": lora,
    "spectral": chain(lambda: layers.SpectralNormalization(layers.Dense(6))),
    "augmented": chain(
        lambda: layers.Rescaling(1 / 255),
        lambda: layers.RandomFlip(),
        lambda: layers.RandomRotation(0.1),
        lambda: layers.Conv2D(4, 3),
        lambda: layers.GlobalAveragePooling2D(),
        shape=(16, 16, 3),
    ),
    "open": lambda: keras.Sequential([keras.Input((None, 3)), layers.Dense(2)]),
    "stopped": chain(lambda: layers.Dense(4), lambda: layers.Lambda(ops.stop_gradient), lambda: layers.Dense(2)),
    "viewed": chain(
        lambda: layers.Dense(4, activation="relu"), layers.Flatten, lambda: layers.Dropout(0), lambda: layers.Dense(2)
    ),
    "fixed_batch": fixed_batch,
    "hopeless": hopeless,
    "open_given": lambda: keras.Sequential([keras.Input((None, 3)), layers.Dense(2)]),
    "open_given_wrong": lambda: keras.Sequential([keras.Input((None, 3)), layers.Dense(2)]),
    "open_between": chain(
        lambda: layers.EinsumDense("abc,cd->abd", output_shape=(None, 5)),
        layers.LayerNormalization,
        lambda: layers.Dense(2),
        shape=(6, 3),
    ),
    "no_model": lambda: layers.Dense(2),
    "unbuilt": lambda: keras.Sequential([layers.Dense(2)]),
}

# What is said of the shape of one sample, where it is.
GIVEN = {"open_given": [(11, 3)], "open_given_wrong": [(11, 4)]}


def counted(name):
    # A stateful layer makes variables from values.
    with nullcontext() if name == "fixed_batch" else keras.StatelessScope(initialize_variables=False):
        model = MODELS[name]()
        nodes = [len(layer._inbound_nodes) for layer in model._flatten_layers()]
        try:
            count = count_model(model, input_shapes=GIVEN.get(name))
        except UsageError as error:
            return {"error": error.message, "hint": error.hint}
        assert nodes == [len(layer._inbound_nodes) for layer in model._flatten_layers()], "the graph has grown"
    return {
        "forward": count.forward_flop,
        "training": count.training_flop,
        "parameters": count.parameters,
        "keras": model.count_params(),
        "trainable": count.trainable_parameters,
        "notes": count.notes,
        "activations": count.activation_elements,
        "workload": count.workload().parameters,
        "input": count.input_shape,
        "layers": {
            "/".join(layer.path): {
                **asdict(layer),
                "operators": [type(o).__name__ for o in layer.operators],
                "flop": layer.forward_flop,
            }
            for layer in count.layers
        },
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps({name: counted(name) for name in sys.argv[1:] or MODELS}))
