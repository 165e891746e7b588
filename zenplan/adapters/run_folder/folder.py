"""A run's folder and its files. Whoever writes holds a lock on it, which the system lets go of however the process ends."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar

from zenplan.adapters.files.folders import check_folder
from zenplan.adapters.files.regular_file import read_text
from zenplan.adapters.files.whole_file import DRAFT, replacing, write_whole
from zenplan.adapters.machine.processes import is_alive
from zenplan.errors import FailureKind, UsageError, ZenplanError

T = TypeVar("T")

# Files of the folder; ``checkpoints/`` and ``model/`` in it are the worker's.
REQUEST, JOB, PREDICTION = "run.toml", "job.json", "prediction.json"
METRICS, NOTICES = "metrics.jsonl", "notices.jsonl"
STATUS, RESULT, CARD, CURVE_SVG, CURVE_PNG = "status.json", "result.json", "card.md", "curve.svg", "curve.png"
CHECKPOINTS, MODEL = "checkpoints", "model"
# As it is shown now; an order to end; where it can be watched over HTTP, with its token.
LIVE, STOP, ENDPOINT = "live.json", "stop.json", "endpoint.json"
# Of a run among clients alone.
FEDERATION = "federation.json"
LOCK: Final = ".lock"
MOST_BYTES: Final = 50_000_000
# A worker whose parent is gone writes a checkpoint and leaves; until then it holds the lock.
_PATIENCE_S: Final = 60.0
_LOOK_S: Final = 0.1


@contextmanager
def writing(
    path: Path, new: bool, wait_s: float = _PATIENCE_S, tell: Callable[[], None] | None = None
) -> Iterator[int]:
    """The lock on a run's folder, a descriptor that the worker inherits; what a killed writer left behind is removed.

    Args:
        path: of the folder; a ``new`` one is made, and must be empty if it is there.
        wait_s: for a writer that is about to leave, before it is refused.
        tell: called once, where there is somebody to wait for.

    Raises:
        UsageError: another process writes there; it is not empty, or not there.
        ZenplanError: nothing can be written there.
    """
    descriptor = _locked(path, new, wait_s, tell)
    try:
        for draft in path.glob(f"{DRAFT}*"):
            draft.unlink(missing_ok=True)
        yield descriptor
    finally:
        os.close(descriptor)


def _locked(path: Path, new: bool, wait_s: float, tell: Callable[[], None] | None) -> int:
    check_folder(path, "name another folder: --out PATH")
    try:
        if new:
            path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except FileNotFoundError as error:
        raise UsageError(f"there is no run in {path}", "'zenplan runs list' lists them") from error
    except OSError as error:
        raise ZenplanError(
            f"no run can be written in {path}: {error.strerror}", "name a folder that you may write: --out PATH"
        ) from error
    with ExitStack() as stack:
        stack.callback(os.close, descriptor)
        _take(descriptor, path, 0.0 if new else wait_s, tell)
        if new and any(each.name != LOCK for each in path.iterdir()):
            raise UsageError(f"{path} is not empty", "name a new folder, or go on with its run: --resume")
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        stack.pop_all()
    return descriptor


def _take(descriptor: int, path: Path, wait_s: float, tell: Callable[[], None] | None) -> None:
    end = time.monotonic() + wait_s
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        owner = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
        # A parent that lives does not leave soon: nothing is waited for.
        if time.monotonic() >= end or (owner.isdigit() and is_alive(int(owner))):
            raise UsageError(
                f"another run is at {path}{f', process {owner}' if owner else ''}",
                "wait for its end, or name another folder: --out PATH",
            )
        if tell is not None:
            tell()
            tell = None
        time.sleep(_LOOK_S)


def forget_beginning(path: Path) -> None:
    """Take away what is in a folder whose run was killed before its first status: there is nothing to go on with.

    Raises:
        ZenplanError: it cannot be written.
    """
    try:
        left = [each for each in path.iterdir() if each.name != LOCK and not each.name.startswith(DRAFT)]
        if [each.name for each in left] == [REQUEST] and not is_held(path):
            left[0].unlink(missing_ok=True)
    except FileNotFoundError:
        return
    except OSError as error:
        raise cannot_write(path, error) from error


def is_held(path: Path) -> bool:
    """Whether a process, or its worker, is at the run."""
    try:
        descriptor = os.open(path / LOCK, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


def put(folder: Path, name: str, content: str | bytes) -> None:
    """The content in that file of the folder: all of it, on the disk, or the file as it was.

    Raises:
        ZenplanError: it cannot be written, such as on a full disk.
    """
    write_whole(folder / name, content)


def put_json(folder: Path, name: str, value: Any) -> None:
    """The value as JSON in that file of the folder. Raises as ``put``."""
    from zenplan import documents

    put(folder, name, documents.encode(value, indent=2) + "\n")


def show_json(folder: Path, name: str, value: Any) -> None:
    """The same of what is written anew every few seconds, and not waited for until it is on the disk."""
    from zenplan import documents

    try:
        with replacing(folder / name, lasting=False) as file:
            file.write(documents.encode(value).encode())
    except OSError as error:
        raise cannot_write(folder / name, error) from error


def take(folder: Path, name: str, kind: type[T], foreign: bool = False) -> T:
    """The noun that a file of the folder holds.

    Args:
        foreign: whether it may hold more than is known here.

    Raises:
        InputFileError: there is none, or it cannot be read; DataError: it holds something else.
    """
    from zenplan import documents

    what = f"{name} of the run in {folder}"
    text = read_text(folder / name, what, MOST_BYTES, "'zenplan runs list' lists runs")
    return documents.decode(text, kind, what, foreign=foreign)


def cannot_write(path: Path, error: OSError) -> ZenplanError:
    """The error of a file that could not be added to."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return ZenplanError(
        f"{path} cannot be written: {'the disk is full' if full else error.strerror}",
        "make room, then go on from the last checkpoint" if full else "is the folder still there?",
        kind=FailureKind.OTHER,
    )
