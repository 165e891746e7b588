"""A second set of models for ``calibration_unseen.py --models unseen_models_2``, of kinds that ``unseen_models.py`` has not.

They were written once the first set had been used to find out what was wrong with jax, and the method was fixed by then.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

MODELS: dict[str, dict[str, Any]] = {
    "conformer": {"depth": 8, "shallow": (1, 2, 3), "batch": 8},
    "char_lstm": {"depth": 6, "shallow": (1, 2, 3), "batch": 32},
    "shuffle": {"depth": 9, "shallow": (1, 2, 3), "batch": 16},
    "linear_attention": {"depth": 10, "shallow": (1, 2, 4), "batch": 8},
    "cross_net": {"depth": 8, "shallow": (1, 2, 4), "batch": 1024},
    "gated_mlp": {"depth": 10, "shallow": (1, 2, 4), "batch": 16},
    "flow": {"depth": 12, "shallow": (1, 2, 4), "batch": 1024},
    "convlstm": {"depth": 5, "shallow": (1, 2, 3), "batch": 4},
}


def conformer(depth: int = 8, width: int = 144) -> keras.Model:
    """Half a feed-forward net, attention, a depthwise convolution over time, the other half."""
    sound = keras.Input((256, 80))
    x = layers.Conv1D(width, 3, 2, "same", activation="relu")(sound)
    for _ in range(depth):
        x = x + 0.5 * _fed(x, width)
        y = layers.LayerNormalization()(x)
        x = x + layers.MultiHeadAttention(4, width // 4, dropout=0.1)(y, y)
        y = layers.Conv1D(2 * width, 1)(layers.LayerNormalization()(x))
        y = y[..., :width] * ops.sigmoid(y[..., width:])
        y = layers.BatchNormalization()(layers.DepthwiseConv1D(15, padding="same")(y))
        x = x + layers.Conv1D(width, 1)(ops.silu(y))
        x = layers.LayerNormalization()(x + 0.5 * _fed(x, width))
    return keras.Model(sound, layers.Dense(60, activation="softmax")(x))


def _fed(x: Any, width: int) -> Any:
    y = layers.Dense(4 * width, activation="silu")(layers.LayerNormalization()(x))
    return layers.Dense(width)(layers.Dropout(0.1)(y))


def char_lstm(depth: int = 6, width: int = 192) -> keras.Model:
    """A language model of letters: recurrent layers with what was left out between them, and residuals from the second."""
    letters = keras.Input((48,), dtype="int32")
    x = layers.Embedding(120, width)(letters)
    for place in range(depth):
        y = layers.LSTM(width, return_sequences=True)(layers.Dropout(0.1)(x))
        x = layers.Add()([x, y]) if place else y
    return keras.Model(letters, layers.Dense(120, activation="softmax")(x))


def shuffle(depth: int = 9) -> keras.Model:
    """Half of the channels go through a depthwise block, then all are shuffled; three stages, deeper in the middle."""
    image = keras.Input((96, 96, 3))
    x = layers.Conv2D(48, 3, 2, "same", activation="relu")(image)
    for stage, blocks in enumerate((max(1, depth // 2), depth, max(1, depth // 2))):
        x = layers.Conv2D(48 * 2**stage, 3, 2, "same", activation="relu")(x)
        for _ in range(blocks):
            height, width, channels = x.shape[1:]
            half = channels // 2
            y = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(half, 1, use_bias=False)(x[..., half:])))
            y = layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same", use_bias=False)(y))
            y = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(half, 1, use_bias=False)(y)))
            x = ops.reshape(ops.stack([x[..., :half], y], axis=-1), (-1, height, width, channels))
    return keras.Model(image, layers.Dense(100)(layers.GlobalAveragePooling2D()(x)))


def linear_attention(depth: int = 10, width: int = 192, heads: int = 6) -> keras.Model:
    """Attention without a softmax: keys and values are summed up first, once for each head."""
    tokens = keras.Input((192,), dtype="int32")
    x = layers.Embedding(4000, width)(tokens)
    for _ in range(depth):
        y = layers.LayerNormalization()(x)
        q, k, v = (ops.reshape(layers.Dense(width)(y), (-1, 192, heads, width // heads)) for _ in range(3))
        q, k = ops.elu(q) + 1.0, ops.elu(k) + 1.0
        mixed = ops.einsum("bqhd,bhde->bqhe", q, ops.einsum("bkhd,bkhe->bhde", k, v))
        mixed = mixed / (ops.einsum("bqhd,bhd->bqh", q, ops.sum(k, axis=1))[..., None] + 1e-6)
        x = x + layers.Dense(width)(ops.reshape(mixed, (-1, 192, width)))
        x = x + layers.Dense(width)(layers.Dense(3 * width, activation="gelu")(layers.LayerNormalization()(x)))
    return keras.Model(tokens, layers.Dense(20)(layers.GlobalAveragePooling1D()(x)))


def cross_net(depth: int = 8) -> keras.Model:
    """Columns of a table crossed with themselves again and again, beside a perceptron."""
    numbers, column = keras.Input((64,)), keras.Input((26,), dtype="int32")
    first = layers.Concatenate()([numbers, layers.Flatten()(layers.Embedding(10000, 16)(column))])
    x = y = first
    for _ in range(depth):
        x = x + first * layers.Dense(first.shape[-1])(x)
        y = layers.BatchNormalization()(layers.Dense(384, activation="relu")(y))
    y = layers.Dense(1, activation="sigmoid")(layers.Concatenate()([x, y]))
    model = keras.Model([numbers, column], y)
    model.compile(keras.optimizers.Adagrad(0.01), "binary_crossentropy")
    return model


def gated_mlp(depth: int = 10, width: int = 192) -> keras.Model:
    """Half of each block's features are mixed over the places of a sequence, and gate the other half."""
    tokens = keras.Input((128,), dtype="int32")
    x = layers.Embedding(6000, width)(tokens)
    for _ in range(depth):
        y = layers.Dense(4 * width, activation="gelu")(layers.LayerNormalization()(x))
        gate = layers.LayerNormalization()(y[..., 2 * width :])
        gate = layers.Permute((2, 1))(layers.Dense(128, bias_initializer="ones")(layers.Permute((2, 1))(gate)))
        x = x + layers.Dense(width)(y[..., : 2 * width] * gate)
    return keras.Model(tokens, layers.Dense(6000)(x))


def flow(depth: int = 12, width: int = 64) -> keras.Model:
    """Couplings that scale and shift one half of a sample by what a net makes of the other, in turns."""
    sample = keras.Input((width,))
    left, right, total = sample[:, : width // 2], sample[:, width // 2 :], 0.0
    for _ in range(depth):
        told = layers.Dense(256, activation="relu")(layers.Dense(256, activation="relu")(left))
        scale, shift = ops.tanh(layers.Dense(width // 2)(told)), layers.Dense(width // 2)(told)
        left, right, total = right * ops.exp(scale) + shift, left, total + ops.sum(scale, axis=-1, keepdims=True)
    out = layers.Concatenate()([left, right, total])
    model = keras.Model(sample, out)
    model.compile(keras.optimizers.Adam(1e-4), "mse")
    return model


def convlstm(depth: int = 5) -> keras.Model:
    """Recurrent layers whose products are convolutions, over the frames of a film."""
    film = keras.Input((8, 32, 32, 3))
    x = film
    for place in range(depth):
        x = layers.ConvLSTM2D(16 + 8 * (place % 2), 3, padding="same", return_sequences=True)(x)
        x = layers.BatchNormalization()(x)
    return keras.Model(film, layers.Conv3D(3, 3, padding="same")(x))
