"""Inputs of whole numbers as real ones, of which there are gradients: what a table makes of tokens, pixels as floats."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import keras
import numpy as np

from zenplan.errors import UsageError
from zenplan.worker.training.prepared import Array, as_called

_HINT = "--method occlusion takes any model"


@dataclass(frozen=True, slots=True)
class RealInputs:
    """A model whose inputs are real numbers.

    Attributes:
        model: that is called; its weights are those of the original.
        tables: of inputs that tables read, by name, the layers that do.
    """

    model: keras.Model
    tables: Mapping[str, tuple[keras.layers.Layer, ...]]

    def looked_up(self, name: str, numbers: Array) -> Array:
        """What the table makes of an input: its row for each number; of several tables, the rows after one another."""
        rows = [keras.ops.convert_to_numpy(each(numbers)) for each in self.tables[name]]
        return np.concatenate([np.asarray(row, np.float32) for row in rows], axis=-1)

    def returned(self, given: Mapping[str, Any], sample: Mapping[str, Array]) -> Any:
        """What the model returns for rows of real inputs, where one sample's whole numbers stand for all of them.

        Args:
            given: tensors of rows by name: floats, and of an input that tables read, their rows.
            sample: by name, without an axis of rows.
        """
        rows = next(iter(given.values())).shape[0]
        x = {
            name: np.repeat(array[None], rows, axis=0) if name in self.tables else given[name]
            for name, array in sample.items()
        }
        with self._given({name: given[name] for name in self.tables}):
            return self.model(as_called(x), training=False)

    @contextmanager
    def _given(self, rows: Mapping[str, Any]) -> Iterator[None]:
        """Within it the tables return these."""
        with ExitStack() as stack:
            for name, layers in self.tables.items():
                first = 0
                for layer in layers:
                    width = int(layer.output_dim)
                    mine = rows[name][..., first : first + width]
                    stack.enter_context(patch.object(layer, "call", _instead(layer.call, mine)))
                    first += width
            yield


def real_inputs(model: keras.Model, sample: Mapping[str, Array]) -> RealInputs:
    """The model so that each of its inputs can be moved a little.

    Raises:
        UsageError: an input is of whole numbers that no table reads, in a model that is not made of layers alone.
    """
    whole = [name for name, array in sample.items() if array.dtype.kind in "iub"]
    tables = _tables(model, sample, whole)
    rest = [name for name in whole if name not in tables]
    return RealInputs(_as_floats(model, rest) if rest else model, tables)


def _tables(
    model: keras.Model, sample: Mapping[str, Array], names: list[str]
) -> dict[str, tuple[keras.layers.Layer, ...]]:
    """The tables that read each input as it is: seen while the model is called."""
    layers = [each for each in model._flatten_layers() if isinstance(each, keras.layers.Embedding)]
    seen: list[tuple[keras.layers.Layer, Array]] = []
    with ExitStack() as stack:
        for layer in layers:
            stack.enter_context(patch.object(layer, "call", _noted(layer, seen)))
        x = {name: array[None] for name, array in sample.items()}
        model(as_called(x), training=False)
    found = {
        name: tuple(
            dict.fromkeys(layer for layer, array in seen if np.array_equal(array.ravel(), sample[name].ravel()))
        )
        for name in names
    }
    return {name: each for name, each in found.items() if each}


def _noted(layer: keras.layers.Layer, seen: list[tuple[keras.layers.Layer, Array]]) -> Callable[..., Any]:
    own = layer.call

    def call(inputs: Any, *args: Any, **options: Any) -> Any:
        seen.append((layer, keras.ops.convert_to_numpy(inputs)))
        return own(inputs, *args, **options)

    return call


def _instead(own: Callable[..., Any], rows: Any) -> Callable[..., Any]:
    def call(inputs: Any, *args: Any, **options: Any) -> Any:
        # A table that is used backwards, as the last layer, is left as it is.
        return own(inputs, *args, **options) if options.get("reverse") else rows

    return call


def _as_floats(model: keras.Model, names: list[str]) -> keras.Model:
    """The same model with these inputs as floats: built again from its configuration, with the same weights."""
    if not isinstance(model, keras.src.models.Functional) or isinstance(model, keras.Sequential):
        raise UsageError(f"input {names[0]} of model {model.name} is of whole numbers, which have no gradient", _HINT)
    config = model.get_config()
    for layer in config["layers"]:
        if layer["class_name"] == "InputLayer" and layer["config"]["name"] in names:
            layer["config"]["dtype"] = "float32"
    made = type(model).from_config(config)
    made.set_weights(model.get_weights())
    return made
