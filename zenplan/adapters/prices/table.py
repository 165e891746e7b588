"""Price tables in CSV: the one that ships with zenplan, a plugin's, and a user's own.

A user's file needs the columns of ``REQUIRED`` and at least one of ``PRICES``; a price that is not known is an
empty cell. It may also have ``region`` (empty: ``any``), ``sold_by`` (``instance`` or ``gpu``), ``tier``, ``vcpus``,
``ram_gib``, ``network_gbit_per_s_per_device``,
``on_demand_as_of``, ``spot_as_of`` (ISO 8601), ``source`` and ``spot_source``; and how often a spot machine is taken:
``spot_taken_per_h`` with ``_low`` and ``_high``, ``spot_taken_what``, ``spot_taken_as_of``, ``spot_taken_source``. A row
with ``term_days`` is a price that binds: whoever takes the machine pays for so many days. Other columns are ignored.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache, partial
from pathlib import Path

from zenplan import units
from zenplan.adapters.files.csv_file import DataRow, Row, read_rows, rows_of
from zenplan.adapters.files.data import DATA
from zenplan.adapters.tables.market import provider_class
from zenplan.domain.market.committed import Committed
from zenplan.domain.market.interruptions import Interruptions
from zenplan.domain.market.offer import Instance, Offer, Price, PriceTable, Terms
from zenplan.domain.market.provider import ProviderClass
from zenplan.domain.range import Range
from zenplan.errors import DataError, InputFileError, NoLiveSource, UnknownName
from zenplan.protocols import Http

# --- rows
#
# One row of a price table: checked, and turned into offers.
#
# A row sold by ``instance`` is one machine with all its devices at that price. A row sold by ``gpu`` is the price of
# one device, and the renter says how many go into a machine: it becomes one offer for each size that the provider is
# known to rent, at a price in proportion.

GBIT_PER_S = 1e9 / 8

# The largest slice of a TPU pod has 9,216 chips; no machine has more virtual processors than this.
MOST_DEVICES = 10_000
MOST_VCPUS = 1e6
# Clouds reserve for one, three or five years.
MOST_TERM_DAYS = 3660
# The least price seen is $0.03; a thousandth of a dollar is a slip of units.
LEAST_USD_PER_DEVICE_H = 0.001

# From a name that people type to the canonical one; raises UnknownName.
Canonical = Callable[[str], str]

# In a long table the same cells come again and again: what they say is read, checked and kept once.
_parse_date = lru_cache(maxsize=256)(date.fromisoformat)
_number_of = lru_cache(maxsize=10_000)(units.number_of)
_made_price = lru_cache(maxsize=10_000)(Price)
_made_instance = lru_cache(maxsize=10_000)(Instance)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machines:
    """What is known of machines besides their price.

    Attributes:
        networks: provider and instance name to the node-to-node bandwidth of each device.
        sizes: provider and accelerator (or the empty text for any) to the numbers of devices in a machine.
    """

    networks: Mapping[tuple[str, str], float] = field(default_factory=dict)
    sizes: Mapping[tuple[str, str], tuple[int, ...]] = field(default_factory=dict)

    def sizes_of(self, provider: str, accelerator: str) -> tuple[int, ...]:
        """How many devices a machine may have; one where nothing more is known."""
        of_provider = self.sizes.get((provider, ""), (1,))
        return self.sizes.get((provider, accelerator), of_provider)


def exactly(names: Collection[str]) -> Canonical:
    """Accepts the canonical names themselves and nothing else."""

    def canonical(name: str) -> str:
        if name not in names:
            raise UnknownName("accelerator", name, names)
        return name

    return canonical


def offers_of(
    row: Mapping[str, str],
    machines: Machines,
    canonical: Canonical | None,
    default_source: str,
    today: date | None = None,
) -> list[Offer]:
    """The offers of one row.

    Args:
        row: column name to cell. A column that is not there counts as an empty cell.
        machines: networks and machine sizes.
        canonical: the canonical name of an accelerator; None takes the cell as it is.
        default_source: where the prices come from, for a row that does not say.
        today: a price of a later date makes the row invalid; None accepts any date.

    Raises:
        DataError: the row is not valid; the message says which cell and why.
    """
    if row.get(""):
        raise DataError("more cells than the header has columns")
    accelerator = _accelerator(row, canonical)
    devices = _count(row, "devices")
    source = row.get("source") or default_source
    on_demand = _price(row, devices, "on_demand", source)
    spot = _price(row, devices, "spot", row.get("spot_source") or source)
    if not on_demand and not spot:
        raise DataError("no price: on_demand_usd_per_h and spot_usd_per_h are both empty")
    for price in (on_demand, spot):
        if today and price and price.as_of and price.as_of > today:
            raise DataError(f"a price as of {price.as_of} is dated in the future; today is {today}")
    taken = _interruptions(row) if row.get("spot_taken_per_h") else None
    return [
        Offer(
            instance=_instance(row, accelerator, devices * times, times, machines),
            region=row.get("region") or "any",
            on_demand=_times(on_demand, times),
            spot=_times(spot, times),
            tier=row.get("tier", ""),
            guess=_guess(row.get("provider", ""), times),
            interruptions=taken,
        )
        for times in _sizes(row, accelerator, devices, machines)
    ]


def _guess(provider: str, times: int) -> str:
    """Why it is not sure that there is a machine of so many of the devices that are sold one by one."""
    if times == 1 or provider_class(provider) is not ProviderClass.MARKETPLACE:
        return ""
    return f"{times} × the price of one device; there may be no such machine"


def _sizes(row: Mapping[str, str], accelerator: str, devices: int, machines: Machines) -> tuple[int, ...]:
    sold_by = row.get("sold_by") or "instance"
    if sold_by == "instance":
        return (1,)
    if sold_by != "gpu":
        raise DataError(f"sold_by is '{sold_by}', not instance or gpu")
    if devices != 1:
        raise DataError(f"a price for each gpu is for 1 device, not {devices}")
    return machines.sizes_of(row.get("provider", ""), accelerator)


def _instance(row: Mapping[str, str], accelerator: str, devices: int, times: int, machines: Machines) -> Instance:
    provider = row.get("provider", "")
    name = row.get("instance", "") + (f" x{times}" if times > 1 else "")
    vcpus = _number(row, "vcpus")
    if vcpus and vcpus > MOST_VCPUS:
        raise DataError(f"vcpus of {vcpus:g} is beyond any machine")
    ram_gib = _number(row, "ram_gib")
    stated = _number(row, "network_gbit_per_s_per_device")
    network = stated * GBIT_PER_S if stated else machines.networks.get((provider, name))
    return _made_instance(
        provider=provider,
        name=name,
        accelerator=accelerator,
        devices=devices,
        vcpus=int(vcpus * times) if vcpus else None,
        ram_bytes=ram_gib * units.GIB * times if ram_gib else None,
        network_bytes_per_s=network,
    )


def _times(price: Price | None, times: int) -> Price | None:
    if price is None or times == 1:
        return price
    return Price(usd_per_h=price.usd_per_h * times, as_of=price.as_of, source=price.source)


def _accelerator(row: Mapping[str, str], canonical: Canonical | None) -> str:
    name = row.get("accelerator", "")
    if canonical is None:
        return name
    try:
        return canonical(name)
    except UnknownName as error:
        raise DataError(f"{error.message}; {error.hint}") from error


def _price(row: Mapping[str, str], devices: int, billing: str, source: str) -> Price | None:
    usd_per_h = _number(row, f"{billing}_usd_per_h")
    if usd_per_h is None:
        return None
    if usd_per_h < LEAST_USD_PER_DEVICE_H * devices:
        raise DataError(f"{billing}_usd_per_h of {usd_per_h:g} is absurdly low for {devices} devices")
    return _made_price(usd_per_h=usd_per_h, as_of=_date(row, f"{billing}_as_of"), source=source)


def _interruptions(row: Mapping[str, str]) -> Interruptions:
    low, mid, high = (_number_of(row.get(f"spot_taken_per_h{end}", "")) for end in ("_low", "", "_high"))
    if low is None or mid is None or high is None or not 0.0 <= low <= mid <= high < math.inf:
        raise DataError("spot_taken_per_h_low, spot_taken_per_h and spot_taken_per_h_high are no rates in order")
    return Interruptions(
        per_node_s=Range(low=low / units.HOUR_S, mid=mid / units.HOUR_S, high=high / units.HOUR_S),
        what=row.get("spot_taken_what", ""),
        as_of=_date(row, "spot_taken_as_of"),
        source=row.get("spot_taken_source", ""),
    )


def _number(row: Mapping[str, str], column: str) -> float | None:
    cell = row.get(column, "")
    if not cell:
        return None
    value = _number_of(cell)
    if value is None:
        raise DataError(f"{column} is not a number: '{cell[:20]}'")
    if not units.is_amount(value):
        raise DataError(f"{column} must be above zero and finite, not {cell[:20]}; leave it empty if unknown")
    return value


def _count(row: Mapping[str, str], column: str) -> int:
    cell = row.get(column, "")
    value = units.digits_of(cell, MOST_DEVICES)
    if value is None:
        raise DataError(f"{column} must be a whole number from 1 to {MOST_DEVICES}, not '{cell[:20]}'")
    return value


def _for_a_term(offer: Offer, row: Mapping[str, str], terms: Terms | None) -> Offer:
    """The offer, paid for so many days by whoever takes it."""
    days = _number(row, "term_days") or 0.0
    if days > MOST_TERM_DAYS:
        raise DataError(f"term_days of {days:g} is beyond any contract")
    if offer.spot:
        raise DataError("term_days: a spot price binds to no term")
    own = terms.of(offer.instance.name) if terms else Terms(provider=offer.instance.provider, source="not known")
    term_s = days * units.DAY_S
    what = offer.tier or f"commitment for {units.duration(term_s)}"
    return replace(offer, terms=replace(own, exceptions=(), committed=Committed(what=what, term_s=term_s)))


def _date(row: Mapping[str, str], column: str) -> date | None:
    cell = row.get(column, "")
    if not cell:
        return None
    try:
        return _parse_date(cell)
    except ValueError:
        raise DataError(f"{column} is not a date as in 2026-05-24: '{cell}'") from None


# --- tables


REQUIRED = ("provider", "instance", "accelerator", "devices")
PRICES = ("on_demand_usd_per_h", "spot_usd_per_h")

_MONTH_S = units.YEAR_S / 12


@dataclass(frozen=True, slots=True)
class CsvPriceProvider:
    """A provider whose prices are a table in a file, with no live source."""

    name: str
    load: Callable[[], PriceTable]

    def bundled(self) -> PriceTable:
        """The table of the file."""
        return self.load()

    def fetch(self, http: Http) -> PriceTable:
        """Raises NoLiveSource: a file has none."""
        raise NoLiveSource(
            f"no live source for the prices of {self.name}", "the bundled table is used; a plugin may fetch them"
        )


def bundled_tables() -> tuple[PriceTable, ...]:
    """The tables that ship with zenplan, one for each provider, by name. Read once."""
    return read_price_folder(DATA)


def bundled_prices(provider: str) -> PriceTable:
    """zenplan's own table of that provider, with its networks and terms: for a plugin that brings a live source alone.

    Raises DataError: there is none.
    """
    for table in bundled_tables():
        if table.provider == provider:
            return table
    raise DataError(f"zenplan has no table of {provider}", "its prices come with 'zenplan prices refresh' alone")


def bundled_providers() -> tuple[CsvPriceProvider, ...]:
    """A provider for each of the bundled tables. No table is read before one is asked for."""
    return folder_providers(DATA)


def folder_providers(folder: Path) -> tuple[CsvPriceProvider, ...]:
    """A provider for each name in the folder's ``prices.csv``; for plugins that ship such a folder."""
    lines = (folder / "prices.csv").read_text(encoding="utf-8").splitlines()[1:]
    # The provider is the first column and never quoted: names cost no parsing.
    names = sorted({line.split(",", 1)[0] for line in lines} - {""})
    return tuple(CsvPriceProvider(name, partial(_table_of, folder, name)) for name in names)


