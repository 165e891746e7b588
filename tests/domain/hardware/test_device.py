from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

import pytest

from zenplan.domain.hardware.device import Device, DriverState, Host, Process, Profile, Reading
from zenplan.errors import DataError

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NO = Reading.missing("not supported")
SEEN = DriverState(driver_version=Reading.of("570.86"), cuda_version=Reading.of("12.8"))


def device(**known: Any) -> Device:
    readings = {name: Reading.of(value) for name, value in known.items()}
    return dataclasses.replace(Device.unreadable(0, "not supported"), **readings)


def host(**known: Any) -> Host:
    names = [f.name for f in dataclasses.fields(Host) if f.name != "blas_threads"]
    return Host(**{name: Reading.of(known[name]) if name in known else NO for name in names})


def test_a_reading_is_a_value_or_a_reason() -> None:
    assert Reading.of(0).value == 0
    assert Reading.of(0).reason == ""
    assert NO.value is None
    assert NO.reason == "not supported"


@pytest.mark.parametrize(
    "made",
    [
        {"value": None},
        {"value": None, "reason": " "},
        {"value": None, "reason": "a\nb"},
        {"value": 1, "reason": "lost"},
    ],
)
def test_a_reading_is_never_both_and_never_neither(made: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="reading"):
        Reading(**made)


def test_map_changes_a_value_and_keeps_a_reason() -> None:
    assert Reading.of(1500).map(lambda mw: mw / 1000).value == 1.5
    assert Reading.of(0).map(lambda n: n + 1).value == 1
    assert NO.map(lambda n: n + 1) == NO


def test_a_device_takes_any_mixture_of_values_and_reasons() -> None:
    assert device().problem == "not supported"
    some = device(name="Tesla T4", power_draw_w=0.0, temperature_c=-3)
    assert some.problem == ""
    assert some.power_draw_w.value == 0.0


@pytest.mark.parametrize(
    ("field", "value"),
    [("power_draw_w", -1.0), ("power_draw_w", float("nan")), ("memory_total_bytes", -1), ("gpu_utilisation", 1.01)],
)
def test_an_impossible_value_is_refused_by_name(field: str, value: float) -> None:
    with pytest.raises(DataError, match=field):
        device(**{field: value})


def test_every_field_but_the_index_must_be_a_reading() -> None:
    with pytest.raises(DataError, match="name must be a reading"):
        dataclasses.replace(device(), name="Tesla T4")
    with pytest.raises(DataError, match="index"):
        dataclasses.replace(device(), index=-1)


def test_a_process_has_a_kind() -> None:
    with pytest.raises(DataError, match="kind"):
        Process(pid=1, used_bytes=NO, kind="gaming")
    with pytest.raises(DataError, match="used_bytes"):
        Process(pid=1, used_bytes=Reading.of(-5), kind="compute")


def test_what_work_can_use_is_the_lowest_limit_that_is_known() -> None:
    boxed = host(
        logical_cores=64, affinity_cores=32, cpu_limit_cores=1.5, memory_total_bytes=100, memory_limit_bytes=40
    )
    assert boxed.usable_cores == 1.5
    assert boxed.usable_memory_bytes == 40
    assert host(logical_cores=64).usable_cores == 64
    assert host(memory_total_bytes=100).usable_memory_bytes == 100
    assert host().usable_cores is None
    assert host().usable_memory_bytes is None


def test_a_host_refuses_an_impossible_value_and_keeps_its_own_settings() -> None:
    with pytest.raises(DataError, match="cpu_limit_cores"):
        host(cpu_limit_cores=-1.0)
    threads = {"OMP_NUM_THREADS": Reading.of(4)}
    made = dataclasses.replace(host(), blas_threads=threads)
    threads.clear()
    assert made.blas_threads["OMP_NUM_THREADS"].value == 4


def test_a_profile_says_why_there_are_no_devices() -> None:
    absent = DriverState.absent("no driver")
    assert absent.driver_version.reason == absent.cuda_version.reason == absent.reason == "no driver"
    assert Profile(driver=absent, devices=(), host=host(), taken_at=NOW).devices == ()
    with pytest.raises(DataError, match="no reason why"):
        Profile(driver=SEEN, devices=(), host=host(), taken_at=NOW)


def test_a_profile_has_a_time_zone_and_no_device_twice() -> None:
    with pytest.raises(DataError, match="time zone"):
        Profile(driver=SEEN, devices=(device(),), host=host(), taken_at=NOW.replace(tzinfo=None))
    with pytest.raises(DataError, match="same index"):
        Profile(driver=SEEN, devices=(device(), device()), host=host(), taken_at=NOW)
