"""The plugins: found, loaded and called one by one, so that a bad one is left out and the rest answer.

``ZENPLAN_PLUGINS`` names the plugins to load (unset: all that are installed, and the user's files; empty: none);
``ZENPLAN_BLOCK`` names those to leave out, ``builtin`` being zenplan's own; ``ZENPLAN_TRACE_PLUGINS=1``
writes to stderr what each load and each call takes, and where one failed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property, partial
from pathlib import Path
from time import perf_counter
from types import MappingProxyType
from typing import Any, Final, TypeVar, cast

from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.hardware.catalogue import Catalogue, plain
from zenplan.domain.market.offer import PriceTable
from zenplan.domain.plugin import PluginInfo, Problem
from zenplan.errors import DataError, nearest
from zenplan.plugins import guard
from zenplan.plugins.items import KINDS, Ask, Guarded, PluginFailed, hooks_of, sorted_out
from zenplan.plugins.sources import FILES, Source, files_of, installed
from zenplan.protocols import Engine, Exporter, Launcher, PriceProvider, Tracker, WorkloadFamily
from zenplan.version import __version__

BUILTIN: Final = "builtin"
# A network may be asked by several at once: what changes then is nobody's.
_UNWATCHED: Final = ("fetch()",)

T = TypeVar("T")
Trace = Callable[[str, float], None]
Consent = Callable[[], Iterable[str]]


class Plugins:
    """The items of all plugins, each hook collected when it is first asked for; the first to use a name keeps it,
    whatever its case and punctuation. A plugin's items are called behind the border. One of them that has the name of
    one of zenplan's own takes its place only where the user has agreed, or where it is a price provider that says whose
    table it carries.

    Args:
        sources: the plugins, in the order of their items: the user's first.
        problems: what was left out before.
        trace: is given a line about each call; None where nobody wants to know.
        consent: the plugins whose items may take the place of zenplan's own; asked where one would.
    """

    def __init__(
        self,
        sources: Iterable[Source],
        problems: Iterable[Problem] = (),
        trace: Trace | None = None,
        consent: Consent = tuple,
    ) -> None:
        self._problems = [*problems]
        self._trace = trace
        self._consent = consent
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

    def launchers(self) -> tuple[Launcher, ...]:
        """Every cluster and cloud that runs are launched on."""
        return self._collected("zenplan_launchers")

    def bundled_table(self, provider: PriceProvider) -> PriceTable:
        """The table that ships with the provider's plugin; an empty one, whose ``left_out`` says why, where it fails."""
        name = provider.name
        if not any(each is provider for each in self.price_providers()):
            # One that came through no hook is trusted with nothing.
            source = Source(name=type(provider).__name__, timeout_s=guard.TIMEOUT_S)
            provider = cast(PriceProvider, self._guarded(source, provider, PriceProvider, {"name": name}))
        if name not in self._tables:
            try:
                self._tables[name] = provider.bundled()
            except DataError as error:
                reason = error.reason if isinstance(error, PluginFailed) else error.message
                self._tables[name] = PriceTable(provider=name, offers=(), left_out=(f"the whole table: {reason}",))
        return self._tables[name]

    def of(self, name: str) -> dict[str, tuple[Any, ...]]:
        """The items in use of the plugin of that name, by hook."""
        return {
            hook: tuple(item for source, item in self._items[hook] if source.name == name)
            for hook in KINDS
            if self._collected(hook) is not None
        }

    def ask(self) -> None:
        """Call whatever of plugins' items can be called without input, so that what fails is known."""
        for provider in filter(_foreign, self.price_providers()):
            self.bundled_table(provider)
        for family in filter(_foreign, self.workloads()):
            for model in family.presets():
                _tried(partial(family.lower, {"model": model}))
        for engine in filter(_foreign, self.engines()):
            _tried(engine.worker)

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
            answers = [*self._answers(hook, kind)]
            theirs = any(source.timeout_s is not None for source, _, _ in answers)
            # Where no plugin has an item, nobody's name can be taken.
            ours = (each for each in answers if theirs and each[0].timeout_s is None)
            own = {plain(name) for _, texts, item in ours for name in _names(texts, item)}
            for source, texts, item in answers:
                name = texts["name"]
                taken = [each for each in _names(texts, item) if plain(each) in own and source.timeout_s is not None]
                if taken and not (_declared(source, texts) or self._agreed(source)):
                    self._add(source, f"{noun} {name}", _unasked(source, taken[0]))
                    continue
                # Two punctuations alone are two names, though nothing is left of either.
                owner = first.setdefault(plain(name) or name, source)
                if len(first) == len(kept):
                    reason = f"{owner.owner} has that name already; the one of {source.owner} is left out"
                    self._add(source, f"{noun} {guard.one_line(name)}", reason, kept=owner.owner)
                elif source.timeout_s is None or kind is Accelerator:
                    kept.append((source, item))
                else:
                    kept.append((source, self._guarded(source, item, kind, texts, own)))
        return tuple(item for _, item in self._items[hook])

    def _guarded(
        self, source: Source, item: Any, kind: type, texts: Mapping[str, str], own: Iterable[str] = ()
    ) -> Guarded[Any]:
        """The item behind the border."""
        ask: Ask = _asked_here if kind is Tracker else partial(self._attempt, source)
        finish: dict[str, Callable[[Any], Any]] = {}
        if kind is PriceProvider:
            carrier = f"carried by plugin {source.owner}" if (plain(texts["name"]) in own) else ""
            # Whoever fetches says what came of it.
            told = {"bundled": True, "fetch": False}
            finish = {
                member: partial(self._checked, source, texts["name"], carrier, say) for member, say in told.items()
            }
        elif kind is WorkloadFamily:
            finish = {"presets": partial(self._unused, source)}
        return Guarded(item, kind, texts, source.owner, ask, finish)

    def _checked(self, source: Source, name: str, carrier: str, say: bool, table: PriceTable) -> PriceTable:
        """A plugin's table, less what cannot be right."""
        from zenplan.adapters.clock import today
        from zenplan.plugins.tables import checked_table

        try:
            checked = checked_table(table, self._sheets, today(), carrier)
        except DataError as error:
            if say:
                self._add(source, f"prices of {name}", error.message)
            raise PluginFailed(f"the price table {name}", source.owner, error.message) from error
        for reason in checked.left_out[len(table.left_out) :] if say else ():
            self._add(source, f"prices of {name}", reason)
        return checked

    def _unused(self, source: Source, presets: Iterable[str]) -> tuple[str, ...]:
        """Names of models, less those that are zenplan's own."""
        found = tuple(presets)
        taken = [name for name in found if plain(name) in self._own_models]
        if not taken or self._agreed(source):
            return found
        for name in taken:
            self._add(source, f"model {name}", _unasked(source, name))
        return tuple(name for name in found if name not in taken)

    @cached_property
    def _sheets(self) -> Catalogue:
        return Catalogue(accelerators=self.accelerators())

    @cached_property
    def _own_models(self) -> frozenset[str]:
        own = (family for family in self.workloads() if not _foreign(family))
        return frozenset(plain(name) for family in own for name in family.presets())

    def _agreed(self, source: Source) -> bool:
        return source.name in self._consent()

    def _answers(self, hook: str, kind: type) -> Iterator[tuple[Source, Mapping[str, str], Any]]:
        """What each plugin's hook hands over, less what is not of its kind."""
        for source, hooks in self._loaded:
            if hook in hooks:
                work = partial(_called, hooks[hook], kind, source.timeout_s is None)
                good, bad = self._attempt(source, hook, work).value or ([], [])
                for reason in bad:
                    self._add(source, hook, reason)
                yield from ((source, texts, item) for item, texts in good)

    def _attempt(
        self, source: Source, what: str, work: Callable[[], T], timeout_s: float | None = None
    ) -> guard.Outcome[T]:
        """The outcome of a call into that plugin. One that once gave no answer is not called again."""
        if source.owner in self._given_up:
            outcome: guard.Outcome[T] = guard.Outcome(reason="not asked: it gave no answer before")
        else:
            start = perf_counter()
            limit_s = source.timeout_s and (timeout_s or source.timeout_s)
            watched = not what.endswith(_UNWATCHED)
            outcome = guard.attempt(work, limit_s, watched=watched, traced=self._trace is not None)
            if self._trace:
                self._trace(f"{source.owner}: {what}{' failed' * bool(outcome.reason)}", start)
                sys.stderr.write(outcome.traceback)
        if outcome.given_up:
            self._given_up.add(source.owner)
        if outcome.reason:
            self._add(source, what, outcome.reason)
        if outcome.changed:
            self._add(source, what, f"it changed {', '.join(outcome.changed)}, which is put back")
        return outcome

    def _add(self, source: Source, what: str, reason: str, kept: str = "") -> None:
        problem = Problem(plugin=source.owner, what=what, reason=reason, kept=kept)
        if problem not in self._problems:
            self._problems.append(problem)


