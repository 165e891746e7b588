"""zenplan's own engines: Keras 3 on each of its backends, in a worker process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final

from zenplan.adapters.workers.process import BACKENDS, own_worker
from zenplan.domain.training.several import Several

# Keras divides matrices with jax alone; with torch it takes a layout and does nothing.
_SEVERAL: Final[Mapping[str, Several]] = {
    "jax": Several(workers=True, devices=True, divides=True),
    "torch": Several(workers=True, shards=True),
    "tensorflow": Several(devices=True),
}


@dataclass(frozen=True, slots=True)
class KerasEngine:
    """Keras on one backend.

    Attributes:
        name: of the backend, as Keras calls it.
    """

    name: str

    @property
    def extra(self) -> str:
        """What to install for it."""
        return f"zenplan[{self.name}]"

    @property
    def several(self) -> Several:
        """On what it trains one model."""
        return _SEVERAL[self.name]

    def worker(self) -> Sequence[str]:
        """The command line of its worker."""
        return own_worker()


def engines() -> tuple[KerasEngine, ...]:
    """One for each backend that Keras can train with, installed or not."""
    return tuple(map(KerasEngine, BACKENDS))


def is_installed(name: str) -> bool:
    """Whether that backend and Keras are both there; nothing is imported to find out."""
    return find_spec("keras") is not None and find_spec(name) is not None
