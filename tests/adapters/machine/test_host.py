from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from zenplan.adapters.machine.host import processor_name, read_host
from zenplan.worker.measuring import machine

TWO_SOCKETS = "\n\n".join(
    f"processor\t: {n}\nmodel name\t: A Processor 9000\nphysical id\t: {n // 4}\ncore id\t: {n % 4 // 2}\nflags\t:"
    for n in range(8)
)
MEMINFO = "MemTotal:       16777216 kB\nMemFree:  1 kB\nMemAvailable:    8388608 kB\n"


def system(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_this_machine_answers() -> None:
    host = read_host()
    assert host.logical_cores.value == os.cpu_count()
    assert host.python_version.value == platform.python_version()
    assert (host.memory_total_bytes.value or 0) > 2**27
    assert host.usable_cores
    assert host.usable_memory_bytes
    assert host.disk_free_bytes.reason == "not asked for"


def test_proc_is_read(tmp_path: Path) -> None:
    release = 'ID=x\nPRETTY_NAME="Some Linux 12"\n'
    files = {"proc/cpuinfo": TWO_SOCKETS, "proc/meminfo": MEMINFO, "etc/os-release": release}
    for node in ("node0", "node1", "power"):
        (tmp_path / "sys/devices/system/node" / node).mkdir(parents=True)
    host = read_host(root=system(tmp_path, files))
    assert host.physical_cores.value == 4
    assert (host.sockets.value, host.numa_nodes.value) == (2, 2)
    assert host.cpu_model.value == "A Processor 9000"
    assert host.memory_total_bytes.value == 16 * 2**30
    assert host.memory_available_bytes.value == 8 * 2**30
    assert host.os.value == "Some Linux 12"


def test_without_proc_and_sys_each_reading_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.delattr(os, "sysconf", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    monkeypatch.setattr(platform, "release", lambda: "")
    monkeypatch.setattr(platform, "system", lambda: "")
    host = read_host(root=tmp_path, environ={})
    reasons = {
        "logical_cores": "this system does not count its cores",
        "physical_cores": "/proc/cpuinfo does not tell which cores share one",
        "affinity_cores": "this system has no processor affinity",
        "cpu_limit_cores": "no control groups on this system",
        "memory_total_bytes": "this system does not tell its memory",
        "memory_available_bytes": "/proc/meminfo has no MemAvailable",
        "memory_limit_bytes": "no control groups on this system",
        "cpu_model": "/proc/cpuinfo does not name the processor",
        "os": "this system has no name",
        "kernel": "this system does not tell its release",
    }
    assert {name: (getattr(host, name).value, getattr(host, name).reason) for name in reasons} == {
        name: (None, reason) for name, reason in reasons.items()
    }
    assert host.usable_cores is None


@pytest.mark.parametrize("cpuinfo", ["processor\t: 0\nmodel name\t: A Processor 9000\n", "CPU part\t: 0xd40\n", None])
def test_the_processor_has_the_name_that_a_worker_gives_it(
    cpuinfo: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "proc").mkdir()
    if cpuinfo:
        (tmp_path / "proc/cpuinfo").write_text(cpuinfo, encoding="utf-8")
    monkeypatch.setattr(machine, "_CPUINFO", tmp_path / "proc/cpuinfo")
    name = processor_name(read_host(root=tmp_path))
    assert name
    assert name == machine.processor()


def test_memory_has_a_second_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 1000, "SC_PAGE_SIZE": 4096}.__getitem__)
    assert read_host(root=tmp_path).memory_total_bytes.value == 4_096_000


@pytest.mark.parametrize("meminfo", ["", "MemTotal:", "MemTotal: lots kB", "rubbish"])
def test_an_unreadable_meminfo_is_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, meminfo: str) -> None:
    monkeypatch.delattr(os, "sysconf", raising=False)
    host = read_host(root=system(tmp_path, {"proc/meminfo": meminfo}))
    assert host.memory_total_bytes.reason == "this system does not tell its memory"


