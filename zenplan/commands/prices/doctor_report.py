"""``zenplan prices doctor``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from zenplan.commands.prices.doctor import Health
from zenplan.domain.report import Column, Report, Table


def doctor_report(found: Health, today: date) -> Report:
    """A table for each kind of finding that there is."""
    counts = (
        (len(found.unknown), "accelerators have no data sheet"),
        (sum(found.undated.values()), "prices have no day"),
        (sum(found.placeholders.values()), "prices are placeholders"),
        (sum(map(len, found.set_aside.values())), "rows are set aside"),
        (len(found.old), "tables are old"),
        (len(found.unpriced), "data sheets have no price"),
        (len(found.unread), "files are not read"),
    )
    said = [f"{count:,} {what}" for count, what in counts if count]
    return Report(
        make_document=lambda: _document(found),
        make_records=lambda: _document(found).findings,
        verdict=f"{', '.join(said)}." if said else "Nothing is wrong with the prices.",
        tables=tuple(_tables(found, today)),
        notes=(
            *((f"No price of: {', '.join(found.unpriced)}.",) if found.unpriced else ()),
            *found.unread,
            f"Fetched tables: {found.folder}" if found.folder else "There are to be no fetched tables.",
        ),
    )


def _tables(found: Health, today: date) -> list[Table]:
    unknown = [(u.provider, u.accelerator, f"{u.offers:,}", u.hint) for u in found.unknown]
    undated = [(provider, f"{count:,}") for provider, count in found.undated.items()]
    placeholders = [(provider, f"{count:,}") for provider, count in found.placeholders.items()]
    aside = [(provider, reason) for provider, reasons in found.set_aside.items() for reason in reasons]
    old = [(provider, str(day), f"{(today - day).days:,} d") for provider, day in found.old.items()]
    made = (
        _table("Accelerators without a data sheet", ("provider", "accelerator", "offers", ""), unknown),
        _table("Prices without a day", ("provider", "prices"), undated),
        _table("Placeholders, whose source is of nobody", ("provider", "prices"), placeholders),
        _table("Set aside", ("provider", "what and why"), aside),
        _table("Old tables", ("provider", "newest price", "age"), old),
    )
    return [table for table in made if table.rows]


def _table(title: str, names: Sequence[str], rows: Sequence[tuple[str, ...]]) -> Table:
    columns = tuple(Column(name=name, numeric=name in ("offers", "prices", "age")) for name in names)
    return Table(title=title, columns=columns, rows=tuple(rows))


def _document(found: Health) -> Any:
    from zenplan.commands.prices.document import doctor_document

    return doctor_document(found)
