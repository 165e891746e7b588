"""Values of records: the number or the name that one is, or what is wrong with it."""

from __future__ import annotations

import math
import re
from typing import Any, Final

_MOST_LETTERS: Final = 200
# Up to here each whole number is a float of its own.
_MOST_WHOLE: Final = 2**53
# The largest float of 32 bits, in which numbers are kept.
_MOST_NUMBER: Final = 3.4028234e38
_WHOLE: Final = re.compile(r"(-?[0-9]+)\.0+")


def is_number(value: Any) -> bool:
    """Whether it is one, or a text that says one."""
    try:
        float(value)
    except (TypeError, ValueError, OverflowError):
        return False
    return True


def number_in(value: Any, what: str) -> tuple[float, str]:
    """The number that a value is or says, or what is wrong with it."""
    if value is None or value == "":
        return 0.0, f"no value in {what}"
    if not is_number(value):
        return 0.0, f"no number in {what}"
    number = float(value)
    if not math.isfinite(number):
        return 0.0, f"a number that is not finite in {what}"
    return (number, "") if abs(number) <= _MOST_NUMBER else (0.0, f"a number that is too large in {what}")


def name_in(value: Any, what: str) -> tuple[str, str]:
    """The name that a value is, or what is wrong with it. 3.0 is named 3: tables write whole numbers so."""
    if isinstance(value, float) and value.is_integer() and abs(value) < _MOST_WHOLE:
        value = int(value)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "", f"no value in {what}"
    if not isinstance(value, str | int | float):
        return "", f"no name in {what}"
    # JSON may have half a surrogate pair, which is no UTF-8.
    name = " ".join(str(value).split()).encode("utf-8", "replace").decode("utf-8")
    if whole := _WHOLE.fullmatch(name):
        name = whole[1]
    if not name:
        return "", f"no value in {what}"
    return (name, "") if len(name) <= _MOST_LETTERS else ("", f"a name of more than {_MOST_LETTERS} letters")
