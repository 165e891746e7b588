"""Options of a built-in kind for a smaller model of it."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import Any

from zenplan.errors import UsageError
from zenplan.worker.training.kinds import KINDS
from zenplan.worker.training.kinds.plain import gru, lstm, recurrent

_LEAST_WIDTH, _LEAST_HEAD = 4, 8


def smaller(kind: str, options: Mapping[str, Any], share: float) -> dict[str, Any]:
    """The options with about this share of the width; below a half of it also with half the layers.

    Raises:
        UsageError: the kind has no width, or it is as narrow as can be.
    """
    builder = KINDS[kind]
    parameters = inspect.signature(recurrent if builder in (lstm, gru) else builder).parameters.values()
    found = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY} | dict(options)
    if "width" not in found:
        raise UsageError(f"{kind} has no smaller one", "name a student: --student package.module:function")
    before = found["width"]
    heads = found.get("heads", 1)
    while heads > 1 and before * share / heads < _LEAST_HEAD:
        heads //= 2
    width = max(_LEAST_WIDTH, round(before * share / heads) * heads)
    width += -width % heads
    if width >= before:
        raise UsageError(f"{kind} with a width of {before} is as narrow as can be", "name a student: --student")
    found["width"] = width
    if "heads" in found:
        found["heads"] = heads
    for name in ("feedforward", "hidden"):
        if found.get(name):
            found[name] = max(1, round(found[name] * share))
    if share < 0.5:
        for name in {"layers"} & found.keys():
            found[name] = math.ceil(found[name] / 2)
    return found
