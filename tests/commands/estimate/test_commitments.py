"""Commitments of a price book in the bill: what a run does not use of them, and what is paid anyway."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zenplan.planning.money.commitments import UNUSED

RESERVED = """[[reservation]]
provider = "aws"
instance = "p5.48xlarge"
machines = 2
term = "365d"
upfront = 8760
rate = 0.5
"""
PLAN = """[[savings_plan]]
provider = "aws"
instance = "p5.48xlarge"
term = "365d"
committed = 100
discount = "30%"
"""
BEGUN = "from = 2026-06-01\n"


@pytest.fixture
def asked(called: Callable[..., Any], tmp_path: Path) -> Callable[..., dict[str, Any]]:
    def ask(book: str, gpus: int, *argv: str) -> dict[str, Any]:
        file = tmp_path / "prices.toml"
        file.write_text(book, encoding="utf-8")
        named = ("--prices", str(file), "--provider", "aws", "--gpu", "H100", "--gpus", str(gpus), "--top", "40")
        run = ("estimate", "--params", "7B", "--tokens", "150B", "--format", "json", *named, *argv)
        return dict(json.loads(called(*run).out))

    return ask


def bill_of(document: dict[str, Any], tier: str) -> dict[str, Any]:
    quote = next(each for each in document["quotes"] if each["tier"] == tier)
    return dict(next(bill for bill in quote["bills"] if bill["billing"] == "on-demand"))


def parts(bill: dict[str, Any]) -> dict[str, dict[str, Any]]:
    for end in ("low", "mid", "high"):
        assert sum(p[f"{end}_usd"] for p in bill["parts"]) == pytest.approx(bill["total_usd"][end])
    return {part["name"]: part for part in bill["parts"]}


@pytest.mark.parametrize("gpus", [8, 16])
def test_a_reservation_to_be_bought_is_paid_whole_as_a_part_of_its_own(asked: Any, gpus: int) -> None:
    bill = bill_of(asked(RESERVED, gpus), "reservation")
    # Both machines for 8,760 hours at $0.50, and what is paid upfront.
    whole = 8760 + 2 * 8760 * 0.5
    unused = parts(bill)[UNUSED]
    for end in ("low", "mid", "high"):
        assert unused[f"{end}_usd"] + bill["machines_usd"][end] == pytest.approx(whole)
    assert bill["paid_anyway"] is None


@pytest.mark.parametrize(("book", "of_all"), [(RESERVED, 2.0), (PLAN, 100.0)], ids=["reservation", "savings plan"])
def test_what_stands_by_of_one_that_has_begun_is_told_and_in_no_total(asked: Any, book: str, of_all: float) -> None:
    document = asked(book + BEGUN, 8)
    tier = "reservation" if book is RESERVED else "savings plan"
    bill = bill_of(document, tier)
    assert UNUSED not in parts(bill)
    used = bill["machines_usd"]["mid"] / bill["billed_h"]
    assert bill["paid_anyway"]["mid_usd"] == pytest.approx((of_all - used) * bill["billed_h"])
    assert 0.0 < used < of_all


def test_a_commitment_that_the_plan_does_not_use_is_said(asked: Any) -> None:
    told = asked(RESERVED + BEGUN, 8, "--region", "us-west-2")["left_out"]
    (line,) = [each for each in told if each.startswith("Paid anyway")]
    assert "aws p5.48xlarge" in line
    assert "$2.00/h" in line
    assert not [each for each in asked(RESERVED, 8)["left_out"] if each.startswith("Paid anyway")]
