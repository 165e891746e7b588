"""The machine itself, from the standard library, /proc, /sys and the container's limits."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath
from typing import TypeVar

from zenplan.domain.hardware.device import NOT_SET, Host, Reading

T = TypeVar("T", int, float)
U = TypeVar("U", int, str)

_BLAS_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_NO_LIMIT_BYTES = 2**60


def read_host(
    data_folder: Path | None = None, environ: Mapping[str, str] | None = None, root: Path = Path("/")
) -> Host:
    """The host as it is now. What this system does not tell is a reading with a reason, not an error.

    Args:
        data_folder: where the program keeps its data; it need not exist yet.
        environ: the environment variables, by default the process's own.
        root: where ``proc``, ``sys`` and ``etc`` are.
    """
    settings = os.environ if environ is None else environ
    cpus = _cpu_blocks(root)
    cores = _known(os.cpu_count(), "this system does not count its cores")
    memory = _memory_total(root)
    groups = _control_groups(root)
    return Host(
        logical_cores=cores,
        physical_cores=_physical_cores(cpus),
        affinity_cores=_affinity(),
        cpu_limit_cores=_limit(groups, _cpu_limit_cores, cores.value),
        memory_total_bytes=memory,
        memory_available_bytes=_memory(root, "MemAvailable"),
        memory_limit_bytes=_limit(groups, _memory_limit_bytes, memory.value),
        cpu_model=_cpu_model(cpus),
        os=_known(_distribution(root) or platform.system(), "this system has no name"),
        kernel=_known(platform.release(), "this system does not tell its release"),
        python_version=Reading.of(platform.python_version()),
        disk_free_bytes=_disk_free(data_folder),
        sockets=_sockets(cpus),
        numa_nodes=_numa_nodes(root),
        blas_threads={name: _threads(settings, name) for name in _BLAS_VARIABLES},
    )


def _known(value: U | None, reason: str) -> Reading[U]:
    return Reading.of(value) if value else Reading.missing(reason)


def _read(path: Path) -> str:
    """The text of a system file; empty where it is missing, closed to us or no file."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _cpu_blocks(root: Path) -> list[dict[str, str]]:
    """/proc/cpuinfo: one block of ``key : value`` lines for each logical core."""
    blocks = []
    for block in _read(root / "proc/cpuinfo").split("\n\n"):
        pairs = (line.partition(":") for line in block.splitlines() if ":" in line)
        blocks.append({key.strip(): value.strip() for key, _, value in pairs})
    return [block for block in blocks if block]


def _physical_cores(cpus: list[dict[str, str]]) -> Reading[int]:
    found = {(c.get("physical id", "0"), c["core id"]) for c in cpus if "core id" in c}
    return _known(len(found), "/proc/cpuinfo does not tell which cores share one")


def _sockets(cpus: list[dict[str, str]]) -> Reading[int]:
    found = {cpu["physical id"] for cpu in cpus if "physical id" in cpu}
    return _known(len(found), "/proc/cpuinfo does not tell the sockets")


def _numa_nodes(root: Path) -> Reading[int]:
    found = [each for each in (root / "sys/devices/system/node").glob("node*") if each.name[4:].isdecimal()]
    return _known(len(found), "this system does not tell its NUMA nodes")


def _cpu_model(cpus: list[dict[str, str]]) -> Reading[str]:
    names = (cpu[key] for key in ("model name", "Model", "cpu model") for cpu in cpus if cpu.get(key))
    name = next(names, "")
    if not name and platform.system() == "Darwin":
        from zenplan.adapters.machine.apple import sysctl

        name = sysctl("machdep.cpu.brand_string")
    return _known(name, "/proc/cpuinfo does not name the processor")


def processor_name(host: Host) -> str:
    """What a worker calls the processor, and calibrations after it: as the system does, else by its kind."""
    return host.cpu_model.value or platform.processor() or platform.machine()


def allowed_cores() -> int:
    """Logical cores that this process may run on."""
    return _affinity().value or os.cpu_count() or 1


