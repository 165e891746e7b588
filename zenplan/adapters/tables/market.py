"""Names of providers, which class each is of, and how many devices are had on demand."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from zenplan.adapters.files.csv_file import DataRow, data_rows
from zenplan.domain.hardware.catalogue import plain
from zenplan.domain.market.provider import OnDemandLimit, ProviderClass
from zenplan.domain.provenance import Origin
from zenplan.units import DAY_S

_PROVIDERS = ("provider", "class", "source", "status", "date")
_AVAILABILITY = ("provider_class", "accelerators", "devices", "source", "status", "date")
_RESERVED = ("provider", "quota", "quota_status", "least_days", "source", "page", "status", "date")


def provider_class(provider: str) -> ProviderClass:
    """The class of a provider by its name; unknown where it is not in ``providers.csv``."""
    return _classes().get(provider, ProviderClass.UNKNOWN)


def on_demand_limit(kind: ProviderClass, accelerator: str, provider: str = "") -> OnDemandLimit:
    """The largest cluster of an accelerator that providers of a class usually rent out without a reservation, and what
    is known of that provider's quota and reservations."""
    limits = _limits()
    found = limits.get((kind, accelerator)) or limits[kind, ""]
    row = _reserved().get(provider)
    if row is None:
        return found
    days, source = row.number_or_none("least_days"), row.cells["source"]
    term_s = days * DAY_S if days else None
    origin = Origin.PUBLISHED if row.cells["quota_status"] == "read" else Origin.ASSUMED
    return replace(found, quota=row.cells["quota"], quota_origin=origin, term_s=term_s, term_source=source)


@cache
def _reserved() -> dict[str, DataRow]:
    return {row.cells["provider"]: row for row in data_rows("reservations.csv", _RESERVED)}


@cache
def provider_names() -> dict[str, str]:
    """Other names that people give to providers, each with that of its table: those in ``provider_names.csv``."""
    return {row.cells["name"]: row.cells["provider"] for row in data_rows("provider_names.csv", ("name", "provider"))}


@cache
def _classes() -> dict[str, ProviderClass]:
    rows = (row.cells for row in data_rows("providers.csv", _PROVIDERS))
    return {cells["provider"]: ProviderClass(cells["class"]) for cells in rows}


@cache
def _limits() -> dict[tuple[ProviderClass, str], OnDemandLimit]:
    found = {}
    for row in data_rows("availability.csv", _AVAILABILITY):
        assumed = row.cells["status"] == "assumed"
        limit = OnDemandLimit(
            devices=row.whole("devices"),
            origin=Origin.ASSUMED if assumed else Origin.PUBLISHED,
            source=row.cells["source"],
        )
        # An empty cell stands for all accelerators that no other row of the class names.
        for name in row.cells["accelerators"].split(";"):
            found[ProviderClass(row.cells["provider_class"]), name] = limit
    return found


def provider_called(name: str) -> str:
    """The provider whose name that is, or another name of it; the name in small letters where it is nobody's."""
    return _plain_names().get(plain(name), name.lower())


@cache
def _plain_names() -> dict[str, str]:
    """Other names of providers, as names are compared."""
    return {plain(other): provider for other, provider in provider_names().items()}
