"""Acme's models, as a zenplan plugin: mixers of patches, each lowered to its products."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from zenplan import (
    Block,
    Elementwise,
    ElementwiseKind,
    MatMul,
    Split,
    UnknownName,
    UsageError,
    Workload,
    WorkloadFamily,
    hookimpl,
)

PATCH, CLASSES = 16, 1000
# A model's layers and width.
SIZES = {"acme-small": (8, 512), "acme-base": (12, 768)}


@dataclass(frozen=True, slots=True)
class Acme:
    """Images in patches, layers of two products each, a classifier."""

    name: str = "acme"

    def presets(self) -> Iterable[str]:
        """Names that ``--model`` takes."""
        return tuple(SIZES)

    def lower(self, options: Mapping[str, Any]) -> Workload:
        """One sample of the model. Raises UsageError: there is no such model or option."""
        model, edge = options.get("model", ""), options.get("image_size", 224)
        if model not in SIZES:
            raise UnknownName("model", str(model), SIZES, "zenplan workloads --family acme")
        if unknown := sorted(options.keys() - {"model", "image_size"}):
            raise UsageError(f"{model} has no option {unknown[0]}", "it has image_size")
        if edge % PATCH:
            raise UsageError(f"image_size must be a multiple of {PATCH}, not {edge}", f"as in {edge // PATCH * PATCH}")
        layers, width = SIZES[model]
        rows = (edge // PATCH) ** 2
        return Workload(
            name=model,
            family=self.name,
            blocks=(_stem(rows, width), _layer(rows, width, layers), _head(width)),
            tokens_per_sample=1,
            unit="images",
            input="image",
            image_size=edge,
        )


def _stem(rows: int, width: int) -> Block:
    patches = MatMul(name="patches", rows=rows, inner=3 * PATCH**2, columns=width, split=Split.NONE, saved=3 * PATCH**2)
    return Block(name="stem", operators=(patches,), boundary=rows * width, place="first")


def _layer(rows: int, width: int, repeat: int) -> Block:
    norm = Elementwise(
        name="norm",
        kind=ElementwiseKind.NORM,
        elements=rows * width,
        passes=2,
        weights=2 * width,
        saved=rows * width,
        split=Split.SEQUENCE,
    )
    up = MatMul(name="up", rows=rows, inner=width, columns=4 * width, bias=True, split=Split.COLUMNS, saved=width)
    down = MatMul(name="down", rows=rows, inner=4 * width, columns=width, bias=True, split=Split.ROWS, saved=4 * width)
    return Block(name="layer", repeat=repeat, operators=(norm, up, down), boundary=rows * width, reductions=1)


def _head(width: int) -> Block:
    classes = MatMul(name="classes", rows=1, inner=width, columns=CLASSES, split=Split.COLUMNS, saved=width)
    return Block(name="head", operators=(classes,), boundary=CLASSES, place="last")


@hookimpl
def zenplan_workloads() -> Iterable[WorkloadFamily]:
    """One family, ``acme``."""
    return (Acme(),)
