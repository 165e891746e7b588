"""Layers around other layers, and operations that hold a function: what they hide from those who follow a call."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol

import keras


class Follower(Protocol):
    """What a wrapper needs of the tracker."""

    def derived(self, shape: tuple[int, ...], source: Any, learns: bool = False, view: bool = False) -> Any:
        """A symbolic tensor that depends on what ``source`` depends on, or on weights that are trained."""

    def carried(self, nested: Any) -> Any:
        """What goes from one turn of a loop into the next: of the same shapes, and made by the layer around it."""

    def specification(self, op: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What a call returns, as Keras works it out."""

    def repeated(self, times: float, sequential: bool = True) -> AbstractContextManager[None]:
        """Within it, all happens ``times`` times, ``sequential``: one after the other."""

    def remark(self, text: str) -> None:
        """Say something of how the layer that is running was counted."""


def _training(layer: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    return {"training": kwargs.get("training")} if layer._call_has_training_arg else {}


def time_distributed(follower: Follower, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The layer within it meets every step as a sample of its own: one call with all of them."""
    batch, steps, *rest = args[0].shape
    merged = follower.derived((batch * steps, *rest), args[0], view=True)
    inside = layer.layer(merged, **_training(layer.layer, kwargs))
    return keras.tree.map_structure(lambda t: follower.derived((batch, steps, *t.shape[1:]), t, view=True), inside)


def loop(follower: Follower, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A cell is called once for each step, with its last states."""
    batch, steps, *rest = args[0].shape
    learns = bool(layer.cell.trainable_weights)
    step = follower.derived((batch, *rest), args[0])

    def state(size: Any) -> Any:
        # Keras's own kind of list is nothing that a backend takes.
        if isinstance(size, list | tuple):
            return [state(each) for each in size]
        return follower.derived((batch, size), args[0], learns)

    # A cell gets its states as a list, of one state too.
    states = state(layer.state_size if isinstance(layer.state_size, list | tuple) else [layer.state_size])
    with follower.repeated(steps):
        layer.cell(step, states, **_training(layer.cell, kwargs))
    outputs = follower.specification(layer, args, kwargs)
    return keras.tree.map_structure(lambda t: follower.derived(t.shape, args[0], learns), outputs)


def bidirectional(follower: Follower, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A sequence from its beginning and from its end, by a layer each."""
    for one in (layer.forward_layer, layer.backward_layer):
        one(args[0], **_training(one, kwargs))
    outputs = follower.specification(layer, args, kwargs)
    learns = bool(layer.trainable_weights)
    return keras.tree.map_structure(lambda t: follower.derived(t.shape, args[0], learns), outputs)


def spectral(follower: Follower, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The layer within it; what finds the norm of its weight, once a step and not for each sample, is left out."""
    return layer.layer(args[0])


WRAPPERS: dict[str, Callable[[Any, Any, tuple[Any, ...], dict[str, Any]], Any]] = {
    "TimeDistributed": time_distributed,
    "RNN": loop,
    "Bidirectional": bidirectional,
    "SpectralNormalization": spectral,
}


# --- operations that hold a function


def _element(follower: Follower, nested: Any) -> Any:
    """What a loop takes out of tensors: an entry of their first dimension."""
    return keras.tree.map_structure(lambda t: follower.derived(t.shape[1:], t), nested)


def _stacked(follower: Follower, nested: Any, turns: int) -> Any:
    return keras.tree.map_structure(lambda t: follower.derived((turns, *t.shape), t), nested)


def _length(nested: Any) -> int:
    return int(keras.tree.flatten(nested)[0].shape[0])


def mapped(follower: Follower, op: Any, function: Callable[..., Any], elements: Any) -> Any:
    """Each entry of the first dimension on its own."""
    turns = _length(elements)
    with follower.repeated(turns, sequential=False):
        result = function(_element(follower, elements))
    return _stacked(follower, result, turns)


def vectorized(follower: Follower, op: Any, elements: Any) -> Any:
    """The same, with the function among the settings."""
    return mapped(follower, op, op.function, elements)


def scan(follower: Follower, op: Any, f: Callable[..., Any], init: Any, xs: Any = None) -> Any:
    """Entry after entry, with what the last one left."""
    turns = int(op.length) if op.length is not None else _length(xs)
    with follower.repeated(turns):
        carry, made = f(follower.carried(init), None if xs is None else _element(follower, xs))
    return carry, _stacked(follower, made, turns)


def counted(follower: Follower, op: Any, init_val: Any) -> Any:
    """From one number to another."""
    with follower.repeated(int(op.upper) - int(op.lower)):
        return op.body_fun(keras.KerasTensor((), dtype="int32"), follower.carried(init_val))


def conditional(follower: Follower, op: Any, loop_vars: Any) -> Any:
    """As long as a condition holds: as often as it may, or once where that is open."""
    if op.maximum_iterations is None:
        follower.remark("a loop of unknown length is counted once")
    with follower.repeated(op.maximum_iterations or 1):
        result = op.body(*follower.carried(tuple(loop_vars)))
    return keras.tree.pack_sequence_as(loop_vars, keras.tree.flatten(result))


def choice(follower: Follower, op: Any, pred: Any, true_fn: Callable[[], Any], false_fn: Callable[[], Any]) -> Any:
    """What is done if it is true."""
    follower.remark("of a choice, what is done if it is true is counted")
    return true_fn()


def switch(follower: Follower, op: Any, index: Any, branches: Any, *operands: Any) -> Any:
    """The first branch."""
    follower.remark("of a choice, the first branch is counted")
    return branches[0](*operands)


LOOPS: dict[str, Callable[..., Any]] = {
    "Map": mapped,
    "VectorizedMap": vectorized,
    "Scan": scan,
    "ForiLoop": counted,
    "WhileLoop": conditional,
    "Cond": choice,
    "Switch": switch,
}
