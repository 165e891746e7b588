"""The cluster that a run is on: one of its own on this machine, or the one that ``RAY_ADDRESS`` names."""

from __future__ import annotations

import os
import secrets
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from zenplan import UsageError, ZenplanError
from zenplan.adapters.files.scratch import scratch
from zenplan.errors import FailureKind
from zenplan.worker.protocol import Train

ADDRESS: Final = "RAY_ADDRESS"
# Nothing is told to anybody, no folder but its own is written, and PyTorch's group is not waited for long as it leaves.
_SETTINGS: Final[Mapping[str, str]] = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_TRAIN_ENABLE_PRINT_PATCH": "0",
    "TORCH_PROCESS_GROUP_SHUTDOWN_TIMEOUT_S": "5",
}
# Ray makes sockets in its folder, whose names must be short: so long may that of the temporary directory be.
_MOST_LETTERS: Final = 16
# Who waits for workers says first that they do not come.
_LATER_S: Final = 60.0
# The least that Ray takes; nothing is kept in it here.
_STORE_BYTES: Final = 100_000_000


@contextmanager
def cluster(job: Train, environ: Mapping[str, str] = os.environ) -> Iterator[bool]:
    """Within it Ray runs, which is not imported before; whether it is a cluster of its own, which is gone at the end.

    Raises:
        ZenplanError: there is no cluster at the address, or none can be started. UsageError: it has no GPUs for the job.
    """
    # Ray would give its place in the queue up before, and ask for it anew.
    os.environ.update({**_SETTINGS, "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": str(job.wait_s + _LATER_S)})
    address = environ.get(ADDRESS, "")
    if address:
        with _running(address=address):
            yield False
        return
    temporary = tempfile.gettempdir()
    with scratch(None if len(temporary) <= _MOST_LETTERS else Path("/tmp")) as folder:  # noqa: S108 - for its short name
        # Else Ray writes a token into the user's home.
        os.environ.update({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), **_loopback()})
        with _running(
            address="local",
            num_cpus=job.workers * job.threads,
            num_gpus=None if job.device == "gpu" else 0,
            include_dashboard=False,
            object_store_memory=_STORE_BYTES,
            _temp_dir=str(folder),
        ):
            _check_gpus(job)
            yield True


def room(job: Train) -> str:
    """What each worker takes, and what the cluster has of it, in words. Ray is running."""
    import ray

    total, free = ray.cluster_resources(), ray.available_resources()
    takes = {"CPU": job.threads, **({"GPU": 1} if job.device == "gpu" else {})}
    has = " and ".join(f"{total.get(name, 0):g} {name}s, {free.get(name, 0):g} of them free" for name in takes)
    each = " and ".join(f"{count} {name}{'s' if count > 1 else ''}" for name, count in takes.items())
    return f"each takes {each}, and the cluster has {has}"


@contextmanager
def _running(**options: Any) -> Iterator[None]:
    import ray

    try:
        ray.init(configure_logging=False, log_to_driver=False, **options)
    except (ConnectionError, RuntimeError, TimeoutError, ValueError) as error:
        where = options["address"]
        what = "Ray does not start" if where == "local" else f"there is no Ray cluster to join at {where}"
        first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        hint = "'ray status' says whether it runs" if where != "local" else f"{ADDRESS} names a cluster that runs"
        raise ZenplanError(f"{what}: {first[:300]}", hint, kind=FailureKind.NO_COLLECTIVES) from error
    try:
        yield
    finally:
        ray.shutdown()


def _check_gpus(job: Train) -> None:
    import ray

    count = int(ray.cluster_resources().get("GPU", 0))
    if job.device == "gpu" and count < job.workers:
        raise UsageError(
            f"{job.workers} workers need a GPU each, and Ray sees {count} here", f"--workers {max(1, count)}"
        )


def _loopback() -> dict[str, str]:
    """Workers of one machine meet within it, whatever its name resolves to."""
    names = [name for _, name in socket.if_nameindex() if name in ("lo", "lo0")]
    return {"GLOO_SOCKET_IFNAME": names[0], "NCCL_SOCKET_IFNAME": names[0]} if names else {}
