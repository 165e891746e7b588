"""Workers and devices that train a run together: of this machine, or one of those that another system has started."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from zenplan.adapters.workers.engines import engines
from zenplan.errors import UsageError
from zenplan.protocols import Engine, several_of
from zenplan.units import many
from zenplan.worker.protocol import Ranks, Train

# What torchrun sets, and every launcher that zenplan writes files for.
NAMES: Final = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
# Between the start of the first and of the last, which may have to load an image or prepare the data.
WAIT_S: Final = 300.0
_MOST_DIGITS: Final = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """Who trains a run.

    Attributes:
        workers: processes; devices: of each.
        tensor_parallel: devices that each matrix is divided over.
        zero: ZeRO stage over the workers.
        ranks: where this process stands among those that another system has started; None where it started none.
        wait_s: after which a worker that has not come is missing.
    """

    workers: int = 1
    devices: int = 1
    tensor_parallel: int = 1
    zero: int = 0
    ranks: Ranks | None = None
    wait_s: float = WAIT_S

    def of_job(self) -> dict[str, int]:
        """As a job has it."""
        found = {"workers": self.workers, "devices": self.devices, "tensor_parallel": self.tensor_parallel}
        return {**found, "zero": self.zero}

    @property
    def replicas(self) -> int:
        """Copies of the model."""
        return max(1, self.workers * self.devices // self.tensor_parallel)


ONE: Final = Together()


def together_of(given: Mapping[str, Any], engine: Engine, environ: Mapping[str, str]) -> Together:
    """Who trains it, as the flags and the environment say.

    Args:
        given: values of the flags of a run.
        engine: that trains it.

    Raises:
        UsageError: they contradict, or the engine cannot.
    """
    workers, devices = given.get("workers") or 1, given.get("devices") or 1
    wait_s = given.get("rendezvous_timeout") or WAIT_S
    ranks, several = ranks_of(environ, wait_s), several_of(engine)
    if ranks is not None:
        if given.get("workers") not in (None, ranks.size):
            raise UsageError(
                f"--workers {workers} and WORLD_SIZE={ranks.size} contradict",
                "leave --workers out: the launcher says it",
            )
        if several.starts:
            raise UsageError(
                f"RANK is set, by a launcher that starts the workers, and {engine.name} starts them itself",
                "another --backend; or start it once, without RANK",
            )
        workers = ranks.size
        if not several.devices and devices > 1:
            raise UsageError(
                f"{engine.name} has a device a worker, not {devices}", "let the launcher start a worker for each device"
            )
    elif several.workers and not several.devices and devices > 1:
        # It has a process for each device.
        if workers not in (1, devices):
            raise UsageError(
                f"--workers {workers} and --devices {devices} contradict",
                f"{engine.name} has a device a worker: give one",
            )
        workers, devices = devices, 1
    divided = given.get("tensor_parallel") or 1
    zero = int(given.get("zero") or 0)
    found = Together(workers=workers, devices=devices, tensor_parallel=divided, zero=zero, ranks=ranks, wait_s=wait_s)
    _check(found, engine)
    return found


def doubts(given: Mapping[str, Any], found: Together, engine: Engine, cores: int | None) -> Iterator[str]:
    """What was asked for of workers and changes nothing, or does no good, a line each.

    Args:
        given: values of the flags of a run.
        found: who trains it.
        cores: of this machine's processor; None where they are not what trains, or nobody knows.
    """
    if found.zero and found.workers == 1:
        yield f"--zero {found.zero} divides nothing: the one worker holds all of the model; --workers 2 and more share it"
    if given.get("max_restarts") and found.ranks is not None:
        yield "--max-restarts changes nothing: RANK is set, and the launcher that started the workers begins them again"
    elif given.get("max_restarts") and found.workers == 1:
        yield "--max-restarts changes nothing: it is of several workers, and one trains; --autoresume goes on with its run"
    own = found.ranks is None and not several_of(engine).starts
    if own and cores is not None and found.workers > cores:
        yield (
            f"{found.workers:,} workers are more than the {many(cores, 'core')} of this machine: they take turns, and train "
            f"no faster than {cores} of them, with {found.workers:,} times the memory of one"
        )


def shared_anew(job: Train, together: Together) -> Train:
    """The job of a run that is gone on with on another number of workers: micro-batches as large as they were at most."""
    now = (together.workers, together.devices, together.tensor_parallel)
    if (job.workers, job.devices, job.tensor_parallel) == now:
        return msgspec.structs.replace(job, zero=together.zero)
    each, replicas = job.batch // together.replicas, together.replicas
    if job.batch % replicas:
        raise UsageError(
            f"a batch of {job.batch} cannot be shared among {replicas} replicas of the model",
            "another number of workers",
        )
    most = max(1, job.micro_batch * job.replicas // replicas)
    micro = next(size for size in range(min(most, each), 0, -1) if each % size == 0)
    return msgspec.structs.replace(
        job,
        **together.of_job(),
        micro_batch=micro,
    )


def _check(found: Together, engine: Engine) -> None:
    total, several = found.workers * found.devices, several_of(engine)
    if found.zero and not several.shards:
        raise UsageError(
            f"{engine.name} divides neither weights nor optimizer states over workers (ZeRO {found.zero})",
            f"leave --zero out; what does: {_who()}",
        )
    if total == 1 and found.tensor_parallel == 1:
        return
    if (found.workers > 1 and not several.workers) or (found.devices > 1 and not several.devices):
        raise _beyond(found, engine)
    if found.tensor_parallel > 1 and not several.divides:
        raise UsageError(
            f"{engine.name} divides no matrices over devices", f"leave --tensor-parallel out; what does: {_who()}"
        )
    if total % found.tensor_parallel:
        raise UsageError(
            f"{total} devices are no multiple of --tensor-parallel {found.tensor_parallel}",
            "give one that divides them",
        )


def _beyond(found: Together, engine: Engine) -> UsageError:
    """That it cannot have so many: with the flag that is too much, and what may be given instead."""
    several, total = several_of(engine), found.workers * found.devices
    if not several.workers and not several.devices:
        return UsageError(f"{engine.name} does not train on several workers or devices here", f"what does: {_who()}")
    if several.workers:
        return UsageError(
            f"{engine.name} has a device a worker, and cannot use --devices {found.devices} of each",
            f"--workers {total}; what does: {_who()}",
        )
    if found.ranks is None:
        return UsageError(
            f"{engine.name} cannot use --workers: it trains on the devices of one process",
            f"--devices {total}, without --workers; or another --backend: {_who()}",
        )
    return UsageError(
        f"{engine.name} trains on the devices of one process, and a launcher started {many(found.workers, 'worker')}",
        f"start it once, with --devices; or another --backend: {_who()}",
    )


def _who() -> str:
    """zenplan's own engines that can, and what."""
    return "; ".join(f"{each.name}: {each.several.words()}" for each in engines() if each.several.words())


