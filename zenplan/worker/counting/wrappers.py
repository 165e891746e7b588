"""Layers around other layers, and operations that hold a function: what they hide from those who follow a call."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Protocol

import keras

from zenplan.domain.model.operators import Operator
from zenplan.worker.counting.products import turns_between
from zenplan.worker.counting.weights import between_weights


class Follower(Protocol):
    """What a wrapper needs of the tracker."""

    batch: int

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

    def also(self, operators: Iterable[Operator]) -> None:
        """What the layer that is running computes besides."""

    def open_loop(self) -> AbstractContextManager[None]:
        """Within it, all is in a loop of unknown length."""

    def dearest(self, branches: Sequence[Callable[[], Any]]) -> Any:
        """Of a choice, the branch with the most FLOP."""


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
    """The layer within it; and once a step the norm of its weight, as the matrix (rest, outputs), by power iteration.

    No gradient goes through the iterations, one to the weight through the norm that they lead to.
    """
    *rest, outputs = layer.kernel.shape
    inner, learns = math.prod(rest), bool(layer.layer.trainable_weights)
    for _ in range(layer.power_iterations):
        follower.also(
            between_weights((1, *sizes), columns, follower.batch, learns=False, before=False)
            for sizes, columns in (((outputs,), inner), ((inner,), outputs))
        )
    norm = between_weights((1, inner), outputs, follower.batch, learns=learns, before=False)
    follower.also((norm, between_weights((1, outputs), 1, follower.batch, learns=False, before=learns)))
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
    """From one number to another; where one of them is a tensor, nobody knows how often."""
    turns = turns_between(op.lower, op.upper)
    with follower.open_loop() if turns is None else follower.repeated(turns):
        return op.body_fun(keras.KerasTensor((), dtype="int32"), follower.carried(init_val))


def conditional(follower: Follower, op: Any, loop_vars: Any) -> Any:
    """As long as a condition holds: as often as it may, and where that is open, nobody knows how often."""
    several = isinstance(loop_vars, tuple | list)
    state = follower.carried(_tensors(tuple(loop_vars) if several else (loop_vars,)))
    most = op.maximum_iterations
    if most is not None:
        follower.remark(f"a loop is counted as often as it may run: {most:,} turns")
    with follower.open_loop() if most is None else follower.repeated(most):
        op.cond(*state)
        result = op.body(*state)
    return keras.tree.pack_sequence_as(loop_vars, keras.tree.flatten(result)) if several else result


def _tensors(nested: Any) -> Any:
    """Numbers of Python's as what a loop makes of them."""

    def tensor(number: Any) -> Any:
        return keras.KerasTensor((), dtype="int32" if isinstance(number, int) else keras.config.floatx())

    return keras.tree.map_structure(lambda t: t if hasattr(t, "shape") else tensor(t), nested)


def choice(follower: Follower, op: Any, pred: Any, true_fn: Callable[[], Any], false_fn: Callable[[], Any]) -> Any:
    """What is done if it is true, or if it is not."""
    return follower.dearest((true_fn, false_fn))


def switch(follower: Follower, op: Any, index: Any, branches: Any, *operands: Any) -> Any:
    """One of the branches."""
    return follower.dearest([partial(branch, *operands) for branch in branches])


LOOPS: dict[str, Callable[..., Any]] = {
    "Map": mapped,
    "VectorizedMap": vectorized,
    "Scan": scan,
    "ForiLoop": counted,
    "WhileLoop": conditional,
    "Cond": choice,
    "Switch": switch,
}

# Of those, what is made of calls that no rule foretells.
OUTSIDE = ("AssociativeScan",)
