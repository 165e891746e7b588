"""The plugins: found, loaded and called one by one, so that a bad one is left out and the rest answer.

``ZENPLAN_PLUGINS`` names the entry points to load (unset: all that are installed; empty: none);
``ZENPLAN_BLOCK`` names those to leave out, ``builtin`` being zenplan's own; ``ZENPLAN_TRACE_PLUGINS=1``
writes to stderr what each load and each hook takes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from types import MappingProxyType
from typing import Any, Final, TypeVar

from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.hardware.catalogue import plain
from zenplan.domain.market.offer import PriceTable
from zenplan.domain.plugin import PluginInfo, Problem
from zenplan.errors import DataError, nearest
from zenplan.plugins import guard
from zenplan.plugins.items import KINDS, Guarded, PluginFailed, hooks_of, sorted_out
from zenplan.protocols import Engine, Exporter, PriceProvider, Tracker, WorkloadFamily
from zenplan.version import __version__

GROUP: Final = "zenplan"
BUILTIN: Final = "builtin"

T = TypeVar("T")
Trace = Callable[[str, float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A plugin before it is loaded.

    Attributes:
        name: of the entry point.
        load: imports it and returns it.
        timeout_s: how long a call into it may take; None for zenplan's own.
    """

    name: str
    distribution: str = ""
    version: str = ""
    load: Callable[[], object] = lambda: None
    timeout_s: float | None = None

    @property
    def owner(self) -> str:
        """The plugin with its distribution, as people are told: ``runpod (zenplan-runpod 0.1.0)``."""
        release = f"{self.distribution} {self.version}".strip()
        return f"{self.name} ({release})" if release else self.name


class Plugins:
    """The items of all plugins, each hook collected when it is first asked for; the first to use a name keeps it,
    whatever its case and punctuation. An installed plugin's items are called behind the border.

    Args:
        sources: the plugins, in the order of their items: installed ones first.
        problems: what was left out before.
        trace: is given a line about each call; None where nobody wants to know.
    """

    def __init__(self, sources: Iterable[Source], problems: Iterable[Problem] = (), trace: Trace | None = None) -> None:
        self._problems = [*problems]
        self._trace = trace
        self._given_up: set[str] = set()
        self._items: dict[str, list[tuple[Source, Any]]] = {}
        self._tables: dict[str, PriceTable] = {}
        self._loaded = [(source, self._hooks(source)) for source in sources]

    def accelerators(self) -> tuple[Accelerator, ...]:
        """Every data sheet."""
        return self._collected("zenplan_accelerators")

    def price_providers(self) -> tuple[PriceProvider, ...]:
        """Every source of prices."""
        return self._collected("zenplan_price_providers")

    def workloads(self) -> tuple[WorkloadFamily, ...]:
        """Every family of models."""
        return self._collected("zenplan_workloads")

    def engines(self) -> tuple[Engine, ...]:
        """Every training framework."""
        return self._collected("zenplan_engines")

    def exporters(self) -> tuple[Exporter, ...]:
        """Every format."""
        return self._collected("zenplan_exporters")

    def trackers(self) -> tuple[Tracker, ...]:
        """Everything that follows runs. A plugin's is called on the caller's own thread: ``guard.Aside`` is for it."""
        return self._collected("zenplan_trackers")

    def bundled_table(self, provider: PriceProvider) -> PriceTable:
        """The table that ships with the provider's plugin; an empty one, whose ``left_out`` says why, where it fails."""
        name = provider.name
        if not any(each is provider for each in self.price_providers()):
            # One that came through no hook is trusted with nothing.
            source = Source(name=type(provider).__name__, timeout_s=guard.TIMEOUT_S)
            provider = Guarded(provider, PriceProvider, {"name": name}, partial(self._attempt, source))
        if name not in self._tables:
            try:
                self._tables[name] = provider.bundled()
            except DataError as error:
                reason = error.reason if isinstance(error, PluginFailed) else error.message
                self._tables[name] = PriceTable(provider=name, offers=(), left_out=(f"the whole table: {reason}",))
        return self._tables[name]

    def infos(self) -> tuple[PluginInfo, ...]:
        """Every plugin that was not left out by a setting, in order. Collects every hook first."""
        for hook in KINDS:
            self._collected(hook)
        return tuple(
            PluginInfo(
                owner=source.owner,
                name=source.name,
                version=source.version,
                distribution=source.distribution,
                hooks=tuple(hooks),
                items=MappingProxyType({h: sum(owner is source for owner, _ in self._items[h]) for h in hooks}),
                failures=tuple(p for p in self._problems if p.plugin == source.owner and not p.kept),
            )
            for source, hooks in self._loaded
        )

    def problems(self) -> tuple[Problem, ...]:
        """What was left out so far, by name and with the reason; after ``infos``, of every hook."""
        return tuple(self._problems)

    def _hooks(self, source: Source) -> dict[str, Callable[[], Any]]:
        """The hooks of the plugin, once loaded, in the order of ``KINDS``; none where that fails."""
        outcome = self._attempt(source, "load", lambda: hooks_of(source.load()))
        hooks, wrong = outcome.value or ({}, {})
        for name, reason in wrong.items():
            self._add(source, name, reason)
        if not (hooks or wrong or outcome.reason):
            self._add(source, "load", "it implements no hook of zenplan")
        return {name: hooks[name] for name in KINDS if name in hooks}

    def _collected(self, hook: str) -> tuple[Any, ...]:
        if hook not in self._items:
            noun, kind = KINDS[hook]
            first: dict[str, Source] = {}
            kept = self._items.setdefault(hook, [])
            for source, texts, item in self._answers(hook, kind):
                name = texts["name"]
                # Two punctuations alone are two names, though nothing is left of either.
                owner = first.setdefault(plain(name) or name, source)
                if len(first) == len(kept):
                    reason = f"{owner.owner} has that name already; the one of {source.owner} is left out"
                    self._add(source, f"{noun} {guard.one_line(name)}", reason, kept=owner.owner)
                elif source.timeout_s is None or kind is Accelerator:
                    kept.append((source, item))
                else:
                    ask = _asked_here if kind is Tracker else partial(self._attempt, source)
                    kept.append((source, Guarded(item, kind, texts, ask)))
        return tuple(item for _, item in self._items[hook])

    def _answers(self, hook: str, kind: type) -> Iterator[tuple[Source, Mapping[str, str], Any]]:
        """What each plugin's hook hands over, less what is not of its kind."""
        for source, hooks in self._loaded:
            if hook in hooks:
                work = partial(_called, hooks[hook], kind, source.timeout_s is None)
                good, bad = self._attempt(source, hook, work).value or ([], [])
                for reason in bad:
                    self._add(source, hook, reason)
                yield from ((source, texts, item) for item, texts in good)

    def _attempt(self, source: Source, what: str, work: Callable[[], T]) -> guard.Outcome[T]:
        """The outcome of a call into that plugin. One that once gave no answer is not called again."""
        if source.owner in self._given_up:
            outcome: guard.Outcome[T] = guard.Outcome(reason="not asked: it gave no answer before")
        else:
            start = perf_counter()
            outcome = guard.attempt(work, source.timeout_s)
            if self._trace:
                self._trace(f"{source.owner}: {what}{' failed' * bool(outcome.reason)}", start)
        if outcome.given_up:
            self._given_up.add(source.owner)
        if outcome.reason:
            self._add(source, what, outcome.reason)
        return outcome

    def _add(self, source: Source, what: str, reason: str, kept: str = "") -> None:
        problem = Problem(plugin=source.owner, what=what, reason=reason, kept=kept)
        if problem not in self._problems:
            self._problems.append(problem)


