"""The models of the general sweep: small networks of three families, and models that are one operator over and over.

Each is built, functional and not compiled; its sizes are its arguments. A model of one operator begins with a weight of its
own, so that the operator's input gets a gradient too, and ends in a mean, so that the loss costs next to nothing.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from zenplan.worker.proxies.layers import Added

_NORMS = {"layer": layers.LayerNormalization, "rms": layers.RMSNormalization}
_CELLS = {"lstm": layers.LSTM, "gru": layers.GRU}
# Images from this edge on are made smaller at once, as a network for ImageNet does.
_LARGE_IMAGE = 128
_MOST_ROW = 1024


# --- three families


def transformer(
    depth: int = 2,
    width: int = 64,
    heads: int = 4,
    ff_width: int = 256,
    seq_len: int = 32,
    vocab: int = 512,
    gated: bool = False,
    norm: str = "layer",
    causal: bool = True,
) -> keras.Model:
    """A decoder with norms before its layers: tokens ``(seq_len,)`` to ``(seq_len, vocab)`` logits.

    Args:
        gated: SwiGLU, of three products; else GELU, of two.
        norm: ``layer`` or ``rms``.
    """
    tokens = keras.Input((seq_len,), dtype="int32")
    x = Added(seq_len * width)(layers.Embedding(vocab, width)(tokens))
    for _ in range(depth):
        x = x + _attend(_NORMS[norm]()(x), width, heads, seq_len, causal)
        x = x + _feed_forward(_NORMS[norm]()(x), width, ff_width, gated)
    logits = layers.Dense(vocab, use_bias=False)(_NORMS[norm]()(x))
    return keras.Model(tokens, logits, name="transformer")


def _attend(x: Any, width: int, heads: int, seq_len: int, causal: bool) -> Any:
    query, key, value = (ops.reshape(layers.Dense(width)(x), (-1, seq_len, heads, width // heads)) for _ in range(3))
    found = ops.dot_product_attention(query, key, value, is_causal=causal)
    return layers.Dense(width)(ops.reshape(found, (-1, seq_len, width)))


def _feed_forward(x: Any, width: int, ff_width: int, gated: bool) -> Any:
    if gated:
        return layers.Dense(width)(ops.silu(layers.Dense(ff_width)(x)) * layers.Dense(ff_width)(x))
    return layers.Dense(width)(ops.gelu(layers.Dense(ff_width)(x)))


def convnet(
    depth: int = 1, width: int = 16, image_size: int = 32, classes: int = 100, kind: str = "basic"
) -> keras.Model:
    """A residual network: images ``(image_size, image_size, 3)`` to logits.

    Args:
        depth: blocks of each of three stages, each of half the size and twice the width of the one before.
        kind: ``basic`` (two 3 × 3 convolutions), ``bottleneck`` (1 × 1, 3 × 3, 1 × 1 to four times the width), ``plain``
            (as basic, with no sum), ``depthwise`` (1 × 1 to four times the width, 3 × 3 of each channel, 1 × 1).
    """
    image = keras.Input((image_size, image_size, 3))
    if image_size >= _LARGE_IMAGE:
        x = layers.MaxPooling2D(3, 2, padding="same")(_convolved(image, width, 7, 2))
    else:
        x = _convolved(image, width, 3)
    for stage in range(3):
        for index in range(depth):
            x = _residual(x, width * 2**stage, 2 if stage and not index else 1, kind)
    logits = layers.Dense(classes)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(image, logits, name="convnet")


def _convolved(x: Any, channels: int, window: int, stride: int = 1, active: bool = True) -> Any:
    x = layers.Conv2D(channels, window, stride, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    return layers.ReLU()(x) if active else x


def _residual(x: Any, channels: int, stride: int, kind: str) -> Any:
    if kind == "bottleneck":
        inside = _convolved(_convolved(x, channels, 1), channels, 3, stride)
        new = _convolved(inside, 4 * channels, 1, active=False)
    elif kind == "depthwise":
        inside = _convolved(x, 4 * x.shape[-1], 1)
        inside = layers.DepthwiseConv2D(3, stride, padding="same", use_bias=False)(inside)
        new = _convolved(layers.ReLU()(layers.BatchNormalization()(inside)), channels, 1, active=False)
    else:
        new = _convolved(_convolved(x, channels, 3, stride), channels, 3, active=kind == "plain")
    if kind == "plain":
        return new
    if new.shape != x.shape:
        x = _convolved(x, new.shape[-1], 1, stride, active=False)
    return layers.ReLU()(new + x)


def recurrent(
    depth: int = 2, width: int = 32, seq_len: int = 16, features: int = 32, cell: str = "lstm", classes: int = 100
) -> keras.Model:
    """A stack of recurrent layers: ``(seq_len, features)`` to the logits of each step. ``cell``: ``lstm`` or ``gru``."""
    steps = keras.Input((seq_len, features))
    x = steps
    for _ in range(depth):
        x = _CELLS[cell](width, return_sequences=True)(x)
    return keras.Model(steps, layers.Dense(classes)(x), name=cell)


# --- one operator over and over


def product(rows: int = 64, inner: int = 64, columns: int = 64, repeat: int = 2) -> keras.Model:
    """Products of ``rows`` × ``inner`` by ``inner`` × ``columns``, and of what leaves them back to ``inner``, in turn."""
    source = keras.Input((rows, inner))
    x = Added(inner)(source)
    for index in range(repeat):
        x = layers.Dense(inner if index % 2 else columns, use_bias=False)(x)
    return keras.Model(source, ops.mean(x, axis=1), name="product")


def convolution(
    image_size: int = 16, inputs: int = 16, outputs: int = 16, window: int = 3, stride: int = 1, repeat: int = 2
) -> keras.Model:
    """Convolutions of one map, and the sum of what they give."""
    source = keras.Input((image_size, image_size, inputs))
    x = Added(inputs)(source)
    made = [layers.Conv2D(outputs, window, stride, padding="same", use_bias=False)(x) for _ in range(repeat)]
    return keras.Model(source, ops.mean(sum(made[1:], made[0]), axis=(1, 2)), name="convolution")


def attention(heads: int = 2, head_dim: int = 16, seq_len: int = 64, repeat: int = 2) -> keras.Model:
    """Attention of a sequence to itself, all tokens to all, again and again; no product but its own two."""
    source = keras.Input((seq_len, heads * head_dim))
    x = ops.reshape(Added(heads * head_dim)(source), (-1, seq_len, heads, head_dim))
    for _ in range(repeat):
        x = ops.dot_product_attention(x, x, x)
    return keras.Model(source, ops.mean(ops.reshape(x, (-1, seq_len, heads * head_dim)), axis=1), name="attention")


def stream(elements: int = 16_384, repeat: int = 2) -> keras.Model:
    """Norms, activations and sums over so many elements, in rows of up to 1,024; no product."""
    width = min(elements, _MOST_ROW)
    source = keras.Input((elements // width, width))
    x = Added(width)(source)
    for _ in range(repeat):
        x = x + ops.gelu(layers.LayerNormalization(center=False, scale=False)(x))
    return keras.Model(source, ops.mean(x, axis=1), name="stream")
