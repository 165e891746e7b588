"""Today's date, in one place: ZENPLAN_TODAY sets it, for documents that should stay as they are."""

from __future__ import annotations

import os
from datetime import date, datetime

from zenplan.errors import UsageError

VARIABLE = "ZENPLAN_TODAY"
# No calendar goes beyond the year 9999, and plans end years after they begin.
_LAST_YEAR = 9000


def today() -> date:
    """The day here, or the one in ``ZENPLAN_TODAY``.

    Raises:
        UsageError: the variable is no date, or one that nobody plans from.
    """
    given = os.environ.get(VARIABLE, "").strip()
    if not given:
        return date.today()
    try:
        day = date.fromisoformat(given)
    except ValueError as error:
        raise UsageError(f"{VARIABLE} is no date: '{given}'", "write it as in: 2026-11-29") from error
    if day.year > _LAST_YEAR:
        raise UsageError(f"{VARIABLE} is too far off: '{given}'", "write it as in: 2026-11-29")
    return day


def of_day_s() -> float:
    """How much of the day is over here, in seconds by the local clock; a day of ``ZENPLAN_TODAY`` has just begun."""
    if os.environ.get(VARIABLE, "").strip():
        return 0.0
    now = datetime.now()
    return (now - now.replace(hour=0, minute=0, second=0, microsecond=0)).total_seconds()
