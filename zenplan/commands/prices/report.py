"""``zenplan prices``: what each offer costs, under both billing kinds, and how old that is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from typing import Any

from zenplan import units
from zenplan.domain.market.offer import Billing, Offer, Price, PriceTable
from zenplan.domain.report import Column, Report, Table

_UNKNOWN = "?"
_NOTE = (
    "Cheapest device-hour first, by the on-demand price; offers with a spot price alone come last, by that. "
    "GPU-h is that price of one device. '?' is a price that is not known, never 0."
)


def prices_report(tables: Sequence[PriceTable], today: date) -> Report:
    """A row for each offer, cheapest device-hour first (see the note); then how old each table is."""
    offers = sorted((o for t in tables for o in t.offers), key=_order)
    left_out = [f"{t.provider}: {reason}" for t in tables for reason in t.left_out]
    return Report(
        schema="zenplan.prices/1",
        document={
            "offers": [_record(o) for o in offers],
            "tables": [_table_record(t, today) for t in tables],
            "left_out": left_out,
        },
        records=tuple(_record(o) for o in offers),
        tables=(_offers(offers), _ages(tables, today)),
        notes=(f"Offers: {len(offers)}; providers: {len(tables)}. {_NOTE}", *left_out),
    )


def _device_usd_per_h(offer: Offer) -> float:
    """On demand, or the spot price where that is not known; an offer has at least one of them."""
    price = offer.on_demand or offer.spot
    return price.usd_per_h / offer.instance.devices if price else math.inf


def _order(offer: Offer) -> tuple[bool, float, str, str, str]:
    instance = offer.instance
    return offer.on_demand is None, _device_usd_per_h(offer), instance.provider, instance.name, offer.region


def _offers(offers: Sequence[Offer]) -> Table:
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
            o.instance.name + (f" ({o.tier})" if o.tier else ""),
            f"{o.instance.devices} × {o.instance.accelerator}",
            _shown(o.on_demand),
            _shown(o.spot),
            units.usd(_device_usd_per_h(o)),
        )
        for o in offers
    )
    return Table(columns=columns, rows=rows)


def _shown(price: Price | None) -> str:
    return units.usd(price.usd_per_h) if price else _UNKNOWN


def _ages(tables: Sequence[PriceTable], today: date) -> Table:
    columns = (
        Column(name="provider"),
        Column(name="offers", numeric=True),
        Column(name="oldest price"),
        Column(name="newest price"),
        Column(name="undated", numeric=True),
        Column(name="billed by"),
    )
    rows = []
    for record in (_table_record(t, today) for t in tables):
        ages = [
            f"{record[k]} ({record[f'{k}_age_days']:,} days)" if record[k] else "not known"
            for k in ("oldest", "newest")
        ]
        step = record["granularity_s"]
        rows.append(
            (
                record["provider"],
                str(record["offers"]),
                *ages,
                str(record["undated"]),
                units.duration(step) if step else "not known",
            )
        )
    return Table(title="How old each table is", columns=columns, rows=tuple(rows))


def _table_record(table: PriceTable, today: date) -> dict[str, Any]:
    prices = [p for o in table.offers for p in (o.on_demand, o.spot) if p]
    dates = sorted(p.as_of for p in prices if p.as_of)
    ends = {"oldest": dates[0] if dates else None, "newest": dates[-1] if dates else None}
    record: dict[str, Any] = {"provider": table.provider, "offers": len(table.offers)}
    for name, day in ends.items():
        record[name] = day.isoformat() if day else None
        record[f"{name}_age_days"] = (today - day).days if day else None
    record["undated"] = sum(1 for p in prices if p.as_of is None)
    record["granularity_s"] = table.terms.granularity_s if table.terms else None
    return record


def _record(offer: Offer) -> dict[str, Any]:
    instance = offer.instance
    row: dict[str, Any] = {
        "provider": instance.provider,
        "instance": instance.name,
        "tier": offer.tier or None,
        "region": offer.region,
        "accelerator": instance.accelerator,
        "devices": instance.devices,
        "vcpus": instance.vcpus,
        "ram_bytes": instance.ram_bytes,
        "network_bytes_per_s": instance.network_bytes_per_s,
    }
    for kind in Billing:
        price, name = offer.price(kind), str(kind).replace("-", "_")
        row[f"{name}_usd_per_h"] = price.usd_per_h if price else None
        row[f"{name}_as_of"] = price.as_of.isoformat() if price and price.as_of else None
        row[f"{name}_source"] = price.source if price else None
    return row
