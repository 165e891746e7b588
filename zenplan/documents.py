"""JSON and nouns: text from a noun, a noun from text, and the JSON schema of a document.

A frozen dataclass is read and written as it is: its fields are the names, its ``__post_init__`` checks what comes in.
Where the published names are others, or a tag tells what something is, a small ``msgspec.Struct`` stands beside the
noun; where a field may hold one of several dataclasses, ``unions`` writes which. Importing msgspec takes some 40 ms:
this module is imported where JSON is read or written, inside functions.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import cache
from typing import Any, Final, TypeVar, cast

import msgspec

from zenplan.errors import DataError, ZenplanError, printable
from zenplan.unions import restored, tagged, wire

T = TypeVar("T")
D = TypeVar("D", bound="Document")

_SCHEMAS = "https://raw.githubusercontent.com/zenplan/zenplan/main/zenplan/data/schemas"
# Of whoever reads what others wrote, where the caller knows no better.
_HINT: Final = "it was edited, or written by another program or version of zenplan: make it again"


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
    return msgspec.to_builtins(tagged(value, wire(cast(Any, type(value))).structs), enc_hook=_known)


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
    on_wire = wire(cast(Any, kind))
    try:
        found = _decoder(on_wire.kind).decode(text)
        if on_wire.nouns or foreign:
            found = restored(found, on_wire.nouns, printable if foreign else None)
        return cast(T, found)
    except ZenplanError as error:
        raise DataError(f"{what}: {error.message}", error.hint or _HINT) from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"{what}: {error}", _HINT) from error


def convert(value: Any, kind: type[T], what: str) -> T:
    """The same as ``decode`` of what has been read from JSON, TOML or SQL already."""
    on_wire = wire(cast(Any, kind))
    try:
        found = msgspec.convert(value, on_wire.kind)
        return cast(T, restored(found, on_wire.nouns, None) if on_wire.nouns else found)
    except ZenplanError as error:
        raise DataError(f"{what}: {error.message}", error.hint or _HINT) from error
    except msgspec.MsgspecError as error:
        raise DataError(f"{what}: {error}", _HINT) from error


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
