"""Made-up inputs and targets, which cost what real ones do: in the shapes and kinds that a model asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from zenplan.errors import UsageError
from zenplan.worker.counting.count import closed_inputs


def symbolic_input(model: keras.Model, batch: int, shapes: Sequence[Sequence[int]]) -> Any:
    """What ``train_on_batch`` takes as x, as symbolic tensors of closed shapes, nested as the model wants it.

    Raises:
        UsageError: its inputs are not known, or it takes them as several arguments.
    """
    args, kwargs = closed_inputs(model, batch, shapes)
    if len(args) != 1 or any(isinstance(t, keras.KerasTensor) for t in keras.tree.flatten(kwargs)):
        raise UsageError(
            f"model {model.name} takes its inputs as several arguments",
            "training gives a model one: a tensor, a list or a dictionary of them",
        )
    return args[0]


def made_inputs(model: keras.Model, symbolic: Any) -> Any:
    """Arrays for ``symbolic_input``: whole numbers that every embedding of the model knows, else normal ones."""
    sizes = [e.input_dim for e in model._flatten_layers() if isinstance(e, keras.layers.Embedding)]
    tensors = keras.tree.flatten(symbolic)
    made = [_array(t.shape, t.dtype, min(sizes, default=2), seed) for seed, t in enumerate(tensors)]
    return keras.tree.pack_sequence_as(symbolic, made)


def made_targets(model: keras.Model, outputs: Any) -> Any:
    """Arrays for y, as the loss of each output wants them; None for a model without a loss.

    Args:
        model: compiled.
        outputs: symbolic, of closed shapes, nested as the model returns them.
    """
    if getattr(model, "loss", None) is None:
        return None
    flat = keras.tree.flatten(outputs)
    pairs = zip(flat, _losses(model, outputs, len(flat)), strict=True)
    made = [_target(output, _name(loss), seed) for seed, (output, loss) in enumerate(pairs, 1000)]
    return keras.tree.pack_sequence_as(outputs, made)


def _losses(model: keras.Model, outputs: Any, count: int) -> list[Any]:
    """The loss of each output, in their flat order; None where one has none."""
    given = model.loss
    if isinstance(given, dict):
        # The flat order of a dictionary is that of its sorted keys.
        names = sorted(outputs) if isinstance(outputs, dict) else model.output_names
        return [given.get(name) for name in names]
    given = list(given) if isinstance(given, list | tuple) else [given] * count
    if len(given) != count:
        raise UsageError(f"model {model.name} has {count} outputs and {len(given)} losses", "give each output its loss")
    return given


def _name(loss: Any) -> str:
    """``sparsecategoricalcrossentropy``, whether it was given as a text, a function or an object."""
    text = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
    return str(text).lower().replace("_", "")


def _target(output: Any, loss: str, seed: int) -> Any:
    if loss.startswith("sparse"):
        return _array(output.shape[:-1], "int32", output.shape[-1], seed)
    if loss.startswith("binary"):
        return keras.ops.cast(_array(output.shape, "int32", 2, seed), "float32")
    return _array(output.shape, "float32", 0, seed)


def _array(shape: Any, dtype: str, most: int, seed: int) -> Any:
    """Of the backend, on its device: normal numbers, or whole ones below ``most``."""
    # By numpy: some backends compile a program for every shape that they draw.
    made, shape = np.random.default_rng(seed), tuple(shape)
    if "float" in dtype:
        return keras.ops.convert_to_tensor(made.standard_normal(shape, dtype=np.float32), dtype=dtype)
    if "int" not in dtype and dtype != "bool":
        raise UsageError(f"an input of type {dtype} cannot be made up", "the model must take numbers")
    return keras.ops.convert_to_tensor(made.integers(0, most, shape, dtype=np.int32), dtype=dtype)
