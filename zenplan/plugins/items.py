"""What hooks are, and what a plugin hands over through them, looked at before anybody uses it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import is_dataclass
from functools import partial
from itertools import islice
from typing import Any, Final, Generic, TypeVar, get_origin, get_type_hints

from zenplan.domain import checks
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.errors import (
    DataError,
    InputFileError,
    NoFit,
    NoLiveSource,
    UnknownName,
    UsageError,
    ZenplanError,
    nearest,
)
from zenplan.plugins.guard import Outcome, attempt, one_line
from zenplan.protocols import Engine, Exporter, Launcher, PriceProvider, Tracker, WorkloadFamily, several_of
from zenplan.version import API

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
    "zenplan_launchers": ("launcher", Launcher),
}

# What is asked of a network has longer than what is at hand: it has time-outs of its own.
PATIENCE_S: Final[Mapping[str, float]] = {"fetch": 600.0}
_MOST_LETTERS_OF_NAME: Final = 200

# Its name and other texts; of an engine what it trains on, too.
Texts = Mapping[str, Any]
T = TypeVar("T")
# A call into a plugin: what it is called, the call, and how long it may take where that is not the usual time.
Ask = Callable[[str, Callable[[], Any], float | None], Outcome[Any]]


def hooks_of(plugin: Any) -> tuple[dict[str, Callable[[], Any]], dict[str, str]]:
    """The hooks of a plugin that can be called; and those that cannot, with the reason.

    Raises:
        TypeError: it is None; DataError: it is written for another ``zenplan.API``.
    """
    if plugin is None:
        raise TypeError("the entry point leads to None")
    wanted = getattr(plugin, "zenplan_api", API)
    if type(wanted) is not int or wanted != API:
        raise DataError(f"it is written for zenplan.API {wanted!r}, and this is {API}")
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
        outcome = attempt(partial(_checked, item, kind), None)
        if outcome.value is None:
            bad.append(f"item {number} is left out: {outcome.reason}")
        else:
            good.append(outcome.value)
    if len(bad) > _MOST_BAD:
        bad[_MOST_BAD:] = [f"{len(bad) - _MOST_BAD} items more are left out"]
    return good, bad


def _checked(item: Any, kind: type) -> tuple[Any, Texts]:
    """The item, plain where it is data, and its name and other texts. Raises DataError: it is not of its kind."""
    from zenplan.plugins.shape import owned

    if isinstance(item, type):
        raise DataError(f"the class {item.__name__}, not an instance of it")
    if is_dataclass(kind):
        try:
            sheet = owned(item, kind)
        except DataError as error:
            raise DataError(error.message.removeprefix("it returned ")) from error
        return sheet, {"name": _name(sheet.name, "name")}
    members = {name: isinstance(member, property) for name, member in vars(kind).items() if name[0] != "_"}
    missing = [name for name, text in members.items() if not text and not callable(getattr(item, name, None))]
    missing += [name for name, text in members.items() if text and not hasattr(item, name)]
    if missing:
        raise DataError(f"a {type(item).__name__}, not {kind.__name__}: it has no {', no '.join(missing)}")
    texts = {name: getattr(item, name) for name, text in members.items() if text}
    checks.named(type(item).__name__, **texts)
    if kind is PriceProvider:
        texts["carries"] = getattr(item, "carries", "")
    # A subclass of str may do anything when it is compared or shown.
    known: dict[str, Any] = {name: _name(text, name) for name, text in texts.items()}
    if kind is Engine:
        from zenplan.domain.training.several import Several

        known["several"] = owned(several_of(item), Several, "several")
    return item, known


def _name(text: Any, field: str) -> str:
    from zenplan.plugins.shape import owned

    name: str = owned(text, str, field)
    if len(name) > _MOST_LETTERS_OF_NAME:
        raise DataError(f"{field} has {len(name):,} letters; {_MOST_LETTERS_OF_NAME} are the most")
    return name


class PluginFailed(DataError):
    """A call of a plugin's item came to nothing.

    Args:
        call: as in ``shop.bundled()``.
        owner: the plugin, as in ``Problem.plugin``.
        reason: one line.
    """

    def __init__(self, call: str, owner: str, reason: str) -> None:
        name = owner.partition(" ")[0]
        hint = f"ZENPLAN_TRACE_PLUGINS=1 shows where, ZENPLAN_BLOCK={name} does without it"
        super().__init__(f"{call} of plugin {owner} failed: {reason}", hint)
        self.reason = reason


class Guarded(Generic[T]):
    """An item of a plugin: every call into it goes through the border, and what it returns is looked at.

    Args:
        item: the plugin's own.
        kind: the protocol that it follows.
        texts: its name, and the others that it has.
        owner: the plugin, as in ``Problem.plugin``.
        ask: calls into the plugin, and keeps what goes wrong.
        finish: what becomes of an answer, by member.
    """

    def __init__(
        self,
        item: Any,
        kind: type[T],
        texts: Texts,
        owner: str,
        ask: Ask,
        finish: Mapping[str, Callable[[Any], Any]] | None = None,
    ) -> None:
        self._item, self._kind, self._owner, self._ask, self._finish = item, kind, owner, ask, finish or {}
        self.name = texts["name"]
        vars(self).update(texts)

    def __getattr__(self, member: str) -> Any:
        """A call: it raises what the plugin says of the user's input, PluginFailed where it fails; many things are none."""
        if member[0] == "_" or member not in vars(self._kind):
            raise AttributeError(member)
        returns = get_type_hints(vars(self._kind)[member])["return"]

        def call(*arguments: Any) -> Any:
            what = f"{self.name}.{member}()"
            outcome = self._ask(what, partial(self._answer, member, returns, arguments), PATIENCE_S.get(member))
            if isinstance(outcome.value, ZenplanError):
                raise outcome.value
            if outcome.reason and get_origin(returns) is not Iterable:
                raise PluginFailed(what, self._owner, outcome.reason)
            answer = () if outcome.reason else outcome.value
            return self._finish[member](answer) if member in self._finish else answer

        return call

    def _answer(self, member: str, returns: Any, arguments: tuple[Any, ...]) -> Any:
        from zenplan.plugins.shape import owned

        try:
            value = getattr(self._item, member)(*arguments)
        except (UsageError, NoFit) as error:
            return _plain(error)  # an answer to the user, not a failure of the plugin
        except DataError as error:
            if member != "fetch":
                raise
            return _plain(error)  # nor is it the plugin's fault what a server does
        if get_origin(returns) in (Iterable, Sequence):
            value = listed(value, str)
        if returns is str and isinstance(value, str):
            # A report has many lines, and may be long.
            return str.__str__(value)
        if returns == Mapping[str, str] and isinstance(value, Mapping):
            return _files(value)
        value = owned(value, returns)
        if getattr(value, "provider", self.name) != self.name:
            raise DataError(f"it returned the table of {value.provider!r}")
        if get_origin(returns) is Sequence and not value:
            raise DataError("it returned nothing")
        return value


def _files(value: Mapping[Any, Any]) -> dict[str, str]:
    """Names with whole texts of files. Raises DataError: something else."""
    for name, text in value.items():
        if not isinstance(text, str):
            raise DataError(f"the text of {one_line(str(name))} is a {type(text).__name__}")
    return {_name(name, "a file"): str.__str__(text) for name, text in value.items()}


def _plain(error: ZenplanError) -> ZenplanError:
    """The error as zenplan makes it: a class derived from it may lack what it should have, and its texts may be any.

    Raises:
        DataError: it says nothing.
    """
    kinds: tuple[type[ZenplanError], ...] = (UnknownName, InputFileError, UsageError, NoFit, NoLiveSource, DataError)
    kind = next(each for each in kinds if isinstance(error, each))
    message, hint = (one_line(str(getattr(error, field, ""))) for field in ("message", "hint"))
    if not message:
        raise DataError(f"it raised {type(error).__name__} without a word")
    made = kind.__new__(kind)
    ZenplanError.__init__(made, message, hint)
    return made
