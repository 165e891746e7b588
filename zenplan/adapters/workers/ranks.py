"""Workers of this machine that do one job together: started, watched and ended as one."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

import msgspec

from zenplan.adapters.workers.process import Limits, Tell, measuring_environment, run_job, untold
from zenplan.errors import FailureKind, ZenplanError
from zenplan.worker.protocol import Event, Job, Ranks

# After one worker fails, the others have so long to say what they know before they are ended.
_GRACE_S: Final = 2.0
# At the end of rank 0 the others are about to leave too.
_LEAVE_S: Final = 60.0
# What befalls one of them.
_OWN: Final = (FailureKind.KILLED, FailureKind.CRASHED, FailureKind.ENDED, FailureKind.OUT_OF_MEMORY)


def run_ranks(
    jobs: Sequence[Job],
    backend: str,
    limits: Limits,
    tell: Tell,
    hear: Callable[[int, Event], None],
    environments: Sequence[Mapping[str, str]],
    command: Sequence[str] = (),
    orders: Callable[[], Sequence[msgspec.Struct]] = tuple,
    inherit: Sequence[int] = (),
) -> Event:
    """The answer of rank 0, after which nothing counts that the others do; they are gone at the end.

    Args:
        jobs: of each rank.
        backend, limits, command, inherit: as of ``run_job``, of each.
        tell, orders: of rank 0, as of ``run_job``.
        hear: told the rank and what it finds; never while ``tell`` is at it, or another rank is heard.
        environments: of each rank, as of ``run_job``.

    Raises:
        ZenplanError: a worker failed; the message is of the one that the others only lost.
    """
    ranks = _Ranks(jobs=jobs, backend=backend, limits=limits, hear=hear, command=command, inherit=inherit)
    with ThreadPoolExecutor(max(1, len(jobs) - 1)) as pool:
        others = [pool.submit(ranks.run, rank, environments[rank], untold) for rank in range(1, len(jobs))]
        answer = ranks.run(0, environments[0], tell, orders)
        ranks.over_s = time.monotonic()
    for each in others:
        # What is no failure of a worker is raised here.
        each.result()
    if answer is not None:
        return answer
    # What a worker says that has lost another comes often before the other is seen to be gone.
    raise min(ranks.errors, key=lambda error: error.kind is FailureKind.NO_COLLECTIVES)


def environments_of(
    device: str, threads: int, workers: int, devices: int, environ: Mapping[str, str]
) -> list[dict[str, str]]:
    """What each of the workers of this machine has over the user's environment: GPUs of its own, and the loopback
    interface, which stays within the machine whatever its name resolves to."""
    every = measuring_environment(device, threads, environ)
    return [
        {**every, **_loopback(), **(own_gpus(place, devices, environ) if device == "gpu" else {})}
        for place in range(workers)
    ]


def own_gpus(place: int, devices: int, environ: Mapping[str, str]) -> dict[str, str]:
    """Which GPUs of its machine a worker sees: so many, from its place among the workers on; those that a launcher has
    given to it alone stay as they are."""
    given = [each for each in environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if each]
    if len(given) == devices:
        return {}
    numbers = range(place * devices, (place + 1) * devices)
    return {"CUDA_VISIBLE_DEVICES": ",".join(given[n] if n < len(given) else str(n) for n in numbers)}


def environment_of(device: str, threads: int, devices: int, ranks: Ranks, environ: Mapping[str, str]) -> dict[str, str]:
    """What a worker has that another system has started among others."""
    gpus = own_gpus(ranks.local, devices, environ) if device == "gpu" else {}
    return {**measuring_environment(device, threads, environ), **(_loopback() if ranks.near else {}), **gpus}


def contract(ranks: Ranks) -> dict[str, str]:
    """The five variables of a worker, as launchers set them: code of the user's may look at them."""
    return {
        "RANK": str(ranks.rank),
        "WORLD_SIZE": str(ranks.size),
        "LOCAL_RANK": str(ranks.local),
        "MASTER_ADDR": ranks.host,
        "MASTER_PORT": str(ranks.port),
    }


def free_address() -> str:
    """Host and port on this machine that nobody listens at now."""
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{found.getsockname()[1]}"


def _loopback() -> dict[str, str]:
    """Of gloo and NCCL."""
    names = [name for _, name in socket.if_nameindex() if name in ("lo", "lo0")]
    return {"GLOO_SOCKET_IFNAME": names[0], "NCCL_SOCKET_IFNAME": names[0]} if names else {}


class _Over(Exception):
    """A worker is not needed any more."""


@dataclass(slots=True, kw_only=True)
class _Ranks:
    """The workers, each watched by a thread.

    Attributes:
        errors: of workers that failed, in their order.
        failed_s: when the first did, by the monotonic clock; over_s: when rank 0 was done.
        dropped: whether all are to end now: their parent is interrupted, or at fault.
    """

    jobs: Sequence[Job]
    backend: str
    limits: Limits
    hear: Callable[[int, Event], None]
    command: Sequence[str]
    inherit: Sequence[int]
    errors: list[ZenplanError] = field(default_factory=list)
    failed_s: float = math.inf
    over_s: float = math.inf
    dropped: bool = False
    lock: Lock = field(default_factory=Lock)

    def run(
        self,
        rank: int,
        environment: Mapping[str, str],
        tell: Tell,
        orders: Callable[[], Sequence[msgspec.Struct]] = tuple,
    ) -> Event | None:
        """One worker, to its end; None where it failed."""

        def watch(stage: str, seconds: float) -> None:
            now = time.monotonic()
            if self.dropped or now > self.failed_s + _GRACE_S or now > self.over_s + _LEAVE_S:
                raise _Over
            with self.lock:
                tell(stage, seconds)

        def hear(event: Event) -> None:
            with self.lock:
                self.hear(rank, event)

        known = False
        try:
            answer = run_job(
                self.jobs[rank],
                self.backend,
                self.limits,
                watch,
                hear,
                environment,
                self.command,
                orders=orders,
                inherit=self.inherit,
            )
            known = True
            return answer
        except _Over:
            known = True
        except ZenplanError as error:
            known = True
            with self.lock:
                self.errors.append(_of_rank(error, rank))
                self.failed_s = min(self.failed_s, time.monotonic())
        finally:
            self.dropped = self.dropped or not known
        return None


def _of_rank(error: ZenplanError, rank: int) -> ZenplanError:
    """The error, saying whose it is where it is one's own."""
    if error.kind not in _OWN:
        return error
    return ZenplanError(f"rank {rank}: {error.message}", error.hint, kind=error.kind, type=error.type)