def _called(
    hook: Callable[[], Any], kind: type, trusted: bool
) -> tuple[list[tuple[Any, Mapping[str, str]]], list[str]]:
    return sorted_out(hook(), kind, trusted=trusted)


def _asked_here(_what: str, work: Callable[[], T], _timeout_s: float | None = None) -> guard.Outcome[T]:
    return guard.attempt(work, None)


def _tried(work: Callable[[], object]) -> None:
    """Call it for what becomes known of it: a failure is kept by the border."""
    from contextlib import suppress

    from zenplan.errors import ZenplanError

    with suppress(ZenplanError):
        work()


def _foreign(item: object) -> bool:
    return isinstance(item, Guarded)


def _names(texts: Mapping[str, str], item: Any) -> Iterator[str]:
    """What an item answers to."""
    yield texts["name"]
    if isinstance(item, Accelerator):
        yield from (*item.aliases, *item.nvml_names)


def _declared(source: Source, texts: Mapping[str, str]) -> bool:
    """Whether a price provider says whose table it carries: by itself, or by what the plugin is called."""
    name = texts["name"]
    return "carries" in texts and name in (texts["carries"], source.name, source.distribution.removeprefix("zenplan-"))


def _unasked(source: Source, name: str) -> str:
    setting = f'may_replace = ["{source.name}"] in zenplan.toml'
    return f"zenplan has one named {name} itself; {setting} lets it take its place"


