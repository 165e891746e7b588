"""Flower as an engine of zenplan: ``zenplan federate``. Flower is imported in an environment of its own alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from zenplan import Engine, hookimpl


@dataclass(frozen=True, slots=True)
class Flower:
    """Federated averaging over Flower's network runtime; a run of one place is trained as zenplan does."""

    name: str = "flower"
    extra: str = "zenplan-flower"

    def worker(self) -> Sequence[str]:
        """The command line of its worker. Raises UsageError: the environment that it runs in is not there."""
        from zenplan_flower.environment import python

        # Without -P a file of the current folder could stand in for one of Python's.
        return (str(python()), "-P", "-m", "zenplan_flower")


@hookimpl
def zenplan_engines() -> Iterable[Engine]:
    """One engine, ``flower``."""
    return (Flower(),)
