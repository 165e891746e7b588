"""Acme follows training runs of zenplan: a file of JSON lines, to begin with."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from zenplan import TrackedRun, Tracker, Tracking, hookimpl


@dataclass(frozen=True, slots=True)
class AcmeRun:
    """A run that is followed: each line says what happened, as it happens."""

    path: Path

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Figures of a step, or of an evaluation after it."""
        self.write({"step": step, **values})

    def finish(self, state: str) -> None:
        """The run is over."""
        self.write({"state": state})

    def write(self, line: Mapping[str, Any]) -> None:
        """One line. A file that is opened for each needs nobody to close it."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


@dataclass(frozen=True, slots=True)
class Acme:
    """Follows runs."""

    name: str = "acme"

    def start(self, run: TrackedRun) -> Tracking:
        """Follow that run, in its folder. One that is resumed goes on in the same file."""
        followed = AcmeRun(Path(run.folder) / "acme.jsonl")
        settings = {name: value for name, value in asdict(run).items() if name != "settings"}
        followed.write({**settings, "settings": dict(run.settings)})
        return followed


@hookimpl
def zenplan_trackers() -> Iterable[Tracker]:
    """One tracker, ``acme``."""
    return (Acme(),)
