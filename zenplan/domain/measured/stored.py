"""Stored: a calibration as it lies in the store, with what became of it and where it was taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from zenplan.domain import checks
from zenplan.domain.measured.calibration import Calibration

# Running: a process is at it. Unfinished: it ended before its time, and a second run goes on with it.
RUNNING, UNFINISHED, DONE = "running", "unfinished", "done"
STATES: Final = (RUNNING, UNFINISHED, DONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A calibration in the store.

    Attributes:
        state: one of ``STATES``.
        origin: ``imported from team.json on 2026-12-01``; empty where it was measured by whom the store belongs to.
    """

    calibration: Calibration
    state: str
    origin: str = ""

    def __post_init__(self) -> None:
        checks.one_of(f"calibration {self.calibration.id}", "state", self.state, STATES)
