"""An operator as JSON types and back: what goes between the worker process and its parent, in either direction."""

from __future__ import annotations

import operator
from dataclasses import asdict, fields
from enum import StrEnum
from typing import Any

from zenplan.domain.model.operators import (
    Attention,
    Convolution,
    Elementwise,
    ElementwiseKind,
    Embedding,
    Function,
    MatMul,
    Operator,
    Recurrent,
    Role,
    Split,
)

_OPERATORS: dict[str, type[Operator]] = {
    kind.__name__: kind for kind in (MatMul, Attention, Convolution, Recurrent, Elementwise, Embedding)
}
# Types of fields that are words of a list.
_WORDS: dict[str, type[StrEnum]] = {
    "Split": Split,
    "Role": Role,
    "ElementwiseKind": ElementwiseKind,
    "Function | None": Function,
}


def operator_document(each: Operator) -> dict[str, Any]:
    """The operator as a dictionary of JSON types, its class as ``type``."""
    return {"type": type(each).__name__, **asdict(each)}


def read_operator(document: dict[str, Any]) -> Operator:
    """The operator that ``operator_document`` wrote.

    Raises:
        KeyError, TypeError, ValueError: it is something else; DataError: its sizes are not valid.
    """
    kind = _OPERATORS[document["type"]]
    given = own(kind, document)
    for field in fields(kind):
        word = _WORDS.get(str(field.type))
        if word is not None and given.get(field.name) is not None:
            given[field.name] = word(given[field.name])
    if "kernel" in given:
        given["kernel"] = tuple(operator.index(edge) for edge in given["kernel"])
    return kind(**given)


def own(kind: type[Any], document: dict[str, Any]) -> dict[str, Any]:
    """The fields of that class, texts where they should be and nowhere else. Raises TypeError: elsewhere."""
    found = {f.name: document[f.name] for f in fields(kind) if f.name in document}
    for field in fields(kind):
        if str(field.type) in _WORDS:
            continue
        if field.name in found and str(field.type).startswith("str"):
            found[field.name] = text(found[field.name])
        elif isinstance(found.get(field.name), str):
            raise TypeError(f"{field.name} is a text")
    return found


def text(value: Any) -> str:
    """The text on one line, without what a terminal would not show: it is shown there, and is not ours.

    Raises:
        TypeError: it is no text.
    """
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is no text")
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in value)
