"""The real binding on a fake driver library: nothing of pynvml is replaced but the file it opens."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pynvml
import pytest

from zenplan.adapters.machine.nvml import read_gpus
from zenplan.domain.hardware.device import Device, DriverState

# The oldest binding that zenplan takes has only the old one.
TEMPERATURES = {"nvmlDeviceGetTemperatureV": 31, "nvmlDeviceGetTemperature": 32}
TEMPERATURE = next(name for name in TEMPERATURES if hasattr(pynvml, name))
SOURCE = Path(__file__).with_name("fake_nvml.c")
MEMORY = {"memory_total_bytes", "memory_used_bytes", "memory_free_bytes"}
NVLINK = {"nvlink_count", "nvlink_active_count", "nvlink_version"}
EVERYTHING = set(Device.readings())
# Function of the driver's library to the fields that only it can fill.
FILLS = {
    "nvmlDeviceGetHandleByIndex_v2": EVERYTHING,
    "nvmlDeviceGetName": {"name"},
    "nvmlDeviceGetUUID": {"uuid"},
    "nvmlDeviceGetCudaComputeCapability": {"compute_capability"},
    "nvmlDeviceGetMemoryInfo": MEMORY,
    "nvmlDeviceGetClockInfo": {"sm_clock_hz", "memory_clock_hz"},
    "nvmlDeviceGetMaxClockInfo": {"sm_clock_max_hz", "memory_clock_max_hz"},
    "nvmlDeviceGetEnforcedPowerLimit": {"power_limit_w"},
    "nvmlDeviceGetPowerUsage": {"power_draw_w"},
    "nvmlDeviceGetTotalEnergyConsumption": {"energy_j"},
    TEMPERATURE: {"temperature_c"},
    "nvmlDeviceGetUtilizationRates": {"gpu_utilisation", "memory_utilisation"},
    "nvmlDeviceGetCurrPcieLinkGeneration": {"pcie_generation"},
    "nvmlDeviceGetMaxPcieLinkGeneration": {"pcie_generation_max"},
    "nvmlDeviceGetCurrPcieLinkWidth": {"pcie_width"},
    "nvmlDeviceGetMaxPcieLinkWidth": {"pcie_width_max"},
    "nvmlDeviceGetNvLinkState": NVLINK,
    "nvmlDeviceGetNvLinkVersion": {"nvlink_version"},
    "nvmlDeviceGetMigMode": {"mig_enabled"},
    "nvmlDeviceGetEccMode": {"ecc_enabled"},
    "nvmlDeviceGetComputeRunningProcesses_v3": {"compute_processes"},
    "nvmlDeviceGetGraphicsRunningProcesses_v3": {"graphics_processes"},
}
# Functions that fill no field of a device; each has a test of its own.
OF_THE_SYSTEM = {
    "nvmlInitWithFlags",
    "nvmlShutdown",
    "nvmlDeviceGetCount_v2",
    "nvmlSystemGetDriverVersion",
    "nvmlSystemGetCudaDriverVersion_v2",
}
ERRORS = {
    3: "not supported",
    4: "no permission",
    13: "not found in this driver",
    15: "the GPU is lost",
    999: "unknown error 999",
    77: "unknown error 77",
}
NO_LIBRARY = "no NVIDIA driver library (libnvidia-ml.so.1) on this machine"
Build = Callable[..., Path]
Load = Callable[..., None]


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Builds a variant of the fake library and gives its path."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler to build the fake driver library with")
    built: dict[str, Path] = {}

    def one(variant: str = "") -> Path:
        if variant not in built:
            path = tmp_path_factory.mktemp(f"nvml{variant}") / "libnvidia-ml.so.1"
            flags = ["-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-Wl,-soname,libnvidia-ml.so.1"]
            command = [compiler, *flags, *([f"-D{variant}"] if variant else []), "-o", str(path), str(SOURCE)]
            subprocess.run(command, check=True)
            built[variant] = path
        return built[variant]

    return one


@pytest.fixture
def load(build: Build, monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Puts a variant of the fake library, and what it is to answer, under the binding of this process."""
    monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
    monkeypatch.setattr(pynvml, "_nvmlLib_refcount", 0)

    def one(variant: str = "", **settings: str) -> None:
        monkeypatch.setattr(pynvml, "nvmlLib", ctypes.CDLL(str(build(variant))))
        for name, value in settings.items():
            monkeypatch.setenv(f"FAKE_NVML_{name.upper()}", value)

    yield one
    assert pynvml._nvmlLib_refcount == 0, "the library was left open"


def one_device() -> Device:
    devices = read_gpus()[1]
    assert len(devices) == 1
    return devices[0]


