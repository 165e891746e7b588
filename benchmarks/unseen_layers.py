"""Layers of their own that the models of ``unseen_models.py`` have, as users of Keras write them."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops


class Tokens(layers.Layer):  # type: ignore[misc,unused-ignore]
    """A token of the class before the others, and a table of positions."""

    def build(self, shape: Any) -> None:
        """An entry for each position and one for the class."""
        self.head = self.add_weight(shape=(1, 1, shape[-1]), name="head")
        self.table = self.add_weight(shape=(1, shape[1] + 1, shape[-1]), name="table")

    def call(self, x: Any) -> Any:
        """One position longer."""
        head = ops.broadcast_to(self.head, (ops.shape(x)[0], 1, x.shape[-1]))
        return ops.concatenate([head, x], axis=1) + self.table


class Experts(layers.Layer):  # type: ignore[misc,unused-ignore]
    """Every expert runs on every token; a gate weighs what they say."""

    def __init__(self, experts: int, ratio: int, **more: Any) -> None:
        """So many networks, each ``ratio`` as wide inside."""
        super().__init__(**more)
        self.experts, self.ratio = experts, ratio

    def build(self, shape: Any) -> None:
        """Stacked weights."""
        width = shape[-1]
        self.gate = self.add_weight(shape=(width, self.experts), name="gate")
        self.up = self.add_weight(shape=(self.experts, width, self.ratio * width), name="up")
        self.down = self.add_weight(shape=(self.experts, self.ratio * width, width), name="down")

    def call(self, x: Any) -> Any:
        """As wide as it came in."""
        weights = ops.softmax(ops.matmul(x, self.gate))
        inner = ops.gelu(ops.einsum("btd,edf->ebtf", x, self.up))
        return ops.einsum("ebtf,efd,bte->btd", inner, self.down, weights)


class Transitions(layers.Layer):  # type: ignore[misc,unused-ignore]
    """Scores of a tag after each other tag, passed forward along the sentence as a CRF does."""

    def build(self, shape: Any) -> None:
        """A square of tags."""
        self.square = self.add_weight(shape=(shape[-1], shape[-1]), name="square")

    def call(self, scores: Any) -> Any:
        """The scores, with what the word before speaks for."""
        before = ops.concatenate([ops.zeros_like(scores[:, :1]), scores[:, :-1]], axis=1)
        return scores + ops.logsumexp(before[..., None] + self.square, axis=2)


class Scale(layers.Layer):  # type: ignore[misc,unused-ignore]
    """A learned factor for each channel."""

    def build(self, shape: Any) -> None:
        """Small at first."""
        self.gamma = self.add_weight(shape=(shape[-1],), initializer=keras.initializers.Constant(1e-6), name="gamma")

    def call(self, x: Any) -> Any:
        """The same factor everywhere."""
        return x * self.gamma


class Sampled(layers.Layer):  # type: ignore[misc,unused-ignore]
    """A draw around a mean, and the divergence as a loss."""

    def __init__(self, **more: Any) -> None:
        """With a seed that the backends can carry."""
        super().__init__(**more)
        self.seed = keras.random.SeedGenerator(1)

    def call(self, mean: Any, log_variance: Any) -> Any:
        """As large as the mean."""
        self.add_loss(-0.5 * ops.mean(1 + log_variance - ops.square(mean) - ops.exp(log_variance)))
        return mean + ops.exp(0.5 * log_variance) * keras.random.normal(ops.shape(mean), seed=self.seed)


class Tied(layers.Layer):  # type: ignore[misc,unused-ignore]
    """Products with the table of another layer."""

    def __init__(self, embedding: Any, **more: Any) -> None:
        """Of that embedding."""
        super().__init__(**more)
        self.embedding = embedding

    def call(self, x: Any) -> Any:
        """A score for each word."""
        return ops.matmul(x, ops.transpose(self.embedding.embeddings))


class Latents(layers.Layer):  # type: ignore[misc,unused-ignore]
    """A learned array, the same for every sample."""

    def build(self, shape: Any) -> None:
        """64 of them."""
        self.array = self.add_weight(shape=(1, 64, 192), initializer="random_normal", name="array")

    def call(self, x: Any) -> Any:
        """Once for each sample."""
        return ops.broadcast_to(self.array, (ops.shape(x)[0], 64, 192))


class Routed(layers.Layer):  # type: ignore[misc,unused-ignore]
    """Capsules that agree on what is above them, in three rounds."""

    def __init__(self, capsules: int, size: int, **more: Any) -> None:
        """So many, so long."""
        super().__init__(**more)
        self.capsules, self.size = capsules, size

    def build(self, shape: Any) -> None:
        """A product for each pair of capsules."""
        wanted = (shape[1], self.capsules, shape[2], self.size)
        self.kernel = self.add_weight(shape=wanted, initializer="glorot_uniform", name="kernel")

    def call(self, below: Any) -> Any:
        """Vectors no longer than one."""
        votes = ops.einsum("bip,ijpq->bijq", below, self.kernel)
        scores = ops.zeros_like(votes[..., 0])
        above = votes[:, 0]
        for _ in range(3):
            above = ops.einsum("bij,bijq->bjq", ops.softmax(scores, axis=-1), votes)
            length = ops.sum(ops.square(above), axis=-1, keepdims=True)
            above = above * ops.sqrt(length + 1e-7) / (1.0 + length)
            scores = scores + ops.einsum("bijq,bjq->bij", votes, above)
        return above


class Sine(layers.Layer):  # type: ignore[misc,unused-ignore]
    """A dense layer with a sine."""

    def __init__(self, width: int, **more: Any) -> None:
        """So wide."""
        super().__init__(**more)
        self.dense = layers.Dense(width, kernel_initializer=keras.initializers.RandomUniform(-0.01, 0.01))

    def call(self, x: Any) -> Any:
        """With the usual frequency."""
        return ops.sin(30.0 * self.dense(x))
