"""Assembling of arrays: what the shards hold of each input, sorted into the files of the parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from zenplan.adapters.corpus.array_file import ArrayFile
from zenplan.adapters.corpus.shards import Shards
from zenplan.domain.training.data_card import PARTS

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """An input of the model.

    Attributes:
        name: of it.
        dtype, shape: of one sample.
        blocks: from the number of a shard, and which of its samples are in a part, to the rows of these, in blocks.
        size: how many names there are, of an input of names; None of others.
    """

    name: str
    dtype: Any
    shape: tuple[int, ...]
    blocks: Callable[[int, Array], Iterator[Array]]
    size: int | None = None


def assemble(shards: Shards, parts: Array, inputs: Sequence[Input], labels: Array) -> dict[str, dict[str, str]]:
    """Write ``train-x.npy`` and so on, and the labels as ``y``.

    Returns:
        The files of each part that has samples, by the name of the input.
    """

    def targets(number: int, kept: Array) -> Iterator[Array]:
        yield shards.own(number, labels)[kept]

    target = Input(name="y", dtype=labels.dtype, shape=(), blocks=targets)
    there = [(place, part) for place, part in enumerate(PARTS, start=1) if (parts == place).any()]
    found: dict[str, dict[str, str]] = {part: {} for _, part in there}
    for each in (*inputs, target):
        with ExitStack() as stack:
            files = {}
            for place, part in there:
                name = found[part][each.name] = f"{part}-{each.name}.npy"
                shape = (int((parts == place).sum()), *each.shape)
                files[place] = stack.enter_context(ArrayFile(shards.work.out / name, each.dtype, shape))
            for number in range(len(shards)):
                own = shards.own(number, parts)
                kept, at = own > 0, 0
                for block in each.blocks(number, kept):
                    whose = own[kept][at : at + len(block)]
                    at += len(block)
                    for place, file in files.items():
                        file.add(block[whose == place])
    return found


def ids_of(shards: Shards, place: int, state: Array) -> tuple[list[str], Callable[[int, Array], Iterator[Array]]]:
    """The names in a column of names, in order, and what is wanted of an ``Input``: the numbers of a shard's samples."""
    used = set[str]()
    for number in range(len(shards)):
        names, codes = _named(shards, place, number)
        used |= {names[code] for code in np.unique(codes[shards.own(number, state) == 0]).tolist()}
    whole = all(name.isascii() and name.isdigit() for name in used)
    ordered = sorted(used, key=lambda name: (int(name), name)) if whole else sorted(used)
    number_of = {name: number for number, name in enumerate(ordered)}

    def blocks(number: int, kept: Array) -> Iterator[Array]:
        names, codes = _named(shards, place, number)
        yield np.array([number_of.get(name, 0) for name in names], np.int32)[codes][kept]

    return ordered, blocks


def _named(shards: Shards, place: int, number: int) -> tuple[list[str], Array]:
    """The names in a column of a shard, and which of them each sample has."""
    names = shards.array(number, f"names{place}").tobytes().decode("utf-8").split("\n")
    return names, shards.array(number, f"id{place}")