def missing(device: Device) -> dict[str, str]:
    readings = {name: getattr(device, name) for name in EVERYTHING}
    assert all((reading.value is None) == bool(reading.reason) for reading in readings.values())
    return {name: reading.reason for name, reading in readings.items() if reading.value is None}


def test_a_whole_device_in_base_units(load: Load) -> None:
    load()
    state, (device,) = read_gpus()
    assert (state.driver_version.value, state.cuda_version.value, state.reason) == ("570.86.15", "12.8", "")
    assert missing(device) == {}
    expected: dict[str, Any] = {
        "name": "NVIDIA H100 80GB HBM3",
        "uuid": "GPU-00000000-0000-0000-0000-000000000000",
        "compute_capability": "9.0",
        "memory_total_bytes": 80 * 2**30,
        "memory_used_bytes": 1 * 2**30,
        "memory_free_bytes": 79 * 2**30,
        "sm_clock_hz": 345e6,
        "sm_clock_max_hz": 1980e6,
        "memory_clock_hz": 1593e6,
        "memory_clock_max_hz": 2619e6,
        "power_limit_w": 700.0,
        "power_draw_w": 70.5,
        "energy_j": 5e9,
        "temperature_c": TEMPERATURES[TEMPERATURE],
        "gpu_utilisation": 0.5,
        "memory_utilisation": 0.25,
        "pcie_generation": 4,
        "pcie_generation_max": 5,
        "pcie_width": 8,
        "pcie_width_max": 16,
        "nvlink_count": 4,
        "nvlink_active_count": 3,
        "nvlink_version": "4.0",
        "mig_enabled": False,
        "ecc_enabled": True,
    }
    assert {name: getattr(device, name).value for name in expected} == expected
    first, second = device.compute_processes.value or ()
    assert (first.pid, first.used_bytes.value, first.kind) == (100, 10**9, "compute")
    assert (second.pid, second.used_bytes.reason) == (101, "not available")
    graphics = device.graphics_processes.value or ()
    assert [(p.pid, p.kind) for p in graphics] == [(200, "graphics"), (201, "graphics")]


def test_the_table_of_functions_is_the_whole_of_what_is_called(load: Load, tmp_path: Path) -> None:
    load(log=str(tmp_path / "log"))
    read_gpus()
    called = (tmp_path / "log").read_text().split()
    assert set(called) == set(FILLS) | OF_THE_SYSTEM
    assert (called[0], called[-1], called.count("nvmlShutdown")) == ("nvmlInitWithFlags", "nvmlShutdown", 1)


@pytest.mark.parametrize("code", ERRORS)
@pytest.mark.parametrize("function", FILLS)
def test_one_refused_function_is_a_reason_and_costs_no_other(load: Load, function: str, code: int) -> None:
    load(fail=f"{function}={code}")
    if (function, code) == ("nvmlDeviceGetTemperatureV", 13):
        # The older function answers instead.
        assert one_device().temperature_c.value == 32
        return
    assert missing(one_device()) == dict.fromkeys(FILLS[function], ERRORS[code])


def test_all_functions_refused_at_once(load: Load) -> None:
    load(fail=",".join(f"{function}=3" for function in FILLS if "Handle" not in function))
    device = one_device()
    assert missing(device) == dict.fromkeys(EVERYTHING, "not supported")
    assert device.problem == "not supported"


@pytest.mark.parametrize("code", [6, 10, 14, 16, 17, 18, 21, 28])
def test_every_error_that_is_named_has_words_of_its_own(load: Load, code: int) -> None:
    load(fail=f"nvmlDeviceGetPowerUsage={code}")
    reason = one_device().power_draw_w.reason
    assert reason
    assert "unknown" not in reason


def test_a_measured_zero_stays_zero(load: Load) -> None:
    load(set="nvmlDeviceGetPowerUsage=0,nvmlDeviceGetUtilizationRates=0")
    device = one_device()
    assert device.power_draw_w.value == 0.0
    assert device.gpu_utilisation.value == 0.0


def test_the_driver_s_own_mark_for_no_value_is_no_value(load: Load) -> None:
    load(set="nvmlDeviceGetPowerUsage=4294967295,nvmlDeviceGetTotalEnergyConsumption=-1")
    device = one_device()
    assert device.power_draw_w.reason == device.energy_j.reason == "not available"


def test_an_impossible_utilisation_loses_only_itself(load: Load) -> None:
    load(set="nvmlDeviceGetUtilizationRates=150")
    assert missing(one_device()) == {"gpu_utilisation": "the driver gave an impossible value (150 %)"}


def test_a_device_without_nvlink(load: Load) -> None:
    load(set="nvmlDeviceGetNvLinkState=0")
    assert missing(one_device()) == dict.fromkeys(NVLINK, "not supported")


