"""Prices as they are now: asked of every provider that can be, all at once, looked at, and kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from queue import Empty, SimpleQueue
from threading import Semaphore, Thread
from time import monotonic
from typing import Final

from zenplan import units
from zenplan.adapters.prices.kept import KeptTables
from zenplan.adapters.prices.sifting import Usual, sifted, usual_of
from zenplan.adapters.prices.table import CsvPriceProvider
from zenplan.commands.shared.current import current_tables, named_providers
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.market.changes import changes
from zenplan.domain.market.offer import PriceTable
from zenplan.errors import DataError, NoLiveSource, UsageError, ZenplanError
from zenplan.plugins import Plugins
from zenplan.protocols import Http, PriceProvider

# A provider may have half a gigabyte to read.
PATIENCE_S: Final = 0.5 * units.HOUR_S
_MOST_AT_ONCE: Final = 16
_MOST_SET_ASIDE: Final = 500
_TICK_S: Final = 0.1

Network = Callable[[], AbstractContextManager[Http]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of a provider.

    Attributes:
        table: that is there for it from now on; None where there is none at all.
        failure: why nothing new was had; empty where it was.
        new, changed, gone: offers of the new table beside the one before, counts.
        set_aside: rows of the new table that cannot be right, and why.
    """

    provider: str
    table: PriceTable | None = None
    failure: str = ""
    new: int = 0
    changed: int = 0
    gone: int = 0
    set_aside: tuple[str, ...] = ()


# A table that was fetched by then is not old.
_FRESH_S: Final = units.HOUR_S


def network() -> Network:
    """What makes the network of a provider. Raises UsageError: it is not installed."""
    try:
        from zenplan.adapters.http.client import HttpClient, trusted
    except ImportError as error:
        hint = "pip install 'zenplan[prices]'"
        raise UsageError(f"prices are fetched with {error.name}, which is not installed", hint) from error
    from zenplan.adapters.prices.place import price_cache

    trust, folder = trusted(), price_cache()
    return lambda: HttpClient(kept=folder, trust=trust)


def refreshed(plugins: Plugins, sheets: Catalogue, warn: Callable[[str], None]) -> None:
    """Fetch what was not fetched within the last hour. What cannot be had is told, and no more."""
    from zenplan.adapters.clock import today
    from zenplan.adapters.prices.place import price_cache
    from zenplan.commands.shared.progress import staged

    tables = {table.provider: table for table in current_tables(plugins, lambda _: None)}
    try:
        providers = [p for p in live_providers(plugins.price_providers()) if _is_old(tables[p.name])]
        if not providers:
            return
        with staged("prices") as tell:
            verdicts = refresh(
                providers, tables, KeptTables(price_cache()), sheets, network=network(), today=today(), tell=tell
            )
    except ZenplanError as error:
        warn(f"prices are not fetched: {_said(error)}")
        return
    for verdict in verdicts:
        if verdict.failure:
            warn(f"prices of {verdict.provider} are not fetched: {verdict.failure}")


def _is_old(table: PriceTable) -> bool:
    return table.fetched_at is None or (datetime.now(UTC) - table.fetched_at).total_seconds() > _FRESH_S


def live_providers(providers: Sequence[PriceProvider], wanted: Sequence[str] = ()) -> tuple[PriceProvider, ...]:
    """Those that may have a live source; of those that are wanted, each.

    Raises:
        UnknownName: nobody has that name.
        DataError: nobody has a live source.
    """
    named = named_providers(wanted, (provider.name for provider in providers))
    found = [p for p in providers if p.name in named or not (named or isinstance(p, CsvPriceProvider))]
    if not found:
        raise DataError(
            "no installed plugin fetches prices",
            "docs/prices.md lists those that do; from a checkout, as in: pip install ./plugins/zenplan-runpod",
        )
    return tuple(found)


