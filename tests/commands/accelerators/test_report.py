"""The list of accelerators: its order."""

from __future__ import annotations

from typing import Any

from zenplan.commands.accelerators.report import accelerators_report
from zenplan.domain.hardware.accelerator import Accelerator


def sheet(name: str, vendor: str, architecture: str, **peaks: float) -> Accelerator:
    return Accelerator(
        name=name,
        vendor=vendor,
        architecture=architecture,
        memory_bytes=1e9,
        memory_bytes_per_s=1e9,
        peak_flop_per_s=peaks,
    )


def listed(*sheets: Accelerator) -> list[Any]:
    report = accelerators_report(sheets)
    shown = [row[0] for row in report.tables[0].rows]
    assert shown == [record["name"] for record in report.records]
    assert shown == [record["name"] for record in report.document["accelerators"]]
    return shown


def test_by_vendor_then_generation_as_they_come_then_the_fastest() -> None:
    volta = sheet("V100", "NVIDIA", "Volta", fp16=125e12)
    ampere = sheet("A10", "NVIDIA", "Ampere", bf16=125e12, fp16=130e12)
    fast = sheet("A100", "NVIDIA", "Ampere", bf16=312e12)
    unknown = sheet("A1", "NVIDIA", "Ampere")
    other = sheet("MI300X", "AMD", "CDNA3", bf16=1307e12)
    assert listed(volta, unknown, ampere, other, fast) == ["MI300X", "V100", "A100", "A10", "A1"]


def test_equal_peaks_are_by_name() -> None:
    assert listed(sheet("B", "V", "G", bf16=1e12), sheet("A", "V", "G", bf16=1e12)) == ["A", "B"]
