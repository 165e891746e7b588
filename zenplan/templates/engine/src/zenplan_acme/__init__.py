"""Acme as an engine of zenplan. What trains is imported in its worker process alone."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zenplan import Engine, hookimpl


@dataclass(frozen=True, slots=True)
class Acme:
    """A table of which token follows which, trained in NumPy: put your framework in its place."""

    name: str = "acme"
    extra: str = "zenplan-acme"

    def worker(self) -> Sequence[str]:
        """The command line of its worker."""
        # Without -P a file of the current folder could stand in for one of Python's.
        return (sys.executable, "-P", "-m", "zenplan_acme")

    @property
    def contract(self) -> Mapping[str, Any]:
        """What ``zenplan plugins check`` trains: attributes of ``EngineContract``."""
        from zenplan.worker.protocol import Kind

        return {"model": Kind(name="bigram", options={"length": 8}), "known": "bigram", "steps": 630}


@hookimpl
def zenplan_engines() -> Iterable[Engine]:
    """One engine, ``acme``."""
    return (Acme(),)