@lru_cache(maxsize=8)
def read_price_folder(folder: Path) -> tuple[PriceTable, ...]:
    """The tables of a folder that ships with a distribution, one for each provider, by name.

    The folder holds ``prices.csv`` and may hold ``machine_sizes.csv``, ``instances.csv``, ``terms.csv`` and
    ``instance_terms.csv``.
    Accelerator names are taken as they are. Raises DataError if a row of one of them is not valid.
    """
    return tables_of(_shipped(folder, "prices.csv"), _machines(folder), _terms(folder), None, "bundled table")


def read_price_csv(
    path: Path, accelerators: Collection[str] | Canonical, today: date | None = None
) -> tuple[PriceTable, ...]:
    """The tables of a user's own file, one for each provider in it.

    A row that is not valid is left out, and ``PriceTable.left_out`` says its line and why; the others
    answer. Contract terms and networks of providers that zenplan knows are those of the bundled tables.

    Args:
        path: the CSV file.
        accelerators: gives the canonical name of an accelerator for a name that people type, or raises
            ``UnknownName``; or just the canonical names. A row with any other is left out with the nearest ones.
        today: a row with a price of a later date is left out; None accepts any date.

    Raises:
        InputFileError: the file cannot be used, lacks a column, or has no valid row.
    """
    rows = read_rows(path, REQUIRED, "price table", PRICES)
    canonical = accelerators if callable(accelerators) else exactly(accelerators)
    tables = tables_of(rows, _machines(DATA), _terms(DATA), canonical, path.name, today)
    if not any(table.offers for table in tables):
        reasons = [reason for table in tables for reason in table.left_out]
        raise InputFileError(
            f"price table {path} has no valid row among {len(reasons)}; {reasons[0]}",
            "correct the rows: a price is in dollars per hour, an unknown one is an empty cell",
        )
    return tables


