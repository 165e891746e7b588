"""Transformers of Keras's own layers: a decoder, an encoder that classifies text, and one that classifies images.

Of its own layers alone, so that a trained model loads wherever Keras is installed. Normalisation comes before each
part (Xiong et al. 2020, https://arxiv.org/abs/2002.04745), and positions are learned.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from zenplan.errors import UsageError
from zenplan.worker.training.kinds.facts import Facts, check, check_share


def decoder(
    facts: Facts,
    *,
    layers: int = 4,
    width: int = 256,
    heads: int = 4,
    length: int = 128,
    feedforward: int = 0,
    dropout: float = 0.0,
) -> keras.Model:
    """A language model, as GPT-2 (Radford et al. 2019), its output a layer of its own.

    Args:
        length: tokens of a sample.
        feedforward: width within a block; 0 for four times the width.
    """
    _check("decoder", layers, width, heads, dropout)
    check("decoder", length=length)
    if facts.vocabulary is None:
        raise UsageError("decoder is trained on tokens, the data has none", "'zenplan data prepare' makes them of text")
    tokens = keras.Input((length,), dtype="int32", name="tokens")
    x = _embedded(tokens, facts.vocabulary, length, width, dropout)
    for number in range(layers):
        x = _block(x, f"block{number}", width, heads, feedforward, dropout, causal=True)
    logits = keras.layers.Dense(facts.vocabulary, use_bias=False, name="head")(_norm(x, "norm"))
    return keras.Model(tokens, logits, name="decoder")


def text_classifier(
    facts: Facts,
    *,
    layers: int = 2,
    width: int = 128,
    heads: int = 4,
    feedforward: int = 0,
    dropout: float = 0.1,
) -> keras.Model:
    """An encoder over tokens, padded with 0, and the mean of what it makes of them."""
    _check("text-classifier", layers, width, heads, dropout)
    name, length, vocabulary = facts.text("text-classifier")
    tokens = keras.Input((length,), dtype="int32", name=name)
    there = ops.not_equal(tokens, 0)
    x = _embedded(tokens, vocabulary, length, width, dropout)
    seen = ops.expand_dims(there, 1)
    for number in range(layers):
        x = _block(x, f"block{number}", width, heads, feedforward, dropout, seen=seen)
    weights = ops.expand_dims(ops.cast(there, "float32"), -1)
    # An empty text is one of nothing, not one divided by nothing.
    pooled = ops.sum(_norm(x, "norm") * weights, axis=1) / ops.maximum(ops.sum(weights, axis=1), 1.0)
    return keras.Model(tokens, facts.answered(pooled), name="text-classifier")


def vision_transformer(
    facts: Facts,
    *,
    layers: int = 4,
    width: int = 128,
    heads: int = 4,
    patch: int = 4,
    feedforward: int = 0,
    dropout: float = 0.0,
) -> keras.Model:
    """A vision transformer (Dosovitskiy et al. 2021, https://arxiv.org/abs/2010.11929), its patches averaged at the end.

    Args:
        patch: side of the squares that an image is cut into, in pixels.
    """
    _check("vision-transformer", layers, width, heads, dropout)
    check("vision-transformer", patch=patch)
    name, (height, wide, channels) = facts.image("vision-transformer")
    if height % patch or wide % patch:
        raise UsageError(f"images of {height} × {wide} are not cut into patches of {patch}", "as in patch = 4")
    image = keras.Input(facts.shapes[name], dtype=facts.kinds[name], name=name)
    x = scaled(image, facts.kinds[name], (height, wide, channels))
    x = keras.layers.Conv2D(width, patch, strides=patch, name="patches")(x)
    count = (height // patch) * (wide // patch)
    x = keras.layers.Reshape((count, width), name="row")(x)
    # One number a patch, from which only its place is taken.
    x = _placed(
        x, ops.reshape(ops.cast(ops.slice(x, (0, 0, 0), (1, count, 1)) * 0, "int32"), (1, count)), count, width, dropout
    )
    for number in range(layers):
        x = _block(x, f"block{number}", width, heads, feedforward, dropout)
    pooled = keras.layers.GlobalAveragePooling1D(name="pool")(_norm(x, "norm"))
    return keras.Model(image, facts.answered(pooled), name="vision-transformer")


def scaled(image: Any, kind: str, shape: tuple[int, int, int]) -> Any:
    """Images as numbers from 0 to 1 where they are bytes, with their channels last."""
    x = keras.layers.Reshape(shape, name="channels")(image)
    return keras.layers.Rescaling(1 / 255, name="rescaled")(x) if kind == "uint8" else x


def _check(kind: str, layers: int, width: int, heads: int, dropout: float) -> None:
    check(kind, layers=layers, width=width, heads=heads)
    check_share(kind, "dropout", dropout)
    if width % heads:
        raise UsageError(f"{kind}: a width of {width} is not divided by {heads} heads", "as in width = 256, heads = 4")


def _embedded(tokens: Any, vocabulary: int, length: int, width: int, dropout: float) -> Any:
    x = keras.layers.Embedding(vocabulary, width, name="tokens_table")(tokens)
    return _placed(x, ops.slice(tokens, (0, 0), (1, length)) * 0, length, width, dropout)


def _placed(x: Any, zeros: Any, length: int, width: int, dropout: float) -> Any:
    """With learned positions. They hang on the input, if only by zeros: Keras would else look them up once, and never
    train them."""
    places = zeros + np.arange(length, dtype=np.int32)[None]
    x = x + keras.layers.Embedding(length, width, name="positions")(places)
    return _dropped(x, dropout, "dropout")


def _block(
    x: Any,
    name: str,
    width: int,
    heads: int,
    feedforward: int,
    dropout: float,
    *,
    causal: bool = False,
    seen: Any = None,
) -> Any:
    normed = _norm(x, f"{name}_norm1")
    attention = layers.MultiHeadAttention(heads, width // heads, name=f"{name}_attention")
    y = attention(normed, normed, attention_mask=seen, use_causal_mask=causal)
    x = x + _dropped(y, dropout, f"{name}_dropout1")
    y = layers.Dense(feedforward or 4 * width, activation="gelu", name=f"{name}_up")(_norm(x, f"{name}_norm2"))
    y = layers.Dense(width, name=f"{name}_down")(y)
    return x + _dropped(y, dropout, f"{name}_dropout2")


def _norm(x: Any, name: str) -> Any:
    return layers.LayerNormalization(epsilon=1e-5, name=name)(x)


def _dropped(x: Any, dropout: float, name: str) -> Any:
    return layers.Dropout(dropout, name=name)(x) if dropout else x
