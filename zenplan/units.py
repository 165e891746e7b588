"""Quantities: how people write them and how they are shown.

Inside zenplan every quantity is in base units, and its name ends in the unit: ``_s _bytes _flop
_flop_per_s _bytes_per_s _usd _usd_per_h _w``. A GB is 1e9 bytes, a GiB 2**30; that is decided here only.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

from zenplan.errors import UsageError

KB, MB, GB, TB, PB = 1e3, 1e6, 1e9, 1e12, 1e15
KIB, MIB, GIB, TIB = 2.0**10, 2.0**20, 2.0**30, 2.0**40
MINUTE_S, HOUR_S, DAY_S, WEEK_S, YEAR_S = 60.0, 3600.0, 86400.0, 604800.0, 365.25 * 86400.0
MONTH_S = YEAR_S / 12
KWH_J = 3.6e6
TFLOP_PER_S = 1e12

# Below a cent an amount is shown with its digits, down to this.
_CENT, _LEAST_SHOWN = 0.01, 1e-6

# Nobody asks for less of anything, and what is divided by it stays finite.
_LEAST = 1e-12

_COUNT = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9, "t": 1e12, "p": 1e15, "bn": 1e9}
_COUNT |= {
    "千": 1e3,
    "万": 1e4,
    "百万": 1e6,
    "千万": 1e7,
    "亿": 1e8,
    "十亿": 1e9,
    "百亿": 1e10,
    "千亿": 1e11,
    "万亿": 1e12,
}
_COUNT |= {"thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12}
_BYTES = {"": 1.0, "b": 1.0, "bytes": 1.0, "k": KB, "kb": KB, "m": MB, "mb": MB, "g": GB, "gb": GB, "t": TB, "tb": TB}
_BYTES |= {"p": PB, "pb": PB, "kib": KIB, "mib": MIB, "gib": GIB, "tib": TIB, "pib": 1024 * TIB}
# A large prefix before a small b, and bits by their name.
_BITS = re.compile(r"([\d.,_\s]+)(?:([KMGTP]i?)b|([KMGTPkmgtp]?i?)(?:bit|bits|Bit|Bits))")
_TIME_NAMES = {
    1.0: "s sec secs second seconds 秒",
    MINUTE_S: "m min mins minute minutes 分钟",
    HOUR_S: "h hr hrs hour hours 小时",
    DAY_S: "d day days 天",
    WEEK_S: "w wk wks week weeks 周",
    MONTH_S: "month months 个月",
    YEAR_S: "y yr yrs year years 年",
}
_TIME = {name: size for size, names in _TIME_NAMES.items() for name in names.split()}
_POWER = {"": 1.0, "w": 1.0, "watts": 1.0, "kw": 1e3, "mw": 1e6}
# A comma or an underscore parts thousands; a comma in another place may be meant as a decimal point. The digits are
# those of ASCII: others look like them.
_DIGITS = r"(?:[1-9][0-9]{0,2}(?:,[0-9]{3})+|[0-9]+(?:_[0-9]+)*)"
_DECIMAL = rf"(?:{_DIGITS}(?:\.[0-9]*)?|\.[0-9]+)"
# Units as Chinese writes them: 5万, 1.5亿, 3天.
_HAN = "千万百十亿秒分钟小时天周个月年"
_NUMBER = re.compile(rf"\s*([+-]?{_DECIMAL}(?:e[+-]?[0-9]+)?)\s*([a-zµ{_HAN}]*)\s*", re.IGNORECASE)
# One part of 5d12h: it has no sign and no exponent.
_PART = re.compile(rf"({_DECIMAL}\s*([a-zµ{_HAN}]*))\s*", re.IGNORECASE)
# A number with one comma, as half of the world writes a decimal point.
_DECIMAL_COMMA = rf"([+-]?[0-9]+),([0-9]+)(\s*[a-zµ{_HAN}]*)"

# Patterns that few commands need; re compiles each when it is first used. What stands beside US dollars:
_USD = r"(?:US ?\$|USD|\$)? ?(.*?) ?(?:USD|US dollars?|dollars?|\$)?"
# A name, or a dollar that is not that of the United States: C$, HK$.
_CURRENCY_WORD = r"[^\W\d_]+\$?"
_CURRENCY = (
    r"euros?|eur|gbp|pounds?|quid|yen|jpy|yuan|cny|rmb|renminbi|rupees?|inr|francs?|chf|krw|won|kr|sek|nok|dkk|kron[ae]r?"
    r"|cad|aud|nzd|sgd|hkd|twd|brl|reais|rub|roubles?|rubles?|zl|pln|czk|pesos?|mxn|ils|nis|shekels?|btc|eth|cents?"
)
# Digits with several separators, or with one in front.
_SEPARATED = r"[+-]?(?:[0-9][0-9_.,]*[.,][0-9_]*[.,]|,[0-9]|[0-9_.]+,)"


def number_of(text: str) -> float | None:
    """The number that programs write so: ``7e9``, ``-0.5``, ``inf``; None where it is none."""
    try:
        # Python reads the digits of other scripts, too.
        return float(text) if text.isascii() else None
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


def _parse(text: str, units: Mapping[str, float], what: str, example: str, given: str = "") -> float:
    """The number in base units; ``given`` is what messages show instead of the text."""
    hint, given = f"write it as in: {example}", given or text
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise UsageError(f"{what} is not a number: '{given}'", separator_hint(text) or hint)
    if match[2].lower() not in units:
        unit = f"knows no unit '{match[2]}'" if match[2] else "needs a unit"
        raise UsageError(f"{what} {unit}: '{given}'", hint)
    value = float(match[1].replace(",", "").replace("_", "")) * units[match[2].lower()]
    if not is_amount(value):
        raise UsageError(f"{what} must be above zero and finite, not '{given}'", hint)
    if value < _LEAST:
        raise UsageError(f"{what} of {given} is less than zenplan plans for", hint)
    return value


def separator_hint(text: str) -> str:
    """What to write for a number whose commas or points are not where they part thousands; empty for other texts."""
    plain = text.strip().lstrip("$")
    if match := re.fullmatch(_DECIMAL_COMMA, plain, re.IGNORECASE):
        return f"a comma parts thousands, as in 1,000,000; with a decimal point: {match[1]}.{match[2]}{match[3]}"
    if re.match(_SEPARATED, plain):
        return "commas part thousands, as in 1,000,000, and a point parts decimals, as in 0.5"
    return ""


def parse_count(text: str, what: str = "count", most: float = math.inf, example: object = "1e9, 7B, 350M") -> float:
    """A positive count: ``7e9``, ``1B``, ``350M``, ``1_000_000``. K, M, B (or G) and T are powers of 1000.

    ``example`` is what the hint shows.

    Raises:
        UsageError: not a number, not above zero, not finite, or above ``most``.
    """
    value = _parse(text, _COUNT, what, str(example))
    if value > most:
        raise UsageError(f"{what} of {text} is beyond what zenplan plans for", f"the most is {count(most)}")
    return value


def parse_whole(text: str, what: str, most: float, example: object = 4096) -> int:
    """A positive count that is whole, written in the same ways; ``example`` is what the hint shows.

    Raises:
        UsageError: as of ``parse_count``, or it is not whole.
    """
    value = parse_count(text, what, most, example)
    if value != int(value):
        raise UsageError(f"{what} must be a whole number, not '{text}'", f"write it as in: {example}")
    return int(value)


def parse_bytes(text: str, what: str = "size") -> float:
    """A positive number of bytes: ``1TB`` (1e12), ``500GiB`` (500 * 2**30), ``2e9``.

    Raises:
        UsageError: it is none, or of bits: ``20Gb`` may be either, and is refused.
    """
    if match := _BITS.fullmatch(text.strip()):
        number, prefix = match[1].strip(), match[2] or match[3].upper()
        eighth = f"{number}{prefix}B, or an eighth of it for bits"
        raise UsageError(f"{what} of '{text}' is of bits, with a small b", f"sizes are in bytes: {eighth}")
    return _parse(text, _BYTES, what, "1TB, 500GiB, 2e9")


def parse_duration_s(text: str, what: str = "duration") -> float:
    """A positive duration in seconds: ``7d``, ``36h``, ``5d12h``, ``2 weeks``. A bare number is refused.

    A month is a twelfth of a year of 365.25 days; ``m`` is minutes.

    Raises:
        UsageError: not a number with a unit, or several of them that do not go from the largest unit down.
    """
    example = "7d, 36h, 90min, 5d12h"
    parts = list(_PART.finditer(text.strip()))
    if len(parts) < 2 or not parts[0][2] or _NUMBER.fullmatch(text) or "".join(p[0] for p in parts) != text.strip():
        return _parse(text, _TIME, what, example)
    total = sum(_parse(part[1], _TIME, what, example) for part in parts)
    sizes = [_TIME[part[2].lower()] for part in parts]
    # 1d1d is more likely a slip than two days.
    if not math.isfinite(total) or any(b >= a for a, b in pairwise(sizes)):
        raise UsageError(f"{what} must go from the largest unit down: '{text}'", f"write it as in: {example}")
    return total


def parse_hours(text: str, what: str = "hours", most: float = math.inf) -> float:
    """A positive number of hours: ``2``, ``0.5``, or a duration with its unit, ``90min``, ``1d12h``.

    Raises:
        UsageError: it is neither, or above ``most``.
    """
    if len(_PART.findall(text)) > 1 and not _NUMBER.fullmatch(text):
        value = parse_duration_s(text, what) / HOUR_S
    else:
        known = {**_COUNT, **{name: each_s / HOUR_S for name, each_s in _TIME.items()}}
        value = _parse(text, known, what, "2, 0.5, 90min, 1d12h")
    if value > most:
        raise UsageError(f"{what} of {text} is beyond what zenplan plans for", f"the most is {most:,.0f} hours")
    return value


def parse_usd(text: str, what: str = "amount") -> float:
    """A positive amount of US dollars: ``5000``, ``$5,000``, ``5k``, ``5k USD``.

    Raises:
        UsageError: not a number, not above zero, not finite, or in another currency.
    """
    match = re.fullmatch(_USD, " ".join(text.split()), re.IGNORECASE)
    amount = match[1] if match else text
    other = _other_currency(amount)
    if other:
        hint = "give it in dollars, at the rate of today, as in: 5000"
        raise UsageError(f"{what} is in '{other}', not in US dollars: '{text}'", hint)
    return _parse(amount, _COUNT, what, "5000, $5,000, 5k", text)


def parse_power_w(text: str, what: str = "power") -> float:
    """Positive watts: ``700``, ``700W``, ``10.2kW``."""
    return _parse(text, _POWER, what, "10.2kW, 700W")


def power(value_w: float) -> str:
    """Watts for people: 700 W, 10.2 kW."""
    return f"{significant(value_w / 1e3)} kW" if value_w >= 1e3 else f"{significant(value_w)} W"


def pairs(values: Mapping[str, Any]) -> str:
    """Names and values as one text: ``pue=1.1,power_share=0.6:0.8:1``."""
    each = {name: v if isinstance(v, list | tuple) else (v,) for name, v in values.items()}
    return ",".join(f"{name}={':'.join(map(str, v))}" for name, v in each.items())


def is_nothing(text: str) -> bool:
    """Whether a text says that there is none of something: ``0``, ``0.0``, ``$0``, ``0 USD``, ``0%``."""
    match = re.fullmatch(_USD, " ".join(text.split()), re.IGNORECASE)
    return number_of((match[1] if match else text).removesuffix("%")) == 0


def or_zero(parse: Callable[[str, str], float]) -> Callable[[str, str], float]:
    """The same parser, for what there may be none of: 0."""
    return lambda text, what: 0 if is_nothing(text) else parse(text, what)


def _other_currency(amount: str) -> str:
    """The sign or name of a currency that is not the US dollar; empty where there is none."""
    from unicodedata import category

    for word in re.findall(_CURRENCY_WORD, amount):
        if re.fullmatch(_CURRENCY, word, re.IGNORECASE) or "$" in word or (len(word) == 3 and word.isupper()):
            return str(word)
    return next((letter for letter in amount if category(letter) == "Sc" and letter != "$"), "")


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
    """``value`` with that many significant digits, no exponent from 1e-6 to 1e6, no trailing noise."""
    if not math.isfinite(value):
        return "∞" if value > 0 else str(value)
    if value == 0:
        return "0"
    if abs(value) < 1e-6:
        return f"{value:.{digits - 1}e}"
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


def duration(value: float, digits: int = 3) -> str:
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
            return f"{significant(value / (DAY_S if name == ' d' else unit), digits)}{name}"
    return "0 s" if value == 0 else f"{significant(value / 1e-6, digits)} µs"


def money(value: float, sign: str) -> str:
    """An amount of any currency behind its sign: €0.0042, €0.42, €12.30, €1,234, €1.23M. Nothing but 0 is shown as 0."""
    if value < 0:
        return f"−{money(-value, sign)}"
    if not value:
        return f"{sign}0"
    if 0 < abs(value) < _CENT:
        return f"{sign}{significant(value, 2)}" if abs(value) >= _LEAST_SHOWN else f"<{sign}{_LEAST_SHOWN:f}"
    if abs(value) >= 999_500:
        return sign + _scaled(value, ((1e9, "B"), (1e6, "M")), 3)
    return f"{sign}{value:,.0f}" if abs(value) >= 100 else f"{sign}{value:,.2f}"


def usd(value: float) -> str:
    """US dollars: $0.42, $12.30, $1,234, $1.23M."""
    return money(value, "$")


def usd_apart(*amounts: float) -> tuple[str, ...]:
    """US dollars that are shown side by side, with as many digits as it takes to tell apart those that differ by 1 %."""
    for digits in range(2, 7):
        shown = [usd(value) if digits == 2 else f"${value:,.{digits}f}" for value in amounts]
        pairs = zip(sorted(amounts), sorted(amounts)[1:], strict=False)
        if len(set(shown)) >= 1 + sum(high - low > 0.01 * high for low, high in pairs):
            return tuple(shown)
    return tuple(map(usd, amounts))


def many(count: int, thing: str) -> str:
    """A count of things: 1 row, 2 rows, 1,000 rows."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def percent(ratio: float) -> str:
    """A ratio as a percentage; percent exists only on screen."""
    return f"{100 * ratio:.0f} %" if abs(ratio) >= 0.1 else f"{100 * ratio:.1f} %"


def span(low: str, high: str) -> str:
    """Two shown quantities as a range, or one where they look the same; a unit or sign of both is written once."""
    if low == high:
        return low
    sign = low[: next((place for place, letter in enumerate(low) if letter.isdigit()), 0)]
    low, high = low.removeprefix(sign), high.removeprefix(sign)
    # What stands before the digits, as in CHF 105, is no unit.
    number, blank, unit = low.rpartition(" ")
    return f"{sign}{number if blank and unit == high.rpartition(' ')[2] else low}–{high}"