def table_from(text: str, provider: str, source: str, terms: Terms | None) -> PriceTable:
    """The table of one provider in the text of a CSV file that zenplan has written.

    Raises:
        DataError: it has no offers, or those of somebody else.
    """
    found = tables_of(list(rows_of(text)), _machines(DATA), {provider: terms} if terms else {}, None, source)
    if [table.provider for table in found] != [provider] or not found[0].offers:
        raise DataError(f"it has no prices of {provider}")
    return found[0]


def _table_of(folder: Path, name: str) -> PriceTable:
    return next(table for table in read_price_folder(folder) if table.provider == name)


def price_table(provider: str, rows: Iterable[Mapping[str, object]], source: str) -> PriceTable:
    """A provider's table of rows with the columns of ``--prices``, for a plugin that has fetched them.

    A row that is not valid is left out, and ``PriceTable.left_out`` says why. ``provider`` need not be in the rows; a
    price without a day is of the day on which it is fetched.

    Args:
        provider: whose offers they are.
        rows: column to what stands there: a text, a number, or None for nothing.
        source: where the prices are from, for rows that do not say.
    """
    cells = (
        {**{name: "" if value is None else str(value).strip() for name, value in row.items()}, "provider": provider}
        for row in rows
    )
    found = tables_of(enumerate(cells, 1), _machines(DATA), _terms(DATA), None, source, what="row")
    return found[0] if found else PriceTable(provider=provider, offers=(), terms=_terms(DATA).get(provider))


