"""What a built-in kind of model knows of the data that it is built for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from zenplan.errors import UsageError
from zenplan.worker.training.prepared import TOKENS, Array, Prepared


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Of prepared data, what shapes a model.

    Attributes:
        vocabulary: None where the data is no tokens.
        shapes: of one sample, by input. kinds: types of their numbers, as ``uint8``.
        sizes: of inputs of whole numbers, how many there may be.
        classes: None where the target is a number. target: the name of the target; empty of tokens.
        moments: of an input by name, mean and variance of each column over the training data.
    """

    vocabulary: int | None
    shapes: Mapping[str, tuple[int, ...]]
    kinds: Mapping[str, str]
    sizes: Mapping[str, int]
    classes: int | None
    target: str
    moments: Callable[[str], tuple[Array, Array]]

    @classmethod
    def of(cls, data: Prepared) -> Facts:
        """Those of the data."""
        vocabulary = data.card.vocabulary if data.card.kind == TOKENS else None
        return cls(
            vocabulary=vocabulary,
            shapes=data.shapes(),
            kinds=data.kinds(),
            sizes=data.sizes(),
            classes=data.card.classes,
            target=data.card.target,
            moments=data.moments,
        )

    @property
    def units(self) -> int:
        """Numbers that a model returns for a sample: one for each class, or the number that is asked for."""
        return self.classes or 1

    def answered(self, x: Any, **options: Any) -> Any:
        """The last layer over ``x``: a logit for each class, or the number that is asked for, in the label's own units.

        A number is found as one with a mean of 0 and a variance of 1 over the training data, whatever the units of the
        label: a model begins near such figures, and a step of a usual learning rate moves it by a share of them.
        """
        found = keras.layers.Dense(self.units, name="head", **options)(x)
        if self.classes or not self.target:
            return found
        mean, variance = self.moments(self.target)
        # Of a label of several numbers, over all of them.
        spread = float(np.sqrt(np.mean(variance) + np.var(mean)))
        # In full precision: of large numbers that differ little a smaller one leaves nothing.
        return keras.layers.Rescaling(spread, float(np.mean(mean)), dtype="float32", name="units")(found)

    def only(self, kind: str) -> tuple[str, tuple[int, ...]]:
        """The one input that the kind takes, by name, and its shape."""
        if len(self.shapes) != 1:
            raise UsageError(f"{kind} takes one input, the data has {len(self.shapes) or 'tokens'}", _HINT)
        return next(iter(self.shapes.items()))

    def image(self, kind: str) -> tuple[str, tuple[int, int, int]]:
        """The one input, of images of height, width and channels."""
        name, shape = self.only(kind)
        if len(shape) not in (2, 3):
            raise UsageError(f"{kind} takes images, the data has samples of shape {shape}", _HINT)
        height, width, channels = (*shape, 1)[:3]
        return name, (height, width, channels)

    def text(self, kind: str) -> tuple[str, int, int]:
        """The one input, of rows of tokens: its name, its length, and how many tokens there may be."""
        name, shape = self.only(kind)
        if len(shape) != 1 or name not in self.sizes:
            raise UsageError(f"{kind} takes rows of tokens, the data has samples of shape {shape}", _HINT)
        return name, shape[0], self.sizes[name]


_HINT = "another --model may do, or a builder of your own: package.module:build_model"


def check(kind: str, **numbers: int) -> None:
    """Raise UsageError where one of these is below 1."""
    for name, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise UsageError(f"{kind}: {name} = {value!r} is no whole number above 0", "see 'zenplan train init'")


def check_share(kind: str, name: str, value: float) -> None:
    """Raise UsageError where it is not from 0 to below 1."""
    if not 0 <= value < 1:
        raise UsageError(f"{kind}: {name} = {value} is not from 0 to below 1", "as in dropout = 0.1")
