"""An operator as JSON types and back: what goes between the worker process and its parent, in either direction."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from zenplan.domain.model.operators import (
    Attention,
    Convolution,
    Elementwise,
    Embedding,
    MatMul,
    Operator,
    Recurrent,
    Split,
)

_OPERATORS: dict[str, type[Operator]] = {
    kind.__name__: kind for kind in (MatMul, Attention, Convolution, Recurrent, Elementwise, Embedding)
}


def operator_document(operator: Operator) -> dict[str, Any]:
    """The operator as a dictionary of JSON types, its class as ``type``."""
    return {"type": type(operator).__name__, **asdict(operator)}


def read_operator(document: dict[str, Any]) -> Operator:
    """The operator that ``operator_document`` wrote.

    Raises:
        KeyError, TypeError, ValueError: it is something else; DataError: its sizes are not valid.
    """
    kind = _OPERATORS[document["type"]]
    given = own(kind, document)
    return kind(**{**given, "split": Split(given["split"])} if "split" in given else given)


def own(kind: type[Any], document: dict[str, Any]) -> dict[str, Any]:
    """The fields of that class, texts where they should be and nowhere else. Raises TypeError: elsewhere."""
    found = {f.name: document[f.name] for f in fields(kind) if f.name in document}
    for field in fields(kind):
        if field.name in found and str(field.type).startswith(("str", "Split")):
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
