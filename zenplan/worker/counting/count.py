"""``count_model``: from a built Keras model to the operators of its layers, the same on every backend.

The model is called on Keras's own symbolic tensors, with a closed batch. A layer that has a rule is answered for; any
other is entered: its ``call`` runs on the symbolic tensors, so that the layers within it and its ``keras.ops`` are seen.
Nothing is computed, and no weight changes.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import keras

from zenplan.domain.model.count import ModelCount
from zenplan.errors import UsageError
from zenplan.worker.counting.attempt import Attempt
from zenplan.worker.counting.events import Event, layer_counts
from zenplan.worker.counting.tracker import Tracker, following

_HINT = "give the model an Input, or name the shape of one sample: --input-shape 224,224,3"


def count_model(
    model: keras.Model,
    batch: int | None = None,
    input_shapes: Sequence[Sequence[int]] | None = None,
    loop: int | None = None,
) -> ModelCount:
    """Count a model, layer by layer; sizes are those of one sample.

    Scores that a causal mask takes away are counted, since Keras computes them.

    Args:
        model: built, or with inputs of known shapes.
        batch: samples that it is called with, where its own ``call`` depends on their number; where None, as many as
            its inputs ask for, or 1.
        input_shapes: of one sample, one for each input in the model's order, where its own are open.
        loop: turns of a loop that ends by a condition; where None, what it costs is unknown.

    Raises:
        UsageError: it is no model; it has no input shape, one with an open dimension, or other ones than those given.
    """
    args, kwargs = closed_inputs(model, batch, input_shapes)
    tracker = Tracker(batch=_tensors((args, kwargs))[0].shape[0], loop=loop)
    attempt = Attempt()
    with keras.StatelessScope(), following(tracker), attempt:
        model(*args, **kwargs, training=True)
    if attempt.reason:
        tracker.events.append(Event(layer=model, path=(), method="unknown", note=attempt.reason))
    layers = tuple(layer_counts(model, tracker.events))
    return ModelCount(name=model.name, backend=keras.config.backend(), layers=layers, input_shape=_text((args, kwargs)))


def closed_inputs(
    model: Any, batch: int | None, shapes: Sequence[Sequence[int]] | None
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Symbolic tensors of closed shapes, nested as the arguments of the model's call are."""
    if not isinstance(model, keras.Model):
        raise UsageError(f"{type(model).__name__} is no Keras model", "count_flop takes a keras.Model that is built")
    every = _known(model)
    if not every:
        raise UsageError(f"model {model.name} has no input shape: it was never built", _HINT)
    known = next((k for k in every if all(None not in t.shape[1:] for t in _tensors(k))), every[0])
    flat = _tensors(known)
    given = [tuple(s) for s in shapes] if shapes else [tuple(t.shape[1:]) for t in flat]
    if len(given) != len(flat):
        raise UsageError(f"model {model.name} has {len(flat)} inputs, not {len(given)}", _HINT)
    closed = {}
    for tensor, shape in zip(flat, given, strict=True):
        if None in shape:
            raise UsageError(f"model {model.name}: the shape of input '{tensor.name}' is open", _HINT)
        own = tuple(tensor.shape[1:])
        if _graph(model) is not None and not _fits(shape, own):
            raise UsageError(
                f"model {model.name}: input '{tensor.name}' is {_sizes(own)}, not {_sizes(shape)}",
                "--input-shape is for what its own shape leaves open",
            )
        samples = batch or tensor.shape[0] or 1
        closed[id(tensor)] = keras.KerasTensor((samples, *shape), dtype=tensor.dtype, name=tensor.name)
    args, kwargs = keras.tree.map_structure(lambda t: closed.get(id(t), t), known)
    return args, {k: v for k, v in kwargs.items() if k != "training"}


def _known(model: Any) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    """What the model may be called with, as far as Keras remembers: the last call first."""
    calls = [(node.arguments.args, node.arguments.kwargs) for node in reversed(model._inbound_nodes)]
    if _graph(model) is not None:
        calls.append(((_graph(model),), {}))
    elif getattr(model, "inputs", None):
        calls.append(((model.inputs if len(model.inputs) > 1 else model.inputs[0],), {}))
    elif not calls and model._build_shapes_dict:
        # Built by hand, or by a call with arrays: the shapes of its arguments, without their types.
        first, *others = (
            keras.tree.map_shape_structure(lambda s: keras.KerasTensor(s, dtype=model.input_dtype), shape)
            for shape in model._build_shapes_dict.values()
        )
        names = [name.removesuffix("_shape") for name in model._build_shapes_dict][1:]
        calls.append(_arguments(model, first) or ((first,), dict(zip(names, others, strict=True))))
    return calls


def _arguments(model: Any, nested: Any) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """One nest of tensors as arguments of a call that takes each by itself; None where it takes one."""
    wanted = required(model)
    if len(wanted) < 2 or len(wanted) != len(keras.tree.flatten(nested)):
        return None
    if isinstance(nested, dict):
        return ((), dict(nested)) if set(nested) == set(wanted) else None
    return tuple(nested), {}


def required(model: Any) -> list[str]:
    """The parameters that the model's call cannot do without."""
    kinds = inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = inspect.signature(model.call).parameters.values()
    return [p.name for p in parameters if p.kind in kinds and p.default is p.empty]


def _graph(model: Any) -> Any:
    """The inputs of a functional or sequential model, which takes no others; None of any other, as of one not built."""
    return getattr(getattr(model, "_functional", model), "_inputs_struct", None)


def _fits(shape: tuple[int, ...], own: tuple[int | None, ...]) -> bool:
    return len(shape) == len(own) and all(mine in (None, size) for size, mine in zip(shape, own, strict=True))


def _sizes(shape: Sequence[int | None]) -> str:
    return "×".join("?" if size is None else str(size) for size in shape) or "1"


def _tensors(nested: Any) -> list[Any]:
    return [t for t in keras.tree.flatten(nested) if isinstance(t, keras.KerasTensor)]


def _text(inputs: Any) -> str:
    """``224×224×3``; several with their names."""
    shapes = [(t.name, _sizes(t.shape[1:])) for t in _tensors(inputs)]
    return shapes[0][1] if len(shapes) == 1 else ", ".join(f"{name} {shape}" for name, shape in shapes)
