"""A family of named models whose functions are imported only once somebody asks for one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any

from zenplan.domain.model.workload import Workload
from zenplan.families.named import Builder, NamedFamily


class LazyFamily:
    """A ``NamedFamily`` that is made when it is first used. A ``WorkloadFamily``."""

    def __init__(self, name: str, models: Callable[[], Mapping[str, Builder]]) -> None:
        """``models`` imports the functions and gives them by name, in the order of the listing."""
        self.name = name
        self._models = models

    @cached_property
    def _family(self) -> NamedFamily:
        return NamedFamily(self.name, self._models())

    def presets(self) -> Iterable[str]:
        """Names that ``--model`` takes."""
        return self._family.presets()

    def lower(self, options: Mapping[str, Any]) -> Workload:
        """The workload of a model; as in ``NamedFamily.lower``."""
        return self._family.lower(options)
