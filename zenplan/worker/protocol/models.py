"""The model that a job is about."""

from __future__ import annotations

from typing import Any

import msgspec

from zenplan.domain.model.workload import Block


class Target(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="target"):
    """The model that a function of the user's returns.

    Attributes:
        target: ``package.module:name``, imported with the current folder first.
        arguments: that the function is called with, by name.
        input_shapes: of one sample, for a model whose own are open or missing.
    """

    target: str
    arguments: dict[str, Any] = {}
    input_shapes: tuple[tuple[int, ...], ...] = ()


class File(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="file"):
    """The model of a ``.keras`` file."""

    path: str
    input_shapes: tuple[tuple[int, ...], ...] = ()


class Kind(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="kind"):
    """A built-in kind of model, such as ``decoder``.

    Attributes:
        name: of the kind.
        options: of it, such as ``layers``; the kind knows defaults.
    """

    name: str
    options: dict[str, Any] = {}


class Blocks(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="blocks"):
    """A model made of the operators of a workload, in its place.

    Attributes:
        name, blocks, tokens_per_sample, unit: of the workload.
    """

    name: str
    blocks: tuple[Block, ...]
    tokens_per_sample: int = 1
    unit: str = "samples"

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        """What it is made of says its shapes."""
        return ()


Model = Target | File | Blocks
