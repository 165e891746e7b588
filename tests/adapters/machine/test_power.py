"""Energy from counters of processors."""

from __future__ import annotations

from pathlib import Path

import pytest

from zenplan.adapters.machine.power import EnergyMeter


def counter(root: Path, value: int, zone: str = "intel-rapl:0") -> None:
    folder = root / "sys/class/powercap" / zone
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "energy_uj").write_text(f"{value}\n", encoding="ascii")
    (folder / "max_energy_range_uj").write_text("1000000000\n", encoding="ascii")


def test_nothing_that_measures_is_not_nothing(tmp_path: Path) -> None:
    meter = EnergyMeter(None, tmp_path)
    assert (meter.read(), meter.power_w()) == (None, None)


def test_packages_add_up_and_their_parts_do_not(tmp_path: Path) -> None:
    for zone in ("intel-rapl:0", "intel-rapl:1", "intel-rapl:0:0"):
        counter(tmp_path, 5_000_000, zone)
    now = [0.0]
    meter = EnergyMeter(None, tmp_path, lambda: now[0])
    for zone in ("intel-rapl:0", "intel-rapl:1", "intel-rapl:0:0"):
        counter(tmp_path, 25_000_000, zone)
    assert meter.power_w() is None
    now[0] = 2.0
    assert meter.read() == pytest.approx(40.0)
    assert meter.power_w() == pytest.approx(20.0)


def test_a_counter_that_begins_anew_loses_nothing(tmp_path: Path) -> None:
    counter(tmp_path, 990_000_000)
    meter = EnergyMeter(None, tmp_path)
    counter(tmp_path, 10_000_000)
    assert meter.read() == pytest.approx(20.0)
