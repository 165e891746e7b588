"""The built-in kinds of models, by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final

import keras

from zenplan.errors import UnknownName, UsageError
from zenplan.worker.training.kinds.facts import Facts
from zenplan.worker.training.kinds.plain import convnet, gru, lstm, recommender, recurrent, softmax_regression
from zenplan.worker.training.kinds.transformer import decoder, text_classifier, vision_transformer

KINDS: Final[Mapping[str, Callable[..., keras.Model]]] = {
    "decoder": decoder,
    "text-classifier": text_classifier,
    "convnet": convnet,
    "vision-transformer": vision_transformer,
    "lstm": lstm,
    "gru": gru,
    "recommender": recommender,
    "softmax-regression": softmax_regression,
}


def model_of(kind: str, options: Mapping[str, Any], facts: Facts) -> keras.Model:
    """The model of a kind, for that data.

    Raises:
        UsageError: there is no such kind or option, or it does not go with the data.
    """
    if kind not in KINDS:
        raise UnknownName("kind of model", kind, KINDS)
    builder = KINDS[kind]
    signature = inspect.signature(recurrent if builder in (lstm, gru) else builder)
    known = [p for p in signature.parameters.values() if p.kind is p.KEYWORD_ONLY]
    defaults = {p.name: p.default for p in known}
    for name, value in options.items():
        if name not in defaults:
            raise UnknownName(f"option of {kind}", name, defaults)
        wanted = float if isinstance(defaults[name], float) else int
        if isinstance(value, bool) or not isinstance(value, (int, wanted)):
            raise UsageError(f"{kind}: {name} = {value!r} is no number", f"as in {name} = {defaults[name]}")
    return builder(facts, **options)
