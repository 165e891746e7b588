"""What is wrong with the prices that there are, and what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.market.offer import OLD_DAYS, PriceTable
from zenplan.errors import UnknownName


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """An accelerator of a price table that has no data sheet, and what is alike."""

    provider: str
    accelerator: str
    offers: int
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What is to be known of the prices.

    Attributes:
        unknown: accelerators without a data sheet: their offers are never planned with.
        undated: provider to the number of its prices without a day.
        placeholders: provider to the number of its prices whose source is of nobody, such as example.com.
        set_aside: provider to rows that cannot be right, and why.
        old: provider to the day of its newest price, of those whose newest is old; the oldest first.
        unpriced: data sheets of accelerators, not of processors, that nobody has a price of.
        folder: of fetched tables; None where there are to be none.
        unread: files in it that are not read, and why.
    """

    unknown: tuple[Unknown, ...]
    undated: Mapping[str, int]
    placeholders: Mapping[str, int]
    set_aside: Mapping[str, Sequence[str]]
    old: Mapping[str, date]
    unpriced: tuple[str, ...]
    folder: Path | None
    unread: tuple[str, ...]


def health(
    tables: Sequence[PriceTable],
    sheets: Catalogue,
    set_aside: Mapping[str, Sequence[str]],
    folder: Path | None,
    unread: Sequence[str],
    today: date,
) -> Health:
    """What is wrong with those tables.

    Args:
        tables: that an answer takes.
        sheets: every accelerator.
        set_aside: of those that were fetched.
        folder, unread: of fetched tables.
        today: of the answer.
    """
    unknown, priced = _names(tables, sheets)
    newest = {table.provider: day for table in tables if (day := table.days[1]) and (today - day).days > OLD_DAYS}
    left_out = {table.provider: (*set_aside.get(table.provider, ()), *table.left_out) for table in tables}
    return Health(
        unknown=unknown,
        undated={table.provider: table.undated for table in tables if table.undated},
        placeholders={
            table.provider: count for table in tables if (count := sum(each.is_placeholder for each in table.prices))
        },
        set_aside={provider: reasons for provider, reasons in left_out.items() if reasons},
        old=dict(sorted(newest.items(), key=lambda item: item[1])),
        unpriced=tuple(sheet.name for sheet in sheets if sheet.name not in priced and not sheet.is_processor),
        folder=folder,
        unread=tuple(unread),
    )


def _names(tables: Sequence[PriceTable], sheets: Catalogue) -> tuple[tuple[Unknown, ...], set[str]]:
    """Accelerators that are offered and have no data sheet; and the names of those that have one."""
    unknown, priced = [], set()
    for table in tables:
        names = [offer.instance.accelerator for offer in table.offers]
        for name in sorted(set(names)):
            try:
                priced.add(sheets.by_name(name).name)
            except UnknownName as error:
                unknown.append(
                    Unknown(provider=table.provider, accelerator=name, offers=names.count(name), hint=error.hint)
                )
    return tuple(unknown), priced
