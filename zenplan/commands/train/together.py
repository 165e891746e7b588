"""Workers and devices that train a run together: of this machine, or one of those that another system has started."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from zenplan.errors import UsageError
from zenplan.worker.protocol import Ranks, Train

# What torchrun sets, and every launcher that zenplan writes files for.
NAMES: Final = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
# Between the start of the first and of the last, which may have to load an image or prepare the data.
WAIT_S: Final = 300.0
_MOST_DIGITS: Final = 9
_CAN: Final = {
    "jax": "workers, devices and matrices divided over them",
    "torch": "workers with a device each",
    "tensorflow": "devices of one worker",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """Who trains a run.

    Attributes:
        workers: processes; devices: of each.
        tensor_parallel: devices that each matrix is divided over.
        ranks: where this process stands among those that another system has started; None where it started none.
        wait_s: after which a worker that has not come is missing.
    """

    workers: int = 1
    devices: int = 1
    tensor_parallel: int = 1
    ranks: Ranks | None = None
    wait_s: float = WAIT_S

    def of_job(self) -> dict[str, int]:
        """As a job has it."""
        return {"workers": self.workers, "devices": self.devices, "tensor_parallel": self.tensor_parallel}

    @property
    def replicas(self) -> int:
        """Copies of the model."""
        return max(1, self.workers * self.devices // self.tensor_parallel)


ONE: Final = Together()


def together_of(given: Mapping[str, Any], backend: str, environ: Mapping[str, str]) -> Together:
    """Who trains it, as the flags and the environment say.

    Args:
        given: values of the flags of a run.
        backend: the engine's name.

    Raises:
        UsageError: they contradict, or the engine cannot.
    """
    workers, devices = given.get("workers") or 1, given.get("devices") or 1
    wait_s = given.get("rendezvous_timeout") or WAIT_S
    ranks = ranks_of(environ, wait_s)
    if ranks is not None:
        if given.get("workers") not in (None, ranks.size):
            raise UsageError(
                f"--workers {workers} and WORLD_SIZE={ranks.size} contradict",
                "leave --workers out: the launcher says it",
            )
        workers = ranks.size
        if backend == "torch" and devices > 1:
            raise UsageError(
                f"PyTorch has a device a worker, not {devices}", "let the launcher start a worker for each device"
            )
    elif backend == "torch" and devices > 1:
        # PyTorch has a process for each device.
        if workers not in (1, devices):
            raise UsageError(
                f"--workers {workers} and --devices {devices} contradict", "PyTorch has a device a worker: give one"
            )
        workers, devices = devices, 1
    divided = given.get("tensor_parallel") or 1
    found = Together(workers=workers, devices=devices, tensor_parallel=divided, ranks=ranks, wait_s=wait_s)
    _check(found, backend)
    return found


def shared_anew(job: Train, together: Together) -> Train:
    """The job of a run that is gone on with on another number of workers: micro-batches as large as they were at most."""
    now = (together.workers, together.devices, together.tensor_parallel)
    if (job.workers, job.devices, job.tensor_parallel) == now:
        return job
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


def _check(found: Together, backend: str) -> None:
    total = found.workers * found.devices
    if total == 1 and found.tensor_parallel == 1:
        return
    if backend not in _CAN:
        can = "; ".join(f"{name}: {what}" for name, what in _CAN.items())
        raise UsageError(f"{backend} does not train on several workers or devices here", f"what does: {can}")
    if found.workers > 1 and backend == "tensorflow":
        raise UsageError(
            "tensorflow trains on the devices of one worker, and not on several workers here",
            f"--devices without --workers; or --backend jax (or torch) with --workers {found.workers}",
        )
    if found.tensor_parallel > 1 and backend != "jax":
        raise UsageError(
            f"Keras on {backend} accepts matrices that are divided over devices, and divides none", "--backend jax does"
        )
    if total % found.tensor_parallel:
        raise UsageError(
            f"{total} devices are no multiple of --tensor-parallel {found.tensor_parallel}",
            "give one that divides them",
        )


def ranks_of(environ: Mapping[str, str], wait_s: float = WAIT_S) -> Ranks | None:
    """Where this process stands, by the five variables; None where it is alone.

    Args:
        wait_s: as of ``Together``.

    Raises:
        UsageError: some of them are missing, or cannot be.
    """
    there = {name: environ[name] for name in NAMES if environ.get(name)}
    size = _whole("WORLD_SIZE", there["WORLD_SIZE"]) if "WORLD_SIZE" in there else None
    if size == 1 or not {"RANK", "WORLD_SIZE"} & there.keys():
        return None
    missing = [name for name in NAMES if name not in there]
    if missing:
        # One that does not know of the others would train all by itself, and so would each of them.
        raise UsageError(
            f"{' and '.join(there)} are set, and {', '.join(missing)} not: where do the workers meet?",
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
