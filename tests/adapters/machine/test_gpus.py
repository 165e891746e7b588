"""GPUs of other makers, each through a fake of its own library: none of it ever ran on the hardware."""

from __future__ import annotations

import json
import subprocess
import sys
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from zenplan.adapters.machine import amd, apple, gpus, intel
from zenplan.adapters.tables.accelerators import read_accelerators
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.hardware.device import Device, DriverState

NO_NVIDIA = "no NVIDIA driver library (libnvidia-ml.so.1) on this machine"
CATALOGUE = Catalogue(accelerators=read_accelerators())


class AmdSmiException(Exception):
    pass


class AmdSmiMemoryType(Enum):
    VRAM = 0


class AmdSmiClkType(Enum):
    GFX = 0
    MEM = 4


class AmdSmiTemperatureType(Enum):
    EDGE = 0
    HOTSPOT = 1


class AmdSmiTemperatureMetric(Enum):
    CURRENT = 0


def fake_amdsmi(**changed: Any) -> ModuleType:
    """What amdsmi 7 documents, of two MI300X; ``changed`` are functions that answer otherwise, or raise."""
    clocks = {AmdSmiClkType.GFX: {"clk": 132, "max_clk": 2100}, AmdSmiClkType.MEM: {"clk": 900, "max_clk": 1300}}
    answers: dict[str, Any] = {
        "amdsmi_init": lambda: None,
        "amdsmi_shut_down": lambda: None,
        "amdsmi_get_processor_handles": lambda: [1, 2],
        "amdsmi_get_gpu_asic_info": lambda gpu: {
            "market_name": "AMD Instinct MI300X",
            "target_graphics_version": "gfx942",
        },
        "amdsmi_get_gpu_device_uuid": lambda gpu: f"uuid-{gpu}",
        "amdsmi_get_gpu_memory_total": lambda gpu, kind: 192 * 10**9,
        "amdsmi_get_gpu_memory_usage": lambda gpu, kind: 2 * 10**9,
        "amdsmi_get_clock_info": lambda gpu, kind: clocks[kind],
        "amdsmi_get_power_info": lambda gpu: {"current_socket_power": "N/A", "average_socket_power": 141},
        "amdsmi_get_power_cap_info": lambda gpu: {"power_cap": 750_000_000},
        "amdsmi_get_energy_count": lambda gpu: {"energy_accumulator": 2_000_000, "counter_resolution": 15.25},
        "amdsmi_get_temp_metric": lambda gpu, kind, metric: 41,
        "amdsmi_get_gpu_activity": lambda gpu: {"gfx_activity": 3, "umc_activity": "N/A"},
        "amdsmi_get_pcie_info": lambda gpu: {
            "pcie_metric": {"pcie_speed": 32000, "pcie_width": 16},
            "pcie_static": {"max_pcie_speed": 32000, "max_pcie_width": 16},
        },
        "amdsmi_get_gpu_process_list": lambda gpu: [{"pid": 7, "mem": 5, "memory_usage": {"vram_mem": 10**9}}],
    }
    module = ModuleType("amdsmi")
    kinds = (AmdSmiException, AmdSmiMemoryType, AmdSmiClkType, AmdSmiTemperatureType, AmdSmiTemperatureMetric)
    for name, value in {**{kind.__name__: kind for kind in kinds}, **answers, **changed}.items():
        if value is not None:
            setattr(module, name, value)
    return module


def refuse(*_: Any) -> Any:
    raise AmdSmiException("error code 2: not supported")


def test_an_amd_gpu_is_read_in_base_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "amdsmi", fake_amdsmi())
    (one, two), why = amd.read(3)
    assert (why, one.index, two.index, one.vendor) == ("", 3, 4, "AMD")
    assert (one.name.value, one.compute_capability.value, one.uuid.value) == ("AMD Instinct MI300X", "gfx942", "uuid-1")
    assert (one.memory_total_bytes.value, one.memory_free_bytes.value) == (192 * 10**9, 190 * 10**9)
    assert (one.sm_clock_hz.value, one.memory_clock_max_hz.value) == (132e6, 1.3e9)
    assert (one.power_limit_w.value, one.power_draw_w.value) == (pytest.approx(750.0), 141.0)
    assert one.energy_j.value == pytest.approx(30.5)
    assert (one.temperature_c.value, one.gpu_utilisation.value) == (41, pytest.approx(0.03))
    assert one.memory_utilisation.reason == "not available"
    assert (one.pcie_generation.value, one.pcie_width_max.value) == (5, 16)
    ((process,),) = (one.compute_processes.value or (),)
    assert (process.pid, process.used_bytes.value) == (7, 10**9)
    assert "not asked" in one.nvlink_count.reason
    sheet = CATALOGUE.by_nvml(one.name.value or "", one.memory_total_bytes.value)
    assert sheet is not None
    assert sheet.name == "MI300X"


QUESTIONS = sorted(name for name in vars(fake_amdsmi()) if name.startswith("amdsmi_get_") and "handles" not in name)


