"""Quantities: how people write them and how they are shown.

Inside zenplan every quantity is in base units, and its name ends in the unit: ``_s _bytes _flop
_flop_per_s _bytes_per_s _usd _usd_per_h _w``. A GB is 1e9 bytes, a GiB 2**30; that is decided here only.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from itertools import pairwise

from zenplan.errors import UsageError

KB, MB, GB, TB, PB = 1e3, 1e6, 1e9, 1e12, 1e15
KIB, MIB, GIB, TIB = 2.0**10, 2.0**20, 2.0**30, 2.0**40
MINUTE_S, HOUR_S, DAY_S, WEEK_S, YEAR_S = 60.0, 3600.0, 86400.0, 604800.0, 365.25 * 86400.0
TFLOP_PER_S = 1e12

# Nobody asks for less of anything, and what is divided by it stays finite.
_LEAST = 1e-12

_COUNT = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9, "t": 1e12, "p": 1e15}
_BYTES = {
    "": 1.0,
    "b": 1.0,
    "k": KB,
    "kb": KB,
    "m": MB,
    "mb": MB,
    "g": GB,
    "gb": GB,
    "t": TB,
    "tb": TB,
    "p": PB,
    "pb": PB,
    "kib": KIB,
    "mib": MIB,
    "gib": GIB,
    "tib": TIB,
}
_TIME = {"s": 1.0, "sec": 1.0, "m": MINUTE_S, "min": MINUTE_S, "h": HOUR_S, "d": DAY_S, "w": WEEK_S}
_NUMBER = re.compile(r"\s*([+-]?(?:\d[\d_,]*\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*([a-zµ]*)\s*", re.IGNORECASE)
# One part of 5d12h: it has no sign and no exponent.
_PART = re.compile(r"((?:\d[\d_,]*(?:\.\d*)?|\.\d+)\s*([a-zµ]*))\s*", re.IGNORECASE)


def number_of(text: str) -> float | None:
    """The number that programs write so: ``7e9``, ``-0.5``, ``inf``; None where it is none."""
    try:
        return float(text)
    except ValueError:
        return None


def is_amount(value: float) -> bool:
    """Whether there can be so much of something: finite and above zero."""
    return 0 < value < math.inf


def digits_of(text: str, most: int) -> int | None:
    """A whole number from 1 to ``most`` in plain digits, ``4096``; None where it is none.

    The length is looked at first: Python refuses to convert a text of more than 4,300 digits.
    """
    plain = text.isascii() and text.isdigit() and len(text) <= len(str(most))
    value = int(text) if plain else 0
    return value if 0 < value <= most else None


def _parse(text: str, units: Mapping[str, float], what: str, example: str) -> float:
    hint = f"write it as in: {example}"
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise UsageError(f"{what} is not a number: '{text}'", hint)
    if match[2].lower() not in units:
        unit = f"knows no unit '{match[2]}'" if match[2] else "needs a unit"
        raise UsageError(f"{what} {unit}: '{text}'", hint)
    value = float(match[1].replace(",", "").replace("_", "")) * units[match[2].lower()]
    if not is_amount(value):
        raise UsageError(f"{what} must be above zero and finite, not '{text}'", hint)
    if value < _LEAST:
        raise UsageError(f"{what} of {text} is less than zenplan plans for", hint)
    return value


def parse_count(text: str, what: str = "count", most: float = math.inf) -> float:
    """A positive count: ``7e9``, ``1B``, ``350M``, ``1_000_000``. K, M, B (or G) and T are powers of 1000.

    Raises:
        UsageError: not a number, not above zero, not finite, or above ``most``.
    """
    value = _parse(text, _COUNT, what, "1e9, 7B, 350M")
    if value > most:
        raise UsageError(f"{what} of {text} is beyond what zenplan plans for", f"the most is {count(most)}")
    return value


def parse_whole(text: str, what: str, most: float, example: object = 4096) -> int:
    """A positive count that is whole, written in the same ways; ``example`` is what the hint shows.

    Raises:
        UsageError: as of ``parse_count``, or it is not whole.
    """
    value = parse_count(text, what, most)
    if value != int(value):
        raise UsageError(f"{what} must be a whole number, not '{text}'", f"write it as in: {example}")
    return int(value)


def parse_bytes(text: str, what: str = "size") -> float:
    """A positive number of bytes: ``1TB`` (1e12), ``500GiB`` (500 * 2**30), ``2e9``."""
    return _parse(text, _BYTES, what, "1TB, 500GiB, 2e9")


def parse_duration_s(text: str, what: str = "duration") -> float:
    """A positive duration in seconds: ``7d``, ``36h``, ``90min``, ``5d12h``. A bare number is refused.

    Raises:
        UsageError: not a number with a unit, or several of them that do not go from the largest unit down.
    """
    example = "7d, 36h, 90min, 5d12h"
    parts = list(_PART.finditer(text.strip()))
    if len(parts) < 2 or _NUMBER.fullmatch(text) or "".join(p[0] for p in parts) != text.strip():
        return _parse(text, _TIME, what, example)
    total = sum(_parse(part[1], _TIME, what, example) for part in parts)
    sizes = [_TIME[part[2].lower()] for part in parts]
    # 1d1d is more likely a slip than two days.
    if not math.isfinite(total) or any(b >= a for a, b in pairwise(sizes)):
        raise UsageError(f"{what} must go from the largest unit down: '{text}'", f"write it as in: {example}")
    return total


def parse_usd(text: str, what: str = "amount") -> float:
    """A positive amount of US dollars: ``5000``, ``$5,000``, ``5k``."""
    return _parse(text.strip().lstrip("$"), _COUNT, what, "5000, $5,000, 5k")


def parse_share(text: str, what: str = "share") -> float:
    """A share above zero and at most the whole, as a ratio: ``5%``, ``0.05``.

    Raises:
        UsageError: it is none.
    """
    plain = text.strip()
    ratio = _parse(plain.removesuffix("%"), {"": 0.01 if plain.endswith("%") else 1.0}, what, "5%, 0.05")
    if ratio > 1.0:
        raise UsageError(f"{what} of {text} is more than the whole", "write it as in: 5%, 0.05")
    return ratio


def significant(value: float, digits: int = 3) -> str:
    """``value`` with that many significant digits, no exponent below 1e6, no trailing noise."""
    if not math.isfinite(value):
        return "∞" if value > 0 else str(value)
    if value == 0:
        return "0"
    decimals = digits - 1 - math.floor(math.log10(abs(value)))
    rounded = round(value, decimals)
    # 9.996 has become 10.0, which shows one decimal less.
    decimals = digits - 1 - math.floor(math.log10(abs(rounded)))
    if abs(rounded) >= 1e6:
        return f"{rounded:.{digits - 1}e}"
    return f"{rounded:,.{max(decimals, 0)}f}"


def _scaled(value: float, steps: tuple[tuple[float, str], ...], digits: int) -> str:
    for size, name in steps:
        # 999.6 of one unit rounds to 1000: show it as 1.00 of the next.
        if abs(value) >= size * 0.9995:
            return f"{significant(value / size, digits)}{name}"
    return f"{significant(value, digits)}{steps[-1][1] if steps[-1][0] <= 1 else ''}"


def count(value: float, digits: int = 3) -> str:
    """A count for people: 1.24B, 350M, 512."""
    if abs(value) < 1000:
        return significant(value, digits)
    return _scaled(value, ((1e15, "P"), (1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")), digits)


def flop(value: float) -> str:
    """A number of floating-point operations, in powers of ten as the field writes it: 1.2e+20 FLOP."""
    return f"{value:.2e} FLOP"


def flop_per_s(value: float) -> str:
    """A rate in TFLOP/s."""
    return f"{significant(value / TFLOP_PER_S)} TFLOP/s"


def size(value: float) -> str:
    """Bytes in decimal units: 18.0 GB."""
    return _scaled(value, ((PB, " PB"), (TB, " TB"), (GB, " GB"), (MB, " MB"), (KB, " kB"), (1.0, " B")), 3)


def duration(value: float) -> str:
    """A duration for people: 850 µs, 12.5 ms, 3.2 s, 14 min, 6.1 h, 12.4 d, 1.2 y."""
    steps = (
        (YEAR_S, " y"),
        (2 * DAY_S, " d"),
        (HOUR_S, " h"),
        (MINUTE_S, " min"),
        (1.0, " s"),
        (1e-3, " ms"),
        (1e-6, " µs"),
    )
    for unit, name in steps:
        if value >= unit * 0.9995:
            return f"{significant(value / (DAY_S if name == ' d' else unit))}{name}"
    return "0 s" if value == 0 else f"{significant(value / 1e-6)} µs"


def money(value: float, sign: str) -> str:
    """An amount of any currency behind its sign: €0.42, €12.30, €1,234, €1.23M."""
    if abs(value) >= 999_500:
        return sign + _scaled(value, ((1e9, "B"), (1e6, "M")), 3)
    return f"{sign}{value:,.0f}" if abs(value) >= 100 else f"{sign}{value:,.2f}"


def usd(value: float) -> str:
    """US dollars: $0.42, $12.30, $1,234, $1.23M."""
    return money(value, "$")


def percent(ratio: float) -> str:
    """A ratio as a percentage; percent exists only on screen."""
    return f"{100 * ratio:.0f} %" if abs(ratio) >= 0.1 else f"{100 * ratio:.1f} %"


def span(low: str, high: str) -> str:
    """Two shown quantities as a range; a unit or currency sign that both have is written once."""
    low_unit, high_unit = low.rpartition(" ")[2], high.rpartition(" ")[2]
    if " " in low and low_unit == high_unit:
        low = low.rpartition(" ")[0]
    sign = low[: next((place for place, letter in enumerate(low) if letter.isdigit()), 0)]
    return f"{low}–{high.removeprefix(sign)}"