@pytest.mark.parametrize(
    ("files", "cores", "memory"),
    [
        pytest.param(
            {
                "proc/self/cgroup": "0::/",
                "sys/fs/cgroup/cpu.max": "150000 100000",
                "sys/fs/cgroup/memory.max": "1073741824",
            },
            1.5,
            2**30,
            id="version 2 in a container",
        ),
        pytest.param(
            {
                "proc/self/cgroup": "0::/a/b",
                "sys/fs/cgroup/a/b/cpu.max": "max 100000",
                "sys/fs/cgroup/a/cpu.max": "50000 100000",
                "sys/fs/cgroup/a/b/memory.max": "2147483648",
                "sys/fs/cgroup/a/memory.max": "1073741824",
            },
            0.5,
            2**30,
            id="the group around it is tighter",
        ),
        pytest.param(
            {
                "proc/self/cgroup": "4:memory:/box/1\n1:cpu,cpuacct:/box/1",
                "sys/fs/cgroup/memory/box/1/memory.limit_in_bytes": "1073741824",
                "sys/fs/cgroup/cpu,cpuacct/box/1/cpu.cfs_quota_us": "25000",
                "sys/fs/cgroup/cpu,cpuacct/box/1/cpu.cfs_period_us": "100000",
            },
            0.25,
            2**30,
            id="version 1",
        ),
        pytest.param(
            {
                "proc/self/cgroup": "4:memory:/docker/not-mounted-here",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "1073741824",
            },
            None,
            2**30,
            id="version 1 in a container",
        ),
        pytest.param(
            {
                "proc/self/cgroup": "0::/../../outside",
                "sys/fs/cgroup/memory.max": "1073741824",
                "sys/outside/memory.max": "5",
            },
            None,
            2**30,
            id="a path out of the mount",
        ),
        pytest.param(
            {"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "max 100000", "sys/fs/cgroup/memory.max": "max"},
            None,
            None,
            id="no limit, version 2",
        ),
        pytest.param(
            {
                "proc/self/cgroup": "4:memory:/\n1:cpu:/",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            },
            None,
            None,
            id="no limit, version 1",
        ),
        pytest.param(
            {
                "proc/self/cgroup": "0::/",
                "sys/fs/cgroup/cpu.max": "99999999900000 100000",
                "sys/fs/cgroup/memory.max": "999999999999",
            },
            None,
            None,
            id="more than the machine has",
        ),
        pytest.param(
            {"proc/self/cgroup": "rubbish\n\n::", "sys/fs/cgroup/cpu.max": "x y z", "sys/fs/cgroup/memory.max": ""},
            None,
            None,
            id="rubbish",
        ),
        pytest.param(
            {"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "1000 0"}, None, None, id="a period of nothing"
        ),
    ],
)
def test_limits_of_a_container(tmp_path: Path, files: dict[str, str], cores: float | None, memory: int | None) -> None:
    host = read_host(root=system(tmp_path, {"proc/meminfo": MEMINFO, **files}))
    assert host.cpu_limit_cores.value == cores
    assert host.memory_limit_bytes.value == memory
    assert (host.cpu_limit_cores.reason == "none seen") == (cores is None)
    assert host.usable_memory_bytes == (memory or 16 * 2**30)


def test_no_limit_is_none_even_where_the_memory_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sysconf", raising=False)
    files = {"proc/self/cgroup": "4:memory:/", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712"}
    assert read_host(root=system(tmp_path, files)).usable_memory_bytes is None


@pytest.mark.parametrize(
    ("text", "threads", "reason"),
    [
        ("4", 4, ""),
        (" 8 ", 8, ""),
        ("4,2", 4, ""),
        ("", None, "not set"),
        ("many", None, "not a number: 'many'"),
        ("-1", None, "not a number: '-1'"),
    ],
)
def test_threads_asked_for(text: str, threads: int | None, reason: str) -> None:
    asked = read_host(environ={"OMP_NUM_THREADS": text}).blas_threads
    assert (asked["OMP_NUM_THREADS"].value, asked["OMP_NUM_THREADS"].reason) == (threads, reason)
    assert asked["MKL_NUM_THREADS"].reason == "not set"
    assert set(asked) == {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"}


def test_no_environment_is_not_the_process_s_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert read_host().blas_threads["OMP_NUM_THREADS"].value == 3
    assert read_host(environ={}).blas_threads["OMP_NUM_THREADS"].value is None


def test_disk_of_a_folder_that_is_still_to_be_made(tmp_path: Path) -> None:
    there, to_be_made = read_host(tmp_path), read_host(tmp_path / "a" / "b")
    assert (there.disk_free_bytes.value or 0) > 0
    assert (to_be_made.disk_free_bytes.value or 0) > 0
    assert not (tmp_path / "a").exists()


def test_disk_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("shutil.disk_usage", refuse)
    assert read_host(tmp_path).disk_free_bytes.reason == "the disk cannot be read: Permission denied"
