"""Operations that hold a function: loops and choices. Their function is followed once, for as often as it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from zenplan.worker.counting.wrappers import Follower


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
