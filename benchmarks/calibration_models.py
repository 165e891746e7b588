"""Models that ``calibration.py`` predicts: written as users of Keras write them, none with zenplan's own builders.

``depth`` is what ``--vary`` varies: layers of a transformer or a recurrent net, blocks of each stage of a convnet.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers


class Positions(layers.Layer):  # type: ignore[misc,unused-ignore]
    """A learned table of positions."""

    def build(self, shape: Any) -> None:
        """An entry for each position."""
        self.table = self.add_weight(shape=shape[1:], name="table")

    def call(self, x: Any) -> Any:
        """The same for every sample."""
        return x + self.table


def gpt(depth: int = 12, width: int = 256, heads: int = 4, seq_len: int = 128, vocab: int = 2048) -> keras.Model:
    """A decoder with Keras's own attention layer, GELU, layer norms before."""
    tokens = keras.Input((seq_len,), dtype="int32")
    x = Positions()(layers.Embedding(vocab, width)(tokens))
    for _ in range(depth):
        y = layers.LayerNormalization()(x)
        x = x + layers.MultiHeadAttention(heads, width // heads)(y, y, use_causal_mask=True)
        y = layers.Dense(4 * width, activation="gelu")(layers.LayerNormalization()(x))
        x = x + layers.Dense(width)(y)
    return keras.Model(tokens, layers.Dense(vocab, use_bias=False)(layers.LayerNormalization()(x)))


def llama(
    depth: int = 10,
    width: int = 256,
    heads: int = 4,
    kv_heads: int = 2,
    ff_width: int = 704,
    seq_len: int = 128,
    vocab: int = 2048,
) -> keras.Model:
    """A decoder with grouped queries, RMS norms, a gated feed-forward network and no biases."""
    tokens = keras.Input((seq_len,), dtype="int32")
    x = layers.Embedding(vocab, width)(tokens)
    for _ in range(depth):
        y = layers.RMSNormalization()(x)
        attend = layers.GroupQueryAttention(width // heads, heads, kv_heads, use_bias=False)
        x = x + attend(y, y, use_causal_mask=True)
        y = layers.RMSNormalization()(x)
        gate = layers.Dense(ff_width, activation="silu", use_bias=False)(y)
        x = x + layers.Dense(width, use_bias=False)(gate * layers.Dense(ff_width, use_bias=False)(y))
    return keras.Model(tokens, layers.Dense(vocab, use_bias=False)(layers.RMSNormalization()(x)))


def encoder(
    depth: int = 8, width: int = 256, heads: int = 8, seq_len: int = 192, vocab: int = 5000, classes: int = 20
) -> keras.Model:
    """An encoder with dropout and norms after each sum, for classes of whole texts."""
    tokens = keras.Input((seq_len,), dtype="int32")
    x = layers.Dropout(0.1)(Positions()(layers.Embedding(vocab, width)(tokens)))
    for _ in range(depth):
        y = layers.Dropout(0.1)(layers.MultiHeadAttention(heads, width // heads)(x, x))
        x = layers.LayerNormalization()(x + y)
        y = layers.Dense(width)(layers.Dense(4 * width, activation="gelu")(x))
        x = layers.LayerNormalization()(x + layers.Dropout(0.1)(y))
    return keras.Model(tokens, layers.Dense(classes)(layers.GlobalAveragePooling1D()(x)))


def _conv(x: Any, width: int, window: int = 3, stride: int = 1, activation: str | None = "relu") -> Any:
    x = layers.Conv2D(width, window, strides=stride, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    return layers.Activation(activation)(x) if activation else x


def resnet(depth: int = 5, width: int = 16, size: int = 32, bottleneck: bool = False, classes: int = 10) -> keras.Model:
    """A residual net of three stages for small images."""
    image = keras.Input((size, size, 3))
    x = _conv(image, width)
    for stage in range(3):
        inner = width * 2**stage
        outer = inner * (4 if bottleneck else 1)
        for block in range(depth):
            stride = 2 if stage and not block else 1
            if bottleneck:
                y = _conv(_conv(x, inner, 1, stride), inner)
                y = _conv(y, outer, 1, activation=None)
            else:
                y = _conv(_conv(x, inner, 3, stride), outer, activation=None)
            if x.shape[-1] != outer or stride > 1:
                x = _conv(x, outer, 1, stride, activation=None)
            x = layers.Activation("relu")(x + y)
    return keras.Model(image, layers.Dense(classes)(layers.GlobalAveragePooling2D()(x)))


def plain(depth: int = 4, width: int = 32, size: int = 48, classes: int = 10) -> keras.Model:
    """Convolutions one after another, and pooling between stages."""
    image = keras.Input((size, size, 3))
    x = image
    for stage in range(3):
        for _ in range(depth):
            x = layers.Conv2D(width * 2**stage, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D()(x)
    return keras.Model(image, layers.Dense(classes)(layers.Dense(256, activation="relu")(layers.Flatten()(x))))


def mobile(depth: int = 5, width: int = 24, size: int = 64, classes: int = 10) -> keras.Model:
    """Inverted residuals with depthwise convolutions."""
    image = keras.Input((size, size, 3))
    x = _conv(image, width, 3, 2)
    for stage in range(3):
        outer = width * 2**stage
        for block in range(depth):
            stride = 2 if stage and not block else 1
            y = _conv(x, 4 * x.shape[-1], 1, activation="relu6")
            y = layers.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False)(y)
            y = layers.ReLU(6.0)(layers.BatchNormalization()(y))
            y = _conv(y, outer, 1, activation=None)
            x = x + y if y.shape == x.shape else y
    return keras.Model(image, layers.Dense(classes)(layers.GlobalAveragePooling2D()(x)))


def recurrent(
    depth: int = 6,
    width: int = 128,
    seq_len: int = 64,
    cell: str = "LSTM",
    both_ways: bool = False,
    features: int = 32,
    classes: int = 10,
) -> keras.Model:
    """Stacked LSTM or GRU layers, one way or both ways."""
    steps = keras.Input((seq_len, features))
    x = steps
    for place in range(depth):
        layer = getattr(layers, cell)(width, return_sequences=place < depth - 1)
        x = layers.Bidirectional(layer)(x) if both_ways else layer(x)
    return keras.Model(steps, layers.Dense(classes)(x))
