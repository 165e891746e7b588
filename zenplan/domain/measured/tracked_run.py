"""A training run, for a service that follows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from zenplan.domain import checks


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedRun:
    """What a tracker is told of a run before its first step.

    Attributes:
        id: of the run; the same where it is resumed.
        name: of what is trained.
        backend: that trains it.
        folder: of the run, an absolute path.
        resumed: whether it goes on from a checkpoint: steps after that are logged once more.
        settings: of the run by name: its batch, its steps, its learning rate, ...
    """

    id: str
    name: str
    backend: str
    folder: str
    resumed: bool = False
    settings: Mapping[str, str | float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        checks.named("TrackedRun", id=self.id, name=self.name, backend=self.backend, folder=self.folder)