def ranks_of(environ: Mapping[str, str], wait_s: float = WAIT_S) -> Ranks | None:
    """Where this process stands, by the five variables; None where it is alone.

    Args:
        wait_s: as of ``Together``.

    Raises:
        UsageError: some of them are missing, or cannot be.
    """
    there = {name: environ[name] for name in NAMES if environ.get(name)}
    size = _whole("WORLD_SIZE", there["WORLD_SIZE"]) if "WORLD_SIZE" in there else None
    if not {"RANK", "WORLD_SIZE"} & there.keys():
        return None
    if size == 1 and not _whole("RANK", there.get("RANK", "0")):
        return None
    missing = [name for name in NAMES if name not in there]
    if missing:
        # One that does not know of the others would train all by itself, and so would each of them.
        raise UsageError(
            f"{' and '.join(there)} {'are' if len(there) > 1 else 'is'} set, and {', '.join(missing)} not: "
            "where do the workers meet?",
            "a launcher sets all five; unset RANK and WORLD_SIZE for a run of one worker",
        )
    numbers = {name: _whole(name, there[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_PORT")}
    for name in ("RANK", "LOCAL_RANK"):
        if numbers[name] >= numbers["WORLD_SIZE"]:
            raise UsageError(
                f"{name}={numbers[name]} is not below WORLD_SIZE={numbers['WORLD_SIZE']}", "ranks count from 0"
            )
    if not 0 < numbers["MASTER_PORT"] < 2**16:
        raise UsageError(f"MASTER_PORT={numbers['MASTER_PORT']} is no port", "as in: 29500")
    return Ranks(
        rank=numbers["RANK"],
        size=numbers["WORLD_SIZE"],
        local=numbers["LOCAL_RANK"],
        address=f"{there['MASTER_ADDR']}:{_port(numbers['MASTER_PORT'], environ)}",
        wait_s=wait_s,
    )


def _port(given: int, environ: Mapping[str, str]) -> int:
    """Where the workers meet: beside the port that torchrun keeps for itself, where it says that it does."""
    if environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return given
    return given + 1 if given + 1 < 2**16 else given - 1


def _whole(name: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > _MOST_DIGITS:
        raise UsageError(f"{name} is '{text[:40]}'", "a whole number, as a launcher sets it")
    return int(text)
