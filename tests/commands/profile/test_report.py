from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from zenplan.commands.profile.report import profile_report
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.hardware.device import Device, DriverState, Host, Process, Profile, Reading
from zenplan.domain.report import Report, Table

NO = Reading.missing("not supported")
NO_LIBRARY = "no NVIDIA driver library (libnvidia-ml.so.1) on this machine"
SHEET = Accelerator(
    name="H100-SXM5-80GB",
    vendor="NVIDIA",
    architecture="Hopper",
    peak_flop_per_s={"bf16": 989e12, "fp8": 1979e12},
    memory_bytes=80e9,
    memory_bytes_per_s=3.35e12,
)
PROCESSES = (
    Process(pid=100, used_bytes=Reading.of(10**9), kind="compute"),
    Process(pid=101, used_bytes=NO, kind="compute"),
)
KNOWN = {
    "name": "NVIDIA H100 80GB HBM3",
    "compute_capability": "9.0",
    "uuid": "GPU-00000000-0000-0000-0000-000000000000",
    "memory_total_bytes": 80 * 2**30,
    "memory_used_bytes": 2**30,
    "memory_free_bytes": 79 * 2**30,
    "sm_clock_hz": 345e6,
    "sm_clock_max_hz": 1980e6,
    "memory_clock_hz": 1593e6,
    "memory_clock_max_hz": 2619e6,
    "power_limit_w": 700.0,
    "power_draw_w": 70.5,
    "energy_j": 5e9,
    "temperature_c": 31,
    "gpu_utilisation": 0.5,
    "memory_utilisation": 0.0,
    "pcie_generation": 4,
    "pcie_generation_max": 5,
    "pcie_width": 8,
    "pcie_width_max": 16,
    "nvlink_count": 18,
    "nvlink_active_count": 17,
    "nvlink_version": "4.0",
    "mig_enabled": False,
    "ecc_enabled": True,
    "compute_processes": PROCESSES,
    "graphics_processes": (),
}


def device(index: int = 0, **known: Any) -> Device:
    readings = {name: Reading.of(value) for name, value in known.items()}
    return dataclasses.replace(Device.unreadable(index, "not supported"), **readings)


def profile(*devices: Device, reason: str = "") -> Profile:
    seen = DriverState(driver_version=Reading.of("570.86.15"), cuda_version=Reading.of("12.8"), reason=reason)
    host = Host(
        logical_cores=Reading.of(8),
        physical_cores=Reading.of(4),
        affinity_cores=Reading.of(8),
        cpu_limit_cores=Reading.of(1.5),
        memory_total_bytes=Reading.of(16 * 2**30),
        memory_available_bytes=NO,
        memory_limit_bytes=Reading.missing("none seen"),
        cpu_model=Reading.of("A Processor 9000"),
        os=Reading.of("Some Linux 12"),
        kernel=Reading.of("6.1"),
        python_version=Reading.of("3.11.7"),
        disk_free_bytes=Reading.of(10**11),
        blas_threads={"OMP_NUM_THREADS": Reading.of(4), "MKL_NUM_THREADS": Reading.missing("not set")},
    )
    driver = seen if devices or not reason else DriverState.absent(reason)
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    return Profile(driver=driver, devices=devices, host=host, taken_at=now)


def rows(table: Table) -> dict[str, str]:
    return {key.strip(): value for key, value in table.rows}


def test_the_document_is_json_with_units_and_reasons() -> None:
    report = profile_report(profile(device(**KNOWN | {"power_draw_w": 0.0})), {0: SHEET})
    assert report.document["schema"] == "zenplan.profile/1"
    document = json.loads(json.dumps(report.document, allow_nan=False))
    assert document == report.document
    assert document["taken_at"] == "2026-01-02T03:04:05+00:00"
    assert document["driver"]["driver_version"] == {"value": "570.86.15", "unit": None}
    assert document["driver"]["reason"] is None
    (gpu,) = document["devices"]
    assert gpu["index"] == 0
    assert gpu["power_draw_w"] == {"value": 0.0, "unit": "W"}
    assert gpu["sm_clock_hz"] == {"value": 345e6, "unit": "Hz"}
    assert gpu["gpu_utilisation"] == {"value": 0.5, "unit": "ratio"}
    assert gpu["ecc_enabled"] == {"value": True, "unit": None}
    assert gpu["compute_processes"]["value"][1] == {
        "pid": 101,
        "used_bytes": {"value": None, "reason": "not supported"},
        "kind": "compute",
    }
    assert gpu["sheet"]["name"] == "H100-SXM5-80GB"
    assert gpu["sheet"]["peak_flop_per_s"]["bf16"] == 989e12
    assert document["host"]["memory_available_bytes"] == {"value": None, "reason": "not supported"}
    assert document["host"]["cpu_limit_cores"] == {"value": 1.5, "unit": "cores"}
    assert document["host"]["blas_threads"]["OMP_NUM_THREADS"] == {"value": 4, "unit": "threads"}


def test_every_field_of_the_nouns_is_in_the_document() -> None:
    document = profile_report(profile(device(**KNOWN)), {}).document
    assert set(document["devices"][0]) == {f.name for f in dataclasses.fields(Device)} | {"sheet"}
    assert set(document["host"]) == {f.name for f in dataclasses.fields(Host)}


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_a_reading_that_is_missing_is_its_reason_everywhere_and_never_0(name: str) -> None:
    known = {key: value for key, value in KNOWN.items() if key != name}
    report = profile_report(profile(device(**known)), {0: SHEET})
    assert report.document["devices"][0][name] == {"value": None, "reason": "not supported"}
    assert report.records[0][name] is None
    shown = report.tables[0].title + " ".join(value for _, value in report.tables[0].rows)
    # Used memory is what is not free, and the table has room for one of the two.
    assert ("not supported" in shown) == (name != "memory_used_bytes")


