"""What hooks are, and what a plugin hands over through them, looked at before anybody uses it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import is_dataclass
from functools import partial
from itertools import islice
from typing import Any, Final, get_origin, get_type_hints

from zenplan.domain import checks
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.errors import DataError, NoFit, UsageError, ZenplanError, nearest
from zenplan.plugins.guard import Outcome, attempt
from zenplan.protocols import Engine, Exporter, PriceProvider, Tracker, WorkloadFamily

MOST_ITEMS: Final = 10_000
_MOST_BAD: Final = 5
# A hook, what one of its items is called, and its class or the protocol it follows.
KINDS: Final[Mapping[str, tuple[str, type]]] = {
    "zenplan_accelerators": ("accelerator", Accelerator),
    "zenplan_price_providers": ("price provider", PriceProvider),
    "zenplan_workloads": ("workload family", WorkloadFamily),
    "zenplan_engines": ("engine", Engine),
    "zenplan_exporters": ("exporter", Exporter),
    "zenplan_trackers": ("tracker", Tracker),
}

Texts = Mapping[str, str]
Ask = Callable[[str, Callable[[], Any]], Outcome[Any]]


def hooks_of(plugin: Any) -> tuple[dict[str, Callable[[], Any]], dict[str, str]]:
    """The hooks of a plugin that can be called; and those that cannot, with the reason. Raises TypeError: it is None."""
    if plugin is None:
        raise TypeError("the entry point leads to None")
    hooks: dict[str, Callable[[], Any]] = {}
    wrong: dict[str, str] = {}
    for name in dir(plugin):
        function: Any = getattr(plugin, name, None)
        options = getattr(function, "zenplan_impl", None) if inspect.isroutine(function) else None
        if isinstance(options, Mapping):
            hook = options.get("specname") or name
            # An optional one is meant for another release of zenplan.
            if (reason := _wrong_hook(function, hook, options)) and (hook in KINDS or not options.get("optionalhook")):
                wrong[name] = reason
            elif not reason:
                hooks[hook] = function
        elif name in KINDS and inspect.isroutine(function):
            wrong[name] = "it is not marked with @hookimpl"
    return hooks, wrong


def _wrong_hook(function: Any, hook: str, options: Mapping[str, Any]) -> str:
    if hook not in KINDS:
        near = nearest(hook, KINDS, count=1) or sorted(KINDS)
        return f"there is no such hook; did you mean {' or '.join(near)}?"
    if options.get("wrapper") or options.get("hookwrapper"):
        return "it is a wrapper; a hook returns items"
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return "it is async; a hook is a plain function"
    every = inspect.signature(function).parameters.values()
    needed = [p.name for p in every if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    return f"it takes arguments ({', '.join(needed)}); a hook takes none" if needed else ""


def listed(answer: Any, kind: type) -> tuple[Any, ...]:
    """What the iterable has. Raises DataError: it is none, or has no end."""
    # A text is an iterable too, of letters, and never what was meant.
    if answer is None or isinstance(answer, str | bytes) or not isinstance(answer, Iterable):
        what = "None" if answer is None else f"a {type(answer).__name__}"
        raise DataError(f"it returned {what}, not an iterable of {kind.__name__}")
    items = tuple(islice(answer, MOST_ITEMS + 1))
    if len(items) > MOST_ITEMS:
        raise DataError(f"it yields more than {MOST_ITEMS:,} items")
    return items


def sorted_out(answer: Any, kind: type, *, trusted: bool = False) -> tuple[list[tuple[Any, Texts]], list[str]]:
    """The items of a hook's answer with their texts, and the reasons why others are left out. Raises as ``listed``.

    Args:
        answer: of the hook.
        kind: what the items should be.
        trusted: zenplan's own, which the tests look at: only their names are asked for.
    """
    if trusted:
        return [(item, {"name": item.name}) for item in answer], []
    good: list[tuple[Any, Texts]] = []
    bad: list[str] = []
    for number, item in enumerate(listed(answer, kind), start=1):
        outcome = attempt(partial(_texts_of, item, kind), None)
        if outcome.value is None:
            bad.append(f"item {number} is left out: {outcome.reason}")
        else:
            good.append((item, outcome.value))
    if len(bad) > _MOST_BAD:
        bad[_MOST_BAD:] = [f"{len(bad) - _MOST_BAD} items more are left out"]
    return good, bad


def _texts_of(item: Any, kind: type) -> Texts:
    """The item's name and other texts, once it is known to be of its kind. Raises DataError: it is not."""
    if isinstance(item, type):
        raise DataError(f"the class {item.__name__}, not an instance of it")
    if is_dataclass(kind):
        if reason := checks.unlike(item, kind):
            raise DataError(reason.removeprefix("it returned "))
        return {"name": item.name}
    members = {name: isinstance(member, property) for name, member in vars(kind).items() if name[0] != "_"}
    missing = [name for name, text in members.items() if not text and not callable(getattr(item, name, None))]
    missing += [name for name, text in members.items() if text and not hasattr(item, name)]
    if missing:
        raise DataError(f"a {type(item).__name__}, not {kind.__name__}: it has no {', no '.join(missing)}")
    texts = {name: getattr(item, name) for name, text in members.items() if text}
    checks.named(type(item).__name__, **texts)
    # A subclass of str may do anything when it is compared or shown.
    return {name: str(text) for name, text in texts.items()}


class PluginFailed(DataError):
    """A call of a plugin's item came to nothing.

    Args:
        call: as in ``shop.bundled()``.
        reason: one line.
    """

    def __init__(self, call: str, reason: str) -> None:
        super().__init__(f"{call} of a plugin failed: {reason}", "'zenplan plugins' lists it")
        self.reason = reason


class Guarded:
    """A plugin's item behind the border: its texts as they were when it came, its calls answered as its protocol says.

    Args:
        item: of the plugin.
        kind: the protocol that it follows.
        texts: its name, and the others that the protocol has.
        ask: calls into the plugin, and keeps what goes wrong.
    """

    def __init__(self, item: Any, kind: type, texts: Texts, ask: Ask) -> None:
        self._item, self._kind, self._ask = item, kind, ask
        self.name = texts["name"]
        vars(self).update(texts)

    def __getattr__(self, member: str) -> Any:
        """A call: it raises what the plugin says of the user's input, PluginFailed where it fails; many things are none."""
        if member[0] == "_" or member not in vars(self._kind):
            raise AttributeError(member)
        returns = get_type_hints(vars(self._kind)[member])["return"]

        def call(*arguments: Any) -> Any:
            outcome = self._ask(f"{self.name}.{member}()", partial(self._answer, member, returns, arguments))
            if isinstance(outcome.value, ZenplanError):
                raise outcome.value
            if outcome.reason and get_origin(returns) is not Iterable:
                raise PluginFailed(f"{self.name}.{member}()", outcome.reason)
            return () if outcome.reason else outcome.value

        return call

    def _answer(self, member: str, returns: Any, arguments: tuple[Any, ...]) -> Any:
        try:
            value = getattr(self._item, member)(*arguments)
        except (UsageError, NoFit) as error:
            return error  # an answer to the user, not a failure of the plugin
        if get_origin(returns) in (Iterable, Sequence):
            value = listed(value, str)
        reason = checks.unlike(value, returns)
        if getattr(value, "provider", self.name) != self.name:
            reason = f"it returned the table of {value.provider!r}"
        if reason or (get_origin(returns) is Sequence and not value):
            raise DataError(reason or "it returned nothing")
        return value
