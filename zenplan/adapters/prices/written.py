"""A price table as the text of a CSV file, with the columns that ``--prices`` takes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Final

from zenplan import units
from zenplan.adapters.prices.rows import GBIT_PER_S
from zenplan.domain.market.interruptions import Interruptions
from zenplan.domain.market.offer import Offer, Price
from zenplan.errors import printable

COLUMNS: Final = (
    "provider",
    "instance",
    "region",
    "tier",
    "accelerator",
    "devices",
    "vcpus",
    "ram_gib",
    "network_gbit_per_s_per_device",
    "on_demand_usd_per_h",
    "on_demand_as_of",
    "source",
    "spot_usd_per_h",
    "spot_as_of",
    "spot_source",
    "spot_taken_per_h_low",
    "spot_taken_per_h",
    "spot_taken_per_h_high",
    "spot_taken_what",
    "spot_taken_as_of",
    "spot_taken_source",
    "term_days",
)


def price_csv(offers: Iterable[Offer]) -> str:
    """The offers, a line each below the header. What stands in no column (a link that differs) is not in it."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(COLUMNS)
    lines.writerows(map(_cells, offers))
    return text.getvalue()


def _cells(offer: Offer) -> tuple[str, ...]:
    machine, on_demand, spot = offer.instance, offer.on_demand, offer.spot
    source = on_demand.source if on_demand else ""
    return (
        printable(machine.provider),
        printable(machine.name),
        printable(offer.region),
        printable(offer.tier),
        printable(machine.accelerator),
        str(machine.devices),
        _number(machine.vcpus),
        _number(machine.ram_bytes and machine.ram_bytes / units.GIB),
        _number(machine.network_bytes_per_s and machine.network_bytes_per_s / GBIT_PER_S),
        *_price(on_demand),
        printable(source),
        *_price(spot),
        printable(spot.source) if spot and spot.source != source else "",
        *_taken(offer.interruptions),
        _number(offer.committed.term_s / units.DAY_S if offer.committed and offer.committed.term_s else None),
    )


def _price(price: Price | None) -> tuple[str, str]:
    if price is None:
        return "", ""
    day = price.as_of or price.table_as_of
    return _number(price.usd_per_h), day.isoformat() if day else ""


def _taken(taken: Interruptions | None) -> tuple[str, ...]:
    if taken is None:
        return ("",) * 6
    rates = taken.per_node_s * units.HOUR_S
    day = taken.as_of.isoformat() if taken.as_of else ""
    per_h = (repr(rate) for rate in (rates.low, rates.mid, rates.high))
    return (*per_h, printable(taken.what), day, printable(taken.source))


def _number(value: float | None) -> str:
    # The shortest text that is that number; a whole one without its ".0".
    return "" if value is None else repr(value).removesuffix(".0")
