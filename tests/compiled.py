"""What JAX compiles is kept for the whole session, and compiled without optimization: of a small training run in a
process of its own, the compiler takes most of the time. A command that is given a clean environment is given this too.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Mapping
from shutil import rmtree
from tempfile import mkdtemp
from typing import Final

_FOLDER, _FLAGS, _QUICKLY = "JAX_COMPILATION_CACHE_DIR", "XLA_FLAGS", "--xla_backend_optimization_level=0"


def _kept() -> str:
    """The folder. The process that starts the tests' processes makes it, and they have it from its environment."""
    found = os.environ.get(_FOLDER)
    if found is None:
        found = mkdtemp(prefix="zenplan-compiled-")
        atexit.register(rmtree, found, ignore_errors=True)
    return found


def _flags() -> str:
    given = os.environ.get(_FLAGS, "")
    return given if _QUICKLY in given else f"{given} {_QUICKLY}".strip()


ENVIRONMENT: Final[Mapping[str, str]] = {
    _FOLDER: _kept(),
    # Whatever it is, however short it took.
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    _FLAGS: _flags(),
}