def refresh(
    providers: Sequence[PriceProvider],
    tables: Mapping[str, PriceTable],
    kept: KeptTables,
    sheets: Catalogue,
    *,
    network: Network,
    today: date,
    tell: Callable[[float, str], None] = lambda share, stage: None,
    named: bool = False,
    patience_s: float = PATIENCE_S,
) -> tuple[Verdict, ...]:
    """Fetch the tables of those providers and keep them; one that fails has the table that it had.

    Args:
        providers: to ask.
        tables: what is used now, of everybody: what is new is seen beside it.
        kept: where tables are kept.
        sheets: every accelerator.
        network: makes what a provider may use of the network.
        today: the day of prices that have none.
        tell: is told the share that is done and who is waited for.
        named: whether the user named them: then one without a live source has failed.
        patience_s: how long all of them together may take.

    Raises:
        ZenplanError: somebody else refreshes, or nothing can be kept.
    """
    verdicts = {}
    with kept.alone():
        for provider, found in _fetched(providers, network, tell, patience_s):
            if isinstance(found, NoLiveSource) and not named:
                continue
            before = tables.get(provider)
            others = (table for name, table in tables.items() if name != provider)
            try:
                verdicts[provider] = _taken(found, before, kept, sheets, usual_of(others, before), today)
            except ZenplanError as error:
                aside = error.reasons if isinstance(error, _NothingLeft) else ()
                verdicts[provider] = Verdict(provider=provider, table=before, failure=_said(error), set_aside=aside)
    if not verdicts:
        raise DataError(
            "none of the installed plugins has a live source of prices",
            "docs/prices.md lists those that have; from a checkout, as in: pip install ./plugins/zenplan-runpod",
        )
    return tuple(verdicts[p.name] for p in providers if p.name in verdicts)


def _said(error: ZenplanError) -> str:
    return f"{error.message}; {error.hint}" if error.hint else error.message


class _NothingLeft(DataError):
    """Every row of a table was set aside."""

    def __init__(self, reasons: tuple[str, ...]) -> None:
        super().__init__(
            f"none of its {len(reasons):,} rows can be used; {reasons[0]}" if reasons else "it has no rows"
        )
        self.reasons = reasons


def _taken(
    found: PriceTable | ZenplanError,
    before: PriceTable | None,
    kept: KeptTables,
    sheets: Catalogue,
    usual: Usual,
    today: date,
) -> Verdict:
    """The verdict on a table, once it is kept. Raises ZenplanError: there is none to keep, or it cannot be written."""
    if isinstance(found, ZenplanError):
        raise found
    table, set_aside = sifted(found, sheets, usual, today)
    if len(set_aside) > _MOST_SET_ASIDE:
        more = f"{len(set_aside) - _MOST_SET_ASIDE:,} rows more"
        set_aside = (*set_aside[:_MOST_SET_ASIDE], more)
    if not table.offers:
        raise _NothingLeft(set_aside)
    table = kept.keep(table, set_aside)
    beside = changes(before.offers if before else (), table.offers)
    return Verdict(
        provider=table.provider,
        table=table,
        new=len(beside.new),
        changed=len(beside.changed),
        gone=len(beside.gone),
        set_aside=set_aside,
    )


def _fetched(
    providers: Sequence[PriceProvider], network: Network, tell: Callable[[float, str], None], patience_s: float
) -> Iterator[tuple[str, PriceTable | ZenplanError]]:
    """Each provider's table, or why there is none, as they come in."""
    answers: SimpleQueue[tuple[str, PriceTable | ZenplanError]] = SimpleQueue()
    turn = Semaphore(_MOST_AT_ONCE)

    def ask(provider: PriceProvider) -> None:
        found: PriceTable | ZenplanError = DataError("it came to nothing, for a fault in zenplan")
        try:
            with turn, network() as http:
                found = provider.fetch(http)
        except ZenplanError as error:
            found = error
        finally:
            answers.put((provider.name, found))

    for provider in providers:
        # Daemons: one that never answers must not keep the program from ending.
        Thread(target=ask, args=(provider,), name=f"zenplan-prices-{provider.name}", daemon=True).start()
    waiting = [provider.name for provider in providers]
    end = monotonic() + patience_s
    while waiting and monotonic() < end:
        tell(1 - len(waiting) / len(providers), f"prices: {', '.join(waiting)}")
        try:
            name, found = answers.get(timeout=_TICK_S)
        except Empty:
            continue
        waiting.remove(name)
        yield name, found
    for name in waiting:
        yield name, DataError(f"no answer within {units.duration(patience_s)}")
