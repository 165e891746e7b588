"""Whether a machine is fit to be measured, from the files and readings that tell it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from zenplan.adapters.machine.state import ProcessorTime, crowded, gpu_in_use, on_battery, processor_time
from zenplan.domain.hardware.device import Device, Process, Reading

START = ProcessorTime(wall_s=100.0, busy_s=50.0, own_s=10.0)


def later(busy_s: float | None, own_s: float = 0.0) -> ProcessorTime:
    """Ten seconds after, others and ours together busy for so long."""
    return ProcessorTime(wall_s=110.0, busy_s=None if busy_s is None else 50.0 + busy_s, own_s=10.0 + own_s)


@pytest.mark.parametrize(
    ("busy_s", "own_s", "threads", "said"),
    [
        (10.0, 10.0, 1, False),  # all of it was ours
        (20.0, 10.0, 1, False),  # others had the core that nobody of ours wanted
        (20.0, 5.0, 1, True),
        (20.0, 10.0, 2, True),
        (22.0, 20.0, 2, False),
        (None, 10.0, 2, False),
    ],
)
def test_others_disturb_only_where_they_take_cores_that_were_to_be_ours(
    busy_s: float | None, own_s: float, threads: int, said: bool
) -> None:
    assert bool(crowded(START, later(busy_s, own_s), cores=2, threads=threads)) is said


def test_what_others_took_is_told_in_cores() -> None:
    text = crowded(START, later(20.0, 5.0), cores=2, threads=1)
    assert text == "busy: other programs use 1.5 of this machine's 2 cores; computing needs 1"


def test_idle_time_and_guests_are_no_work(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    # user nice system idle iowait irq softirq steal guest guest_nice
    (tmp_path / "proc/stat").write_text("cpu  100 20 30 9000 400 5 6 7 50 1\ncpu0 1\n", encoding="ascii")
    assert processor_time(tmp_path).busy_s == pytest.approx(168 / os.sysconf("SC_CLK_TCK"))
    assert processor_time(tmp_path / "nothing").busy_s is None


@pytest.mark.parametrize(
    ("mains", "status", "said"),
    [("0", "Discharging", True), ("1", "Discharging", False), ("1", "Charging", False), (None, "Full", False)],
)
def test_a_machine_on_its_battery_says_so(tmp_path: Path, mains: str | None, status: str, said: bool) -> None:
    supplies = tmp_path / "sys/class/power_supply"
    for name, file, word in (("AC", "online", mains), ("BAT0", "status", status)):
        if word is not None:
            (supplies / name).mkdir(parents=True)
            (supplies / name / file).write_text(f"{word}\n", encoding="ascii")
    assert bool(on_battery(tmp_path)) is said


def test_a_machine_without_supplies_runs_on_no_battery(tmp_path: Path) -> None:
    assert on_battery(tmp_path) == ""


def gpu(used: float = 0.0, *pids: int) -> Device:
    processes = tuple(Process(pid=pid, used_bytes=Reading.of(10**9), kind="compute") for pid in pids)
    return replace(
        Device.unreadable(0, "not read"), gpu_utilisation=Reading.of(used), compute_processes=Reading.of(processes)
    )


def test_others_on_a_gpu_are_said() -> None:
    assert gpu_in_use(gpu()) == ""
    assert gpu_in_use(gpu(0.9)).endswith("before anything of ours runs")
    assert gpu_in_use(gpu(0.9), just_used=True) == ""
    assert gpu_in_use(gpu(0.0, 4242)) == "busy: another process is on GPU 0, with 1.00 GB of its memory"
    assert "2 other processes are" in gpu_in_use(gpu(0.0, 1, 2), just_used=True)
    assert gpu_in_use(Device.unreadable(0, "not supported")) == ""
