"""Checkpoints of a run: written aside, synced, renamed; checked before they are taken; no pickle in them.

A checkpoint is a folder ``step-00001200`` of ``arrays.safetensors``, ``state.json`` and ``manifest.json``, which has
size and SHA-256 of the other two. What is half written or half removed has a name that no reader takes for one.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import shutil
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from zenplan import documents, units
from zenplan.errors import DataError, InputFileError, UsageError, ZenplanError
from zenplan.unions import Whole
from zenplan.worker.protocol import Metric, Steps
from zenplan.worker.training.prepared import Array

T = TypeVar("T")

ARRAYS, STATE, MANIFEST = "arrays.safetensors", "state.json", "manifest.json"
_NAME = re.compile(r"step-(\d{8,15})\Z")
_WRITING, _REMOVED = ".writing-", ".removed-"
_MOST_JSON_BYTES = 64_000_000
# Another worker may be at its last checkpoint, its parent gone.
_WAIT_S, _LOOK_S = 60.0, 0.1


class Variable(msgspec.Struct, frozen=True, kw_only=True):
    """One array of a checkpoint, as Keras names and shapes it.

    Attributes:
        kind: type of its numbers; the array may hold the bits of it as whole numbers.
    """

    name: str
    path: str
    shape: tuple[Whole, ...]
    kind: str


class State(msgspec.Struct, frozen=True, kw_only=True, tag_field="schema", tag="zenplan.checkpoint/1"):
    """What a checkpoint says of the run.

    Attributes:
        step: steps done.
        job: fields of the job that change what comes out, by name, as texts.
        machine: backend, versions, threads and device, by name.
        variables: in their order.
        best: lowest validation loss so far; None where there was no evaluation. stale: evaluations since.
        evaluated: step of the last evaluation; -1 for none.
        told: the last events before it, which a parent that ended suddenly may not have heard.
    """

    step: Whole
    job: dict[str, str]
    machine: dict[str, str]
    micro_batch: Whole
    variables: tuple[Variable, ...]
    best: float | None = None
    stale: Whole = 0
    evaluated: int = -1
    told: tuple[Steps | Metric, ...] = ()


class _File(msgspec.Struct, kw_only=True):
    bytes: Whole
    sha256: str


class _Manifest(msgspec.Struct, kw_only=True, tag_field="schema", tag="zenplan.manifest/1"):
    files: dict[str, _File]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint that was checked."""

    path: Path
    state: State

    def check(self) -> None:
        """Raise DataError where its arrays are not those that the state names, without reading them."""
        self._open(lambda file, names: None)

    def arrays(self) -> dict[str, Array]:
        """Its arrays: those of its state, and of random generators.

        Raises:
            DataError: they are not those that the state names.
        """
        return self._open(lambda file, names: {name: file.get_tensor(name) for name in sorted(names)})

    def _open(self, use: Callable[[Any, set[str]], T]) -> T:
        what = f"checkpoint {self.path.name}"
        wanted = {v.name: v for v in self.state.variables}
        try:
            with safe_open(self.path / ARRAYS, "np") as file:
                names = set(file.keys())
                if not names >= wanted.keys() or any(not n.startswith("random/") for n in names - wanted.keys()):
                    raise DataError(f"{what} has other arrays than its {STATE} names")
                for name, each in wanted.items():
                    if tuple(file.get_slice(name).get_shape()) != each.shape:
                        raise DataError(f"{what}: {each.path} is not of shape {each.shape}")
                return use(file, names)
        except (OSError, SafetensorError) as error:
            raise DataError(f"{what} cannot be read: {error}") from error


