"""The plugins: found, loaded and called one by one, so that a bad one is left out and the rest answer.

``ZENPLAN_PLUGINS`` names the entry points to load (unset: all that are installed; empty: none);
``ZENPLAN_BLOCK`` names those to leave out, ``builtin`` being zenplan's own; ``ZENPLAN_TRACE_PLUGINS=1``
writes to stderr what each load and each hook takes.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, TypeVar

import pluggy

from zenplan import hookspecs
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.hardware.catalogue import plain
from zenplan.domain.market.offer import PriceTable
from zenplan.domain.plugin import PluginInfo, Problem
from zenplan.errors import nearest
from zenplan.plugins import guard
from zenplan.plugins.families import GuardedFamily
from zenplan.plugins.guard import Outcome
from zenplan.plugins.items import KINDS, Kind, sorted_out, table_of, wrong_hook
from zenplan.plugins.sources import Journal, Source, installed
from zenplan.protocols import Engine, Exporter, PriceProvider, WorkloadFamily
from zenplan.version import __version__

BUILTIN: Final = "builtin"

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loaded:
    """A plugin and those of its hooks that can be called; none where it could not be loaded."""

    source: Source
    hooks: Mapping[str, Callable[[], list[Any]]] = field(default_factory=dict)


class Plugins:
    """The items of all plugins, each hook collected when it is first asked for. Made by ``load_plugins``.

    Items come in the order of their owners, installed plugins first; the first to use a name keeps it,
    whatever its case and punctuation.
    """

    def __init__(self, loaded: tuple[_Loaded, ...], journal: Journal) -> None:
        self._loaded = loaded
        self._journal = journal
        self._items: dict[str, tuple[Any, ...]] = {}
        self._counts: Counter[tuple[str, str]] = Counter()
        self._owners: dict[int, tuple[str, Source]] = {}
        self._tables: dict[int, PriceTable] = {}

    def accelerators(self) -> tuple[Accelerator, ...]:
        """Every data sheet."""
        return self._collected("zenplan_accelerators")

    def price_providers(self) -> tuple[PriceProvider, ...]:
        """Every source of prices."""
        return self._collected("zenplan_price_providers")

    def workloads(self) -> tuple[WorkloadFamily, ...]:
        """Every family of models; an installed plugin's behind the same border as its hook."""
        return tuple(self._guarded(family) for family in self._collected("zenplan_workloads"))

    def engines(self) -> tuple[Engine, ...]:
        """Every training framework."""
        return self._collected("zenplan_engines")

    def exporters(self) -> tuple[Exporter, ...]:
        """Every format."""
        return self._collected("zenplan_exporters")

    def ask(self, item: object, what: str, work: Callable[[], T]) -> Outcome[T]:
        """The outcome of a call into one of the items, behind the same border as its hook.

        Args:
            item: whose plugin answers for it.
            what: names the call in ``problems``, where a failure is kept.
            work: the call.
        """
        _, source = self._owners.get(id(item)) or _stranger(item)
        return self._journal.attempt(source, what, work)

    def bundled_table(self, provider: PriceProvider) -> PriceTable:
        """The table that ships with the provider's plugin.

        Where the plugin has none to give, the table is empty and ``left_out`` says why; ``problems`` too.
        """
        if id(provider) in self._tables:
            return self._tables[id(provider)]
        name, _ = self._owners.get(id(provider)) or _stranger(provider)
        outcome = self.ask(provider, f"prices of {name}", lambda: table_of(name, provider.bundled()))
        table = outcome.value
        if table is None:
            table = PriceTable(provider=name, offers=(), left_out=(f"the whole table: {outcome.reason}",))
        if id(provider) in self._owners:
            self._tables[id(provider)] = table
        return table

    def infos(self) -> tuple[PluginInfo, ...]:
        """Every plugin that was not left out by a setting, in order. Collects every hook first."""
        for hook in KINDS:
            self._collected(hook)
        return tuple(self._info(each) for each in self._loaded)

    def problems(self) -> tuple[Problem, ...]:
        """What was left out so far, by name and with the reason; after ``infos``, of every hook."""
        return tuple(self._journal.problems)

    def _guarded(self, family: WorkloadFamily) -> WorkloadFamily:
        name, source = self._owners[id(family)]
        return family if source.timeout_s is None else GuardedFamily(family, name, self.ask)

    def _info(self, loaded: _Loaded) -> PluginInfo:
        source = loaded.source
        return PluginInfo(
            owner=source.owner,
            name=source.name,
            version=source.version,
            distribution=source.distribution,
            hooks=tuple(loaded.hooks),
            items=MappingProxyType({hook: self._counts[source.owner, hook] for hook in loaded.hooks}),
            failures=tuple(p for p in self._journal.problems if p.plugin == source.owner and not p.kept),
        )

    def _collected(self, hook: str) -> tuple[Any, ...]:
        if hook not in self._items:
            first: dict[str, Source] = {}
            kept: list[Any] = []
            for each in self._loaded:
                for name, item in self._answered(each, KINDS[hook]):
                    # Two punctuations alone are two names, though nothing is left of either.
                    owner = first.setdefault(plain(name) or name, each.source)
                    if len(first) > len(kept):
                        kept.append(item)
                        self._owners[id(item)] = (name, owner)
                        self._counts[owner.owner, hook] += 1
                    else:
                        self._taken(f"{KINDS[hook].noun} {guard.one_line(name)}", owner, each.source)
            self._items[hook] = tuple(kept)
        return self._items[hook]

    def _taken(self, what: str, first: Source, second: Source) -> None:
        reason = f"{first.owner} has that name already; the one of {second.owner} is left out"
        self._journal.add(second, what, reason, kept=first.owner)

    def _answered(self, loaded: _Loaded, kind: Kind) -> list[tuple[str, Any]]:
        """The items of one plugin's hook that are what they should be, with their names."""
        call = loaded.hooks.get(kind.hook)
        if call is None:
            return []
        outcome = self._journal.attempt(loaded.source, kind.hook, lambda: sorted_out(call(), kind))
        if outcome.value is None:
            return []
        good, bad = outcome.value
        for reason in bad:
            self._journal.add(loaded.source, kind.hook, reason)
        return good


