"""What a noun asks of its fields. Each check raises DataError and names the noun and the field."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from itertools import repeat
from numbers import Integral, Real
from types import UnionType
from typing import Any, Final, get_args, get_origin, get_type_hints

from zenplan.errors import DataError, printable

# Letters of a text, entries of a mapping from names to values, and what no count of anything reaches.
MOST_LETTERS: Final = 1000
MOST_NAMES: Final = 200
MOST_COUNT: Final = 1e12
_INFINITE: Final = math.inf


def positive(noun: str, **fields: float | None) -> None:
    """Every field that is known is finite and above zero."""
    for name, value in fields.items():
        try:
            if value is None or 0 < value < _INFINITE:
                continue
        except TypeError as error:
            raise DataError(f"{noun}: {name} must be a number, not {value!r}") from error
        raise DataError(f"{noun}: {name} must be above zero and finite, not {value}")


def not_negative(noun: str, **fields: float | None) -> None:
    """Every field that is known is finite and zero or above."""
    for name, value in fields.items():
        try:
            wrong = value is not None and not 0 <= value < math.inf
        except TypeError as error:
            raise DataError(f"{noun}: {name} must be a number, not {value!r}") from error
        if wrong:
            raise DataError(f"{noun}: {name} must be zero or above and finite, not {value}")


def named(noun: str, **fields: str) -> None:
    """Every field is a text with something in it, on one line."""
    for name, value in fields.items():
        if not isinstance(value, str) or not value.strip() or "\n" in value:
            raise DataError(f"{noun}: {name} must be a name, not {value!r}")


def one_of(noun: str, field: str, value: str, allowed: Iterable[str]) -> None:
    """The field has one of the allowed values."""
    choices = tuple(allowed)
    if value not in choices:
        raise DataError(f"{noun}: {field} is {value!r}, not one of {', '.join(choices)}")


def lines(noun: str, **fields: str) -> None:
    """Every field is a text on one line, of no more than ``MOST_LETTERS`` letters, all of which a terminal shows."""
    for name, value in fields.items():
        _line(noun, name, value)


def _line(noun: str, name: str, value: str) -> None:
    if len(value) > MOST_LETTERS:
        raise DataError(f"{noun}: {name} must have no more than {MOST_LETTERS:,} letters, not {len(value):,}")
    if not value.isprintable():
        raise DataError(f"{noun}: {name} must be on one line, without control characters")


def one_line(text: str) -> str:
    """What ``lines`` takes, of what others said: on one line, and cut off where it is too long."""
    return printable(" ".join(text.split())[:MOST_LETTERS])


def counts(noun: str, **fields: int | None) -> None:
    """Every field that is known is a whole number from 0 to below ``MOST_COUNT``."""
    for name, value in fields.items():
        if value is not None and not 0 <= value < MOST_COUNT:
            raise DataError(f"{noun}: {name} must be zero or above and below {MOST_COUNT:g}")


def few(noun: str, **fields: Mapping[str, object]) -> None:
    """Every field has no more than ``MOST_NAMES`` names, each of them as ``lines`` has it."""
    for name, value in fields.items():
        if len(value) > MOST_NAMES:
            raise DataError(f"{noun}: {name} must have no more than {MOST_NAMES} names, not {len(value):,}")
        for key in value:
            _line(noun, name, key)


def unlike(value: Any, kind: Any, place: str = "") -> str:
    """Where a noun, or something in it, is not what its declared type says; empty where all of it is.

    Args:
        value: a noun, or anything that is in one.
        kind: a class, a union, ``tuple[X, ...]``, ``tuple[X, Y]`` or ``Mapping[X, Y]``; a float has to be finite.
        place: of the value in the noun, as in ``blocks[0].operators[2].rows``.
    """
    parts = get_args(kind)
    if isinstance(kind, UnionType):
        reasons = [unlike(value, part, place) for part in parts]
        near = (r for r, part in zip(reasons, parts, strict=True) if not get_args(part) and isinstance(value, part))
        return "" if "" in reasons else next(near, _not(value, kind, place))
    if kind is Any:
        return ""
    whole = get_origin(kind) or {float: Real, int: Integral}.get(kind, kind)
    if not isinstance(value, whole) or (isinstance(value, bool) and kind in (int, float)):
        return _not(value, kind, place)
    if kind is float and not math.isfinite(value):
        return f"{place or 'it'} is {value}"
    if is_dataclass(kind):
        hints = _hints(whole)
        inner = [(getattr(value, f.name), hints[f.name], f"{place}{'.' * bool(place)}{f.name}") for f in fields(kind)]
    elif whole in (tuple, Iterable, Sequence):
        of_each = kinds_of(kind)
        if isinstance(of_each, tuple) and len(of_each) != len(value):
            return f"{place or 'it'} has {len(value)} parts, not {len(of_each)}"
        inner = [(each, part, f"{place}[{n}]") for n, (each, part) in enumerate(zip(value, of_each, strict=False))]
    else:
        pairs = value.items() if parts else ()
        inner = [
            (each, part, f"{place}[{key!r}]") for key, v in pairs for each, part in ((key, parts[0]), (v, parts[1]))
        ]
    return next((reason for each in inner if (reason := unlike(*each))), "")


def kinds_of(kind: Any) -> Iterable[Any]:
    """The declared type of each part of a sequence: a tuple where it has so many, else the same one for ever."""
    parts = get_args(kind)
    return parts if get_origin(kind) is tuple and parts[-1] is not Ellipsis else repeat(parts[0])


def _not(value: Any, kind: Any, place: str) -> str:
    parts = (
        [p for p in get_args(kind) if p is not type(None)]
        if isinstance(kind, UnionType)
        else [get_origin(kind) or kind]
    )
    said = f"{place}: " if place else "it returned "
    return f"{said}a {type(value).__name__}, not {' or '.join(part.__name__ for part in parts)}"


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)
