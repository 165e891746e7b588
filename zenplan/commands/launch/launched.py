"""What a launch has come to: the job, its files, and how they are handed over."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from zenplan.domain.launch.job import LaunchJob, Submission

# What was written, with the hash of each file: the last one that is written.
LAUNCH: Final = "launch.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Launched:
    """What was written.

    Attributes:
        system: by name; job: that it runs.
        folder: of the files; files: name to text.
        submission: how they are handed over.
        wheel: of zenplan, that goes along with them; None without.
        limits: whose each of the job's limits is, and which ends it first, for people.
        notes: what differs from the plan, and what the system does not do.
    """

    system: str
    job: LaunchJob
    folder: Path
    files: Mapping[str, str]
    submission: Submission
    wheel: Path | None = None
    limits: str = ""
    notes: tuple[str, ...]

    @property
    def next(self) -> str:
        """The line that hands them over, for a shell."""
        return f"cd {shlex.quote(str(self.folder))} && {shlex.join(self.submission.command)}"