def test_links_with_an_unknown_one_among_them_are_not_counted(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    load()
    real = pynvml.nvmlDeviceGetNvLinkState

    def state(gpu: object, link: int) -> int:
        if link == 2:
            raise pynvml.NVMLError(999)
        return int(real(gpu, link))

    monkeypatch.setattr(pynvml, "nvmlDeviceGetNvLinkState", state)
    assert missing(one_device()) == dict.fromkeys(NVLINK, "unknown error 999")


@pytest.mark.parametrize(("code", "version"), [(1, "1.0"), (5, "3.1"), (7, "5.0")])
def test_an_nvlink_version_is_decoded(load: Load, code: int, version: str) -> None:
    load(set=f"nvmlDeviceGetNvLinkVersion={code}")
    assert one_device().nvlink_version.value == version


def test_an_nvlink_version_that_came_later_is_not_guessed(load: Load) -> None:
    load(set="nvmlDeviceGetNvLinkVersion=42")
    assert missing(one_device()) == {"nvlink_version": "unknown version code 42"}


def test_mig_and_ecc_are_read_as_they_are_now(load: Load) -> None:
    load(set="nvmlDeviceGetMigMode=1,nvmlDeviceGetEccMode=0")
    device = one_device()
    assert device.mig_enabled.value is True
    assert device.ecc_enabled.value is False


def test_each_instance_of_a_gpu_is_a_device_of_its_own(load: Load) -> None:
    load(names="Tesla T4;NVIDIA H100 80GB HBM3", set="nvmlDeviceGetMigMode@1=1", slices="2")
    devices = read_gpus()[1]
    assert [(d.index, d.slice_of) for d in devices] == [(0, None), (1, None), (2, 1), (3, 1)]
    slices = devices[2:]
    assert {d.name.value for d in slices} == {"NVIDIA H100 80GB HBM3 MIG 1g.10gb"}
    assert len({d.uuid.value for d in slices}) == 2
    assert all((d.uuid.value or "").startswith("MIG-") for d in slices)
    assert {d.memory_total_bytes.value for d in slices} == {10 * 2**30}


@pytest.mark.parametrize("function", ["nvmlDeviceGetMaxMigDeviceCount", "nvmlDeviceGetMigDeviceHandleByIndex"])
@pytest.mark.parametrize("code", [3, 4, 13])
def test_a_driver_that_does_not_tell_the_instances_shows_the_gpu(load: Load, function: str, code: int) -> None:
    load(set="nvmlDeviceGetMigMode=1", slices="2", fail=f"{function}={code}")
    (device,) = read_gpus()[1]
    assert device.mig_enabled.value is True
    assert missing(device) == {}


def test_an_old_driver_answers_with_its_old_functions(load: Load) -> None:
    load("OLD_DRIVER")
    state, (device,) = read_gpus()
    assert state.cuda_version.value == "11.4"
    assert device.temperature_c.value == 32
    assert [p.pid for p in device.compute_processes.value or ()] == [100, 101]
    assert missing(device) == {}


def test_a_function_in_no_variant_of_the_driver_is_not_found(load: Load) -> None:
    load("NEW_DRIVER", fail="nvmlDeviceGetTemperatureV=13")
    assert missing(one_device()) == {"temperature_c": "not found in this driver"}


def test_a_function_that_the_binding_lacks_is_not_found(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    load()
    monkeypatch.delattr(pynvml, "nvmlDeviceGetTemperatureV", raising=False)
    assert one_device().temperature_c.value == 32
    monkeypatch.delattr(pynvml, "nvmlDeviceGetMigMode")
    assert missing(one_device()) == {"mig_enabled": "not found in this driver"}


def test_two_devices_of_different_names(load: Load) -> None:
    load(names="NVIDIA A100-SXM4-80GB;Tesla T4")
    devices = read_gpus()[1]
    assert [(d.index, d.name.value) for d in devices] == [(0, "NVIDIA A100-SXM4-80GB"), (1, "Tesla T4")]
    assert devices[0].uuid != devices[1].uuid


@pytest.mark.parametrize("function", ["*", "nvmlDeviceGetHandleByIndex_v2"])
def test_a_device_lost_in_the_middle_costs_none_of_its_neighbours(load: Load, function: str) -> None:
    load(names="A;B;C", fail=f"{function}@1=15")
    first, lost, last = read_gpus()[1]
    assert missing(first) == missing(last) == {}
    assert lost.index == 1
    assert lost.problem == "the GPU is lost"


@pytest.mark.parametrize(
    ("name", "shown"), [("Tes\udcffla", "Tes�la"), ("Té 4", "Té 4"), ("a\nb\x1b[31m", "a?b?[31m"), (" T4 ", "T4")]
)
def test_any_bytes_in_a_name_become_one_line(load: Load, name: str, shown: str) -> None:
    load(names=name)
    assert one_device().name.value == shown


def test_an_empty_name_is_no_name(load: Load) -> None:
    load(names=" ")
    assert missing(one_device()) == {"name": "the driver gave an empty text"}


def test_a_binding_that_gives_bytes(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    load()
    monkeypatch.setattr("pynvml.nvmlDeviceGetName", lambda handle: b"Tesla\xff T4")
    assert one_device().name.value == "Tesla� T4"


@pytest.mark.parametrize("code", ERRORS)
def test_a_driver_without_versions_still_shows_its_devices(load: Load, code: int) -> None:
    load(fail=f"nvmlSystemGetDriverVersion={code},nvmlSystemGetCudaDriverVersion_v2={code}")
    state, devices = read_gpus()
    assert state.driver_version.reason == ERRORS[code]
    # Where the newer function is missing, the older one answers.
    expected = ("11.4", "") if code == 13 else (None, ERRORS[code])
    assert (state.cuda_version.value, state.cuda_version.reason) == expected
    assert (state.reason, len(devices)) == ("", 1)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (9, "the NVIDIA driver is not loaded"),
        (4, "no permission to use the NVIDIA driver"),
        (18, "different versions"),
        (13, "too old"),
        (999, "does not answer: unknown error 999"),
    ],
)
def test_a_driver_that_does_not_start_says_why(load: Load, tmp_path: Path, code: int, words: str) -> None:
    load(fail=f"nvmlInitWithFlags={code}", log=str(tmp_path / "log"))
    state, devices = read_gpus()
    assert devices == ()
    assert words in state.reason
    assert state.driver_version.reason == state.reason
    # What was not opened is not closed.
    assert (tmp_path / "log").read_text().split() == ["nvmlInitWithFlags"]


def test_no_devices(load: Load) -> None:
    load(names="")
    state, devices = read_gpus()
    assert devices == ()
    assert state.reason == "the NVIDIA driver sees no GPU"
    assert state.driver_version.value == "570.86.15"


def test_devices_that_cannot_be_counted(load: Load, tmp_path: Path) -> None:
    load(fail="nvmlDeviceGetCount_v2=4", log=str(tmp_path / "log"))
    state, devices = read_gpus()
    assert devices == ()
    assert state.reason == "the NVIDIA driver does not count its GPUs: no permission"
    assert (tmp_path / "log").read_text().split()[-1] == "nvmlShutdown"


def test_a_driver_that_cannot_be_closed_costs_nothing(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    load(fail="nvmlShutdown=999")
    assert missing(one_device()) == {}
    monkeypatch.setattr(pynvml, "_nvmlLib_refcount", 0)


def test_the_library_is_closed_where_reading_breaks(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    load()
    monkeypatch.setattr("pynvml.nvmlDeviceGetName", lambda handle: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        read_gpus()


# --- from a process of its own, where the binding finds the library by itself

CHILD = """
import json, sys
import zenplan.adapters.machine.nvml as nvml
lazy = "pynvml" not in sys.modules
state, devices = nvml.read_gpus()
print(json.dumps([lazy, state.reason, [d.name.value for d in devices]]))
"""


def child(folder: Path, **settings: str) -> list[Any]:
    environ = {**os.environ, "LD_LIBRARY_PATH": str(folder), "PYTHONPATH": str(Path.cwd())}
    environ |= {f"FAKE_NVML_{name.upper()}": value for name, value in settings.items()}
    command = [sys.executable, "-W", "error", "-c", CHILD]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    answer: list[Any] = json.loads(done.stdout)
    return answer


def test_a_process_that_finds_the_library(build: Build) -> None:
    answer = child(build().parent, names="NVIDIA L4;Tesla T4", fail="nvmlDeviceGetPowerUsage=3")
    assert answer == [True, "", ["NVIDIA L4", "Tesla T4"]]


def test_a_process_whose_driver_is_not_loaded(build: Build) -> None:
    assert child(build().parent, fail="nvmlInitWithFlags=9") == [True, "the NVIDIA driver is not loaded", []]


def test_a_process_with_a_library_that_is_none(tmp_path: Path) -> None:
    # The loader finds it before a real one that the machine may have, and stops there.
    (tmp_path / "libnvidia-ml.so.1").write_text("not a library")
    assert child(tmp_path) == [True, NO_LIBRARY, []]


def test_without_a_library(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(pynvml, "nvmlLib", None)
    monkeypatch.setattr(pynvml, "CDLL", refuse)
    state, devices = read_gpus()
    assert devices == ()
    assert state == DriverState.absent(NO_LIBRARY)
