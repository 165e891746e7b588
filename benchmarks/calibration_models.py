"""Models that ``calibration.py`` predicts: written as users of Keras write them, none with zenplan's own builders.

``depth`` is what ``--vary`` varies: layers of a transformer or a recurrent net, blocks of each stage of a convnet.
"""

from __future__ import annotations

import keras
from keras import layers


class Positions(layers.Layer):
    """A learned table of positions."""

    def build(self, shape):
        """An entry for each position."""
        self.table = self.add_weight(shape=shape[1:], name="table")

    def call(self, x):
        """The same for every sample."""
        return x + self.table


def gpt(depth=12, width=256, heads=4, seq_len=128, vocab=2048):
    """A decoder with Keras's own attention layer, GELU, layer norms before."""
    tokens = keras.Input((seq_len,), dtype="int32")
    x = Positions()(layers.Embedding(vocab, width)(tokens))
    for _ in range(depth):
        y = layers.LayerNormalization()(x)
        x = x + layers.MultiHeadAttention(heads, width // heads)(y, y, use_causal_mask=True)
        y = layers.Dense(4 * width, activation="gelu")(layers.LayerNormalization()(x))
        x = x + layers.Dense(width)(y)
    return keras.Model(tokens, layers.Dense(vocab, use_bias=False)(layers.LayerNormalization()(x)))


def llama(depth=10, width=256, heads=4, kv_heads=2, ff_width=704, seq_len=128, vocab=2048):
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


def encoder(depth=8, width=256, heads=8, seq_len=192, vocab=5000, classes=20):
    """An encoder with dropout and norms after each sum, for classes of whole texts."""
    tokens = keras.Input((seq_len,), dtype="int32")
    x = layers.Dropout(0.1)(Positions()(layers.Embedding(vocab, width)(tokens)))
    for _ in range(depth):
        y = layers.Dropout(0.1)(layers.MultiHeadAttention(heads, width // heads)(x, x))
        x = layers.LayerNormalization()(x + y)
        y = layers.Dense(width)(layers.Dense(4 * width, activation="gelu")(x))
        x = layers.LayerNormalization()(x + layers.Dropout(0.1)(y))
    return keras.Model(tokens, layers.Dense(classes)(layers.GlobalAveragePooling1D()(x)))


def _conv(x, width, window=3, stride=1, activation="relu"):
    x = layers.Conv2D(width, window, strides=stride, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    return layers.Activation(activation)(x) if activation else x


def resnet(depth=5, width=16, size=32, bottleneck=False, classes=10):
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


def plain(depth=4, width=32, size=48, classes=10):
    """Convolutions one after another, and pooling between stages."""
    image = keras.Input((size, size, 3))
    x = image
    for stage in range(3):
        for _ in range(depth):
            x = layers.Conv2D(width * 2**stage, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D()(x)
    return keras.Model(image, layers.Dense(classes)(layers.Dense(256, activation="relu")(layers.Flatten()(x))))


def mobile(depth=5, width=24, size=64, classes=10):
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


def recurrent(depth=6, width=128, seq_len=64, cell="LSTM", both_ways=False, features=32, classes=10):
    """Stacked LSTM or GRU layers, one way or both ways."""
    steps = keras.Input((seq_len, features))
    x = steps
    for place in range(depth):
        layer = getattr(layers, cell)(width, return_sequences=place < depth - 1)
        x = layers.Bidirectional(layer)(x) if both_ways else layer(x)
    return keras.Model(steps, layers.Dense(classes)(x))
