"""Plain PyTorch as an engine of zenplan. PyTorch is imported in its worker process alone."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from zenplan import Engine, hookimpl


@dataclass(frozen=True, slots=True)
class PyTorch:
    """A training loop over ``torch.nn.Module``, without Keras."""

    name: str = "pytorch"
    extra: str = "zenplan-torch"

    def worker(self) -> Sequence[str]:
        """The command line of its worker."""
        # Without -P a file of the current folder could stand in for one of Python's.
        return (sys.executable, "-P", "-m", "zenplan_torch")


@hookimpl
def zenplan_engines() -> Iterable[Engine]:
    """One engine, ``pytorch``."""
    return (PyTorch(),)
