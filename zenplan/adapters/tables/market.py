"""Names of providers, which class each is of, and how many devices are had on demand."""

from __future__ import annotations

from functools import cache

from zenplan.adapters.files.csv_file import data_rows
from zenplan.domain.market.provider import OnDemandLimit, ProviderClass
from zenplan.domain.provenance import Origin

_PROVIDERS = ("provider", "class", "source", "status", "date")
_AVAILABILITY = ("provider_class", "accelerators", "devices", "source", "status", "date")


def provider_class(provider: str) -> ProviderClass:
    """The class of a provider by its name; unknown where it is not in ``providers.csv``."""
    return _classes().get(provider, ProviderClass.UNKNOWN)


def on_demand_limit(kind: ProviderClass, accelerator: str) -> OnDemandLimit:
    """The largest cluster of an accelerator that providers of a class usually rent out without a reservation."""
    limits = _limits()
    return limits.get((kind, accelerator)) or limits[kind, ""]


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
