"""Requests over time, as people write them."""

from __future__ import annotations

from typing import Final

from zenplan import units
from zenplan.errors import UsageError

_PER: Final = {"s": 1.0, "sec": 1.0, "min": 60.0, "h": 3600.0, "hour": 3600.0, "d": 86400.0, "day": 86400.0}


def parse_rate(text: str, what: str) -> float:
    """Requests a second: ``10/s``, ``600/min``, ``1M/day``; a bare number is a second's.

    Raises:
        UsageError: not a number above zero, or of an unknown time.
    """
    amount, slash, per = text.strip().partition("/")
    per = per.strip().lower() if slash else "s"
    if per not in _PER:
        raise UsageError(
            f"{what} is not a rate: '{text}'", f"write it as in: 10/s, 600/min, 1M/day ({', '.join(_PER)})"
        )
    return units.parse_count(amount, what, 1e12, "10/s, 600/min, 1M/day") / _PER[per]
