"""A comparison is the estimates that it is made of."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from zenplan.commands.compare.use_case import MOST, combinations

ASKED = ("--params", "1e9", "--tokens", "1e9")


@pytest.fixture
def compared(called: Callable[..., Any]) -> Callable[..., Any]:
    def run(*argv: str) -> Any:
        ended = called("compare", *argv, "--format", "json")
        assert ended.code == 0, ended.err
        return json.loads(ended.out)

    return run


@pytest.mark.parametrize(
    ("flag", "values"),
    [
        ("--gpu", ("A100-SXM4-80GB", "H100", "L4")),
        ("--provider", ("aws", "gcp", "azure")),
        ("--method", ("full", "lora", "qlora")),
        ("--billing", ("on-demand", "spot")),
        ("--gpus", ("8", "16")),
        ("--tokens", ("1e9", "2e9")),
    ],
)
def test_each_row_is_an_estimate_of_its_own(
    called: Callable[..., Any], compared: Callable[..., Any], flag: str, values: tuple[str, ...]
) -> None:
    base = [*ASKED[:2], *(() if flag == "--tokens" else ASKED[2:])]
    found = compared(*base, *(part for value in values for part in (flag, value)))
    assert found["names"] == [flag.removeprefix("--")]
    assert [case["values"] for case in found["cases"]] == [[value] for value in values]
    for value, case in zip(values, found["cases"], strict=True):
        alone = json.loads(called("estimate", *base, flag, value, "--format", "json").out)
        (bill, *_) = alone["quotes"][0]["bills"]
        billed = next((b for b in alone["quotes"][0]["bills"] if b["billing"] == alone["billing"]), bill)
        assert case["best"]["total_usd"] == billed["total_usd"]
        assert case["best"]["wall_clock_s"] == billed["wall_clock_s"]
        assert case["best"]["instance"] == alone["quotes"][0]["instance"]


def test_several_flags_are_each_with_each(compared: Callable[..., Any]) -> None:
    found = compared(*ASKED, "--gpu", "H100", "--gpu", "A100-SXM4-80GB", "--method", "full", "--method", "lora")
    assert found["names"] == ["method", "gpu"]
    assert len({tuple(case["values"]) for case in found["cases"]}) == 4


def test_without_anything_twice_it_is_of_accelerators(compared: Callable[..., Any]) -> None:
    found = compared(*ASKED, "--provider", "aws", "--top", "4")
    assert found["names"] == ["gpu"]
    assert len(found["cases"]) == 4
    # Of two rows none comes first that is dearer, slower and of an older price than the next.
    for first, second in pairwise(case["best"] for case in found["cases"]):
        worse = all(first[name]["mid"] > second[name]["mid"] for name in ("total_usd", "wall_clock_s"))
        assert not worse or first["price_as_of"] > (second["price_as_of"] or "")
    assert [case["values"] for case in found["cases"]] == [[case["best"]["accelerator"]] for case in found["cases"]]


def test_what_cannot_be_run_says_why(called: Callable[..., Any], compared: Callable[..., Any]) -> None:
    asked = (
        "--model",
        "llama3-70b",
        "--tokens",
        "1e9",
        "--gpus",
        "1",
        "--gpu",
        "L4",
        "--gpu",
        "B200",
        "--method",
        "lora",
    )
    found = compared(*asked)
    first, second = found["cases"]
    assert (first["best"], first["met"]) == (None, False)
    assert "fit" in first["why"]
    assert second["best"]
    assert first["why"].split(";")[0] in " ".join(called("compare", *asked).out.split())
    ended = called("compare", "--model", "llama3-405b", "--gpus", "1", "--gpu", "L4", "--gpu", "T4")
    assert ended.code == 3
    assert ended.out == ""


def test_so_many_and_no_more(called: Callable[..., Any]) -> None:
    names, combined = combinations({"gpu": ["a", "b", "a"], "method": ["full"], "params": None})
    assert (names, len(combined)) == (("gpu",), 2)
    # Commas part thousands, and names.
    assert combinations({"tokens": ["1,000,000"], "gpu": ["4090,3090"]})[1] == [
        {"tokens": "1,000,000", "gpu": "4090,3090"}
    ]
    sizes = [part for size in range(MOST + 1) for part in ("--tokens", str(size + 1))]
    ended = called("compare", "--params", "1e9", *sizes)
    assert ended.code == 2
    assert f"the most is {MOST}" in ended.err


def test_amounts_are_in_the_currency_that_was_asked_for(called: Callable[..., Any]) -> None:
    shown = called("compare", *ASKED, "--gpu", "H100", "--gpu", "A100", "--currency", "CHF", "--rate", "0.8").out
    assert "$1 is 0.8 CHF" in shown
    assert "$" not in shown.replace("$1 is", "")


def test_a_row_of_csv_is_a_case(called: Callable[..., Any], compared: Callable[..., Any]) -> None:
    asked = (*ASKED, "--gpu", "H100", "--gpu", "T4", "--gpus", "1")
    rows = list(csv.DictReader(io.StringIO(called("compare", *asked, "--format", "csv").out)))
    for row, case in zip(rows, compared(*asked)["cases"], strict=True):
        assert [row["gpu"]] == case["values"]
        assert float(row["total_usd_mid"] or 0) == (case["best"] or {}).get("total_usd", {}).get("mid", 0)
        assert row["why"] == case["why"]


def test_what_none_meets_is_exit_three(called: Callable[..., Any]) -> None:
    asked = ("compare", *ASKED, "--gpu", "H100", "--gpu", "L4", "--budget")
    assert called(*asked, "0.01").code == 3
    assert called(*asked, "1000").code == 0