def load_plugins(environ: Mapping[str, str] = os.environ, *, timeout_s: float = guard.TIMEOUT_S) -> Plugins:
    """Load the installed plugins and zenplan's own. Never raises for a plugin: see ``Plugins.problems``.

    Args:
        environ: where ZENPLAN_PLUGINS, ZENPLAN_BLOCK and ZENPLAN_TRACE_PLUGINS are read.
        timeout_s: how long an installed plugin may take to load, and to answer a hook.
    """
    journal = Journal(_to_stderr if environ.get("ZENPLAN_TRACE_PLUGINS", "").strip() not in ("", "0") else None)
    wanted = _names(environ["ZENPLAN_PLUGINS"]) if "ZENPLAN_PLUGINS" in environ else None
    blocked = _names(environ.get("ZENPLAN_BLOCK", ""))
    # Listing what is installed costs more than anything else here: not done where nothing is wanted.
    sources = [] if wanted == () else installed(journal, timeout_s)
    known = [each.name for each in sources]
    for name in wanted or ():
        if name not in known and name != BUILTIN:
            near = nearest(name, known)
            reason = "not installed" + (f"; did you mean {' or '.join(near)}?" if near else "")
            journal.add(Source(name=guard.one_line(name), load=lambda: None), "load", reason)
    sources = [each for each in sources if wanted is None or each.name in wanted]
    sources.append(Source(name=BUILTIN, distribution="zenplan", version=__version__, load=_load_builtin))
    return Plugins(tuple(_load(each, journal) for each in sources if each.name not in blocked), journal)


def _load_builtin() -> object:
    from zenplan.plugins import builtin

    return builtin


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _to_stderr(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _stranger(item: object) -> tuple[str, Source]:
    """A name and a plugin for an item that came through no hook, which is then trusted with nothing."""
    name = type(item).__name__
    return name, Source(name=name, load=lambda: None, timeout_s=guard.TIMEOUT_S)


def _load(source: Source, journal: Journal) -> _Loaded:
    outcome = journal.attempt(source, "load", lambda: _register(source.load()))
    manager = outcome.value
    if manager is None:
        return _Loaded(source=source)
    for hook, reason in manager.left_out:
        journal.add(source, hook, reason)
    if not manager.good and not manager.left_out:
        journal.add(source, "load", "it implements no hook of zenplan")
    hooks = {name: getattr(manager.hook, name) for name in KINDS if name in manager.good}
    return _Loaded(source=source, hooks=MappingProxyType(hooks))


def _register(plugin: object) -> _Manager:
    """A manager of that plugin alone: nothing that another one does can then reach it."""
    if plugin is None:
        raise TypeError("the entry point leads to None")
    manager = _Manager()
    manager.register(plugin)
    return manager


class _Manager(pluggy.PluginManager):
    """pluggy's manager, which leaves out a hook that is wrong where pluggy would refuse the plugin."""

    def __init__(self) -> None:
        super().__init__(hookspecs.PROJECT)
        self.add_hookspecs(hookspecs)
        self.good: set[str] = set()
        self.left_out: list[tuple[str, str]] = []

    def parse_hookimpl_opts(self, plugin: Any, name: str) -> Any:
        """pluggy's options of an attribute that is a hook, or None."""
        options = super().parse_hookimpl_opts(plugin, name)
        if options is None:
            if name in KINDS and inspect.isroutine(getattr(plugin, name)):
                self.left_out.append((name, "it is not marked with @hookimpl"))
            return None
        hook = options.get("specname") or name
        if hook not in KINDS and options.get("optionalhook"):
            # Meant for another release of zenplan, and the plugin says so.
            return None
        wrong = wrong_hook(getattr(plugin, name), hook, options)
        if wrong:
            self.left_out.append((name, wrong))
            return None
        self.good.add(hook)
        return options
