"""The tables that there are without a question to anybody: what was fetched before, and what ships with distributions."""

from __future__ import annotations

from collections.abc import Callable

from zenplan.domain.market.offer import PriceTable
from zenplan.plugins import Plugins


def current_tables(plugins: Plugins, warn: Callable[[str], None]) -> tuple[PriceTable, ...]:
    """Each provider's table: the last that was fetched, or the one that ships with its distribution, where that is newer."""
    from zenplan.adapters.prices.kept import KeptTables, price_cache

    kept = KeptTables(price_cache(), warn)
    there = set(kept.providers())
    found = []
    for provider in plugins.price_providers():
        bundled = plugins.bundled_table(provider)
        last = kept.newest(provider.name) if provider.name in there else None
        found.append(last.table if last and not _newer(bundled, last.table) else bundled)
    return tuple(found)


def _newer(one: PriceTable, other: PriceTable) -> bool:
    """Whether a price of the one was seen after all of the other's."""
    day, than = one.days[1], other.days[1]
    return day is not None and than is not None and day > than
