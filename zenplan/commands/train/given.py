"""What ``zenplan train`` was given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """What the command was given: the file, flags as texts, the rest as it is."""

    file: Path | None = None
    given: Mapping[str, Any]
    options: tuple[str, ...] = ()
    compiled: bool | None = None
    resume: str | None = None
    out: Path | None = None
    dry_run: bool = False
    demo: bool = False
    output: str | None = None
