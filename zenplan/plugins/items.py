"""What hooks are, and what a plugin hands over through them, looked at before anybody uses it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, Final

from zenplan.domain import checks
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.market.offer import Offer, PriceTable, Terms
from zenplan.errors import DataError, nearest
from zenplan.plugins import guard
from zenplan.protocols import Engine, Exporter, PriceProvider, WorkloadFamily

MOST_ITEMS: Final = 10_000
_MOST_BAD: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What the items of one hook are.

    Attributes:
        hook: the hook that hands them over.
        noun: what one of them is called.
        type: their class, or the protocol they follow.
        texts, calls: the protocol's members; none where the items are of a class of ours.
    """

    hook: str
    noun: str
    type: type
    texts: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()


KINDS: Final = {
    kind.hook: kind
    for kind in (
        Kind(hook="zenplan_accelerators", noun="accelerator", type=Accelerator),
        Kind(
            hook="zenplan_price_providers",
            noun="price provider",
            type=PriceProvider,
            texts=("name",),
            calls=("bundled", "fetch"),
        ),
        Kind(
            hook="zenplan_workloads",
            noun="workload family",
            type=WorkloadFamily,
            texts=("name",),
            calls=("presets", "lower"),
        ),
        Kind(hook="zenplan_engines", noun="engine", type=Engine, texts=("name", "extra"), calls=("worker",)),
        Kind(hook="zenplan_exporters", noun="exporter", type=Exporter, texts=("name",), calls=("export",)),
    )
}


def wrong_hook(function: Callable[..., Any], hook: str, options: Mapping[str, Any]) -> str:
    """Why that function cannot be that hook; empty where it can.

    Args:
        options: what ``@hookimpl`` was given.
    """
    if hook not in KINDS:
        near = nearest(hook, KINDS, count=1) or sorted(KINDS)
        return f"there is no such hook; did you mean {' or '.join(near)}?"
    if options.get("wrapper") or options.get("hookwrapper"):
        return "it is a wrapper; a hook returns items"
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return "it is async; a hook is a plain function"
    needed = [p.name for p in inspect.signature(function).parameters.values() if _is_needed(p)]
    return f"it takes arguments ({', '.join(needed)}); a hook takes none" if needed else ""


def sorted_out(answers: Iterable[Any], kind: Kind) -> tuple[list[tuple[str, Any]], list[str]]:
    """The items of a plugin's answers with their names, and the reasons why others are left out.

    Raises:
        DataError: an answer is no iterable, or has no end.
    """
    good: list[tuple[str, Any]] = []
    bad: list[str] = []
    # pluggy leaves None out of its list of answers.
    for answer in answers or [None]:
        for number, item in enumerate(_listed(answer, kind), start=1):
            outcome = guard.attempt(partial(_name_of, item, kind), None)
            if outcome.value is None:
                bad.append(f"item {number} is left out: {outcome.reason}")
            else:
                good.append((outcome.value, item))
    if len(bad) > _MOST_BAD:
        bad[_MOST_BAD:] = [f"{len(bad) - _MOST_BAD} items more are left out"]
    return good, bad


def table_of(name: str, table: Any) -> PriceTable:
    """The table, once it is known to be one of the provider of that name. Raises DataError if it is not."""
    if not isinstance(table, PriceTable):
        raise DataError(f"it returned a {type(table).__name__}, not a PriceTable")
    if table.provider != name:
        raise DataError(f"it returned the table of {table.provider!r}")
    if table.terms is not None and not isinstance(table.terms, Terms):
        raise DataError(f"its terms are a {type(table.terms).__name__}, not Terms")
    for field, of in (("offers", Offer), ("left_out", str)):
        rows = getattr(table, field)
        if not isinstance(rows, tuple) or not all(isinstance(row, of) for row in rows):
            raise DataError(f"its {field} are not a tuple of {of.__name__}")
    return table


def _listed(answer: Any, kind: Kind) -> tuple[Any, ...]:
    """The items of a hook's answer. Raises DataError if it is no iterable, or one that has no end."""
    # A text is an iterable too, of letters, and never what was meant.
    if answer is None or isinstance(answer, str | bytes) or not isinstance(answer, Iterable):
        what = "None" if answer is None else f"a {type(answer).__name__}"
        raise DataError(f"it returned {what}, not an iterable of {kind.type.__name__}")
    items = tuple(islice(answer, MOST_ITEMS + 1))
    if len(items) > MOST_ITEMS:
        raise DataError(f"it yields more than {MOST_ITEMS:,} items")
    return items


def _name_of(item: Any, kind: Kind) -> str:
    """The item's name, once the item is known to be of its kind. Raises DataError if it is not."""
    what = f"a {type(item).__name__}, not {kind.type.__name__}"
    if isinstance(item, type):
        raise DataError(f"the class {item.__name__}, not an instance of it")
    if not kind.calls and not isinstance(item, kind.type):
        raise DataError(what)
    missing = [name for name in kind.calls if not callable(getattr(item, name, None))]
    missing += [name for name in kind.texts if not hasattr(item, name)]
    if missing:
        raise DataError(f"{what}: it has no {', no '.join(missing)}")
    checks.named(type(item).__name__, **{text: getattr(item, text) for text in kind.texts})
    return str(item.name)


def _is_needed(parameter: inspect.Parameter) -> bool:
    optional = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return parameter.default is inspect.Parameter.empty and parameter.kind not in optional