def tables_of(
    rows: Iterable[tuple[int, Row]],
    machines: Machines,
    terms: dict[str, Terms],
    canonical: Canonical | None,
    source: str,
    today: date | None = None,
    what: str = "line",
) -> tuple[PriceTable, ...]:
    """The tables of rows, each with its number and columns; see ``offers_of``. A row that is not valid is left out."""
    offers: dict[str, list[Offer]] = {}
    left_out: dict[str, list[str]] = {}
    seen: dict[tuple[str, ...], int] = {}
    for line, row in rows:
        provider = row.get("provider", "")
        try:
            made = offers_of(row, machines, canonical, source, today)
            if row.get("term_days"):
                made = [_for_a_term(offer, row, terms.get(provider)) for offer in made]
            for offer in made:
                key = (provider, offer.instance.name, offer.region, offer.tier)
                if seen.setdefault(key, line) != line:
                    raise DataError(f"the same instance and region as {what} {seen[key]}")
        except DataError as error:
            left_out.setdefault(provider, []).append(f"{what} {line}: {error.message}")
        else:
            offers.setdefault(provider, []).extend(made)
    return tuple(
        _with_table_dates(
            PriceTable(
                provider=name or "(no provider)",
                offers=tuple(offers.get(name, ())),
                terms=terms.get(name),
                left_out=tuple(left_out.get(name, ())),
            )
        )
        for name in sorted(offers.keys() | left_out.keys())
    )