def test_the_table_of_a_gpu() -> None:
    table = profile_report(profile(device(**KNOWN)), {0: SHEET}).tables[0]
    assert table.title == "GPU 0: NVIDIA H100 80GB HBM3"
    assert rows(table) == {
        "uuid": "GPU-00000000-0000-0000-0000-000000000000",
        "compute capability": "9.0",
        "memory": "80.0 GB",  # of the data sheet: it has a row of the same name
        "SM clock": "345 MHz of 1,980 MHz",
        "memory clock": "1,593 MHz of 2,619 MHz",
        "power": "70.5 W of 700 W",
        "energy counter": "1,390 kWh",
        "temperature": "31 °C",
        "GPU busy": "50 %",
        "memory busy": "0.0 %",
        "PCIe generation": "4 of 5",
        "PCIe lanes": "8 of 16",
        "NVLink": "17 of 18 links up, version 4.0",
        "MIG": "off",
        "ECC": "on",
        "compute processes": "2 (1.00 GB, memory of 1 unknown)",
        "graphics processes": "none",
        "data sheet": "H100-SXM5-80GB",
        "bf16 dense peak": "989 TFLOP/s",
        "bandwidth": "3.35 TB/s",
    }
    assert ("memory", "85.9 GB, 84.8 GB free") in table.rows


def test_a_pair_that_is_missing_gives_its_reason_once() -> None:
    shown = rows(profile_report(profile(device(name="A", power_limit_w=70.0)), {}).tables[0])
    assert shown["SM clock"] == "not supported"
    assert shown["power"] == "not supported of 70.0 W"


@pytest.mark.parametrize(
    ("used", "shown"),
    [((), "none"), ((1e9, 2e9), "2 (3.00 GB)"), ((None,), "1 (memory of 1 unknown)"), ((0,), "1 (0 B)")],
)
def test_processes_in_one_line(used: tuple[float | None, ...], shown: str) -> None:
    readings = [NO if each is None else Reading.of(int(each)) for each in used]
    processes = tuple(Process(pid=1, used_bytes=reading, kind="compute") for reading in readings)
    table = profile_report(profile(device(name="A", compute_processes=processes)), {}).tables[0]
    assert rows(table)["compute processes"] == shown


def test_the_table_of_the_host() -> None:
    table = profile_report(profile(device(**KNOWN)), {}).tables[-1]
    shown = rows(table)
    assert table.title == "host"
    assert shown["processor"] == "A Processor 9000"
    assert shown["cores, container"] == "1.50"
    assert shown["memory"] == "17.2 GB"
    assert shown["memory, available"] == "not supported"
    assert shown["BLAS threads"] == "OMP_NUM_THREADS: 4"
    assert (shown["NVIDIA driver"], shown["CUDA, up to"]) == ("570.86.15", "12.8")


@pytest.mark.parametrize("sheets", [{}, {0: None}])
def test_a_device_that_the_catalogue_does_not_know(sheets: dict[int, None]) -> None:
    report = profile_report(profile(device(**KNOWN)), sheets)
    assert rows(report.tables[0])["data sheet"] == "none: the catalogue knows no device of that name"
    assert report.document["devices"][0]["sheet"] is None
    assert report.records[0]["sheet"] is None


def test_a_sheet_without_a_bf16_peak() -> None:
    report = profile_report(profile(device(**KNOWN)), {0: dataclasses.replace(SHEET, peak_flop_per_s={})})
    assert rows(report.tables[0])["bf16 dense peak"] == "none on the data sheet"
    assert report.records[0]["sheet_bf16_flop_per_s"] is None


def test_a_lost_device_is_two_lines_beside_a_whole_one() -> None:
    lost = Device.unreadable(1, "the GPU is lost")
    report = profile_report(profile(device(**KNOWN), lost), {0: SHEET})
    rows_of_lost = (("state", "the GPU is lost"), ("data sheet", "none: the GPU gave no name"))
    assert report.tables[1].rows == rows_of_lost
    assert [(record["kind"], record["index"]) for record in report.records] == [
        ("gpu", 0),
        ("gpu", 1),
        ("processor", None),
    ]
    assert list(report.records[0]) == list(report.records[1])
    assert len(report.tables) == 3


def test_without_a_gpu_the_report_says_why() -> None:
    report = profile_report(profile(reason=NO_LIBRARY), {})
    (only,) = report.records
    assert (only["kind"], only["name"], only["sheet"]) == ("processor", "A Processor 9000", None)
    assert tuple(only) == tuple(report.make_header())
    assert report.notes == (f"no GPU: {NO_LIBRARY}",)
    assert report.document["driver"]["reason"] == NO_LIBRARY
    assert [table.title for table in report.tables] == ["host"]
    assert "NVIDIA driver" not in rows(report.tables[0])


def widths(report: Report) -> list[int]:
    """What a two-column table takes with its borders: three lines and a space on both sides of each cell."""
    tables = report.tables
    return [sum(max(len(r[i]) for r in t.rows) for i in (0, 1)) + 7 for t in tables]


def test_tables_fit_into_80_columns() -> None:
    report = profile_report(profile(device(**KNOWN), device(1), device(2, name="A" * 60)), {0: SHEET})
    assert max(widths(report)) <= 80


def test_the_processor_has_its_data_sheet_everywhere() -> None:
    sheet = dataclasses.replace(SHEET, name="Processor-9000", threads=8)
    report = profile_report(profile(reason=NO_LIBRARY), {}, {}, sheet)
    assert report.document["processor_sheet"]["name"] == "Processor-9000"
    assert report.records[-1]["sheet"] == "Processor-9000"
    assert ("  data sheet", "Processor-9000") in report.tables[-1].rows
