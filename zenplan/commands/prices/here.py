"""All price tables that there are here: those of now, those before, and a file's taken in among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from zenplan.adapters.clock import today
from zenplan.adapters.prices.kept import KeptTables
from zenplan.adapters.prices.place import price_cache
from zenplan.adapters.prices.table import read_price_csv
from zenplan.commands.prices.doctor import Health, health
from zenplan.commands.prices.past import Beside, Spell, beside_file, changed_since, past_tables, spells
from zenplan.commands.shared.current import current_tables, named_providers
from zenplan.commands.shared.output import warned
from zenplan.commands.shared.tables import catalogue
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.market.offer import PriceTable
from zenplan.plugins import Plugins


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """The price tables here.

    Attributes:
        current: that an answer takes.
        bundled: that ship with distributions.
        kept: that were fetched.
        sheets: every accelerator.
        unread: files of fetched tables that are not read, and why.
    """

    current: tuple[PriceTable, ...]
    bundled: tuple[PriceTable, ...]
    kept: KeptTables
    sheets: Catalogue
    unread: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, plugins: Plugins, providers: Sequence[str]) -> Here:
        """The tables of those providers; of all, if there is none. Raises UnknownName: nobody has a table of one."""
        unread: list[str] = []
        current = current_tables(plugins, unread.append)
        wanted = named_providers(providers, (table.provider for table in current))
        return cls(
            current=tuple(table for table in current if not wanted or table.provider in wanted),
            bundled=tuple(map(plugins.bundled_table, plugins.price_providers())),
            kept=KeptTables(price_cache(), lambda line: None if line in unread else unread.append(line)),
            sheets=catalogue(plugins),
            unread=unread,
        )

    def _past(self) -> dict[str, list[PriceTable]]:
        bundled = {table.provider: table for table in self.bundled}
        return {t.provider: past_tables(self.kept, bundled.get(t.provider), t.provider) for t in self.current}

    def changed(self, since: str | None) -> tuple[Beside, ...]:
        """What changed since the table before, that of a day, or a file's.

        Raises:
            ZenplanError: there is no such table.
            InputFileError: the file cannot be used.
        """
        day = _day(since)
        if since is not None and day is None:
            theirs = self._read(Path(since))
            return beside_file(Path(since), theirs, self.current)
        found = changed_since(self.current, self._past(), day)
        self._tell()
        return found

    def spells(self, instance: str) -> tuple[Spell, ...]:
        """What an instance cost. Raises UnknownName: nobody has it."""
        found = spells(instance, self._past().values())
        self._tell()
        return found

    def health(self, day: date) -> Health:
        """What is wrong with the prices."""
        newest = {table.provider: self.kept.newest(table.provider) for table in self.current if table.fetched_at}
        aside = {provider: kept.set_aside for provider, kept in newest.items() if kept}
        return health(self.current, self.sheets, aside, self.kept.folder, self.unread, day)

    def taken_in(self, file: Path) -> tuple[str, ...]:
        """Keep the tables of a file; a line for each of what became of it.

        Raises:
            InputFileError: the file cannot be used.
            ZenplanError: somebody refreshes, or there is no room.
        """
        lines = []
        bundled = {table.provider: table.days[1] for table in self.bundled}
        tables = [table for table in self._read(file) if table.offers]
        with self.kept.alone():
            for table in tables:
                self.kept.keep(table, table.left_out)
                newer, newest = bundled.get(table.provider), table.days[1]
                used = newer is None or newest is None or newer <= newest
                note = "" if used else f", but the table that ships has prices of {newer} and is used"
                lines.append(f"{table.provider}: {len(table.offers):,} offers, {len(table.left_out):,} left out{note}")
                lines += [f"{table.provider}: left out: {reason}" for reason in table.left_out]
        return tuple(lines)

    def _read(self, path: Path) -> tuple[PriceTable, ...]:
        return read_price_csv(path, lambda name: self.sheets.by_name(name).name, today())

    def _tell(self) -> None:
        for line in self.unread:
            warned(line)


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text or "")
    except ValueError:
        return None
