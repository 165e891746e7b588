"""The tables that there are without a question to anybody: what was fetched before, and what ships with distributions."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from zenplan.adapters.tables.market import provider_names
from zenplan.domain.hardware.catalogue import plain
from zenplan.domain.market.offer import PriceTable
from zenplan.errors import UnknownName
from zenplan.plugins import Plugins

if TYPE_CHECKING:
    from zenplan.adapters.prices.kept import Kept


def current_tables(plugins: Plugins, warn: Callable[[str], None]) -> tuple[PriceTable, ...]:
    """Each provider's table: the last that was fetched, or the one that ships with its distribution, where that is newer."""
    from zenplan.adapters.prices.place import price_cache

    bundled = tuple(map(plugins.bundled_table, plugins.price_providers()))
    folder = price_cache()
    # A folder for each provider: where there is none, there is nothing to read, and nothing to read it with.
    if folder is None or not any(each.is_dir() for each in _within(folder)):
        return bundled
    from zenplan.adapters.prices.kept import KeptTables

    kept = KeptTables(folder, warn)
    last = {name: kept.newest(name) for name in kept.providers()}
    known = tuple(_newer(table, last.pop(table.provider, None)) for table in bundled)
    # What was imported may be of somebody whom no plugin knows.
    return (*known, *(found.table for found in last.values() if found))


def _within(folder: Path) -> Iterator[os.DirEntry[str]]:
    with suppress(OSError), os.scandir(folder) as found:
        yield from found


def _newer(bundled: PriceTable, kept: Kept | None) -> PriceTable:
    """The one that was fetched, but where a price of the other was seen after all of its own."""
    if kept is None:
        return bundled
    day, fetched = bundled.days[1], kept.table.days[1]
    return bundled if day is not None and fetched is not None and day > fetched else kept.table


def named_providers(names: Sequence[str], known: Iterable[str]) -> tuple[str, ...]:
    """The known ones that are named, as their tables have them: people write AWS, Google Cloud and Lambda Labs.

    Raises UnknownName: nobody has that name.
    """
    if not names:
        return ()
    known = tuple(known)
    spelled = {plain(other): provider for other, provider in provider_names().items() if provider in known}
    spelled |= {plain(provider): provider for provider in known}
    for name in names:
        if plain(name) not in spelled:
            raise UnknownName("provider", name, known, "zenplan prices")
    return tuple(spelled[plain(name)] for name in names)
