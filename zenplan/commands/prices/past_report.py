"""``zenplan prices diff`` and ``history``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from zenplan import units
from zenplan.commands.prices.past import Beside, Spell
from zenplan.domain.market.offer import Billing, Offer, Price
from zenplan.domain.report import Column, Report, Table

_MOST_SHOWN = 50


def diff_report(found: Sequence[Beside]) -> Report:
    """A row for each provider, then the offers that changed, those with the largest change first."""
    columns = (
        Column(name="provider"),
        Column(name="before"),
        Column(name="now"),
        Column(name="new", numeric=True),
        Column(name="changed", numeric=True),
        Column(name="gone", numeric=True),
    )
    counts = tuple((b.provider, b.before, b.after, *_counts(b)) for b in found)
    rows = [row for beside in found for row in _rows(beside)]
    rows.sort(key=lambda row: row[0])
    shown = tuple(row[1:] for row in rows[:_MOST_SHOWN])
    more = len(rows) - len(shown)
    names = ("provider, region", "instance", "billing", "before/h", "now/h", "change")
    prices = Table(
        title="What changed", columns=tuple(Column(name=n, numeric=n in names[3:]) for n in names), rows=shown
    )
    return Report(
        make_document=lambda: _diff_document(found),
        make_records=lambda: _diff_document(found).offers,
        tables=(Table(columns=columns, rows=counts), *((prices,) if shown else ())),
        notes=(f"{more:,} more: --format csv has all.",) if more else (),
    )


def _counts(beside: Beside) -> tuple[str, ...]:
    return tuple(f"{len(each):,}" for each in (beside.new, beside.changed, beside.gone))


def _rows(beside: Beside) -> Iterator[tuple[Any, ...]]:
    """Rows of a table behind what they are sorted by: changes by their size, then what is new and gone."""
    for change in beside.changed:
        for billing in Billing:
            before, after = change.before.price(billing), change.after.price(billing)
            if (before and before.usd_per_h) != (after and after.usd_per_h):
                ratio = change.ratio(billing)
                size = abs(ratio - 1) if ratio else 0.0
                text = f"{ratio - 1:+.1%}" if ratio else "-"
                yield ((0, -size, beside.provider), *_cells(change.after, billing, before, after), text)
    for word, offers in (("new", beside.new), ("gone", beside.gone)):
        for offer in offers:
            for billing in Billing:
                if price := offer.price(billing):
                    prices = (None, price) if word == "new" else (price, None)
                    yield ((1, word == "gone", beside.provider), *_cells(offer, billing, *prices), word)


def _cells(offer: Offer, billing: Billing, before: Price | None, after: Price | None) -> tuple[str, ...]:
    place = f"{offer.instance.provider}, {offer.region}"
    return place, offer.called, str(billing), _usd(before), _usd(after)


def _usd(price: Price | None) -> str:
    return units.usd(price.usd_per_h) if price else "-"


def _diff_document(found: Sequence[Beside]) -> Any:
    from zenplan.commands.prices.document import diff_document

    return diff_document(found)


def history_report(found: Sequence[Spell]) -> Report:
    """A row for each price that an offer had, the oldest first."""
    columns = (
        Column(name="provider, region"),
        Column(name="instance"),
        Column(name="from"),
        Column(name="to"),
        Column(name="on-demand/h", numeric=True),
        Column(name="spot/h", numeric=True),
    )
    rows = tuple(
        (
            f"{s.offer.instance.provider}, {s.offer.region}",
            s.offer.called,
            str(s.first or "?"),
            str(s.last or "?"),
            _usd(s.offer.on_demand),
            _usd(s.offer.spot),
        )
        for s in found
    )
    return Report(
        make_document=lambda: _history_document(found),
        make_records=lambda: _history_document(found).prices,
        tables=(Table(columns=columns, rows=rows),),
        notes=(
            "Days of the tables that have the price: the one that ships, and those that were fetched and are kept.",
        ),
    )


def _history_document(found: Sequence[Spell]) -> Any:
    from zenplan.commands.prices.document import history_document

    return history_document(found)
