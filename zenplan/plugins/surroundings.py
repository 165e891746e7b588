"""What of the process others rely on, and a plugin may have changed: it is put back, and said."""

from __future__ import annotations

import builtins
import locale
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any, Final

# Of Python's own, what zenplan calls most.
_OF_PYTHON: Final = ("csv", "datetime", "json", "math", "os", "pathlib", "time")
_STREAMS: Final = ("stdin", "stdout", "stderr", "excepthook")


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """As they were before a call.

    Attributes:
        folder: the working folder; empty where it is gone.
        variables: of the environment.
        streams: of ``sys``.
        filters: of warnings.
        functions: and classes by module and name, of ``builtins``, zenplan and some of Python's own.
        alarm_s: until SIGALRM comes; 0 for never.
    """

    folder: str
    locale: str
    variables: Mapping[str, str]
    streams: Mapping[str, Any]
    filters: tuple[Any, ...]
    functions: Mapping[tuple[str, str], Any]
    alarm_s: float
    recursion: int

    def put_back(self) -> tuple[str, ...]:
        """Undo what was changed, and say what it was."""
        return tuple(what for what, undone in self._parts() if undone())

    def _parts(self) -> Iterator[tuple[str, Callable[[], bool]]]:
        # First: all that follows is made of them.
        yield "functions of others", self._functions
        yield "the working folder", self._folder
        yield "the locale", self._locale
        yield "variables of the environment", self._variables
        yield "streams of sys", self._streams
        yield "filters of warnings", self._filters
        yield "an alarm", self._alarm
        yield "the limit of recursion", self._recursion

    def _folder(self) -> bool:
        if not self.folder or _folder() == self.folder:
            return False
        with suppress(OSError):
            os.chdir(self.folder)
        return True

    def _locale(self) -> bool:
        if locale.setlocale(locale.LC_ALL) == self.locale:
            return False
        locale.setlocale(locale.LC_ALL, self.locale)
        return True

    def _variables(self) -> bool:
        # A library may well set one that nobody had.
        changed = {name: value for name, value in self.variables.items() if os.environ.get(name) != value}
        os.environ.update(changed)
        return bool(changed)

    def _streams(self) -> bool:
        changed = {name: was for name, was in self.streams.items() if getattr(sys, name) is not was}
        for name, was in changed.items():
            setattr(sys, name, was)
        return bool(changed)

    def _filters(self) -> bool:
        # Libraries add filters that silence a warning. One that makes an error of it ends other code.
        if not any(each[0] == "error" and each not in self.filters for each in warnings.filters):
            return False
        warnings.filters[:] = list(self.filters)  # type: ignore[index]  # typeshed has a Sequence; it is a list
        return True

    def _functions(self) -> bool:
        changed = [(at, was) for at, was in self.functions.items() if _module(at[0]).get(at[1]) is not was]
        for (module, name), was in changed:
            _module(module)[name] = was
        return bool(changed)

    def _alarm(self) -> bool:
        if self.alarm_s or not _alarm_s():
            return False
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        return True

    def _recursion(self) -> bool:
        if sys.getrecursionlimit() == self.recursion:
            return False
        sys.setrecursionlimit(self.recursion)
        return True


def surroundings() -> Surroundings:
    """As they are now."""
    return Surroundings(
        folder=_folder(),
        locale=locale.setlocale(locale.LC_ALL),
        variables=dict(os.environ),
        streams={name: getattr(sys, name) for name in _STREAMS},
        filters=tuple(warnings.filters),
        functions=dict(_functions()),
        alarm_s=_alarm_s(),
        recursion=sys.getrecursionlimit(),
    )


def _folder() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - a text, made a thousand times
    except OSError:
        return ""


def _alarm_s() -> float:
    return signal.getitimer(signal.ITIMER_REAL)[0] if hasattr(signal, "getitimer") else 0.0


def _functions() -> Iterator[tuple[tuple[str, str], Any]]:
    yield from (((builtins.__name__, name), value) for name, value in vars(builtins).items() if name != "_")
    for module, found in list(sys.modules.items()):
        if (module.startswith("zenplan.") or module in _OF_PYTHON) and isinstance(found, ModuleType):
            for name, value in vars(found).items():
                if isinstance(value, FunctionType | type):
                    yield (module, name), value


def _module(name: str) -> dict[str, Any]:
    return vars(sys.modules[name]) if name in sys.modules else {}
