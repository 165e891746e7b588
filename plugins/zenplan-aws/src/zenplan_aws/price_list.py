"""EC2's bulk price list of a region, as CSV, read line by line: a file of hundreds of megabytes in little memory.

Five lines on the list, a line of column names, then a row for each product under each term: products of Windows, of
dedicated hosts, of unused reservations, and up to sixteen reserved terms for each.
https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-the-aws-price-list-bulk-api.html
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from zenplan import DataError

from zenplan_aws.machines import ACCELERATED, Listed, Machines

# What the row of a plain Linux machine by the hour has in these columns; anything else is another product.
_PLAIN: Final = {
    "TermType": {"OnDemand"},
    "Unit": {"Hrs"},
    "Location Type": {"AWS Region"},
    "Tenancy": {"Shared"},
    "Operating System": {"Linux"},
    "Pre Installed S/W": {"", "NA"},
    "CapacityStatus": {"Used"},
    "MarketOption": {"OnDemand"},
}
_NEEDED: Final = (
    *_PLAIN,
    "PricePerUnit",
    "Currency",
    "Region Code",
    "Instance Type",
    "Instance Family",
    "vCPU",
    "Memory",
    "Network Performance",
)
_MOST_LINES_BEFORE: Final = 20
_LONGEST_LINE: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPrice:
    """What an instance type costs on demand in a region."""

    listed: Listed
    region: str
    usd_per_h: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceList:
    """The on-demand prices of accelerator instances in one region's list."""

    published: date
    prices: tuple[ListPrice, ...]


def read_price_list(chunks: Iterable[bytes], machines: Machines, what: str) -> PriceList:
    """The prices of a list that comes in pieces.

    Args:
        chunks: the file, in pieces of any size.
        machines: the instance types that are wanted whatever their family.
        what: the list, for errors.

    Raises:
        DataError: a column is missing, the file ends within a row, the currency is not USD, a price is no number, or
            there is no row of a plain Linux machine.
    """
    lines = _lines(chunks, what)
    published, columns = _head(lines, what)
    plain, prices, line = 0, [], b""
    for line in lines:
        # Most lines are not worth parsing.
        if b"Shared" not in line or b"Linux" not in line or b',"Reserved",' in line:
            continue
        cells = _cells(line, what)
        if len(cells) != len(columns):
            raise DataError(f"{what}: a row has {len(cells)} cells, not {len(columns)}: it was cut or has changed")
        row = dict(zip(columns, cells, strict=True))
        if all(row[column] in wanted for column, wanted in _PLAIN.items()):
            plain += 1
            if row["Instance Family"] in ACCELERATED or row["Instance Type"] in machines:
                prices.append(_price(row, what))
    if len(_cells(line, what)) != len(columns):
        raise DataError(f"{what}: it ends within a row")
    if not plain:
        raise DataError(f"{what}: no row of a shared Linux machine: the format has changed")
    return PriceList(published=published, prices=tuple(price for price in prices if price.usd_per_h))


def _lines(chunks: Iterable[bytes], what: str) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
        if len(rest) > _LONGEST_LINE:
            raise DataError(f"{what}: a line has more than {_LONGEST_LINE:,} bytes: it is no price list")
    if rest.strip():
        yield rest


def _head(lines: Iterator[bytes], what: str) -> tuple[date, list[str]]:
    published = ""
    for _, line in zip(range(_MOST_LINES_BEFORE), lines, strict=False):
        cells = _cells(line, what)
        if cells[:1] == ["Publication Date"] and len(cells) > 1:
            published = cells[1]
        if cells[:1] == ["SKU"]:
            missing = [column for column in _NEEDED if column not in cells]
            if missing:
                raise DataError(f"{what}: no column '{missing[0]}': the format has changed")
            return _day(published, what), cells
    raise DataError(f"{what}: no line of column names begins with 'SKU': the format has changed")


def _cells(line: bytes, what: str) -> list[str]:
    try:
        return next(csv.reader([line.decode()], strict=True), [])
    except (UnicodeDecodeError, csv.Error):
        raise DataError(f"{what}: a line is no CSV in UTF-8") from None


def _day(published: str, what: str) -> date:
    try:
        return datetime.fromisoformat(published).date()
    except ValueError:
        raise DataError(f"{what}: 'Publication Date' is no date: '{published[:30]}'") from None


def _price(row: dict[str, str], what: str) -> ListPrice:
    name, cell = row["Instance Type"], row["PricePerUnit"]
    if row["Currency"] != "USD":
        raise DataError(f"{what}: 'Currency' of {name} is '{row['Currency'][:10]}', not USD")
    try:
        usd_per_h = float(cell)
    except ValueError:
        usd_per_h = math.nan
    if not 0 <= usd_per_h < math.inf:
        raise DataError(f"{what}: 'PricePerUnit' of {name} is no price: '{cell[:20]}'")
    listed = Listed(name=name, vcpus=row["vCPU"], memory=row["Memory"], network=row["Network Performance"])
    return ListPrice(listed=listed, region=row["Region Code"], usd_per_h=usd_per_h)
