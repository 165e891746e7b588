"""What counts which layer: zenplan's rules by the name of a Keras layer, and functions that users register.

A rule is a function of a layer and one of its calls; it yields operators, sized for one sample. A rule holds for the
class and for its subclasses, unless they have a ``call`` of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from zenplan.domain.model.operators import Operator
from zenplan.worker.counting.call import Call

T = TypeVar("T")
Rule = Callable[[Any, Call], Iterable[Operator]]
Shape = tuple[int, ...]
Counter = Callable[[Any, Sequence[Shape]], Iterable[Operator]]

_RULES: dict[str, Rule] = {}
_REGISTERED: dict[type, Counter] = {}


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Name the Keras layers that the decorated function counts."""

    def keep(function: Rule) -> Rule:
        _RULES.update(dict.fromkeys(names, function))
        return function

    return keep


def register_layer(cls: type) -> Callable[[Counter], Counter]:
    """Name the function that counts a layer of your own, where tracing it would not do.

    The function gets the layer and the shapes of its input tensors, without the batch, and answers with operators
    of one sample: ``zenplan.domain.model.operators``. A multiply-add is 2 FLOP.

    Args:
        cls: the layer's class; its subclasses are counted alike.
    """

    def keep(function: Counter) -> Counter:
        _REGISTERED[cls] = function
        return function

    return keep


def registered(layer: Any) -> Counter | None:
    """The user's function for the layer's class or the nearest class above it; None without any."""
    return next((_REGISTERED[cls] for cls in type(layer).__mro__ if cls in _REGISTERED), None)


def known(layer: Any) -> Rule | None:
    """The rule for a layer, None without one."""
    return by_class(layer, _RULES)


def by_class(layer: Any, table: Mapping[str, T]) -> T | None:
    """What a table has for the layer's class, or the nearest of Keras's above it.

    None where there is nothing, or where a subclass of the user's has a ``call`` of its own.
    """
    line: list[Any] = [cls for cls in type(layer).__mro__ if is_keras(cls)]
    if not line or type(layer).call is not line[0].call:
        return None
    return next((table[cls.__name__] for cls in line if cls.__name__ in table), None)


def keras_name(layer: Any) -> str:
    """What Keras calls the layer, or the nearest of its own layers that a user's class is made from."""
    return next(cls.__name__ for cls in type(layer).__mro__ if is_keras(cls))


def is_keras(cls: type) -> bool:
    """Whether the class comes with Keras."""
    return cls.__module__.partition(".")[0] == "keras"