def _with_table_dates(table: PriceTable) -> PriceTable:
    """The table, in which prices without a date have the newest date of the others as that of their table."""
    newest = table.days[1]
    if newest is None or not table.undated:
        return table

    def dated(price: Price | None) -> Price | None:
        if price is None or price.as_of:
            return price
        return _made_price(usd_per_h=price.usd_per_h, as_of=None, source=price.source, table_as_of=newest)

    def seen(offer: Offer) -> Offer:
        on_demand, spot = dated(offer.on_demand), dated(offer.spot)
        if on_demand is offer.on_demand and spot is offer.spot:
            return offer
        return replace(offer, on_demand=on_demand, spot=spot)

    return replace(table, offers=tuple(map(seen, table.offers)))


def _shipped(folder: Path, name: str) -> list[tuple[int, Row]]:
    file = folder / name
    return list(rows_of(file.read_text(encoding="utf-8"))) if file.exists() else []


@lru_cache(maxsize=8)
def _machines(folder: Path) -> Machines:
    networks = {}
    for line, cells in _shipped(folder, "instances.csv"):
        rate = DataRow("instances.csv", line, cells).number_or_none("network_gbit_per_s_per_device")
        if rate:
            networks[cells["provider"], cells["instance"]] = rate * GBIT_PER_S
    sizes = {}
    for line, row in _shipped(folder, "machine_sizes.csv"):
        numbers = [units.digits_of(number, MOST_DEVICES) for number in row["sizes"].split(";")]
        if None in numbers:
            wrong = f"'{row['sizes']}' is not as in 1;2;4;8"
            raise DataRow("machine_sizes.csv", line, row).wrong("sizes", wrong)
        sizes[row["provider"], row["accelerator"]] = tuple(filter(None, numbers))
    return Machines(networks=networks, sizes=sizes)


@lru_cache(maxsize=8)
def _terms(folder: Path) -> dict[str, Terms]:
    terms = {row["provider"]: _terms_of(line, row) for line, row in _shipped(folder, "terms.csv")}
    for line, row in _shipped(folder, "instance_terms.csv"):
        name, figure = row["provider"], DataRow("instance_terms.csv", line, row).number_or_none
        whole = replace(terms.get(name) or Terms(provider=name, source=row["source"]), exceptions=())
        source = f"{row['source']}; {whole.source}"
        granularity, minimum = figure("granularity_s"), figure("minimum_s") or 0.0
        own = replace(whole, granularity_s=granularity, minimum_s=minimum, source=source)
        before = terms[name].exceptions if name in terms else ()
        terms[name] = replace(terms.get(name) or whole, exceptions=(*before, (row["begins_with"], own)))
    return terms


def known_terms(provider: str) -> Terms | None:
    """The bundled terms of a provider; None where nothing is known of them."""
    return _terms(DATA).get(provider)


def _terms_of(line: int, row: Row) -> Terms:
    figure = DataRow("terms.csv", line, row).number_or_none
    storage, egress = figure("storage_usd_per_gb_month"), figure("egress_usd_per_gb")
    return Terms(
        provider=row["provider"],
        granularity_s=figure("granularity_s"),
        minimum_s=figure("minimum_s") or 0.0,
        storage_usd_per_byte_s=None if storage is None else storage / units.GB / _MONTH_S,
        egress_usd_per_byte=None if egress is None else egress / units.GB,
        pue=figure("pue"),
        source=row["source"],
    )
