"""What is looked at for drift: histograms of the training data, and of the last requests, whose contents are not kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from zenplan.adapters.corpus.preprocessing import IMAGE, LABELLED, ROWS, TEXT, Preprocessor
from zenplan.domain.measured.drift import FeatureDrift, chance_index, population_stability_index
from zenplan.errors import InputFileError

Array = np.ndarray
Inputs = Mapping[str, Array]
_BINS: Final = 10
# Samples of the training data that a reference is of; tokens of it; columns and places that are told apart.
_SAMPLES, _TOKENS, _PLACES = 20_000, 5_000_000, 64
# Points of a side of an image that its brightness is taken of.
_SIDE: Final = 32
PREDICTION: Final = "prediction"


@dataclass(frozen=True, slots=True)
class Feature:
    """Something that is counted in bins.

    Attributes:
        counts: of inputs with an axis of samples: the observations by sample and bin.
        reference: of the training data, by bin.
    """

    name: str
    counts: Callable[[Inputs], Array]
    reference: Array


def features_of(reader: Preprocessor) -> tuple[Feature, ...]:
    """Those of the inputs of a run's training data.

    Raises:
        InputFileError: they cannot be read.
    """
    if reader.what == TEXT:
        return (_common("tokens", _flat_tokens(reader), padded=False),)
    inputs = training_inputs(reader, _SAMPLES)
    if reader.what == LABELLED:
        x = inputs["x"]
        return (
            _numeric("text length in tokens", lambda given: (given["x"] != 0).sum(axis=1), inputs),
            _common("x", x[x != 0], padded=True),
        )
    if reader.what == IMAGE:
        return (
            _numeric("brightness", lambda given: _points(given["x"]).mean(axis=(1, 2, 3)), inputs),
            _numeric("contrast", lambda given: _points(given["x"]).std(axis=(1, 2, 3)), inputs),
        )
    return tuple(each for name in inputs for each in _of_array(name, inputs, reader))


def _of_array(name: str, inputs: Inputs, reader: Preprocessor) -> tuple[Feature, ...]:
    """A feature for each place of a short array; of a longer one its mean and spread."""
    array = inputs[name]
    if name in reader.names:
        return (_named(name, array),)
    size = int(np.prod(array.shape[1:]))
    if size > _PLACES:
        return (
            _numeric(f"{name}: mean", lambda given: _rows(given[name]).mean(axis=1), inputs),
            _numeric(f"{name}: spread", lambda given: _rows(given[name]).std(axis=1), inputs),
        )
    columns = tuple(reader.data.get("features", ())) if reader.what == ROWS and name == "x" else ()
    names = columns if len(columns) == size else tuple(f"{name}[{i}]" for i in range(size))

    def column(place: int) -> Callable[[Inputs], Array]:
        return lambda given: _rows(given[name])[:, place]

    return tuple(_numeric(each, column(place), inputs) for place, each in enumerate(names))


def prediction_feature(output: Array, classes: int) -> Feature:
    """What the model answers, by what it answers for samples of its training data: its likeliest class, or its number."""
    if classes:
        counts = _one_hot_of(lambda given: _rows(given[PREDICTION]).argmax(axis=1), classes)
        return Feature(PREDICTION, counts, counts({PREDICTION: output}).sum(axis=0))
    return _numeric(PREDICTION, lambda given: _rows(given[PREDICTION])[:, 0], {PREDICTION: output})


def training_inputs(reader: Preprocessor, most: int) -> dict[str, Array]:
    """So many samples of the training data, spread evenly."""
    arrays = {name: _file(reader, name) for name in reader.data.get("inputs", ())}
    count = len(next(iter(arrays.values())))
    chosen = np.arange(min(most, count)) * count // min(most, count)
    return {name: np.asarray(array[chosen]) for name, array in arrays.items()}


def _flat_tokens(reader: Preprocessor) -> Array:
    tokens = _file(reader, "tokens")
    return np.asarray(tokens[:: max(1, len(tokens) // _TOKENS)])


def _file(reader: Preprocessor, name: str) -> Array:
    try:
        file = Path(reader.data["parts"]["train"]["files"][name]).name
        found: Array = np.load(reader.folder / file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        raise InputFileError(
            f"the prepared data '{reader.folder}' have no array of {name}", "prepare them anew"
        ) from error
    return found


# --- kinds of features


def _rows(array: Array) -> Array:
    return array.reshape(len(array), -1).astype(np.float64)


def _points(images: Array) -> Array:
    """Some of the pixels, from 0 to 1."""
    step = max(1, images.shape[1] // _SIDE)
    found: Array = images[:, ::step, ::step].astype(np.float32) / 255
    return found


def _one_hot_of(place: Callable[[Inputs], Array], bins: int) -> Callable[[Inputs], Array]:
    def counts(given: Inputs) -> Array:
        found: Array = np.eye(bins, dtype=np.int32)[place(given)]
        return found

    return counts


def _numeric(name: str, value: Callable[[Inputs], Array], inputs: Inputs) -> Feature:
    """Between the deciles of the training data; a value that many samples have is an edge once."""
    edges = np.unique(np.quantile(value(inputs), np.arange(1, _BINS) / _BINS))
    counts = _one_hot_of(lambda given: np.searchsorted(edges, value(given), side="right"), len(edges) + 1)
    return Feature(name, counts, counts(inputs).sum(axis=0))


def _named(name: str, numbers: Array) -> Feature:
    """The most common names each on its own, the rest together."""
    common = np.argsort(-np.bincount(numbers.ravel()), kind="stable")[: _BINS - 1]
    table = np.full(int(max(numbers.max(), common.max())) + 2, len(common), np.int64)
    table[common] = np.arange(len(common))
    counts = _one_hot_of(lambda given: table[np.minimum(given[name].ravel(), len(table) - 1)], len(common) + 1)
    return Feature(name, counts, counts({name: numbers}).sum(axis=0))


def _common(key: str, tokens: Array, padded: bool) -> Feature:
    """Tokens by how common they are: bins of a tenth of the training data each, and those that it does not have."""
    known = np.bincount(tokens.ravel().astype(np.int64))
    order = np.argsort(-known, kind="stable")
    shares = np.cumsum(known[order]) / max(1, known.sum())
    table = np.full(len(known) + 1, _BINS, np.int64)
    table[order] = np.minimum((shares - known[order] / max(1, known.sum())) * _BINS, _BINS - 1).astype(np.int64)
    table[:-1][known == 0] = _BINS
    if padded:
        table[0] = -1

    def counts(given: Inputs) -> Array:
        found = table[np.minimum(given[key].reshape(len(given[key]), -1), len(table) - 1)]
        counted: Array = np.stack([(found == place).sum(axis=1) for place in range(_BINS + 1)], axis=1)
        return counted

    return Feature("tokens", counts, counts({key: tokens[None]})[0])


# --- the last requests


@dataclass(slots=True)
class Monitor:
    """The last samples, by their bins alone.

    Attributes:
        features: that are looked at.
        window: samples that are kept.
        threshold: of the index, over which a feature has drifted.
        seen: samples so far.
    """

    features: tuple[Feature, ...]
    window: int
    threshold: float
    seen: int = 0
    _kept: dict[str, Array] = field(default_factory=dict)

    def add(self, inputs: Inputs) -> None:
        """Samples that were answered; what they are is forgotten."""
        count = len(next(iter(inputs.values())))
        places = np.arange(self.seen, self.seen + count) % self.window
        for each in self.features:
            if each.name not in self._kept:
                self._kept[each.name] = np.zeros((self.window, len(each.reference)), np.int32)
            # Of more samples than the window has the last ones stay.
            self._kept[each.name][places[-self.window :]] = each.counts(inputs)[-self.window :]
        self.seen += count

    def drifts(self) -> tuple[FeatureDrift, ...]:
        """Of each feature that was seen."""
        return tuple(self._drift(each) for each in self.features if each.name in self._kept)

    def _drift(self, feature: Feature) -> FeatureDrift:
        seen: Any = self._kept[feature.name].sum(axis=0)
        total, bins = int(seen.sum()), feature.reference.tolist()
        index = population_stability_index(bins, seen.tolist())
        # Observations of one text are like each other: chance is that of so many samples.
        samples = min(self.seen, self.window, total)
        by_chance = chance_index(len(bins), sum(bins), samples) if samples and sum(bins) else 0.0
        return FeatureDrift(name=feature.name, index=index, seen=total, drifted=index > max(self.threshold, by_chance))
