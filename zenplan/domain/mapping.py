"""A mapping in a frozen noun: nobody changes it, and the noun can be copied and pickled all the same."""

from __future__ import annotations

import copyreg
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

K = TypeVar("K")
V = TypeVar("V")


def read_only(mapping: Mapping[K, V]) -> MappingProxyType[K, V]:
    """A copy of the mapping that cannot be written to."""
    return MappingProxyType(dict(mapping))


def _reduced(mapping: MappingProxyType[Any, Any]) -> tuple[Callable[..., MappingProxyType[Any, Any]], tuple[Any, ...]]:
    return read_only, (dict(mapping),)


# Python itself neither pickles nor deep-copies one: a worker of multiprocessing could not hand its answer back.
copyreg.pickle(MappingProxyType, _reduced)