def _called(
    hook: Callable[[], Any], kind: type, trusted: bool
) -> tuple[list[tuple[Any, Mapping[str, str]]], list[str]]:
    return sorted_out(hook(), kind, trusted=trusted)


def _asked_here(what: str, work: Callable[[], T]) -> guard.Outcome[T]:
    return guard.attempt(work, None)


def load_plugins(environ: Mapping[str, str] = os.environ, *, timeout_s: float = guard.TIMEOUT_S) -> Plugins:
    """Load the installed plugins and zenplan's own. Never raises for a plugin: see ``Plugins.problems``.

    Args:
        environ: where ZENPLAN_PLUGINS, ZENPLAN_BLOCK and ZENPLAN_TRACE_PLUGINS are read.
        timeout_s: how long an installed plugin may take to load, and to answer a hook.
    """
    trace = _traced if environ.get("ZENPLAN_TRACE_PLUGINS", "").strip() not in ("", "0") else None
    wanted = _names(environ["ZENPLAN_PLUGINS"]) if "ZENPLAN_PLUGINS" in environ else None
    blocked = _names(environ.get("ZENPLAN_BLOCK", ""))
    start = perf_counter()
    # Listing what is installed costs more than anything else here: not done where nothing is wanted.
    sources, problems = _installed(timeout_s) if wanted != () else ([], [])
    if trace and wanted != ():
        trace("entry points", start)
    known = [each.name for each in sources]
    for name in wanted or ():
        if name not in (*known, BUILTIN):
            near = nearest(name, known)
            reason = "not installed" + (f"; did you mean {' or '.join(near)}?" if near else "")
            problems.append(Problem(plugin=guard.one_line(name), what="load", reason=reason))
    sources = [each for each in sources if wanted is None or each.name in wanted]
    sources.append(Source(name=BUILTIN, distribution="zenplan", version=__version__, load=_load_builtin))
    return Plugins((each for each in sources if each.name not in blocked), problems, trace)


def _installed(timeout_s: float) -> tuple[list[Source], list[Problem]]:
    """The entry points of zenplan's group, by distribution and name, none of them loaded; and the distributions whose
    entry points cannot be read."""
    from importlib.metadata import distributions

    found: dict[tuple[str, str], Source] = {}
    problems = []
    for each in distributions():
        outcome = guard.attempt(partial(_points, each), None)
        # A distribution whose METADATA cannot be read has no name; its plugin may work all the same.
        if outcome.value or outcome.reason:
            name, version = (guard.attempt(partial(_field, each, f), None).value or "" for f in ("name", "version"))
        if outcome.reason:
            problems.append(Problem(plugin=name or "a distribution", what="entry points", reason=outcome.reason))
        for point in outcome.value or ():
            source = Source(name=point.name, distribution=name, version=version, load=point.load, timeout_s=timeout_s)
            # A distribution that is on the path twice: the first is the one that is imported.
            found.setdefault((name, point.name), source)
    return [found[key] for key in sorted(found)], problems


def _points(distribution: Any) -> list[Any]:
    return [point for point in distribution.entry_points if point.group == GROUP]


def _field(distribution: object, field: str) -> str:
    return guard.one_line(getattr(distribution, field) or "")


def _load_builtin() -> object:
    from zenplan.plugins import builtin

    return builtin


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _traced(what: str, start: float) -> None:
    sys.stderr.write(f"zenplan plugins: {what} {(perf_counter() - start) * 1e3:.1f} ms\n")
