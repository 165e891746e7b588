"""A function or a value of the user's, by ``package.module:name``."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from zenplan.errors import UsageError
from zenplan.worker.protocol import Events

T = TypeVar("T")


def imported(target: str, events: Events, arguments: Mapping[str, Any], kind: type[T], noun: str, called: str) -> T:
    """The value of that name, or what the function of that name returns, imported with the current folder first.

    Args:
        target: as in ``package.module:name``.
        events: told that it is imported, then built.
        arguments: what the function is called with, by name.
        kind: what it must be; noun, called: that in words, and as it is written in Python.

    Raises:
        UsageError: there is no such name in the module, it is and returns something else, or it does not take these
            arguments.
    """
    hint = f"it must be a {called}, or a function without arguments that returns one"
    module_name, _, name = target.partition(":")
    events.begin("import")
    sys.path.insert(0, str(Path.cwd()))
    found: Any = import_module(module_name)
    for part in name.split("."):
        if not hasattr(found, part):
            raise UsageError(f"module {module_name} has no '{name}'", hint)
        found = getattr(found, part)
    events.begin("build")
    if isinstance(found, kind):
        if arguments:
            raise UsageError(f"{target} is a model, and takes no arguments", "name the function that builds it")
        return found
    if not callable(found):
        raise UsageError(f"{target} is {what(found)}, no {noun}", hint)
    _check_arguments(target, found, arguments)
    model = found(**arguments)
    if not isinstance(model, kind):
        raise UsageError(f"{target} returned {what(model)}, no {noun}", hint)
    return model


def _check_arguments(target: str, function: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
    """Raise UsageError where it cannot be called with these alone."""
    try:
        signature = inspect.signature(function)
    except ValueError:
        # Made of native code, which does not tell.
        return
    try:
        signature.bind(**arguments)
    except TypeError as error:
        if arguments:
            raise UsageError(
                f"{target} cannot be called with {', '.join(arguments)}: {error}",
                f"it is {function.__name__}{signature}",
            ) from None
        raise UsageError(
            f"{target} takes arguments", "write a function that calls it with them, and name that"
        ) from None


def what(value: object) -> str:
    """A value by its type, in words."""
    kind = type(value)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return "None" if value is None else f"a value of type {module}{kind.__qualname__}"
