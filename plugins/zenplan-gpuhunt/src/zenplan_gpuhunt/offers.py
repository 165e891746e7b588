"""Items of gpuhunt's catalogue as offers of machines."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping
from datetime import date
from functools import cache
from pathlib import Path
from typing import Final

from zenplan import Billing, DataError, Instance, Offer, Price

from zenplan_gpuhunt.catalogue import Item, Loaded

_GB: Final = 1e9


def offers_of(
    provider: str, loaded: Loaded, known: Mapping[str, Instance], today: date
) -> tuple[tuple[Offer, ...], tuple[str, ...]]:
    """The offers of a cloud, and what could not be used, each reason once.

    Args:
        provider: zenplan's name of the cloud.
        loaded: gpuhunt's catalogue of it.
        known: machines of zenplan's own table, by name.
        today: the day of prices of a catalogue that does not say its own.
    """
    published = _published(loaded.version, today)
    unread = f"{loaded.unread} rows of gpuhunt's catalogue could not be read"
    left_out = {unread: None} if loaded.unread else {}
    machines: dict[str, Instance] = {}
    found: dict[tuple[str, str], dict[Billing, set[float]]] = {}
    for item in loaded.items:
        if not item.price:
            continue
        try:
            machine = _machine(provider, item, known)
            if not 0 < item.price < math.inf:
                raise DataError(f"{machine.name}: {item.price} is no price")
            if machines.setdefault(machine.name, machine) != machine:
                raise DataError(f"{machine.name}: the catalogue has two machines of that name")
        except DataError as error:
            left_out[error.message] = None
        else:
            place = found.setdefault((machine.name, _region(provider, item.location)), {})
            place.setdefault(Billing.SPOT if item.spot else Billing.ON_DEMAND, set()).add(item.price)
    offers = []
    for (name, region), prices in found.items():
        try:
            on_demand, spot = (_only(prices.get(billing), f"{name} in {region}", left_out) for billing in Billing)
            if spot and on_demand and spot > on_demand:
                left_out[f"{name} in {region}: its spot price is above the one on demand"] = None
                spot = None
            if on_demand or spot:
                paid = [
                    Price(usd_per_h=usd, as_of=published, source=loaded.source) if usd else None
                    for usd in (on_demand, spot)
                ]
                offers.append(Offer(instance=machines[name], region=region, on_demand=paid[0], spot=paid[1]))
        except DataError as error:
            left_out[error.message] = None
    return tuple(offers), tuple(left_out)


def _machine(provider: str, item: Item, known: Mapping[str, Instance]) -> Instance:
    """The item's machine. Raises DataError: nothing says for certain which accelerator it has."""
    # A Nebius machine is a platform and a preset, which zenplan's table writes as one word.
    name = item.instance_name.replace(" ", "_")
    if name in known:
        if known[name].devices != item.gpu_count:
            raise DataError(
                f"{name}: {item.gpu_count} devices in the catalogue, {known[name].devices} in zenplan's table"
            )
        return known[name]
    memory = f"{item.gpu_memory:g}" if item.gpu_memory else ""
    table = _accelerators()
    accelerator = table.get((provider, item.gpu_name or "", memory)) or table.get(("", item.gpu_name or "", memory))
    if not accelerator:
        what = f"'{item.gpu_name}' of {memory or 'unknown'} GB"
        raise DataError(f"{name}: {what} is not in the table of accelerators of zenplan-gpuhunt")
    return Instance(
        provider=provider,
        name=name,
        accelerator=accelerator,
        devices=item.gpu_count,
        vcpus=item.cpu or None,
        ram_bytes=item.memory * _GB or None,
    )


def _region(provider: str, location: str) -> str:
    """The region of a zone, of the cloud that has zones in gpuhunt's catalogue."""
    return re.sub(r"-[a-z]$", "", location) if provider == "gcp" else location


def _only(prices: set[float] | None, what: str, left_out: dict[str, None]) -> float | None:
    """The one price; None, with the reason in ``left_out``, where there are two."""
    if prices and len(prices) > 1:
        left_out[f"{what}: there are two prices of it"] = None
        return None
    return next(iter(prices), None) if prices else None


def _published(version: str, today: date) -> date:
    """The day with which the catalogue's version begins, as in 20261101-1; today where it does not."""
    try:
        return min(date.fromisoformat(version[:8]), today)
    except ValueError:
        return today


@cache
def _accelerators() -> dict[tuple[str, str, str], str]:
    """By cloud (or none: any), gpuhunt's name and gigabytes: the accelerator."""
    text = (Path(__file__).parent / "data" / "accelerators.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return {(row["provider"], row["gpu_name"], row["gpu_memory_gb"]): row["accelerator"] for row in rows}
