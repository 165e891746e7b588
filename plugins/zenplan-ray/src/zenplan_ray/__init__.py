"""Ray Train as an engine of zenplan: Keras models on PyTorch. Ray is imported in its worker process alone."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zenplan import Engine, hookimpl

if TYPE_CHECKING:
    from zenplan.domain.training.several import Several


@dataclass(frozen=True, slots=True)
class Ray:
    """``TorchTrainer`` on a cluster of its own on this machine, or on the one that ``RAY_ADDRESS`` names."""

    name: str = "ray"
    extra: str = "zenplan-ray"

    @property
    def several(self) -> Several:
        """On what it trains one model: Ray starts the workers, each with a device."""
        from zenplan.domain.training.several import Several

        return Several(workers=True, starts=True)

    def worker(self) -> Sequence[str]:
        """The command line of its worker."""
        # Without -P a file of the current folder could stand in for one of Python's.
        return (sys.executable, "-P", "-m", "zenplan_ray")


@hookimpl
def zenplan_engines() -> Iterable[Engine]:
    """One engine, ``ray``."""
    return (Ray(),)
