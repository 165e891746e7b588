"""Price books: ``prices.toml``, read into dollars. Every error is a line that names the table and its key."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from zenplan import units
from zenplan.adapters.files.toml_file import TomlFile, read_toml_file
from zenplan.adapters.prices.rows import GBIT_PER_S, MOST_DEVICES
from zenplan.adapters.tables.market import provider_called
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.market.book import Commitment, Discount, Kind, PriceBook, Rate, Which
from zenplan.domain.market.credit import Credit
from zenplan.domain.market.currency import Currency, is_code
from zenplan.domain.market.hardware import Hardware
from zenplan.domain.market.offer import Billing
from zenplan.domain.training.operations import Operations
from zenplan.errors import DataError, InputFileError, UnknownName, UsageError, nearest

T = TypeVar("T")

SUFFIX: Final = ".toml"
_HINT: Final = "a price book is TOML with [[rate]], [[discount]], [[credit]], [[hardware]], …: see docs/prices.md"
_WHICH: Final = ("provider", "instance", "gpu", "region", "tier")
# The keys of each table; those in the second place are needed.
KEYS: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "rate": (
        (*_WHICH, "gpus", "on_demand", "spot", "per", "currency", "as_of", "network_gbit_per_s_per_device", "note"),
        ("provider",),
    ),
    "discount": ((*_WHICH, "discount", "billing", "from", "until", "term", "note"), ("provider", "discount")),
    "reservation": (
        (*_WHICH, "machines", "term", "upfront", "rate", "from", "currency", "note"),
        ("provider", "instance", "machines", "term"),
    ),
    "savings_plan": (
        (*_WHICH, "term", "committed", "discount", "upfront", "from", "currency", "note"),
        ("provider", "term", "committed", "discount"),
    ),
    "capacity_block": (
        (*_WHICH, "machines", "from", "until", "upfront", "rate", "currency", "note"),
        ("provider", "instance", "machines", "from", "until"),
    ),
    "credit": (("provider", "amount", "until", "currency", "note"), ("provider", "amount")),
    "hardware": (
        (
            *("name", "gpu", "gpus", "machines", "price", "years", "resale", "interest", "maintenance_per_year"),
            *("hosting_per_year", "staff_per_year", "power", "idle_power", "pue", "kwh", "utilisation", "currency"),
            "network_gbit_per_s_per_device",
        ),
        ("name", "gpu", "price", "years", "kwh", "utilisation"),
    ),
}
_CURRENCIES: Final = "currencies"
# What a share of the price may be called.
_SPELLINGS: Final = {"utilization": "utilisation", "usd_per_kwh": "kwh", "percent": "discount"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """One table of the file, and how its values are read.

    Attributes:
        place: how errors call it: ``price book prices.toml: [[rate]] 2``.
        source: how quotes call it: ``prices.toml, [[rate]] 2``.
    """

    place: str
    source: str
    values: Mapping[str, Any]
    currencies: Mapping[str, Currency]
    canonical: Callable[[str], str]

    def wrong(self, key: str, what: str, hint: str = "") -> InputFileError:
        return InputFileError(f"{self.place}, {key}: {what}", hint or _HINT)

    def _parsed(self, key: str, parse: Callable[[str, str], Any], default: Any = None) -> Any:
        value = self.values.get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise self.wrong(key, f"a {type(value).__name__} is no value of it")
        try:
            return parse(str(value), key)
        except UsageError as error:
            raise self.wrong(key, error.message, error.hint) from error

    def text(self, key: str) -> str | None:
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, str) or not value.strip() or not value.isprintable():
            raise self.wrong(key, "must be a text of one line")
        return value.strip()

    def day(self, key: str) -> date | None:
        value = self.values.get(key)
        if value is None:
            return None
        if isinstance(value, datetime):
            return value.date()
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(value)
        except (TypeError, ValueError) as error:
            raise self.wrong(key, f"{value!r} is no day", f"as in: {key} = 2026-12-31") from error

    def usd(self, key: str) -> float | None:
        """Dollars, of an amount in the currency of the entry."""
        amount = self._parsed(key, units.or_zero(units.parse_usd))
        code = self.text("currency")
        if amount is None or code is None or code.upper() == "USD":
            return amount if amount is None else float(amount)
        if code.upper() not in self.currencies:
            hint = f"as in: [currencies.{code}] per_usd = 0.92 and as_of = 2026-11-30"
            raise self.wrong("currency", f"the book has no rate of {code}", hint)
        return float(amount) / self.currencies[code.upper()].per_usd

    def share(self, key: str, default: float | None = None) -> float | None:
        found = self._parsed(key, units.or_zero(units.parse_share))
        return default if found is None else float(found)

    def number(self, key: str, default: float | None = None) -> float | None:
        found = self._parsed(key, units.parse_count)
        return default if found is None else float(found)

    def watts(self, key: str) -> float | None:
        found = self._parsed(key, units.parse_power_w)
        return None if found is None else float(found)

    def whole(self, key: str) -> int | None:
        found = self._parsed(key, lambda text, what: units.parse_whole(text, what, MOST_DEVICES, 8))
        return None if found is None else int(found)

    def duration(self, key: str) -> float | None:
        found = self._parsed(key, units.parse_duration_s)
        return None if found is None else float(found)

    def which(self) -> Which:
        name = self.text("gpu")
        accelerator = None
        if name is not None:
            try:
                accelerator = self.canonical(name)
            except UnknownName as error:
                raise self.wrong("gpu", error.message, error.hint) from error
        provider = self.text("provider")
        return Which(
            provider=(self.text("name") or "") if provider is None else provider_called(provider),
            instance=self.text("instance"),
            accelerator=accelerator,
            region=self.text("region"),
            tier=self.text("tier"),
        )

    def said(self) -> str:
        """Whose word it is, with the note and the rate of the currency."""
        note, code = self.text("note"), self.text("currency")
        parts = [self.source, *([note] if note else [])]
        if code and (rate := self.currencies.get(code.upper())):
            parts.append(f"{rate.per_usd:g} {rate.code} a dollar{f' of {rate.as_of}' if rate.as_of else ''}")
        return "; ".join(parts)


def read_price_book(path: Path, catalogue: Catalogue, operations: Operations) -> PriceBook:
    """The book in that file.

    Args:
        path: of a TOML file.
        catalogue: the data sheets: names of accelerators, and the power of hardware that does not say.
        operations: what is assumed of power and PUE where the book says nothing.

    Raises:
        InputFileError: it cannot be read, has a key that is unknown, or a value that cannot be.
    """
    file = _opened(path)
    entries: dict[str, list[_Entry]] = {name: [] for name in KEYS}
    currencies = _currencies(file, path.name)
    for name, found in file.values.items():
        if name == _CURRENCIES:
            continue
        if name not in KEYS:
            near = nearest(name, (*KEYS, _CURRENCIES))
            hint = f"did you mean [[{near[0]}]]?" if near else _HINT
            raise InputFileError(f"{file.name}: unknown table '{name[:60]}'", hint)
        tables = found if isinstance(found, list) else [found]
        for number, values in enumerate(tables, 1):
            at = f"[[{name}]] {number}"
            if not isinstance(values, dict):
                raise InputFileError(f"{file.name}: {name} is no table", f"write it as [[{name}]]")
            plain = {_SPELLINGS.get(k := key.replace("-", "_"), k): value for key, value in values.items()}
            entry = _Entry(
                place=f"{file.name}: {at}",
                source=f"{path.name}, {at}",
                values=plain,
                currencies=currencies,
                canonical=lambda text: catalogue.by_name(text).name,
            )
            _check_keys(entry, name)
            entries[name].append(entry)
    if not any(entries.values()) and not currencies:
        raise InputFileError(f"{file.name} has nothing in it", _HINT)
    return _book(path.name, entries, catalogue, operations)


def _check_keys(entry: _Entry, table: str) -> None:
    known, needed = KEYS[table]
    for key in entry.values:
        if key not in known:
            near = nearest(key, known)
            raise entry.wrong(
                key[:60], "unknown key", f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
            )
    for key in needed:
        if key not in entry.values:
            raise InputFileError(f"{entry.place} has no {key}", f"a [[{table}]] needs {', '.join(needed)}")


def read_currencies(path: Path) -> Mapping[str, Currency]:
    """The currencies that the book in that file has a rate of, by code. Raises InputFileError."""
    return _currencies(_opened(path), path.name)


def _opened(path: Path) -> TomlFile:
    return read_toml_file(path, f"price book {path}", _HINT)


def _currencies(file: TomlFile, source: str) -> dict[str, Currency]:
    name, found = file.name, file.values.get(_CURRENCIES, {})
    rates: dict[str, Currency] = {}
    if not isinstance(found, dict):
        raise InputFileError(f"{name}: {_CURRENCIES} is no table", "as in: [currencies.EUR] per_usd = 0.92")
    for code, values in found.items():
        values = {"per_usd": values} if isinstance(values, int | float) else values
        place = f"[currencies.{code}]"
        if not isinstance(values, dict):
            raise InputFileError(f"{name}: {place} is no table", "as in: [currencies.EUR] per_usd = 0.92")
        entry = _Entry(place=f"{name}: {place}", source=place, values=values, currencies={}, canonical=str)
        for key in values:
            if key not in ("per_usd", "as_of"):
                raise entry.wrong(key, "unknown key", "known: per_usd, as_of")
        per_usd = entry.number("per_usd")
        if per_usd is None:
            raise InputFileError(f"{entry.place} has no per_usd", "so much of the currency for a dollar, as in 0.92")
        if not is_code(code) or code.upper() in ("USD", *rates):
            raise InputFileError(f"{entry.place}: not the code of another currency", "three letters, as in: EUR, GBP")
        rates[code.upper()] = Currency(
            code=code.upper(), per_usd=per_usd, as_of=entry.day("as_of"), source=f"{source}, {place}"
        )
    return rates


def _book(name: str, entries: Mapping[str, list[_Entry]], catalogue: Catalogue, operations: Operations) -> PriceBook:
    def each(*tables: str) -> Iterator[tuple[str, _Entry]]:
        return ((table, entry) for table in tables for entry in entries[table])

    makers: Mapping[str, Callable[[_Entry], Commitment]] = {
        "reservation": _reservation,
        "savings_plan": _savings_plan,
        "capacity_block": _capacity_block,
    }
    return PriceBook(
        name=name,
        rates=tuple(_checked(entry, _rate) for _, entry in each("rate")),
        discounts=tuple(_checked(entry, _discount) for _, entry in each("discount")),
        commitments=tuple(_checked(entry, makers[table]) for table, entry in each(*makers)),
        credits=tuple(_checked(entry, _credit) for _, entry in each("credit")),
        hardware=tuple(
            _checked(entry, lambda entry: _hardware(entry, catalogue, operations)) for _, entry in each("hardware")
        ),
    )


def _checked(entry: _Entry, make: Callable[[_Entry], T]) -> T:
    try:
        return make(entry)
    except InputFileError:
        raise
    except DataError as error:
        raise InputFileError(f"{entry.place}: {error.message}", error.hint or _HINT) from error


def _rate(entry: _Entry) -> Rate:
    which, devices = entry.which(), entry.whole("gpus")
    if which.instance is None and which.accelerator is None:
        raise InputFileError(f"{entry.place} has neither instance nor gpu", "name the machine, or its accelerator")
    per = entry.text("per") or "machine"
    if per not in ("machine", "gpu"):
        raise entry.wrong("per", f"'{per}' is neither machine nor gpu")
    on_demand, spot = entry.usd("on_demand"), entry.usd("spot")
    if not on_demand and not spot:
        raise InputFileError(f"{entry.place} has neither on_demand nor spot", "dollars an hour, above 0")
    network = entry.number("network_gbit_per_s_per_device")
    return Rate(
        which=which,
        on_demand_usd=on_demand,
        spot_usd=spot,
        per_device=per == "gpu",
        devices=devices,
        network_bytes_per_s=network * GBIT_PER_S if network else None,
        as_of=entry.day("as_of"),
        source=entry.said(),
    )


def _discount(entry: _Entry) -> Discount:
    share, billing = entry.share("discount"), entry.text("billing")
    if not share or share >= 1.0:
        raise entry.wrong("discount", "must be a share of the price above 0 and below the whole", "as in: 12%")
    if billing not in (None, *Billing):
        raise entry.wrong("billing", f"'{billing}' is neither on-demand nor spot")
    return Discount(
        which=entry.which(),
        share=share,
        billing=Billing(billing) if billing else None,
        since=entry.day("from"),
        until=entry.day("until"),
        term_s=entry.duration("term"),
        source=entry.said(),
    )


def _needed(entry: _Entry, key: str, value: T | None) -> T:
    if not value:
        raise entry.wrong(key, "must be above 0")
    return value


def _reservation(entry: _Entry) -> Commitment:
    upfront, rate = entry.usd("upfront"), entry.usd("rate")
    if not upfront and not rate:
        raise InputFileError(f"{entry.place} has neither upfront nor rate", "dollars once, and an hour of a machine")
    return Commitment(
        kind=Kind.RESERVATION,
        which=entry.which(),
        machines=entry.whole("machines"),
        term_s=_needed(entry, "term", entry.duration("term")),
        upfront_usd=upfront or 0.0,
        usd_per_h=rate or 0.0,
        since=entry.day("from"),
        source=entry.said(),
    )


def _savings_plan(entry: _Entry) -> Commitment:
    share = entry.share("discount")
    if not share or share >= 1.0:
        raise entry.wrong("discount", "must be a share of the price above 0 and below the whole", "as in: 27%")
    return Commitment(
        kind=Kind.SAVINGS_PLAN,
        which=entry.which(),
        machines=None,
        term_s=_needed(entry, "term", entry.duration("term")),
        upfront_usd=entry.usd("upfront") or 0.0,
        share=share,
        committed_usd_per_h=_needed(entry, "committed", entry.usd("committed")),
        since=entry.day("from"),
        source=entry.said(),
    )


def _capacity_block(entry: _Entry) -> Commitment:
    begins, ends = entry.day("from"), entry.day("until")
    if begins is None or ends is None or ends <= begins:
        raise entry.wrong("until", f"{ends} is not after {begins}")
    upfront, rate = entry.usd("upfront"), entry.usd("rate")
    if not upfront and not rate:
        raise InputFileError(
            f"{entry.place} has neither upfront nor rate", "dollars for all of it, or an hour of a machine"
        )
    return Commitment(
        kind=Kind.CAPACITY_BLOCK,
        which=entry.which(),
        machines=entry.whole("machines"),
        term_s=(ends - begins).days * units.DAY_S,
        upfront_usd=upfront or 0.0,
        usd_per_h=rate or 0.0,
        since=begins,
        source=entry.said(),
    )


def _credit(entry: _Entry) -> Credit:
    return Credit(
        provider=entry.which().provider,
        usd=_needed(entry, "amount", entry.usd("amount")),
        until=entry.day("until"),
        source=entry.said(),
    )


def _hardware(entry: _Entry, catalogue: Catalogue, operations: Operations) -> tuple[Hardware, float | None]:
    which = entry.which()
    sheet = catalogue.by_name(which.accelerator or "")
    devices = entry.whole("gpus") or sheet.node_devices
    limit_w = sheet.power_w
    power, idle = entry.watts("power"), entry.watts("idle_power")
    if power is None and limit_w is None:
        raise InputFileError(
            f"{entry.place} has no power, and no data sheet of {sheet.name} tells", "watts of a machine"
        )
    drawn = devices * ((limit_w or 0.0) * operations.power_share[1] + operations.host_w) if power is None else power
    by_itself = (limit_w or 0.0) * operations.idle_power_share + operations.host_w
    network = entry.number("network_gbit_per_s_per_device")
    of_sheet = sheet.network_bytes_per_s if devices == sheet.node_devices else None
    price = _needed(entry, "price", entry.usd("price"))
    found = Hardware(
        name=which.provider,
        accelerator=sheet.name,
        devices=devices,
        machines=entry.whole("machines") or 1,
        price_usd=price,
        years=_years(entry),
        resale_share=entry.share("resale", 0.0) or 0.0,
        interest=entry.share("interest", 0.0) or 0.0,
        maintenance_share=(entry.usd("maintenance_per_year") or 0.0) / price,
        hosting_usd_per_year=entry.usd("hosting_per_year") or 0.0,
        staff_usd_per_year=entry.usd("staff_per_year") or 0.0,
        power_w=drawn,
        idle_power_w=min(devices * by_itself, drawn) if idle is None else idle,
        pue=entry.number("pue", operations.pue) or operations.pue,
        usd_per_kwh=entry.usd("kwh") or 0.0,
        utilisation=_needed(entry, "utilisation", entry.share("utilisation")),
    )
    return found, network * GBIT_PER_S if network else of_sheet


def _years(entry: _Entry) -> float:
    years = entry.number("years") or 0.0
    if not 0.0 < years <= 30.0:
        raise entry.wrong("years", f"{years:g} years are no time to write a machine off", "as in: years = 4")
    return years
