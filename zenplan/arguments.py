"""Arguments of Python as the flags and settings of the command line: one reader for both; and what Python is told."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zenplan.errors import UsageError
from zenplan.units import pairs

if TYPE_CHECKING:
    from zenplan.adapters.settings.settings import Settings

_HERE = str(Path(__file__).parent)
_LARGE = 10**60


class ZenplanWarning(UserWarning):
    """What the command line says on stderr before it answers all the same."""


def warn(text: str) -> None:
    """A warning, at the line outside zenplan that asked."""
    level, frame = 1, sys._getframe()
    while frame.f_back and frame.f_code.co_filename.startswith((_HERE, contextlib.__file__)):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, ZenplanWarning, stacklevel=level)


def unseen(*_progress: object) -> None:
    """Progress that nobody asked for."""


def settings_of(given: Mapping[str, Any]) -> Settings:
    """Those of the arguments that are settings, and the defaults for the rest: no variable or file is read."""
    from zenplan.adapters.settings.settings import SETTINGS, resolve

    return resolve({name: value for name, value in given.items() if name in SETTINGS}, {}, None, None)


def flags(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments as they would stand on a command line: numbers as texts, files as paths."""
    return {name: _flag(name, value) for name, value in arguments.items() if name not in _NOT_FLAGS}


# What is handed on as it is, and what is no argument.
_NOT_FLAGS = (
    "autoresume",
    "by",
    "compare",
    "compiled",
    "minutes",
    "no_calibrations",
    "progress",
    "request",
    "spot",
    "strict",
    "overwrite",
)
_FILES = ("config", "data", "drift", "prices", "tokenizer", "source", "out", "weights", "resume")
_SEVERAL = (
    "gpu",
    "provider",
    "exclude_provider",
    "provider_class",
    "region",
    "features",
    "ids",
    "include",
    "to",
    "then",
)


def _flag(name: str, value: Any) -> Any:
    if value is None or isinstance(value, str) or name == "keras":
        return value
    if isinstance(value, os.PathLike) and name in _FILES:
        return Path(os.fsdecode(value))
    if isinstance(value, Mapping) and name in ("operations", "federated"):
        return pairs(value)
    if isinstance(value, Mapping) and name == "config":
        return dict(value)
    if name in _SEVERAL and isinstance(value, Sequence) and all(isinstance(each, str) for each in value):
        return list(value) or None
    if isinstance(value, timedelta) and name in ("deadline", "horizon", "max_price_age"):
        return f"{value.total_seconds()}s"
    if isinstance(value, date) and name in ("deadline", "rate_date"):
        return (value.date() if isinstance(value, datetime) else value).isoformat()
    if isinstance(value, bool) and name == "fresh":
        return value
    # True and False are numbers to Python, which also writes no whole number of more than 4,300 digits.
    if isinstance(value, Integral) and not isinstance(value, bool):
        return str(int(value)) if abs(int(value)) < _LARGE else "infinite"
    if isinstance(value, Real) and not isinstance(value, bool):
        try:
            return repr(float(value))
        except OverflowError:  # a fraction can be larger than any float
            return "infinite"
    raise UsageError(f"--{name.replace('_', '-')} cannot be a {type(value).__name__}", "give a number or a text")
