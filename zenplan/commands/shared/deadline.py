"""A deadline as people write it: a time from now, or a day of the calendar."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator
from datetime import date
from typing import Final

from zenplan import units
from zenplan.errors import UsageError

_EXAMPLE: Final = "7d, 36h, 2 weeks, 2027-03-01, 1 March"
# What may stand before a time and before a day.
_WITHIN: Final = re.compile(r"^(?:in|within) ", re.IGNORECASE)
_BY: Final = re.compile(r"^(?:by|until|till|on) ", re.IGNORECASE)
_MONTHS: Final = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
# Letters of a month's name that tell it from all others.
_LEAST_LETTERS: Final = 3
_MONTH: Final = r"([a-z]{3,9})\.?"
_DAY: Final = r"([0-9]{1,2})(?:st|nd|rd|th)?"
_YEAR: Final = r"([0-9]{4})"
_DAY_MONTH: Final = re.compile(rf"{_DAY}\s*(?:of\s+)?{_MONTH}(?:,?\s*{_YEAR})?", re.IGNORECASE)
_MONTH_DAY: Final = re.compile(rf"{_MONTH}\s*{_DAY}(?:,?\s+{_YEAR})?", re.IGNORECASE)
# The year first is read in one way everywhere, and so is what is parted by points: the day first.
_END_OF_MONTH: Final = re.compile(rf"(?:the )?end of {_MONTH}(?:,?\s+{_YEAR})?", re.IGNORECASE)
_YEAR_FIRST: Final = re.compile(rf"{_YEAR}([-/.])([0-9]{{1,2}})\2([0-9]{{1,2}})")
_POINTS: Final = re.compile(rf"([0-9]{{1,2}})\.\s?([0-9]{{1,2}})\.\s?{_YEAR}?")
_SLASHES: Final = re.compile(rf"([0-9]{{1,2}})([-/])([0-9]{{1,2}})(?:\2{_YEAR})?")
# Stands for the last day of a month.
_LAST: Final = -1
# How far ahead a day without a year is looked for: a 29th of February may be eight years away.
_YEARS: Final = 9


def parse_deadline_s(text: str, what: str, today: date, of_day_s: float = 0.0) -> float:
    """Seconds until a deadline: ``7d``, ``2 weeks``, ``2027-03-01``, ``1 March``, ``by March 1, 2027``,
    ``end of January``.

    It counts from now, by the local clock; a day counts to its end. One without a year is the next one of that name.

    Args:
        text: as it was written; what: it is of.
        today: the day; of_day_s: how much of it is over.

    Raises:
        UsageError: it is neither, may be meant in two ways, or is before ``today``.
    """
    plain = " ".join(text.split())
    if _BY.match(plain) or not _is_time(plain):
        day = _day(_BY.sub("", plain, count=1), today, what, text)
        if day is not None:
            return _seconds(day, today, what, text) - of_day_s
    try:
        return units.parse_duration_s(_WITHIN.sub("", plain, count=1), what)
    except UsageError as error:
        begins = plain[:1].isdigit()
        message = error.message if begins else f"{what} is neither a time nor a day of the calendar: '{text}'"
        raise UsageError(message, units.separator_hint(text) or f"write it as in: {_EXAMPLE}") from error


def _is_time(text: str) -> bool:
    try:
        units.parse_duration_s(_WITHIN.sub("", text, count=1))
    except UsageError:
        return False
    return True


def _seconds(day: date, today: date, what: str, text: str) -> float:
    days = (day - today).days
    if days < 0:
        raise UsageError(
            f"{what} is before today, {today.isoformat()}: '{text}'", f"give a later day, or a time, as in: {_EXAMPLE}"
        )
    return (days + 1) * units.DAY_S


def _day(text: str, today: date, what: str, given: str) -> date | None:
    """The day that the text names; None where it is not written as one.

    Raises:
        UsageError: there is no such day, or it may be one of two.
    """
    read = list(_readings(text))
    if not read:
        return None
    days = {day for day in (_next(*each, today) for each in read) if day is not None}
    if not days:
        raise UsageError(f"{what} is no day of the calendar: '{given}'", f"write it as in: {_EXAMPLE}")
    if len(days) > 1:
        ways = " or ".join(day.isoformat() for day in sorted(days))
        raise UsageError(f"{what} may be meant in two ways: '{given}'", f"write {ways}")
    return days.pop()


def _readings(text: str) -> Iterator[tuple[int | None, int, int]]:
    """Year (None where it is not said), month and day: each way in which the text can be read."""
    if match := _YEAR_FIRST.fullmatch(text):
        yield int(match[1]), int(match[3]), int(match[4])
    elif match := _POINTS.fullmatch(text):
        yield _year(match[3]), int(match[2]), int(match[1])
    elif match := _SLASHES.fullmatch(text):
        yield _year(match[4]), int(match[3]), int(match[1])
        yield _year(match[4]), int(match[1]), int(match[3])
    elif (match := _DAY_MONTH.fullmatch(text)) and (month := _month(match[2])):
        yield _year(match[3]), month, int(match[1])
    elif (match := _MONTH_DAY.fullmatch(text)) and (month := _month(match[1])):
        yield _year(match[3]), month, int(match[2])
    elif (match := _END_OF_MONTH.fullmatch(text)) and (month := _month(match[1])):
        yield _year(match[2]), month, _LAST


def _year(text: str | None) -> int | None:
    return int(text) if text else None


def _month(name: str) -> int | None:
    """1 to 12; None where no month is called so."""
    short = name.lower()
    found = [number for number, month in enumerate(_MONTHS, 1) if month.startswith(short)]
    return found[0] if len(found) == 1 and len(short) >= _LEAST_LETTERS else None


def _next(year: int | None, month: int, day: int, today: date) -> date | None:
    """That day; without a year, the first of the name from today on. None where there is none."""
    for each in (year,) if year is not None else range(today.year, today.year + _YEARS):
        try:
            found = date(each, month, day if day != _LAST else monthrange(each, month)[1])
        except ValueError:
            continue
        if year is not None or found >= today:
            return found
    return None
