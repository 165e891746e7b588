"""Another currency than dollars, at the rate of ``--rate`` or of the price book."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from zenplan.domain.market.currency import Currency, is_code
from zenplan.errors import UsageError
from zenplan.units import number_of


def currency_of(given: Mapping[str, Any], prices: Path | None) -> Currency | None:
    """The currency that was asked for; None for dollars alone.

    Args:
        given: the flags ``currency``, ``rate`` and ``rate_date``, None where one was not given.
        prices: the user's own prices; a price book may have a rate, which ``--rate`` comes before.

    Raises:
        UsageError: code, rate or date cannot be used, or there is no rate.
        InputFileError: the price book cannot be read.
    """
    code, rate, day = (given.get(name) for name in ("currency", "rate", "rate_date"))
    if code is None:
        raise UsageError("--currency and --rate go together", "as in: --currency EUR --rate 0.92")
    if not is_code(code):
        raise UsageError(f"--currency is no code of a currency: '{code}'", "three letters, as in: EUR, GBP, CNY")
    if code.upper() == "USD":
        raise UsageError("--currency USD is what amounts are in already", "leave --currency and --rate out")
    if rate is None:
        return _of_book(code.upper(), day, prices)
    value = number_of(rate)
    if value is None or not 1e-6 < value < 1e7:
        raise UsageError(f"--rate is no rate: '{rate}'", "so much of the currency for a dollar, as in: 0.92")
    try:
        as_of = None if day is None else date.fromisoformat(day)
    except ValueError as error:
        raise UsageError(f"--rate-date is no date: '{day}'", "as in: 2026-11-29") from error
    return Currency(code=code.upper(), per_usd=value, as_of=as_of)


def _of_book(code: str, day: str | None, prices: Path | None) -> Currency:
    if day is not None:
        raise UsageError("--rate-date is of --rate", f"as in: --currency {code} --rate 0.92 --rate-date {day}")
    if prices is None or prices.suffix.lower() != ".toml":
        hint = f"as in: --currency {code} --rate 0.92; or a price book has [currencies.{code}]"
        raise UsageError("--currency and --rate go together", hint)
    from zenplan.adapters.prices.book import read_currencies

    rates = read_currencies(prices)
    if code not in rates:
        known = f"it has {', '.join(rates)}; " if rates else ""
        raise UsageError(f"{prices} has no rate of {code}", f"{known}give --rate, or [currencies.{code}] there")
    return rates[code]
