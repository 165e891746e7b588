"""How often machines are taken and fail: in order, dated, sourced, and as their sources have it."""

from __future__ import annotations

import csv
import math
from datetime import date
from pathlib import Path

import pytest

import zenplan
from zenplan.domain.training.operations import Operations
from zenplan.units import HOUR_S

DATA = Path(zenplan.__file__).parent / "data"
PUBLISHED = Path(__file__).parents[2] / "benchmarks" / "published"
# What the provider calls a month.
MONTH_H = 730


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def by_name() -> dict[str, dict[str, str]]:
    return {row["accelerator_or_instance"]: row for row in rows(DATA / "interruptions.csv")}


def test_every_rate_is_in_order_dated_and_sourced() -> None:
    found = rows(DATA / "interruptions.csv")
    assert len({(row["provider"], row["accelerator_or_instance"]) for row in found}) == len(found) == 62
    for row in found:
        low, mid, high = (float(row[f"rate_per_h{end}"]) for end in ("_low", "", "_high"))
        assert 0 <= low <= mid <= high < 1, row
        assert mid > 0, row
        assert row["what"], row
        assert "@" in row["source"], row
        assert date(2023, 1, 1) < date.fromisoformat(row["as_of"]) <= date(2026, 11, 30)


def test_every_rate_is_of_a_machine_that_has_a_price() -> None:
    priced = {(row["provider"], row["instance"]) for row in rows(DATA / "prices.csv")}
    assert {(row["provider"], row["accelerator_or_instance"]) for row in rows(DATA / "interruptions.csv")} <= priced


@pytest.mark.parametrize(("instance", "share"), [("p5.48xlarge", 0.025), ("g6e.2xlarge", 0.075), ("g5.2xlarge", 0.175)])
def test_a_band_of_a_month_is_a_rate_of_an_hour(instance: str, share: float) -> None:
    row = by_name()[instance]
    assert 1 - math.exp(-float(row["rate_per_h"]) * MONTH_H) == pytest.approx(share, rel=0.01)
    assert row["as_of"] == "2026-09-20"


def test_what_was_measured_is_what_the_machines_did() -> None:
    row = by_name()["p3.2xlarge"]
    assert float(row["rate_per_h"]) == pytest.approx(802 / 3497, rel=0.01)
    assert "measured" in row["what"]


def test_failures_of_long_runs_are_their_counts_by_device_hours() -> None:
    found = rows(PUBLISHED / "failures.csv")
    for row in found:
        count, days, devices = (float(row[name]) for name in ("failures", "days", "devices"))
        assert float(row["per_device_h"]) == pytest.approx(count / (days * 24 * devices), rel=0.01), row
        assert row["source"], row
    rates = [float(row["per_device_h"]) for row in found]
    assert min(rates) <= HOUR_S / Operations().device_mtbf_s <= max(rates)


def test_what_was_set_aside_says_why() -> None:
    found = rows(PUBLISHED / "prices_set_aside.csv")
    assert found
    assert all(row["provider"] and row["what"] and row["reason"] and row["source"] for row in found)
