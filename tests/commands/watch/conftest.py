"""A run's folder, written by hand."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


@dataclass
class Written:
    """One that goes on, as its process would leave it; that process is none."""

    folder: Path

    def status(self, **more: Any) -> None:
        """How it stands."""
        spent = dict.fromkeys(("setup_s", "rehearsal_s", "evaluation_s", "checkpoint_s", "other_s"), 1.0)
        known = {
            "id": "abcd2345",
            "name": "decoder",
            "state": "running",
            "step": 10,
            "steps": 100,
            "checkpoint": 10,
            "pid": 1,
            "host": socket.gethostname(),
            "backend": "jax",
            "started_at": NOW.isoformat(),
            "updated_at": NOW.isoformat(),
            "spent": {**spent, "steps_s": 5.0},
            "usd_per_h": 3.6,
        }
        self.put("status.json", json.dumps({**known, **more}))

    def ended(self, state: str, reason: str, code: int, **more: Any) -> None:
        """The run is over."""
        self.status(state=state, reason=reason, exit_code=code, **more)

    def beat(self, number: int) -> None:
        """Its process writes once more, by a clock of its own."""
        self.status(updated_at=(NOW + timedelta(seconds=number)).isoformat())

    def put(self, name: str, text: str) -> None:
        """A file."""
        (self.folder / name).write_text(text, encoding="utf-8")

    def lines(self, name: str, *values: Any) -> None:
        """Lines more."""
        with (self.folder / name).open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(value) + "\n" for value in values)

    def steps(self, first: int, last: int, loss: float = 2.0) -> None:
        """Lines of steps."""
        self.lines("metrics.jsonl", *({"step": n, "loss": loss, "wall_s": 0.5} for n in range(first, last + 1)))


@pytest.fixture
def written(tmp_path: Path) -> Written:
    folder = tmp_path / "hand-made"
    folder.mkdir()
    found = Written(folder)
    found.status()
    found.steps(1, 10)
    return found
