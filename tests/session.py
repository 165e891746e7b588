"""What the processes of one session of tests share: a folder, what one of them made in it, and what JAX compiled.

JAX compiles without optimization, and each program once: of a small training run in a process of its own, the compiler
takes most of the time. A command that is given a clean environment is given ``ENVIRONMENT`` too.
"""

from __future__ import annotations

import atexit
import fcntl
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Final

_FOLDER, _FLAGS, _QUICKLY = "TESTED_IN", "XLA_FLAGS", "--xla_backend_optimization_level=0"


def _folder() -> Path:
    """The process that starts the others makes it, and they have it from their environment."""
    found = os.environ.get(_FOLDER)
    if found is None:
        found = os.environ[_FOLDER] = mkdtemp(prefix="zenplan-tests-")
        atexit.register(rmtree, found, ignore_errors=True)
    return Path(found)


def _flags() -> str:
    given = os.environ.get(_FLAGS, "")
    return given if _QUICKLY in given else f"{given} {_QUICKLY}".strip()


FOLDER: Final = _folder()
ENVIRONMENT: Final[Mapping[str, str]] = {
    "JAX_COMPILATION_CACHE_DIR": str(FOLDER / "compiled"),
    # Whatever it is, however short it took.
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    _FLAGS: _flags(),
}


def once(name: str, make: Callable[[Path], None]) -> Path:
    """The folder of that name, which the first process that asks for it makes, and the others find made.

    For what takes a framework's start: tests of one file may run in several processes.
    """
    folder, made = FOLDER / name, FOLDER / f"{name}.made"
    with (FOLDER / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            made.touch()
    return folder


def told_once(name: str, ask: Callable[[], str]) -> str:
    """The text of that name, as of ``once``."""
    return (once(name, lambda folder: _write(folder / "text", ask())) / "text").read_text(encoding="utf-8")


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
