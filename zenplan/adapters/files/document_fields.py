"""Fields of a JSON object that somebody else wrote: each is there, is of its kind, and nothing else is."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from zenplan.errors import DataError

# Letters of a text, and entries of an object that maps names to values.
MOST_LETTERS: Final = 1000
MOST_NAMES: Final = 200

# From the decoded value to what is wanted of it. Raises DataError: "must be ...".
Reader = Callable[[Any], Any]


def read_fields(document: Any, what: str, readers: Mapping[str, Reader]) -> dict[str, Any]:
    """The object's values, each as its reader gives it.

    Raises:
        DataError: it is no object, lacks a field, has another, or one is of the wrong kind. The message starts with
            ``what`` and names the field.
    """
    if not isinstance(document, dict):
        raise DataError(f"{what} must be a JSON object")
    for name in readers:
        if name not in document:
            raise DataError(f"{what}: {name} is missing")
    for name in document:
        if name not in readers:
            raise DataError(f"{what}: {name[:40]} is no field of it")
    found = {}
    for name, reader in readers.items():
        try:
            found[name] = reader(document[name])
        except DataError as error:
            raise DataError(f"{what}: {name} {error.message}") from error
    return found


def text(value: Any) -> str:
    """A text on one line, of no more than ``MOST_LETTERS`` letters, all of which a terminal shows."""
    if not isinstance(value, str):
        raise DataError("must be a text")
    if len(value) > MOST_LETTERS:
        raise DataError(f"must have no more than {MOST_LETTERS:,} letters, not {len(value):,}")
    if not value.isprintable():
        raise DataError("must be on one line, without control characters")
    return value


def number(value: Any) -> float:
    """A finite number."""
    # A whole number may have so many digits that no float holds it.
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1e300 < value < 1e300:
        raise DataError("must be a finite number")
    return float(value)


def whole(value: Any) -> int:
    """A whole number below a million million."""
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= 1e12:
        raise DataError("must be a whole number below 1e12")
    return value


def flag(value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise DataError("must be true or false")
    return value


def moment(value: Any) -> datetime:
    """A date and time with its zone, as ISO 8601 writes them."""
    try:
        found = datetime.fromisoformat(text(value))
    except ValueError as error:
        raise DataError("must be a time, as in 2026-12-01T08:30:00+00:00") from error
    if found.tzinfo is None:
        raise DataError("must have its time zone, as in 2026-12-01T08:30:00+00:00")
    return found


def maybe(reader: Reader) -> Reader:
    """That, or null for what is not known."""
    return lambda value: None if value is None else reader(value)


def listed(reader: Reader, most: float = math.inf) -> Reader:
    """A list of that, as a tuple."""

    def read(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise DataError("must be a list")
        if len(value) > most:
            raise DataError(f"must have no more than {most:,.0f} entries, not {len(value):,}")
        return tuple(reader(each) for each in value)

    return read


def by_name(reader: Reader) -> Reader:
    """An object that maps names to that, no more than ``MOST_NAMES``."""

    def read(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise DataError("must be a JSON object")
        if len(value) > MOST_NAMES:
            raise DataError(f"must have no more than {MOST_NAMES} entries, not {len(value):,}")
        return {text(name): reader(each) for name, each in value.items()}

    return read


def one_line(text: str) -> str:
    """What ``text`` takes, of what others said: on one line, and cut off where it is too long."""
    line = " ".join(text.split())[:MOST_LETTERS]
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)
