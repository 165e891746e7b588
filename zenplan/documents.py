"""JSON and nouns: text from a noun, a noun from text, and the JSON schema of a document.

A frozen dataclass is read and written as it is: its fields are the names, its ``__post_init__`` checks what comes in.
Where the published names are others, or a tag tells what something is, a small ``msgspec.Struct`` stands beside the
noun. Importing msgspec takes some 40 ms: this module is imported where JSON is read or written, inside functions.

msgspec cannot tell which of several dataclasses an object is. Where a field may be one of several (the operators of a
block), each is written with its class as ``type``: structs with that tag are generated from the dataclasses' own fields,
read in their place and handed to their constructors.
"""

from __future__ import annotations

import dataclasses
import json
import math
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, reduce
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import msgspec

from zenplan.errors import DataError, ZenplanError, printable

T = TypeVar("T")
D = TypeVar("D", bound="Document")

_SCHEMAS = "https://raw.githubusercontent.com/zenplan/zenplan/main/zenplan/data/schemas"


class Document(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """An object of a published document: its fields have types, bounds and descriptions, of which its schema is made.

    The outermost one is tagged with the schema's name and version: ``tag_field="schema", tag="zenplan.prices/1"``.
    The first line of its docstring is the schema's title.
    """


def fill(kind: type[D], noun: Any, /, **own: Any) -> D:
    """The object of a noun: each field is the noun's attribute of that name, but for those given by name."""
    return kind(**{name: getattr(noun, name) for name in kind.__struct_fields__ if name not in own}, **own)


def published(document: Any) -> dict[str, Any]:
    """The document as JSON types. A figure that is not finite is null, where the schema lets it be unknown.

    Raises:
        DataError: it is not finite elsewhere; the message says where.
    """
    infinite: list[float] = []
    written = _finite(plain(document), infinite)
    if infinite:
        convert(written, type(document), f"{type(document).__name__}, in which a number is not finite")
    return cast(dict[str, Any], written)


def _finite(value: Any, infinite: list[float]) -> Any:
    """The value with None for each number that is not finite; those are added to the list."""
    if isinstance(value, dict):
        return {name: _finite(each, infinite) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each, infinite) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        infinite.append(value)
        return None
    return value


# Of an object that may be of several classes.
_TAG = "type"


def encode(value: Any, *, indent: int | None = None) -> str:
    """The value as JSON: dataclasses, structs, mappings, dates, and what they are made of.

    Raises:
        DataError: a number in it is not finite, which JSON cannot write.
    """
    try:
        return json.dumps(plain(value), ensure_ascii=False, allow_nan=False, indent=indent)
    except ValueError as error:
        raise DataError(f"{type(value).__name__}: a number is not finite") from error


def plain(value: Any) -> Any:
    """The value as dictionaries, lists, texts, numbers, booleans and None."""
    return msgspec.to_builtins(_tagged(value, _wire(cast(Any, type(value))).structs), enc_hook=_known)


def decode(text: str | bytes, kind: type[T], what: str, *, foreign: bool = False) -> T:
    """The value of that type which the JSON text holds.

    Args:
        text: one JSON document.
        kind: a dataclass, a struct, a union, or any type made of those.
        what: how an error calls the document: ``calibration abcdefgh``.
        foreign: whether code that is not ours wrote it: what a terminal would not show is taken out of its texts.

    Raises:
        DataError: it is no JSON, or holds something else; the message says where in it.
    """
    wire = _wire(cast(Any, kind))
    try:
        found = _decoder(wire.kind).decode(text)
        return cast(T, _restored(found, wire.nouns, printable if foreign else None) if wire.nouns or foreign else found)
    except ZenplanError as error:
        raise DataError(f"{what}: {error.message}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"{what}: {error}") from error


def convert(value: Any, kind: type[T], what: str) -> T:
    """The same as ``decode`` of what has been read from JSON, TOML or SQL already."""
    wire = _wire(cast(Any, kind))
    try:
        found = msgspec.convert(value, wire.kind)
        return cast(T, _restored(found, wire.nouns, None) if wire.nouns else found)
    except ZenplanError as error:
        raise DataError(f"{what}: {error.message}") from error
    except msgspec.MsgspecError as error:
        raise DataError(f"{what}: {error}") from error


def schema(kind: type[Document]) -> dict[str, Any]:
    """The JSON schema (2020-12) of a published document, with its address and title."""
    definitions = msgspec.json.schema(kind)["$defs"]
    name = str(kind.__struct_config__.tag)
    root = definitions.pop(kind.__name__)
    title, _, description = root["description"].partition(".\n\n")
    root["properties"]["schema"] = {"const": name, "description": "Name and version of this document."}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"{_SCHEMAS}/{file_of(name)}",
        **root,
        "title": title,
        "description": " ".join(description.split()),
        **({"$defs": definitions} if definitions else {}),
    }


def file_of(schema: str) -> str:
    """The file of the schema of that name and version: ``prices-1.json`` of ``zenplan.prices/1``."""
    return f"{schema.removeprefix('zenplan.').replace('/', '-')}.json"


@cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def _known(value: Any) -> Any:
    """What msgspec does not know: a mapping that cannot be changed is a mapping, and NumPy's number is a number."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, float):
        return float(value)
    raise NotImplementedError(f"{type(value).__name__} has no JSON")


# --- one of several dataclasses


@dataclass(frozen=True, slots=True)
class _Wire:
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
def _wire(kind: Any) -> _Wire:
    """Structs in place of the classes that msgspec cannot tell apart, and of those that have such in their fields."""
    hints = _hints(kind)
    several = {
        member for hint in (kind, *(h for own in hints.values() for h in own.values())) for member in _one_of(hint)
    }
    if not several:
        return _Wire(kind, {}, {})
    replaced = set(several)
    while more := {c for c, own in hints.items() if c not in replaced and replaced & set(_classes(*own.values()))}:
        replaced |= more
    structs: dict[type, type[msgspec.Struct]] = {}

    def of(hint: Any, numbers: bool = False) -> Any:
        """The hint with structs in place of classes; ``numbers``: a whole number for a float stays one."""
        if hint in replaced:
            return struct(hint)
        if hint is float and numbers:
            return int | float
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

    wire = of(kind)
    return _Wire(wire, structs, {written: noun for noun, written in structs.items()})


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


def _tagged(value: Any, structs: Mapping[type, type[msgspec.Struct]]) -> Any:
    """The value with structs in place of what is written as such."""
    if not structs:
        return value
    if isinstance(value, tuple | list):
        return [_tagged(each, structs) for each in value]
    if isinstance(value, Mapping):
        return {key: _tagged(each, structs) for key, each in value.items()}
    struct = structs.get(type(value))
    if struct is None:
        return value
    return struct(**{name: _tagged(getattr(value, name), structs) for name in _names(type(value))})


def _restored(value: Any, nouns: Mapping[type, type], text: Callable[[str], str] | None, where: str = "") -> Any:
    """The value with nouns in place of the structs that were read for them, and its texts as ``text`` makes them."""
    kind = type(value)
    if kind is str:
        return text(value) if text else value
    if isinstance(value, tuple | list):
        return kind(_restored(each, nouns, text, f"{where}[{i}]") for i, each in enumerate(value))
    if isinstance(value, Mapping):
        return {_restored(k, nouns, text, where): _restored(v, nouns, text, where) for k, v in value.items()}
    if text and dataclasses.is_dataclass(kind):
        cleaned = {name: _restored(getattr(value, name), nouns, text, f"{where}.{name}") for name in _names(kind)}
        return kind(**cleaned)
    if not isinstance(value, msgspec.Struct):
        return value
    given = {name: getattr(value, name) for name in kind.__struct_fields__}
    inner = {n: _restored(v, nouns, text, f"{where}.{n}") for n, v in given.items() if v is not msgspec.UNSET}
    try:
        return nouns.get(kind, kind)(**inner)
    except ZenplanError as error:
        raise DataError(f"{error.message} - at `${where}`") from error
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{error} - at `${where}`") from error