def load_plugins(
    environ: Mapping[str, str] = os.environ,
    *,
    timeout_s: float = guard.TIMEOUT_S,
    consent: Consent | None = None,
    also: Iterable[Source] = (),
) -> Plugins:
    """Load the plugins: the user's files, those that are installed, zenplan's own. Never raises for a plugin: see
    ``Plugins.problems``.

    Args:
        environ: where ZENPLAN_PLUGINS, ZENPLAN_PLUGIN_FILES, ZENPLAN_BLOCK and ZENPLAN_TRACE_PLUGINS are read.
        timeout_s: how long a plugin may take to load, and to answer a hook.
        consent: as of ``Plugins``; None for the setting ``may_replace``.
        also: plugins that come before all others.
    """
    trace = _traced if environ.get("ZENPLAN_TRACE_PLUGINS", "").strip() not in ("", "0") else None
    wanted = _listed(environ["ZENPLAN_PLUGINS"]) if "ZENPLAN_PLUGINS" in environ else None
    blocked = _listed(environ.get("ZENPLAN_BLOCK", ""))
    start = perf_counter()
    named, problems = files_of(filter(None, environ.get(FILES, "").split(os.pathsep)), None, timeout_s)
    sources: list[Source] = []
    # Listing what is installed costs more than anything else here: not done where nothing is wanted.
    if wanted != ():
        for found, wrong in (files_of((), _user_folder(), timeout_s), installed(timeout_s)):
            sources += found
            problems += wrong
        if trace:
            trace("entry points", start)
    known = [each.name for each in sources]
    missing = [name for name in wanted or () if name not in (*known, *(p.plugin for p in problems), BUILTIN)]
    for name in missing:
        near = nearest(name, known)
        reason = "not installed" + (f"; did you mean {' or '.join(near)}?" if near else "")
        problems.append(Problem(plugin=guard.one_line(name), what="load", reason=reason))
    sources = [*also, *named, *(each for each in sources if wanted is None or each.name in wanted)]
    sources.append(Source(name=BUILTIN, distribution="zenplan", version=__version__, load=_load_builtin))
    consent = consent or _setting
    return Plugins((each for each in sources if each.name not in blocked), problems, trace, consent)


def _user_folder() -> Path:
    from zenplan.adapters.settings.settings import user_config_file

    return user_config_file().parent / "plugins"


def _setting() -> Iterable[str]:
    from zenplan.adapters.settings.settings import resolve, user_config_file

    found: Iterable[str] = resolve({}, os.environ, Path.cwd(), user_config_file())["may_replace"] or ()
    return found


def _load_builtin() -> object:
    from zenplan.plugins import builtin

    return builtin


def _listed(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _traced(what: str, start: float) -> None:
    sys.stderr.write(f"zenplan plugins: {what} {(perf_counter() - start) * 1e3:.1f} ms\n")
