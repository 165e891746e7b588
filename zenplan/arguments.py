"""Arguments of Python as the flags of the command line: one reader for both."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from zenplan.errors import UsageError
from zenplan.units import pairs

_LARGE = 10**60


def flags(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments as they would stand on a command line: numbers as texts, files as paths."""
    return {name: _flag(name, value) for name, value in arguments.items() if name not in _NOT_FLAGS}


# What is handed on as it is, and what is no argument.
_NOT_FLAGS = (
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
_FILES = ("config", "data", "prices", "tokenizer", "source", "out", "weights", "resume")
_SEVERAL = ("gpu", "provider", "exclude_provider", "provider_class", "region", "features", "ids", "include", "to")


def _flag(name: str, value: Any) -> Any:
    if value is None or isinstance(value, str) or name == "keras":
        return value
    if isinstance(value, os.PathLike) and name in _FILES:
        return Path(os.fsdecode(value))
    if isinstance(value, Mapping) and name == "operations":
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
