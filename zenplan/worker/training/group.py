"""Workers that train one model together: what each has to know of the others, whatever framework joins them."""

from __future__ import annotations

import json
import math
import socket
import threading
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Protocol
from uuid import uuid4

import numpy as np

from zenplan.errors import FailureKind, UsageError, ZenplanError
from zenplan.version import __version__
from zenplan.worker.protocol import Events, Pulse, Ranks, Train
from zenplan.worker.training.prepared import Array

# Bytes of what one says to all, and of what each says.
TOLD_BYTES, GATHERED_BYTES = 65536, 4096
_MARK: Final = ".ranks-"
_PULSE_S, _CLOCKS_S = 1.0, 60.0
# Letters of a setting that the workers tell each other.
_SHOWN: Final = 60
# What libraries of collectives say of a worker that is gone.
_GONE: Final = (
    "gloo",
    "nccl",
    "connection",
    "heartbeat",
    "coordination",
    "unavailable",
    "deadline_exceeded",
    "barrier",
)


@dataclass(frozen=True, slots=True)
class Share:
    """Of each batch, which part a worker loads: its samples are found by their place in it.

    Attributes:
        number: from 0; of: how many shares there are.
        at_once: replicas in this worker, each of which takes a micro-batch at a time.
    """

    number: int = 0
    of: int = 1
    at_once: int = 1

    def part(self, numbers: Array) -> Array:
        """Of the samples of a batch, those of this share."""
        each = len(numbers) // self.of
        return numbers[self.number * each : (self.number + 1) * each]


WHOLE: Final = Share()


class Group(Protocol):
    """What joins the workers. Its methods are called by all of them in the same order, and wait for all."""

    @property
    def rank(self) -> int:
        """Of this worker; rank 0 writes and speaks for all."""

    @property
    def size(self) -> int:
        """Workers."""

    @property
    def share(self) -> Share:
        """Of this worker."""

    @property
    def pace(self) -> Pace:
        """How far this worker is."""

    def scope(self) -> AbstractContextManager[Any]:
        """What the model is built within."""

    def told(self, text: str) -> str:
        """What rank 0 says, on every rank; at most ``TOLD_BYTES`` of UTF-8."""

    def gathered(self, text: str) -> list[str]:
        """What each rank says, by rank; at most ``GATHERED_BYTES`` of UTF-8."""

    def held(self, weights: Sequence[Any]) -> tuple[int, int]:
        """Numbers of these arrays that the fullest device of this worker has, and those on its devices that are no copies
        of another's."""


