"""``--then``: the same answer from every door, strict words, and nothing else where it is not given."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import zenplan
from zenplan.adapters.clock import today

PINNED = ("estimate", "--params", "1e9", "--gpu", "H100", "--gpus", "8", "--provider", "lambda")
THEN = "export,compress:5%,explain:100,serve:30d"


def test_it_is_in_the_document_and_its_facts(called: Callable[..., Any]) -> None:
    plain, then = (json.loads(called(*PINNED, *more, "--format", "json").out) for more in ((), ("--then", THEN)))
    bill, before = then["quotes"][0]["bills"][0], plain["quotes"][0]["bills"][0]
    assert "followed" not in before
    assert [each["name"] for each in bill["followed"]] == ["export", "compression", "explanations", "serving"]
    assert bill["followed"][-1]["time_s"]["high"] == 0.0
    for end in ("low", "mid", "high"):
        parts = sum(part[f"{end}_usd"] for part in bill["parts"])
        assert parts == pytest.approx(bill["total_usd"][end])
        took = sum(each["time_s"][end] for each in bill["followed"])
        assert bill["wall_clock_s"][end] == pytest.approx(before["wall_clock_s"][end] + took)
    assert then["request"]["then"] == THEN
    assert {"export", "compression", "explanations", "serving"} <= {fact["name"] for fact in then["inputs"]}


def test_the_screen_keeps_its_size_and_says_it(called: Callable[..., Any]) -> None:
    out = called(*PINNED, "--then", THEN).out
    assert "after the training: export" in " ".join(out.split())
    assert len(out.splitlines()) <= 24
    assert max(map(len, out.splitlines())) <= 80


def test_python_a_file_and_the_command_say_the_same(called: Callable[..., Any], tmp_path: Path) -> None:
    given: Any = {"params": 1e9, "gpu": "H100", "gpus": 8, "provider": "lambda"}
    one, several = (zenplan.estimate(**given, then=then) for then in (THEN, THEN.split(",")))
    file = tmp_path / "run.toml"
    file.write_text(f'[project]\nthen = "{THEN}"\n')
    found = json.loads(called(*PINNED, "--request", str(file), "--format", "json").out)
    assert one.recommended.total_usd == several.recommended.total_usd
    assert one.recommended.total_usd is not None
    assert found["quotes"][0]["bills"][0]["total_usd"]["mid"] == pytest.approx(one.recommended.total_usd.mid)


def test_the_page_has_its_parts(called: Callable[..., Any], tmp_path: Path) -> None:
    plan, page = tmp_path / "plan.json", tmp_path / "plan.html"
    called(*PINNED, "--then", THEN, "--save", str(plan))
    ended = called("report", str(plan), "-o", str(page))
    assert ended.code == 0, ended.err
    assert "After the training: compression" in page.read_text()


@pytest.mark.parametrize(
    "wrong",
    [
        "deploy",
        "serve",
        "serve:",
        "serve:0d",
        "serve:30",
        "serve:-1d",
        "serve:nan",
        "compress:0%",
        "compress:150%",
        "explain:0",
        "explain:1.5",
        "export:abc",
        "explain:5,explain:6",
        "export:5,EXPORT",
        "",
        ",",
        ":",
    ],
)
def test_what_cannot_be_is_one_line(called: Callable[..., Any], wrong: str) -> None:
    ended = called(*PINNED, "--then", wrong)
    assert ended.code == 2
    error, hint = ended.err.splitlines()
    assert error.startswith("error: ")
    assert hint.startswith("hint: ")


def test_an_old_price_serves_only_where_it_is_less_than_half_whatever_comes_first(
    called: Callable[..., Any], tmp_path: Path
) -> None:
    rows = ["one,old,H100-SXM5-80GB,8,20,2020-01-01", f"one,fresh,H100-SXM5-80GB,8,30,{today()}"]
    file, said = tmp_path / "prices.csv", []
    for order in (rows, rows[::-1]):
        header = "provider,instance,accelerator,devices,on_demand_usd_per_h,on_demand_as_of"
        file.write_text("\n".join([header, *order]) + "\n", encoding="utf-8")
        asked = ("--provider", "one", "--prices", str(file), "--then", "serve:30d", "--format", "json")
        bill = json.loads(called("estimate", "--params", "1e9", *asked).out)["quotes"][0]["bills"][0]
        said.append(next(part["why"] for part in bill["parts"] if part["name"] == "serving"))
    assert said[0] == said[1]
    assert "fresh" in said[0]


def test_own_machines_serve_at_their_price(called: Callable[..., Any]) -> None:
    asked = (
        "estimate",
        "--params",
        "1e9",
        "--gpu",
        "H100",
        "--gpus",
        "8",
        "--usd-per-hour",
        "2",
        "--then",
        "serve:10h",
    )
    (bill,) = json.loads(called(*asked, "--format", "json").out)["quotes"][0]["bills"]
    (part,) = (part for part in bill["parts"] if part["name"] == "serving")
    assert part["mid_usd"] == pytest.approx(20.0)


def test_serving_ranks_plans_with_the_training_and_says_where_that_alone_would_be(
    called: Callable[..., Any], tmp_path: Path
) -> None:
    rows = ["one,train,H100-SXM5-80GB,8,16", "two,train,H100-SXM5-80GB,8,20", "two,small,L4,1,0.5"]
    file = tmp_path / "prices.csv"
    header = "provider,instance,accelerator,devices,on_demand_usd_per_h,on_demand_as_of\n"
    file.write_text(header + "".join(f"{row},{today()}\n" for row in rows), encoding="utf-8")
    asked = ("estimate", "--params", "1e9", "--prices", str(file), "--provider", "one,two", "--gpu", "H100")

    def ended(*then: str) -> Any:
        return json.loads(called(*asked, *then, "--format", "json").out)

    plain, served = ended(), ended("--then", "serve:60d")
    assert [each["quotes"][0]["provider"] for each in (plain, served)] == ["one", "two"]
    (fact,) = (fact for fact in served["inputs"] if fact["name"] == "ranked with serving")
    assert "one" in fact["why"]
    assert "two" in fact["why"]
    assert not any(fact["name"] == "ranked with serving" for fact in plain["inputs"])


def test_serving_of_a_language_model_has_the_range_of_what_a_copy_answers(called: Callable[..., Any]) -> None:
    def part(*model: str) -> Any:
        asked = ("estimate", *model, "--gpu", "H100", "--gpus", "8", "--provider", "lambda", "--then", "serve:30d")
        bill = json.loads(called(*asked, "--format", "json").out)["quotes"][0]["bills"][0]
        return next(part for part in bill["parts"] if part["name"] == "serving")

    text, images = part("--params", "1e9"), part("--model", "resnet50")
    assert text["low_usd"] == text["mid_usd"] < text["high_usd"]
    assert images["low_usd"] == images["high_usd"]


def test_no_effect_repeats_what_it_is_beside(called: Callable[..., Any]) -> None:
    for effect in json.loads(called(*PINNED, "--then", THEN, "--format", "json").out)["sensitivity"]:
        assert effect["value"] not in [change["value"] for change in effect["changes"]]


def test_bills_that_held_are_told_where_there_is_a_bill(called: Callable[..., Any]) -> None:
    asked = ("estimate", "--params", "1e9", "--gpu", "H100", "--gpus", "8")
    assert "of bills" in " ".join(called(*asked, "--usd-per-hour", "2").out.split())
    assert "of bills" not in called(*asked, "--usd-per-hour", "0").out
