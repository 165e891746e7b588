"""What a noun asks of its fields. Each check raises DataError and names the noun and the field."""

from __future__ import annotations

import math
from collections.abc import Iterable

from zenplan.errors import DataError


def positive(noun: str, **fields: float | None) -> None:
    """Every field that is known is finite and above zero."""
    for name, value in fields.items():
        if value is not None and not (math.isfinite(value) and value > 0):
            raise DataError(f"{noun}: {name} must be above zero and finite, not {value}")


def not_negative(noun: str, **fields: float | None) -> None:
    """Every field that is known is finite and zero or above."""
    for name, value in fields.items():
        if value is not None and not (math.isfinite(value) and value >= 0):
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
