"""One of several dataclasses in a field, as JSON: written with its class as ``type``, and read back as that class.

msgspec cannot tell which of several dataclasses an object is; of structs with a tag it can. So structs are generated from
the dataclasses' own fields, and from those of whatever holds them. They are read in their place, and what was read is
handed to the dataclasses' constructors, which check it. Only ``zenplan.documents`` needs this.
"""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, reduce
from types import UnionType
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin, get_type_hints

import msgspec

from zenplan.errors import DataError, ZenplanError

# Of an object that may be of several classes.
_TAG = "type"
# JSON has whole numbers of any length; products of a few of these are still a float.
Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


@dataclass(frozen=True, slots=True)
class Wire:
    """How values of a type are written.

    Attributes:
        kind: the type that msgspec reads.
        structs: by class, the struct that is read and written in its place; of most types there are none.
        nouns: the same the other way round.
    """

    kind: Any
    structs: Mapping[type, type[msgspec.Struct]]
    nouns: Mapping[type, type]


@cache
def wire(kind: Any) -> Wire:
    """Structs in place of the classes that msgspec cannot tell apart, and of those that have such in their fields."""
    hints = _hints(kind)
    several = {
        member for hint in (kind, *(h for own in hints.values() for h in own.values())) for member in _one_of(hint)
    }
    if not several:
        return Wire(kind, {}, {})
    replaced = set(several)
    while more := {c for c, own in hints.items() if c not in replaced and replaced & set(_classes(*own.values()))}:
        replaced |= more
    structs: dict[type, type[msgspec.Struct]] = {}

    def of(hint: Any, numbers: bool = False) -> Any:
        """The hint with structs for classes; ``numbers``: whole ones have a bound, and for a float one stays whole."""
        if hint in replaced:
            return struct(hint)
        if hint is int and numbers:
            return Whole
        if hint is float and numbers:
            return Whole | float
        origin, inner = get_origin(hint), get_args(hint)
        if origin in (None, Literal):
            return hint
        if origin is Annotated:
            return Annotated[(of(inner[0], numbers), *inner[1:])]
        inner = tuple(of(each, numbers) for each in inner)
        return reduce(operator.or_, inner) if origin in (Union, UnionType) else origin[inner]

    def struct(noun: Any) -> type[msgspec.Struct]:
        if noun not in structs:
            known = issubclass(noun, msgspec.Struct)
            field, tag = (
                noun.__struct_config__.tag_field if known else None,
                noun.__struct_config__.tag if known else None,
            )
            if noun in several and not known:
                field, tag = _TAG, noun.__name__
            fields: list[Any] = [
                (name, of(hint, not known))
                if name in _required(noun)
                else (name, of(hint, not known) | msgspec.UnsetType, msgspec.UNSET)
                for name, hint in hints[noun].items()
            ]
            structs[noun] = msgspec.defstruct(noun.__name__, fields, kw_only=True, tag_field=field, tag=tag)
        return structs[noun]

    written = of(kind)
    return Wire(written, structs, {struct: noun for noun, struct in structs.items()})


def _hints(kind: Any) -> dict[type, dict[str, Any]]:
    """Types of the fields of every dataclass and struct that values of that type may be made of."""
    found: dict[type, dict[str, Any]] = {}
    left = list(_classes(kind))
    while left:
        each = left.pop()
        if each not in found:
            names = _names(each)
            found[each] = {n: h for n, h in get_type_hints(each, include_extras=True).items() if n in names}
            left += _classes(*found[each].values())
    return found


def _classes(*hints: Any) -> Iterator[type]:
    """Dataclasses and structs in these types, not looking into their fields."""
    for hint in hints:
        if isinstance(hint, type) and (dataclasses.is_dataclass(hint) or issubclass(hint, msgspec.Struct)):
            yield hint
        elif get_origin(hint) is not Literal:
            yield from _classes(*get_args(hint))


def _one_of(hint: Any) -> Iterator[type]:
    """The dataclasses between which a value of that type is to be told apart."""
    if get_origin(hint) in (Union, UnionType):
        among = [c for c in get_args(hint) if dataclasses.is_dataclass(c)]
        yield from cast(list[type], among if len(among) > 1 else [])
    for inner in get_args(hint):
        yield from _one_of(inner)


def _names(noun: Any) -> tuple[str, ...]:
    if issubclass(noun, msgspec.Struct):
        return tuple(noun.__struct_fields__)
    return tuple(f.name for f in dataclasses.fields(noun))


def _required(noun: Any) -> set[str]:
    """Fields that have no default."""
    if issubclass(noun, msgspec.Struct):
        return {f.name for f in msgspec.structs.fields(noun) if f.required}
    missing = dataclasses.MISSING
    return {f.name for f in dataclasses.fields(noun) if f.default is missing and f.default_factory is missing}


def tagged(value: Any, structs: Mapping[type, type[msgspec.Struct]]) -> Any:
    """The value with structs in place of what is written as such."""
    if not structs:
        return value
    if isinstance(value, tuple | list):
        return [tagged(each, structs) for each in value]
    if isinstance(value, Mapping):
        return {key: tagged(each, structs) for key, each in value.items()}
    struct = structs.get(type(value))
    if struct is None:
        return value
    return struct(**{name: tagged(getattr(value, name), structs) for name in _names(type(value))})


def restored(value: Any, nouns: Mapping[type, type], text: Callable[[str], str] | None, where: str = "") -> Any:
    """The value with nouns in place of the structs that were read for them, and its texts as ``text`` makes them."""
    kind = type(value)
    if kind is str:
        return text(value) if text else value
    if isinstance(value, tuple | list):
        return kind(restored(each, nouns, text, f"{where}[{i}]") for i, each in enumerate(value))
    if isinstance(value, Mapping):
        return {restored(k, nouns, text, where): restored(v, nouns, text, where) for k, v in value.items()}
    if text and dataclasses.is_dataclass(kind):
        cleaned = {name: restored(getattr(value, name), nouns, text, f"{where}.{name}") for name in _names(kind)}
        return kind(**cleaned)
    if not isinstance(value, msgspec.Struct):
        return value
    given = {name: getattr(value, name) for name in kind.__struct_fields__}
    inner = {n: restored(v, nouns, text, f"{where}.{n}") for n, v in given.items() if v is not msgspec.UNSET}
    try:
        return nouns.get(kind, kind)(**inner)
    except ZenplanError as error:
        raise DataError(f"{error.message} - at `${where}`") from error
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{error} - at `${where}`") from error
