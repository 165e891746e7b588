"""JSON and nouns: text from a noun, a noun from text, and the JSON schema of a document.

A frozen dataclass is read and written as it is: its fields are the names, its ``__post_init__`` checks what comes in.
Where the published names are others, or a tag tells what something is, a small ``msgspec.Struct`` stands beside the
noun; where a field may hold one of several dataclasses, ``unions`` writes which. Importing msgspec takes some 40 ms:
this module is imported where JSON is read or written, inside functions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar, cast

import msgspec

from zenplan.errors import DataError, ZenplanError, printable
from zenplan.unions import restored, tagged, wire

T = TypeVar("T")


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
    return msgspec.to_builtins(tagged(value, wire(cast(Any, type(value))).structs), enc_hook=_mapping)


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
        raise DataError(f"{what}: {error.message}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"{what}: {error}") from error


def convert(value: Any, kind: type[T], what: str) -> T:
    """The same as ``decode`` of what has been read from JSON, TOML or SQL already."""
    on_wire = wire(cast(Any, kind))
    try:
        found = msgspec.convert(value, on_wire.kind)
        return cast(T, restored(found, on_wire.nouns, None) if on_wire.nouns else found)
    except ZenplanError as error:
        raise DataError(f"{what}: {error.message}") from error
    except msgspec.MsgspecError as error:
        raise DataError(f"{what}: {error}") from error


def schema(kind: Any) -> dict[str, Any]:
    """The JSON schema (2020-12) of documents of that type."""
    return msgspec.json.schema(wire(kind).kind)


@cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def _mapping(value: Any) -> Any:
    """What msgspec does not know: a mapping that cannot be changed is a mapping."""
    if isinstance(value, Mapping):
        return dict(value)
    raise NotImplementedError(f"{type(value).__name__} has no JSON")
