"""A ModelCount as JSON types and back: what goes between the worker process and its parent."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from zenplan.domain.convolution import Convolution
from zenplan.domain.count import LayerCount, ModelCount
from zenplan.domain.operators import Attention, Lookup, MatMul, Operator, Stream
from zenplan.domain.recurrent import Recurrent
from zenplan.domain.split import Split
from zenplan.errors import DataError

_OPERATORS: dict[str, type[Operator]] = {
    kind.__name__: kind for kind in (MatMul, Attention, Convolution, Recurrent, Stream, Lookup)
}


def count_document(count: ModelCount) -> dict[str, Any]:
    """The count as a dictionary of JSON types; an operator has its class as ``type``."""
    document = asdict(count)
    for layer, written in zip(count.layers, document["layers"], strict=True):
        written["operators"] = [{"type": type(o).__name__, **asdict(o)} for o in layer.operators]
    return document


def read_count(document: Any) -> ModelCount:
    """The count that ``count_document`` wrote.

    Raises:
        DataError: it is something else. The process that wrote it ran code that is not ours.
    """
    try:
        layers = tuple(_layer(each) for each in document["layers"])
        return ModelCount(
            **{**_own(ModelCount, document), "layers": layers, "notes": _texts(document["notes"])}
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise DataError(f"the worker's count is not one: {type(error).__name__}: {error}") from error


def _layer(document: dict[str, Any]) -> LayerCount:
    lists = {"path": _texts(document["path"]), "output_shape": tuple(map(_size, document["output_shape"]))}
    operators = tuple(_operator(each) for each in document["operators"])
    return LayerCount(**{**_own(LayerCount, document), **lists, "operators": operators})


def _operator(document: dict[str, Any]) -> Operator:
    kind = _OPERATORS[document["type"]]
    given = _own(kind, document)
    return kind(**{**given, "split": Split(given["split"])} if "split" in given else given)


def _own(kind: type[Any], document: dict[str, Any]) -> dict[str, Any]:
    """The fields of that class, texts where they should be and nowhere else."""
    own = {f.name: document[f.name] for f in fields(kind) if f.name in document}
    for field in fields(kind):
        if field.name in own and str(field.type).startswith(("str", "Split")):
            own[field.name] = _text(own[field.name])
        elif isinstance(own.get(field.name), str):
            raise TypeError(f"{field.name} is a text")
    return own


def _size(value: Any) -> int | None:
    if value is not None and not isinstance(value, int):
        raise TypeError(f"{value!r:.40} is no size")
    return value


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(_text(value) for value in values)


def _text(value: Any) -> str:
    """The text on one line, without what a terminal would not show: it is shown there, and is not ours."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is no text")
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in value)
