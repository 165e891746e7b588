"""Tools of the makers of GPUs and of the system: commands of this machine that are asked."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Final

_PATIENCE_S: Final = 20.0

# Standard output of a command; raises OSError, subprocess.SubprocessError.
Run = Callable[[tuple[str, ...]], str]


def output_of(command: tuple[str, ...]) -> str:
    """Standard output of a command of this machine. Raises OSError, subprocess.SubprocessError."""
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_PATIENCE_S)  # noqa: S603  # a fixed command
    return done.stdout