@pytest.mark.parametrize("function", QUESTIONS)
@pytest.mark.parametrize(("answer", "reason"), [(refuse, "not supported"), (None, "not found in this version")])
def test_what_amdsmi_does_not_tell_costs_nothing_else(
    monkeypatch: pytest.MonkeyPatch, function: str, answer: Any, reason: str
) -> None:
    monkeypatch.setitem(sys.modules, "amdsmi", fake_amdsmi())
    whole = amd.read(0)[0][0]
    monkeypatch.setitem(sys.modules, "amdsmi", fake_amdsmi(**{function: answer}))
    part = amd.read(0)[0][0]
    changed = [name for name in Device.readings() if getattr(part, name) != getattr(whole, name)]
    assert changed
    assert all(reason in getattr(part, name).reason for name in changed)


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (None, "not installed"),
        (fake_amdsmi(amdsmi_init=refuse), "does not start: error code 2"),
        (fake_amdsmi(amdsmi_get_processor_handles=refuse), "does not count"),
        (fake_amdsmi(amdsmi_get_processor_handles=list), "shows no GPU"),
    ],
)
def test_without_an_answer_amdsmi_is_named(monkeypatch: pytest.MonkeyPatch, module: Any, words: str) -> None:
    monkeypatch.setitem(sys.modules, "amdsmi", module)
    assert amd.read(0)[0] == ()
    assert words in amd.read(0)[1]


def intel_tool(command: tuple[str, ...]) -> str:
    if "-d" not in command:
        return json.dumps({"device_list": [{"device_id": 0, "device_name": "Intel(R) Data Center GPU Max 1550"}]})
    return json.dumps(
        {
            "device_name": "Intel(R) Data Center GPU Max 1550",
            "uuid": "00000000-0000-0000",
            "memory_physical_size_byte": "68719476736",
            "memory_free_size_byte": "68000000000",
            "core_clock_rate_mhz": "1600",
            "pcie_generation": "5",
            "pcie_max_link_width": "16",
        }
    )


def test_an_intel_gpu_is_read_of_its_tool() -> None:
    ((one,), why) = intel.read(0, intel_tool)
    assert (why, one.vendor, one.name.value) == ("", "Intel", "Intel(R) Data Center GPU Max 1550")
    assert (one.memory_total_bytes.value, one.sm_clock_max_hz.value) == (68719476736, 1.6e9)
    assert one.memory_used_bytes.value == 68719476736 - 68000000000
    assert "does not show it" in one.power_draw_w.reason


def broken(command: tuple[str, ...]) -> str:
    raise subprocess.CalledProcessError(1, command)


@pytest.mark.parametrize("run", [broken, lambda _: "no JSON", lambda _: "[]", lambda _: '{"device_list": [{}]}'])
def test_a_tool_that_answers_otherwise_is_named(run: Any) -> None:
    assert "does not answer as documented" in intel.read(0, run)[1]
    assert "does not answer as documented" in apple.read(0, run)[1]


def mac(command: tuple[str, ...]) -> str:
    if command[0] == "sysctl":
        return {"hw.memsize": "68719476736\n", "machdep.cpu.brand_string": "Apple M1 Max\n"}[command[-1]]
    chip = {"_name": "Apple M1 Max", "sppci_model": "Apple M1 Max", "spdisplays_vendor": "sppci_vendor_Apple"}
    return json.dumps({"SPDisplaysDataType": [chip, {"_name": "Radeon", "spdisplays_vendor": "sppci_vendor_amd"}]})


def test_apples_gpu_has_the_machines_memory() -> None:
    ((one,), why) = apple.read(0, mac)
    assert (why, one.vendor, one.name.value, one.memory_total_bytes.value) == ("", "Apple", "Apple M1 Max", 2**36)
    sheet = CATALOGUE.by_nvml("Apple M1 Max")
    assert sheet is not None
    assert sheet.name == "Apple-M1-Max"


@pytest.mark.parametrize(("number", "maker"), [("0x1002", "AMD"), ("0x8086", "Intel")])
def test_a_card_whose_library_is_missing_has_a_word(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: str, maker: str
) -> None:
    folder = tmp_path / "sys/class/drm/card0/device"
    folder.mkdir(parents=True)
    (folder / "vendor").write_text(f"{number}\n")
    monkeypatch.setitem(sys.modules, "amdsmi", None)
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr("zenplan.adapters.machine.nvml.read_gpus", lambda: (DriverState.absent(NO_NVIDIA), ()))
    state, devices = gpus.read_gpus(tmp_path, "Linux")
    assert devices == ()
    assert state.reason.startswith(NO_NVIDIA)
    assert f"there is a GPU of {maker}, but" in state.reason
    assert "not installed" in state.reason


def test_others_come_behind_nvidias(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "sys/class/drm/card1/device"
    folder.mkdir(parents=True)
    (folder / "vendor").write_text("0x1002\n")
    monkeypatch.setitem(sys.modules, "amdsmi", fake_amdsmi())
    first = Device.unreadable(0, "the GPU is lost")
    state = DriverState.absent(NO_NVIDIA)
    monkeypatch.setattr("zenplan.adapters.machine.nvml.read_gpus", lambda: (state, (first,)))
    told, devices = gpus.read_gpus(tmp_path, "Linux")
    assert [(d.index, d.vendor) for d in devices] == [(0, "NVIDIA"), (1, "AMD"), (2, "AMD")]
    assert told.reason == ""