@dataclass(slots=True)
class Pace:
    """How far a worker is, told to its parent by a thread of its own: one that hangs is found by it.

    Attributes:
        by_cpu: whether its own part of a step is told by the processor's time, where it cannot be told from waiting.
        begun: steps; done: of which its own part is done.
    """

    by_cpu: bool = False
    begun: int = 0
    done: int = 0
    _start: float = 0.0
    _cpu_s: float = field(default_factory=time.process_time)
    _busy_s: float = 0.0
    _count: int = 0

    def begin(self) -> None:
        """A step begins."""
        self.begun += 1

    def released(self) -> None:
        """The others are waited for no more."""
        self._start = time.perf_counter()

    def own_part_done(self) -> None:
        """What comes now waits for others: what was done since they were waited for last is a step of one's own."""
        if self.done < self.begun:
            self.done = self.begun
            if self._start:
                self._busy_s += time.perf_counter() - self._start
                self._count += 1

    def busy_s(self) -> float | None:
        """Seconds of its own part of a step, the mean since the last call."""
        count, self._count = self._count, 0
        total, self._busy_s = self._busy_s, 0.0
        now, before = time.process_time(), self._cpu_s
        self._cpu_s = now
        total = max(total, now - before) if self.by_cpu else total
        return total / count if count else None

    @contextmanager
    def told(self, rank: int, events: Events) -> Iterator[None]:
        """Within it the parent hears of it."""
        over, host = threading.Event(), socket.gethostname()

        def tell() -> None:
            while not over.wait(_PULSE_S):
                try:
                    events.send(Pulse(rank=rank, host=host, begun=self.begun, done=self.done))
                except OSError:
                    return

        thread = threading.Thread(target=tell, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


@dataclass(frozen=True, slots=True)
class Alone:
    """A worker without others."""

    rank: int = 0
    size: int = 1
    share: Share = field(default_factory=Share)
    pace: Pace = field(default_factory=Pace)

    def scope(self) -> AbstractContextManager[Any]:
        """As of ``Group``."""
        return nullcontext()

    def told(self, text: str) -> str:
        """As of ``Group``."""
        return text

    def gathered(self, text: str) -> list[str]:
        """As of ``Group``."""
        return [text]

    def held(self, weights: Sequence[Any]) -> tuple[int, int]:
        """As of ``Group``."""
        return numbers_of(weights), numbers_of(weights)


ALONE: Final = Alone()


def numbers_of(weights: Sequence[Any]) -> int:
    """Numbers that these arrays have."""
    return sum(math.prod(each.shape) for each in weights)


def framed(text: str, most: int) -> bytes:
    """A text in so many bytes. Raises ValueError: it does not fit."""
    raw = text.encode()
    if len(raw) > most:
        raise ValueError(f"{len(raw)} bytes are more than {most}")
    return raw.ljust(most, b"\0")


def unframed(raw: bytes) -> str:
    """The text of ``framed``."""
    return raw.rstrip(b"\0").decode(errors="replace")


@contextmanager
def lost() -> Iterator[None]:
    """What a library raises where another worker is gone becomes one of zenplan's errors, of the kind NO_COLLECTIVES."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        # No library has a class of its own for it.
        if isinstance(error, ZenplanError) or not any(word in str(error).lower() for word in _GONE):
            raise
        first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
        raise ZenplanError(
            f"a worker does not answer any more: {first[:300]}",
            "the others say why",
            kind=FailureKind.NO_COLLECTIVES,
            type=type(error).__name__,
        ) from error


# --- checks that no run can leave out


def introduced(group: Group, job: Train, settings: Mapping[str, str]) -> tuple[str, ...]:
    """Names of the machines that the workers are on, once all have said what they are about to train, and on what.

    Args:
        settings: what changes what comes out: of the job, the data and the software.

    Raises:
        UsageError: they are not about to do the same, or do not share the run's folder.
    """
    folder = Path(job.folder)
    mark = group.told(f"{_MARK}{uuid4().hex}" if group.rank == 0 else "")
    if group.rank == 0:
        # A run that was killed here has left its own.
        for left in folder.glob(f"{_MARK}*"):
            left.unlink(missing_ok=True)
        (folder / mark).touch()
    group.gathered("")
    mine = {
        "host": socket.gethostname(),
        "zenplan": __version__,
        "seen": (folder / mark).exists(),
        "time": time.time(),
        "settings": {name: _short(value) for name, value in sorted(settings.items())},
    }
    said = group.gathered(json.dumps(mine))
    if group.rank == 0:
        (folder / mark).unlink()
    every = [json.loads(each) for each in said]
    _check_alike(every, job.folder)
    return tuple(dict.fromkeys(each["host"] for each in every))


def _short(value: str) -> str:
    """A text that tells others apart and is short: options of a model may be any."""
    if len(value) <= _SHOWN:
        return value
    return f"{value[:_SHOWN]}… ({zlib.crc32(value.encode()):08x})"


def _check_alike(every: Sequence[Mapping[str, Any]], folder: str) -> None:
    first = every[0]
    for rank, each in enumerate(every):
        where = f"rank {rank} on {each['host']}"
        if not each["seen"]:
            raise UsageError(
                f"{where} does not see the run's folder {folder} of rank 0 on {first['host']}",
                "--out must be a folder that all machines share",
            )
        if each["zenplan"] != first["zenplan"]:
            raise UsageError(
                f"{where} has zenplan {each['zenplan']}, rank 0 has {first['zenplan']}", "install the same on all"
            )
        mine, theirs = each["settings"], first["settings"]
        for name in sorted(mine.keys() | theirs.keys()):
            own, other = mine.get(name, "none"), theirs.get(name, "none")
            if own != other:
                raise UsageError(f"{where} has another {name} than rank 0: {own}, not {other}", "start all alike")
        apart = abs(each["time"] - first["time"])
        if apart > _CLOCKS_S:
            raise UsageError(
                f"the clock of {where} is {apart:,.0f} s from that of rank 0 on {first['host']}",
                "set the clocks: prices, logs and time-outs go by them",
            )


def check_shards(group: Group, job: Train, weights: Sequence[Any]) -> None:
    """Raise UsageError where the parts of the parameters that the workers have do not make up all of them, or nothing was
    divided though it was to be: an engine may accept a layout and do nothing."""
    have, own = group.held(weights)
    total, parts = numbers_of(weights), [json.loads(each) for each in group.gathered(json.dumps([have, own]))]
    together = sum(each[1] for each in parts)
    if together != total:
        raise UsageError(
            f"the workers have {together:,} parameters together, the model has {total:,}",
            "the engine did not lay the model out as it was told: nothing was trained",
        )
    if job.tensor_parallel > 1 and any(each[0] >= total for each in parts):
        raise UsageError(
            f"the model was to be divided over {job.tensor_parallel} devices, and one has all {total:,} parameters",
            "it has no matrix that can be divided so, or the engine does not divide it: leave out --tensor-parallel",
        )
    if job.zero and group.size > 1 and any(each[0] >= total for each in parts):
        raise UsageError(
            f"ZeRO {job.zero} was to divide the weights over {group.size} workers, and one has all {total:,} of them",
            "the engine does not divide them: leave out --zero",
        )


def check_same(group: Group, checksum: str, when: str) -> None:
    """Raise UsageError where the workers' copies of the state are not the same, by their checksums."""
    every = group.gathered(checksum)
    different = [str(rank) for rank, each in enumerate(every) if each != every[0]]
    if different:
        raise UsageError(
            f"the weights of rank {', '.join(different)} are not those of rank 0 {when}",
            "the engine does not keep the workers alike: nothing was trained",
        )


def check_copies(copies: Iterable[tuple[str, Sequence[Array]]], when: str) -> None:
    """Raise UsageError where devices of a worker do not have the same of an array of the state, by its path."""
    for path, (first, *others) in copies:
        different = [str(number) for number, each in enumerate(others, 1) if each.tobytes() != first.tobytes()]
        if different:
            raise UsageError(
                f"{path} of device {', '.join(different)} is not that of device 0 {when}",
                "the engine does not keep the devices alike: nothing was trained",
            )


def check_batch(group: Group, job: Train, batch: Array) -> None:
    """Raise UsageError where what the workers load of a batch is not the batch that was asked for, each sample in it once.

    Args:
        batch: numbers of the samples of the first step, as this worker has them.
    """
    share = group.share
    mine = share.part(batch)
    every = [json.loads(each) for each in group.gathered(json.dumps([share.number, len(mine), _sum_of(mine)]))]
    # Workers of one replica load the same.
    total = sum({number: count for number, count, _ in every}.values())
    if total != job.batch:
        raise UsageError(
            f"the workers take {total:,} samples of a step, and a batch of {job.batch:,} was asked for",
            "the engine divides the data otherwise than it was told: nothing was trained",
        )
    for rank, (number, _, found) in enumerate(every):
        if found != _sum_of(replace(share, number=number).part(batch)):
            raise UsageError(
                f"rank {rank} takes other samples of a step than share {number + 1} of {share.of} of the batch of rank "
                f"{group.rank}",
                "the workers go through the data in different orders: nothing was trained",
            )


def _sum_of(numbers: Array) -> int:
    return zlib.crc32(np.asarray(numbers, np.int64).tobytes())


def check_ranks(job: Train) -> Ranks | None:
    """Where this worker stands. Raises UsageError: figures of it do not go together."""
    ranks = job.ranks
    if job.workers * job.devices % job.tensor_parallel:
        raise UsageError(
            f"{job.workers * job.devices} devices are no multiple of {job.tensor_parallel}, over which a model is divided",
            "take another --tensor-parallel",
        )
    if ranks is not None and not 0 <= ranks.rank < ranks.size:
        raise UsageError(f"rank {ranks.rank} of {ranks.size} cannot be", "RANK is from 0, below WORLD_SIZE")
    return ranks
