"""``zenplan prices``: what each offer costs, under both billing kinds, and how old that is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from typing import Any, Final

from zenplan import units
from zenplan.commands.shared.ages import age_of
from zenplan.commands.shared.filters import too_old
from zenplan.commands.shared.tables import lowest
from zenplan.domain.market.offer import Billing, Offer, Price, PriceTable
from zenplan.domain.report import Column, Report, Table

_UNKNOWN = "?"
_NOTE = (
    "Cheapest device-hour first, by the on-demand price; what binds to a term comes after that, and offers with a spot "
    "price alone last. "
    "GPU-h is that price of one device. '?' is a price that is not known, never 0."
)
_SUMMED = (
    "The lowest price of one device for an hour, whose it is and how old; one over 180 days old or of no date only where no "
    "fresh one is within twice of it. --gpu H100, --provider aws and the like list offers, --all every one."
)
# Of one accelerator, or of one provider, there are fewer.
MOST_LISTED: Final = 250


def prices_report(tables: Sequence[PriceTable], today: date, every: bool = False) -> Report:
    """A row for each offer, cheapest device-hour first (see the note); then how old each table is.

    More than ``MOST_LISTED`` offers are summed up by accelerator, unless ``every`` one is to be listed; the document and
    the records have all of them.
    """
    offers = sorted((o for t in tables for o in t.offers), key=_order)
    summed = len(offers) > MOST_LISTED and not every
    left_out = [f"{t.provider}: {reason}" for t in tables for reason in t.left_out]
    return Report(
        make_document=lambda: _document(offers, tables, today),
        make_records=lambda: _document(offers, (), today).offers,
        make_header=_columns,
        tables=(_by_accelerator(offers, today),) if summed else (_offers(offers, today), _ages(tables, today)),
        notes=(
            f"Offers: {len(offers):,}; providers: {len(tables)}. {_SUMMED if summed else _NOTE}",
            *too_old(tables),
            *left_out,
        ),
    )


def _columns() -> tuple[str, ...]:
    from zenplan.commands.prices.document import OfferDocument

    return OfferDocument.__struct_fields__


def _document(offers: Sequence[Offer], tables: Sequence[PriceTable], today: date) -> Any:
    from zenplan.commands.prices.document import prices_document

    return prices_document(offers, tables, today)


def _device_usd_per_h(offer: Offer) -> float:
    """On demand, or the spot price where that is not known; an offer has at least one of them."""
    price = offer.on_demand or offer.spot
    return price.usd_per_h / offer.instance.devices if price else math.inf


def _order(offer: Offer) -> tuple[bool, bool, float, str, str, str]:
    instance, bound = offer.instance, offer.committed is not None
    return offer.on_demand is None, bound, _device_usd_per_h(offer), instance.provider, instance.name, offer.region


def _by_accelerator(offers: Sequence[Offer], today: date) -> Table:
    found: dict[str, list[Offer]] = {}
    for offer in offers:
        found.setdefault(offer.instance.accelerator, []).append(offer)
    rows = tuple(
        (name, *(_lowest(own, billing, today) for billing in Billing), f"{len(own):,}")
        for name, own in sorted(found.items())
    )
    columns = (
        Column(name="accelerator"),
        Column(name="on-demand, GPU-h"),
        Column(name="spot, GPU-h"),
        Column(name="offers", numeric=True),
    )
    return Table(columns=columns, rows=rows)


def _lowest(offers: Sequence[Offer], billing: Billing, today: date) -> str:
    found = lowest(offers, billing, today)
    if found is None:
        return _UNKNOWN
    usd_per_h, offer, price = found
    days = price.age_days(today)
    return f"{units.usd(usd_per_h)} {offer.instance.provider}, {'no date' if days is None else f'{days} d'}"


def _offers(offers: Sequence[Offer], today: date) -> Table:
    # Provider and region share a column: 80 then have room for the price of a device-hour.
    columns = (
        Column(name="provider, region"),
        Column(name="instance"),
        Column(name="GPUs"),
        Column(name="on-demand/h", numeric=True),
        Column(name="spot/h", numeric=True),
        Column(name="GPU-h", numeric=True),
    )
    rows = tuple(
        (
            f"{o.instance.provider}, {o.region}",
            o.called,
            f"{o.instance.devices} × {o.instance.accelerator}",
            _shown(o.on_demand, today),
            _shown(o.spot, today),
            units.usd(_device_usd_per_h(o)),
        )
        for o in offers
    )
    return Table(columns=columns, rows=rows)


def _shown(price: Price | None, today: date) -> str:
    """The price, and under it its age where it is old or has no date."""
    if price is None:
        return _UNKNOWN
    return "\n".join(
        filter(None, (units.usd(price.usd_per_h), age_of(price, today).removeprefix("price ").removeprefix("has ")))
    )


def _ages(tables: Sequence[PriceTable], today: date) -> Table:
    columns = (
        Column(name="provider"),
        Column(name="offers", numeric=True),
        Column(name="oldest price"),
        Column(name="newest price"),
        Column(name="undated", numeric=True),
        Column(name="billed by"),
    )
    rows = tuple(
        (
            table.provider,
            str(len(table.offers)),
            *(f"{day.isoformat()} ({(today - day).days:,} days)" if day else "not known" for day in table.days),
            str(table.undated),
            units.duration(table.terms.granularity_s) if table.terms and table.terms.granularity_s else "not known",
        )
        for table in tables
    )
    return Table(title="How old each table is", columns=columns, rows=rows)