@dataclass(slots=True, kw_only=True)
class Checkpoints:
    """The checkpoints of one run.

    Attributes:
        keep: how many are kept, the newest.
        good: those that were checked or written here, by step.
        latest: the one to go back to: the last that was written, or the newest that checked.
    """

    folder: Path
    keep: int
    good: dict[int, Path] = field(default_factory=dict)
    latest: Checkpoint | None = None
    _lock: int = -1

    def open(self) -> None:
        """Take hold of the folder, and clear away what a killed run has left.

        Raises:
            UsageError: another run writes into it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self.folder, os.O_RDONLY)
        end = time.monotonic() + _WAIT_S
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise UsageError(f"another run writes into {self.folder}", "take another folder: --out") from None
                time.sleep(_LOOK_S)
        for each in self.folder.iterdir():
            if each.name.startswith((_WRITING, _REMOVED)):
                _remove(each)

    def close(self) -> None:
        """Let go of the folder."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def steps(self) -> dict[int, Path]:
        """What is there by its name, checked or not, the newest first."""
        found = ((m, each) for each in self.folder.iterdir() if (m := _NAME.match(each.name)))
        return dict(sorted(((int(m.group(1)), each) for m, each in found), reverse=True))

    def newest(self) -> tuple[Checkpoint | None, list[str]]:
        """The newest checkpoint that checks, and why newer ones do not."""
        passed = []
        for step, path in self.steps().items():
            try:
                state = _checked(path, step)
            except DataError as error:
                passed.append(error.message)
                continue
            self.good[step] = path
            self.latest = Checkpoint(path, state)
            return self.latest, passed
        return None, passed

    def of(self, step: int) -> Checkpoint:
        """The one of that step, checked, which becomes the one to go back to. Raises DataError: it is not good."""
        path = self.folder / f"step-{step:08d}"
        self.latest = Checkpoint(path, _checked(path, step))
        return self.latest

    def take(self, state: State) -> Path:
        """The folder of one that rank 0 of several workers has written: the one to go back to.

        Raises:
            UsageError: it is not there.
        """
        path = self.folder / f"step-{state.step:08d}"
        if not path.is_dir():
            raise UsageError(f"there is no {path}, which rank 0 has written", "--out must be a folder that all share")
        self.latest = Checkpoint(path, state)
        return path

    def write(self, state: State, arrays: Iterable[tuple[str, Array]]) -> tuple[Path, int]:
        """A checkpoint on disk, whole, and its size; older ones than ``keep`` are removed.

        Raises:
            ZenplanError: the disk is full, or does not take it. Those before are as they were.
        """
        path = self.folder / f"step-{state.step:08d}"
        aside = self.folder / f"{_WRITING}{state.step:08d}"
        try:
            size = _write(aside, state, dict(arrays))
            if path.exists():
                path.replace(self.folder / f"{_REMOVED}{path.name}")
            aside.replace(path)
            sync(self.folder)
        except (OSError, SafetensorError) as error:
            _remove(aside)
            raise _no_room(path, error) from error
        self.good[state.step] = path
        self.latest = Checkpoint(path, state)
        self._prune()
        return path, size

    def _prune(self) -> None:
        kept = sorted(self.good, reverse=True)[: max(1, self.keep)]
        self.good = {step: self.good[step] for step in kept}
        for step, path in self.steps().items():
            if step not in self.good:
                path.replace(self.folder / f"{_REMOVED}{path.name}")
        for each in self.folder.glob(f"{_REMOVED}*"):
            _remove(each)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """The name of a file beside it to write; at the end that takes its place, on the disk. Where it is not written, the
    file is as it was."""
    aside = path.with_name(f"{_WRITING}{path.name}")
    try:
        yield aside
        sync(aside)
        aside.replace(path)
        sync(path.parent)
    finally:
        aside.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Return when the file or the folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def differences(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """What was otherwise when a checkpoint was written, in words."""
    names = sorted(name for name in then.keys() | now.keys() if then.get(name) != now.get(name))
    return [
        # One worker of one device is not kept.
        f"{then.get(n, '1 worker')} then, {now.get(n, '1 worker')} now"
        if n == "workers"
        else f"{n}: {then.get(n, 'none')} then, {now.get(n, 'none')} now"
        for n in names
    ]


def check_model(state: State, variables: Iterable[Variable], backend: str) -> None:
    """Raise InputFileError where the checkpoint is of another model.

    Args:
        backend: of now. Whole numbers of another backend's may be wider.
    """
    now, then = list(variables), state.variables
    hint = "resume with the model that the run began with, or begin anew with another --out"
    if len(now) != len(then):
        raise InputFileError(f"the checkpoint is of another model: it has {len(then)} variables, not {len(now)}", hint)
    same_backend = state.machine.get("backend") == backend
    for a, b in zip(then, now, strict=True):
        alike = a.kind == b.kind or (not same_backend and "int" in a.kind and "int" in b.kind)
        if a.name != b.name or a.shape != b.shape or not alike:
            raise InputFileError(
                f"the checkpoint is of another model: {a.path} of shape {list(a.shape)}, {a.kind}, "
                f"where this has {b.path} of shape {list(b.shape)}, {b.kind}",
                hint,
            )


def _checked(path: Path, step: int) -> State:
    """Raise DataError where anything of the checkpoint is not as it was written."""
    what = f"checkpoint {path.name}"
    manifest = documents.decode(_small(path / MANIFEST, what), _Manifest, f"{what}: {MANIFEST}", foreign=True)
    if set(manifest.files) != {ARRAYS, STATE}:
        raise DataError(f"{what}: {MANIFEST} names other files than {ARRAYS} and {STATE}")
    for name, file in manifest.files.items():
        if _regular(path / name, what) != file.bytes:
            raise DataError(f"{what}: {name} is not of its size, {file.bytes:,} bytes")
        if _sha256(path / name) != file.sha256:
            raise DataError(f"{what}: {name} has changed since it was written")
    state = documents.decode(_small(path / STATE, what), State, f"{what}: {STATE}", foreign=True)
    if state.step != step:
        raise DataError(f"{what} says that it is of step {state.step}")
    # Its arrays are looked at too: those of a file that was made to mislead agree with its sums.
    Checkpoint(path, state).check()
    return state


def _regular(path: Path, what: str) -> int:
    """Size of a plain file; a link or a device is none."""
    try:
        found = path.lstat()
    except OSError as error:
        raise DataError(f"{what}: {path.name}: {error.strerror}") from error
    if not stat.S_ISREG(found.st_mode):
        raise DataError(f"{what}: {path.name} is no plain file")
    return found.st_size


def _small(path: Path, what: str) -> bytes:
    if _regular(path, what) > _MOST_JSON_BYTES:
        raise DataError(f"{what}: {path.name} is too large")
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{what}: {path.name}: {error.strerror}") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(aside: Path, state: State, arrays: dict[str, Array]) -> int:
    _remove(aside)
    aside.mkdir()
    # What is written must be one piece in memory.
    save_file({name: np.asarray(array, order="C") for name, array in arrays.items()}, aside / ARRAYS)
    (aside / STATE).write_text(documents.encode(state), encoding="utf-8")
    files = {n: _File(bytes=(aside / n).stat().st_size, sha256=_sha256(aside / n)) for n in (ARRAYS, STATE)}
    (aside / MANIFEST).write_text(documents.encode(_Manifest(files=files)), encoding="utf-8")
    for name in (ARRAYS, STATE, MANIFEST):
        sync(aside / name)
    sync(aside)
    return sum(f.bytes for f in files.values()) + (aside / MANIFEST).stat().st_size


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _no_room(path: Path, error: Exception) -> ZenplanError:
    full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error)
    if full:
        free = shutil.disk_usage(path.parent).free
        return ZenplanError(
            f"the disk is full: checkpoint {path.name} does not fit, {units.size(free)} are free",
            "make room and go on with --resume; the checkpoint before it is whole",
        )
    return ZenplanError(
        f"checkpoint {path.name} cannot be written: {error}", "go on with --resume; the checkpoint before it is whole"
    )
