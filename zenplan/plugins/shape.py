"""What code that is not ours hands over, as plain values of its declared types: what a subclass does when it is compared,
shown or computed with cannot matter later. Almost all of it is plain already, and only looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import date
from functools import cache
from operator import attrgetter
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Final, get_args, get_origin, get_type_hints

from zenplan.domain import checks
from zenplan.domain.market.offer import Offers
from zenplan.errors import DataError

# No figure of hardware, models or prices reaches it; products of a few such figures stay finite.
MOST: Final = 1e30
_MOST_BITS: Final = 99

Check = Callable[[Any], bool]


def owned(value: Any, kind: Any, place: str = "") -> Any:
    """The value itself where all of it is of exactly its declared types, else a plain copy of it.

    Args:
        value: a noun, or anything that may be in one.
        kind: as of ``checks.unlike``.
        place: of the value in the noun, as in ``offers[0].on_demand.as_of``.

    Raises:
        DataError: it is of another type, a number is not finite or absurd, or a text is too long or has control characters.
    """
    if _plain(kind)(value):
        return value
    if reason := checks.unlike(value, kind, place):
        raise DataError(reason)
    return _copied(value, kind, place)


def _copied(value: Any, kind: Any, place: str) -> Any:
    parts = get_args(kind)
    if isinstance(kind, UnionType):
        return owned(value, next(part for part in parts if not checks.unlike(value, part, place)), place)
    whole = get_origin(kind) or kind
    if whole is str:
        return _text(str.__str__(value), place)
    if whole in (float, int):
        number = float(value) if whole is float else int(value)
        if not -MOST < number < MOST:
            raise DataError(f"{place or 'it'} is {number:.3g}, which no such figure reaches")
        return number
    if whole is date:
        return date(value.year, value.month, value.day)
    if whole in (tuple, Iterable, Sequence):
        of_each = zip(value, checks.kinds_of(kind), strict=False)
        return tuple(owned(each, part, f"{place}[{number}]") for number, (each, part) in enumerate(of_each))
    if whole is Mapping and parts:
        pairs = ((key, each, f"{place}[{key!r}]") for key, each in value.items())
        return {owned(key, parts[0], at): owned(each, parts[1], at) for key, each, at in pairs}
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        made: Any = kind
        return made(
            **{
                f.name: owned(getattr(value, f.name), hints[f.name], f"{place}{'.' * bool(place)}{f.name}")
                for f in fields(kind)
                if f.init
            }
        )
    return value


def _text(text: str, place: str) -> str:
    if len(text) > checks.MOST_LETTERS:
        raise DataError(f"{place or 'it'} has {len(text):,} letters; {checks.MOST_LETTERS:,} are the most")
    if not text.isprintable():
        raise DataError(f"{place or 'it'} must be on one line, without control characters, not {text[:40]!r}")
    return text


@cache
def _plain(kind: Any) -> Check:
    """Whether a value is of exactly that type, and all in it."""
    parts = get_args(kind)
    if isinstance(kind, UnionType):
        others = [_plain(part) for part in parts if part is not NoneType]
        first = others[0] if len(others) == 1 else _any_of(others)
        return (lambda value: value is None or first(value)) if NoneType in parts else first
    whole = get_origin(kind) or kind
    if whole is tuple and parts[-1] is not Ellipsis:
        each = [_plain(part) for part in parts]
        return lambda value: (
            type(value) is tuple
            and len(value) == len(each)
            and all(right(v) for right, v in zip(each, value, strict=True))
        )
    if whole in (tuple, Iterable, Sequence):
        inner = _plain(parts[0])
        kinds = (tuple,) if whole is tuple else (tuple, list, Offers)
        return lambda value: type(value) in kinds and all(map(inner, value))
    if whole is Mapping and parts:
        key, inner = map(_plain, parts)
        proxy = (dict, MappingProxyType)
        return lambda value: type(value) in proxy and all(map(key, value)) and all(map(inner, value.values()))
    if is_dataclass(kind):
        return _noun(kind)
    return _ATOMS.get(kind) or (lambda value: type(value) is kind)


def _any_of(checks: Sequence[Check]) -> Check:
    return lambda value: any(check(value) for check in checks)


def _noun(kind: Any) -> Check:
    # Made when it is first needed: a noun may have others of its own kind in it.
    members: list[tuple[Callable[[Any], Any], Check]] = []

    def check(value: Any) -> bool:
        if not members:
            hints = get_type_hints(kind)
            members[:] = [(attrgetter(f.name), _plain(hints[f.name])) for f in fields(kind)]
        return type(value) is kind and all(right(get(value)) for get, right in members)

    return check


_ATOMS: Final[Mapping[Any, Check]] = {
    Any: lambda value: True,
    str: lambda value: type(value) is str and value.isprintable() and len(value) <= checks.MOST_LETTERS,
    float: lambda value: (
        (type(value) is float and -MOST < value < MOST) or (type(value) is int and value.bit_length() <= _MOST_BITS)
    ),
    int: lambda value: type(value) is int and value.bit_length() <= _MOST_BITS,
}