def _affinity() -> Reading[int]:
    # Linux only; a system without it lets a process run on every core.
    if not hasattr(os, "sched_getaffinity"):
        return Reading.missing("this system has no processor affinity")
    return Reading.of(len(os.sched_getaffinity(0)))


def _memory(root: Path, key: str) -> Reading[int]:
    for line in _read(root / "proc/meminfo").splitlines():
        name, _, amount = line.partition(":")
        number = amount.split()[0] if amount.split() else ""
        if name == key and number.isdecimal():
            # "kB" in this file has always meant 1024 bytes.
            return Reading.of(int(number) * 1024)
    return Reading.missing(f"/proc/meminfo has no {key}")


def _memory_total(root: Path) -> Reading[int]:
    listed = _memory(root, "MemTotal")
    if listed.value is not None:
        return listed
    try:
        return Reading.of(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        return Reading.missing("this system does not tell its memory")


def _control_groups(root: Path) -> list[Path]:
    """Folders of the control groups that this process is in, and of those around them, of either version."""
    mount = root / "sys/fs/cgroup"
    folders = []
    for line in _read(root / "proc/self/cgroup").splitlines():
        controllers, _, path = line.partition(":")[2].partition(":")
        base = mount / controllers if controllers else mount
        inside = PurePosixPath(path.lstrip("/"))
        # Seen from inside a container the path can lead out of what is mounted; its top is ours then.
        nested = [] if ".." in inside.parts else [base / inside, *(base / p for p in inside.parents)]
        folders += [*nested, base]
    return folders


def _limit(groups: list[Path], read: Callable[[Path], T | None], machine: float | None) -> Reading[T]:
    """The lowest limit of the groups, where it is lower than what the machine has anyway."""
    if not groups:
        return Reading.missing("no control groups on this system")
    limits = [limit for limit in map(read, groups) if limit is not None]
    if not limits or (machine is not None and min(limits) >= machine):
        return Reading.missing("none seen")
    return Reading.of(min(limits))


def _cpu_limit_cores(group: Path) -> float | None:
    words = _read(group / "cpu.max").split() or [_read(group / "cpu.cfs_quota_us"), _read(group / "cpu.cfs_period_us")]
    # "max" and -1 both mean no limit, and neither is a decimal number.
    if len(words) != 2 or not all(word.isdecimal() for word in words) or int(words[1]) == 0:
        return None
    return int(words[0]) / int(words[1])


def _memory_limit_bytes(group: Path) -> int | None:
    text = _read(group / "memory.max") or _read(group / "memory.limit_in_bytes")
    # Version 1 writes "no limit" as the largest number of pages there can be.
    return int(text) if text.isdecimal() and int(text) < _NO_LIMIT_BYTES else None


def _distribution(root: Path) -> str:
    for line in _read(root / "etc/os-release").splitlines():
        key, _, value = line.partition("=")
        if key == "PRETTY_NAME":
            return value.strip("\"'")
    return ""


def _disk_free(folder: Path | None) -> Reading[int]:
    if folder is None:
        return Reading.missing("not asked for")
    for place in (folder.absolute(), *folder.absolute().parents):
        try:
            return Reading.of(shutil.disk_usage(place).free)
        except FileNotFoundError:
            # The folder is made at its first use; until then the disk is that of the nearest one there is.
            continue
        except OSError as error:
            return Reading.missing(f"the disk cannot be read: {error.strerror}")
    return Reading.missing("the folder is on no disk")


def _threads(environ: Mapping[str, str], name: str) -> Reading[int]:
    text = environ.get(name, "").strip()
    if not text:
        return Reading.missing(NOT_SET)
    # OpenMP takes one number for each level of nesting; the first is the one that counts here.
    first = text.split(",")[0].strip()
    return Reading.of(int(first)) if first.isdecimal() else Reading.missing(f"not a number: {text[:20]!r}")


# --- what is installed

# A framework that comes under several names.
_DISTRIBUTIONS = {"tensorflow": ("tensorflow", "tensorflow-cpu")}


def installed_version(name: str) -> str | None:
    """Of ``python`` itself too; None where it is not installed."""
    if name == "python":
        return platform.python_version()
    for distribution in _DISTRIBUTIONS.get(name, (name,)):
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    return None
