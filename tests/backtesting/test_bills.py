"""The published bills: each has a source, holds together, and can be asked and answered."""

from __future__ import annotations

import csv
import importlib
from pathlib import Path
from typing import Any

import pytest

from zenplan.adapters.tables.accelerators import read_accelerators
from zenplan.domain.answer.estimate import BILLS_HELD
from zenplan.domain.range import Range

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
with (BENCHMARKS / "published" / "bills.csv").open(newline="", encoding="utf-8") as file:
    ROWS = list(csv.DictReader(file))
# One of each way to ask: a name, a size, a mixture, FLOP, samples, each method.
FEW = ("phi-2", "stablelm-3b", "jetmoe", "openclip-b32", "alpaca", "gpt4all", "guanaco", "resnet50-tpu")


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("bills")


def row(name: str) -> dict[str, str]:
    return next(r for r in ROWS if r["id"] == name)


def test_there_is_one_bill_of_a_publisher_and_each_has_a_source() -> None:
    assert len(ROWS) >= 20
    for column in ("id", "publisher"):
        assert len({r[column] for r in ROWS}) == len(ROWS), column
    for each in ROWS:
        assert each["source"], each["id"]
        assert each["model"], each["id"]
        assert each["date"], each["id"]
        assert each["status"] in ("read", "recalled"), each["id"]
        assert each["kind"] in ("pre-training", "fine-tuning", "images"), each["id"]
        assert bool(each["method"]) == (each["kind"] == "fine-tuning"), each["id"]


def test_each_says_what_was_trained_on_how_much_and_where(bench: Any) -> None:
    known = {a.name for a in read_accelerators()}
    for each in ROWS:
        assert bool(each["ask"]) != bool(each["params"]), each["id"]
        assert bool(each["tokens"]) != bool(each["samples"]), each["id"]
        assert each["accelerator"] in known, each["id"]
        assert bench.hours_of(each) > 0, each["id"]
        assert bench.request_of(each).gpus == int(each["devices"]), each["id"]


def test_hours_devices_and_dollars_agree(bench: Any) -> None:
    for each in ROWS:
        hours, price = bench.hours_of(each), bench.price_of(each)
        if each["days"] and each["gpu_hours"]:
            assert hours == pytest.approx(int(each["devices"]) * float(each["days"]) * 24, rel=0.05), each["id"]
        if each["usd"]:
            assert hours * price == pytest.approx(float(each["usd"]), rel=0.05), each["id"]
            assert 0.2 < price < 10, each["id"]


@pytest.mark.parametrize("name", FEW)
def test_a_bill_is_answered_with_its_devices_at_its_price(bench: Any, name: str) -> None:
    each = row(name)
    answer = bench.answered(each)
    cluster = answer.ranked[0].quote.estimate.cluster
    assert (cluster.accelerator.name, cluster.devices) == (each["accelerator"], int(each["devices"]))
    bill = bench.bill_of(each)
    assert 0 < bill.predicted_gpu_hours.low <= bill.predicted_gpu_hours.mid <= bill.predicted_gpu_hours.high
    price = bench.price_of(each)
    if price is None:
        assert bill.predicted_usd is None
    else:
        assert bill.predicted_usd.mid == pytest.approx(bill.predicted_gpu_hours.mid * price)


@pytest.mark.slow
def test_every_bill_is_answered(bench: Any) -> None:
    wrong = [f"{each['id']}: {found}" for each, found in bench.bills(ROWS) if not isinstance(found, bench.Bill)]
    assert wrong == []


def test_a_row_that_cannot_be_predicted_says_why(bench: Any) -> None:
    broken = row("phi-2") | {"precision": "fp8", "accelerator": "V100-SXM2-32GB"}
    ((_, found),) = bench.bills([broken])
    assert not isinstance(found, bench.Bill)
    assert "fp8" in str(found)


def test_the_error_and_the_range_are_of_gpu_hours(bench: Any) -> None:
    hours = Range(low=50.0, mid=100.0, high=200.0)
    bill = bench.Bill(row=row("phi-2"), gpu_hours=100.0, usd=None, predicted_gpu_hours=hours, predicted_usd=None)
    assert bill.error == 0
    assert bill.inside
    assert "| 1.00 | yes |" in bench.line(bill)


@pytest.mark.slow
def test_as_many_bills_are_in_their_range_as_is_said(bench: Any) -> None:
    inside = [bill.inside for _, bill in bench.bills(ROWS)]
    assert sum(inside) / len(inside) == pytest.approx(BILLS_HELD, abs=0.005)
