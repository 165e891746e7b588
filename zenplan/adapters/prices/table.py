"""Price tables in CSV: the one that ships with zenplan, a plugin's, and a user's own.

A user's file needs the columns of ``REQUIRED`` and at least one of ``PRICES``; a price that is not known is an
empty cell. It may also have ``region`` (empty: ``any``), ``sold_by`` (``instance`` or ``gpu``), ``tier``, ``vcpus``,
``ram_gib``, ``network_gbit_per_s_per_device``,
``on_demand_as_of``, ``spot_as_of`` (ISO 8601), ``source`` and ``spot_source``; and how often a spot machine is taken:
``spot_taken_per_h`` with ``_low`` and ``_high``, ``spot_taken_what``, ``spot_taken_as_of``, ``spot_taken_source``. A row
with ``term_days`` is a price that binds: whoever takes the machine pays for so many days. Other columns are ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache, partial
from pathlib import Path

from zenplan import units
from zenplan.adapters.files.csv_file import DataRow, Row, read_rows, rows_of
from zenplan.adapters.files.data import DATA
from zenplan.adapters.prices.rows import GBIT_PER_S, MOST_DEVICES, Canonical, Machines, Rows, exactly, with_table_date
from zenplan.domain.market.offer import PriceTable, Terms
from zenplan.errors import DataError, InputFileError, NoLiveSource
from zenplan.protocols import Http

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
    reader = Rows(machines, canonical, source, today, terms)
    left_out: dict[str, list[str]] = {}
    for line, row in rows:
        try:
            reader.add(row, line, what)
        except DataError as error:
            left_out.setdefault(row.get("provider", ""), []).append(f"{what} {line}: {error.message}")
    return tuple(
        PriceTable(
            provider=name or "(no provider)",
            offers=with_table_date(reader.offers[name]) if name in reader.offers else (),
            terms=terms.get(name),
            left_out=tuple(left_out.get(name, ())),
        )
        for name in sorted(reader.offers.keys() | left_out.keys())
    )


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
