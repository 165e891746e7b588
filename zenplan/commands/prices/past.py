"""What was asked before: the table of a day or a file beside the one of now, and an instance's price over all tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Final

from zenplan.adapters.prices.kept import KeptTables
from zenplan.domain.market.changes import Changed, changes
from zenplan.domain.market.offer import Offer, PriceTable
from zenplan.errors import UnknownName, ZenplanError

_NOTHING: Final = "'zenplan prices refresh' fetches them; each table that it brings is kept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What changed of a provider.

    Attributes:
        before, after: how the tables are called: ``bundled, of 2026-05-24``, a file's name.
    """

    provider: str
    before: str
    after: str
    new: tuple[Offer, ...]
    gone: tuple[Offer, ...]
    changed: tuple[Changed, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spell:
    """An offer whose prices stayed the same, from the first table that has it to the last.

    Attributes:
        offer: as the last table has it.
        first, last: days of those tables; None of one whose prices have no day.
        tables: that say so, a count.
    """

    offer: Offer
    first: date | None
    last: date | None
    tables: int


def day_of(table: PriceTable) -> date | None:
    """The day that a table is of: of its newest price, or of its fetch."""
    return table.days[1] or (table.fetched_at.date() if table.fetched_at else None)


def name_of(table: PriceTable) -> str:
    """How it is called beside another."""
    day = day_of(table)
    return f"{'fetched' if table.fetched_at else 'bundled'}, of {day or 'no day'}"


def past_tables(kept: KeptTables, bundled: PriceTable | None, provider: str) -> list[PriceTable]:
    """All tables of a provider, the oldest first: the bundled one is before or between those that were fetched."""
    found = [each.table for each in kept.all_of(provider)][::-1]
    if bundled is not None and bundled.offers:
        found.append(bundled)
    return sorted(found, key=_age_order)


def _age_order(table: PriceTable) -> tuple[date, float]:
    return day_of(table) or date.min, table.fetched_at.timestamp() if table.fetched_at else 0.0


def changed_since(
    current: Sequence[PriceTable], past: Mapping[str, Sequence[PriceTable]], since: date | None
) -> tuple[Beside, ...]:
    """The tables of now beside those before them; or beside those of a day, the last until then.

    Raises:
        ZenplanError: no provider has a table before the one of now.
    """
    found = []
    for table in current:
        earlier = [t for t in past.get(table.provider, ()) if t != table and _until(t, since)]
        if earlier:
            found.append(beside(earlier[-1], table, name_of(earlier[-1])))
    if not found:
        what = f"no table of {since} or before is kept" if since else "no table but the one of now is kept"
        raise ZenplanError(what, _NOTHING)
    return tuple(found)


def _until(table: PriceTable, since: date | None) -> bool:
    day = day_of(table)
    return since is None or (day is not None and day <= since)


def beside(before: PriceTable, after: PriceTable, name: str) -> Beside:
    """What changed from the one to the other."""
    found = changes(before.offers, after.offers)
    return Beside(
        provider=after.provider,
        before=name,
        after=name_of(after),
        new=found.new,
        gone=found.gone,
        changed=found.changed,
    )


def beside_file(path: Path, theirs: Sequence[PriceTable], current: Sequence[PriceTable]) -> tuple[Beside, ...]:
    """The tables of now of those whom a file has prices of. Raises ZenplanError: nobody knows any of them."""
    now = {table.provider: table for table in current}
    found = tuple(beside(t, now[t.provider], path.name) for t in theirs if t.provider in now)
    if not found:
        names = ", ".join(table.provider for table in theirs)
        raise ZenplanError(
            f"{path} has prices of {names}, of whom there is no other table", "'zenplan prices' lists all"
        )
    return found


def spells(instance: str, tables: Iterable[Sequence[PriceTable]]) -> tuple[Spell, ...]:
    """The prices of an instance, whatever the case of its name; ``aws/p5.48xlarge`` is one provider's.

    Args:
        instance: its name.
        tables: of each provider, the oldest first.

    Raises:
        UnknownName: none of them has it.
    """
    wanted = instance.lower()
    every = [table for each in tables for table in each]
    found = [
        (offer, table)
        for table in every
        for offer in table.offers
        if wanted in (offer.instance.name.lower(), f"{table.provider}/{offer.instance.name}".lower())
    ]
    if not found:
        raise UnknownName("instance", instance, {o.instance.name for t in every for o in t.offers}, "zenplan prices")
    # Sorting keeps the order of tables.
    found.sort(key=lambda each: _place(each[0]))
    return tuple(spell for _, same in groupby(found, key=lambda each: _place(each[0])) for spell in _spells(list(same)))


def _place(offer: Offer) -> tuple[str, str, str]:
    return offer.instance.provider, offer.region, offer.tier


def _spells(found: Sequence[tuple[Offer, PriceTable]]) -> Iterator[Spell]:
    def usd(each: tuple[Offer, PriceTable]) -> tuple[float | None, ...]:
        return tuple(price.usd_per_h if price else None for price in (each[0].on_demand, each[0].spot))

    for _, group in groupby(found, key=usd):
        same = list(group)
        yield Spell(offer=same[-1][0], first=day_of(same[0][1]), last=day_of(same[-1][1]), tables=len(same))
