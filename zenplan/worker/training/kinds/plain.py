"""Kinds of models that are no transformers: convnets, recurrent ones, a recommender, softmax regression."""

from __future__ import annotations

import re
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from zenplan.errors import UsageError
from zenplan.worker.training.kinds.facts import Facts, check, check_share
from zenplan.worker.training.kinds.transformer import scaled


def convnet(facts: Facts, *, width: int = 32, stages: int = 2, dropout: float = 0.0) -> keras.Model:
    """Stages of two convolutions with batch normalisation, each at half the size and twice the width of the one before."""
    check("convnet", width=width, stages=stages)
    check_share("convnet", "dropout", dropout)
    name, shape = facts.image("convnet")
    if min(shape[:2]) < 2**stages:
        raise UsageError(
            f"convnet: images of {shape[0]} × {shape[1]} are not halved {stages} times", "take fewer stages"
        )
    image = keras.Input(facts.shapes[name], dtype=facts.kinds[name], name=name)
    x = scaled(image, facts.kinds[name], shape)
    for stage in range(stages):
        for part in "ab":
            options: dict[str, Any] = {"padding": "same", "use_bias": False}
            x = layers.Conv2D(width * 2**stage, 3, name=f"convolution{stage}{part}", **options)(x)
            x = layers.ReLU(name=f"relu{stage}{part}")(layers.BatchNormalization(name=f"norm{stage}{part}")(x))
        x = layers.MaxPooling2D(name=f"pool{stage}")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dropout(dropout, name="dropout")(x) if dropout else x
    return keras.Model(image, facts.answered(x), name="convnet")


def lstm(facts: Facts, **options: Any) -> keras.Model:
    """Long short-term memory; options as of ``recurrent``."""
    return recurrent(facts, "lstm", **options)


def gru(facts: Facts, **options: Any) -> keras.Model:
    """Gated recurrent units; options as of ``recurrent``."""
    return recurrent(facts, "gru", **options)


def recurrent(
    facts: Facts, kind: str, *, layers: int = 1, width: int = 128, length: int = 64, dropout: float = 0.0
) -> keras.Model:
    """A recurrent network over tokens, each of which it predicts, or over rows, which it gives a class or a number.

    Args:
        length: tokens of a sample, where the data is one text.
    """
    check(kind, layers=layers, width=width, length=length)
    check_share(kind, "dropout", dropout)
    cell = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[kind]
    every = facts.vocabulary is not None
    if facts.vocabulary is not None:
        given = keras.Input((length,), dtype="int32", name="tokens")
        x = keras.layers.Embedding(facts.vocabulary, width, name="tokens_table")(given)
    else:
        name, shape = facts.only(kind)
        given = keras.Input(shape, dtype=facts.kinds[name], name=name)
        x = given
        if name in facts.sizes and len(shape) == 1:
            x = keras.layers.Embedding(facts.sizes[name], width, name="table")(given)
        elif len(shape) == 1:
            x = keras.layers.Reshape((*shape, 1), name="features")(_standardised(given, facts, name))
    for number in range(layers):
        x = cell(width, return_sequences=every or number < layers - 1, name=f"{kind}{number}")(x)
        x = keras.layers.Dropout(dropout, name=f"dropout{number}")(x) if dropout else x
    if facts.vocabulary is not None:
        return keras.Model(given, keras.layers.Dense(facts.vocabulary, name="head")(x), name=kind)
    return keras.Model(given, facts.answered(x), name=kind)


def recommender(facts: Facts, *, width: int = 32, hidden: int = 0, dropout: float = 0.0) -> keras.Model:
    """Users and items as vectors: their product and a bias of each (Koren et al. 2009, doi:10.1109/MC.2009.263).

    Args:
        hidden: width of a layer over both vectors, whose output is added; 0 for none.
    """
    check("recommender", width=width)
    check_share("recommender", "dropout", dropout)
    if len(facts.shapes) != 2 or set(facts.sizes) != set(facts.shapes):
        raise UsageError("recommender takes two inputs of whole numbers, as user and item", "prepare them so")
    given = [keras.Input(facts.shapes[name], dtype="int32", name=name) for name in facts.shapes]
    vectors, parts = [], []
    # TensorFlow takes no blanks in the names of layers.
    names = [re.sub(r"[^\w.\-]", "_", name, flags=re.ASCII) for name in facts.shapes]
    for name, called, one in zip(facts.shapes, names, given, strict=True):
        flat = layers.Reshape((), name=f"{called}_number")(one) if facts.shapes[name] else one
        vectors.append(layers.Embedding(facts.sizes[name], width, name=f"{called}_table")(flat))
        parts.append(
            layers.Embedding(facts.sizes[name], 1, embeddings_initializer="zeros", name=f"{called}_bias")(flat)
        )
    if dropout:
        vectors = [layers.Dropout(dropout, name=f"dropout{i}")(each) for i, each in enumerate(vectors)]
    parts.append(ops.sum(vectors[0] * vectors[1], axis=-1, keepdims=True))
    if hidden:
        check("recommender", hidden=hidden)
        both = layers.Concatenate(name="both")(vectors)
        parts.append(layers.Dense(1, name="mixed")(layers.Dense(hidden, activation="relu", name="hidden")(both)))
    total = layers.Concatenate(name="parts")(parts)
    answer = facts.answered(total, kernel_initializer="ones")
    return keras.Model(dict(zip(facts.shapes, given, strict=True)), answer, name="recommender")


def _standardised(x: Any, facts: Facts, name: str) -> Any:
    """Columns of a table with a mean of 0 and a variance of 1 over the training data: steps along all of them are alike. The
    figures are the model's own, so whoever uses it gives it columns as they are."""
    mean, variance = facts.moments(name)
    scale = 1.0 / np.sqrt(variance)
    # In full precision: of large numbers that differ little a smaller one leaves nothing.
    options: dict[str, Any] = {"dtype": "float32", "name": "standardised"}
    return layers.Rescaling(scale.tolist(), (-mean * scale).tolist(), **options)(x)


def softmax_regression(facts: Facts) -> keras.Model:
    """One layer from all inputs to the classes, or to the number, its weights zero at first: a loss without local minima."""
    name, shape = facts.only("softmax-regression")
    given = keras.Input(shape, dtype=facts.kinds[name], name=name)
    x = layers.Flatten(name="flat")(given)
    x = layers.Rescaling(1 / 255, name="rescaled")(x) if facts.kinds[name] == "uint8" else x
    x = _standardised(x, facts, name) if len(shape) == 1 and facts.kinds[name] != "uint8" else x
    if facts.classes is None:
        # A squared error curves as the sum of the squares of all inputs, that of classes no more than a half of it.
        x = layers.Rescaling(int(np.prod(shape)) ** -0.5, name="shared")(x)
    return keras.Model(given, facts.answered(x, kernel_initializer="zeros"), name="softmax-regression")
