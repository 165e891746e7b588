"""Saved plans: written whole, beside the answer, over nothing that is none; read back as they were, or refused."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import zenplan
from zenplan.commands.estimate.saved_plan import read_plan
from zenplan.documents import published
from zenplan.errors import ZenplanError

Call = Callable[..., Any]
ASKED = ("estimate", "--params", "1e9", "--gpu", "H100", "--gpus", "8")


@pytest.fixture(scope="module")
def plan() -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as here:
        here.setenv("ZENPLAN_PLUGINS", "")
        return zenplan.estimate(params=1e9, gpu="H100", gpus=8, no_calibrations=True).to_dict()


def test_a_plan_is_written_beside_the_same_answer(called: Call) -> None:
    alone, saved = called(*ASKED), called(*ASKED, "--save", "plan.json")
    assert (saved.code, saved.out, saved.err) == (0, alone.out, "")
    told = json.loads(called(*ASKED, "--format", "json").out)
    assert json.loads(Path("plan.json").read_text(encoding="utf-8")) == told
    assert os.listdir() == ["plan.json"]  # noqa: PTH208 - names alone
    assert told["zenplan_version"] == zenplan.__version__
    assert told["request"] == {"params": "1e9", "gpu": "H100", "gpus": "8"}
    assert published(read_plan("plan.json")) == told


def test_the_derivation_is_saved_with_it(called: Call) -> None:
    assert called(*ASKED, "--explain", "--save", "plan.json").code == 0
    assert read_plan("plan.json").derivation


def test_an_answer_of_no_is_saved_and_no_answer_is_not(called: Call) -> None:
    assert called(*ASKED, "--budget", "1", "--save", "plan.json").code == 3
    assert read_plan("plan.json").met is False
    assert called("estimate", "--params", "70B", "--gpu", "T4", "--gpus", "1", "--save", "none.json").code == 3
    assert not Path("none.json").exists()


def test_a_plan_is_replaced_and_nothing_else_is(called: Call) -> None:
    Path("plan.json").write_text('{"schema": "zenplan.estimate/1", "old": ', encoding="utf-8")
    Path("empty.json").touch()
    for name in ("plan.json", "empty.json", "new.json"):
        assert called(*ASKED, "--save", name).code == 0
        assert read_plan(name).request["gpus"] == "8"
    Path("request.toml").write_text("params = 1e9\n", encoding="utf-8")
    Path("prices.json").write_text('{"schema": "zenplan.prices/1"}', encoding="utf-8")
    Path("binary").write_bytes(b"\x00\xff\xfe")
    os.mkfifo("pipe")
    Path("folder").mkdir()
    others = {"request.toml": 2, "prices.json": 2, "binary": 2, "pipe": 1, "folder": 1}
    for name, code in others.items():
        ended = called(*ASKED, "--save", name)
        assert (ended.code, ended.out) == (code, ""), name
        assert ended.err.startswith(f"error: {name} is ")
        assert ended.err.count("\nhint: ") == 1
    assert Path("request.toml").read_text(encoding="utf-8") == "params = 1e9\n"
    assert Path("binary").read_bytes() == b"\x00\xff\xfe"


def test_a_place_that_cannot_be_written(called: Call) -> None:
    ended = called(*ASKED, "--save", "nowhere/plan.json")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("error: nowhere/plan.json cannot be written: ")


def test_from_python(called: Call) -> None:
    answer = zenplan.estimate(params=1e9, gpu="H100", gpus=8)
    answer.save("plan.json")
    assert published(read_plan("plan.json")) == answer.to_dict()
    Path("mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(zenplan.UsageError, match="is no plan"):
        answer.save("mine.txt")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda p: {**p, "schema": "zenplan.estimate/9"}, "version '9'"),
        (lambda p: {**p, "schema": "zenplan.estimate/1"}, "version '1'"),
        (lambda p: {**p, "schema": "zenplan.estimate/x"}, "version 'x'"),
        (lambda p: {**p, "schema": "zenplan.prices/1"}, "is no plan"),
        (lambda p: {**p, "schema": "zenplan.estimate/" + "9" * 5000}, "version"),
        (lambda p: {**p, "schema": 2}, "schema"),
        (lambda p: [p], "plan.json"),
        (lambda p: None, "plan.json"),
        (lambda p: {}, "is no plan"),
        (lambda p: {**p, "workload": {**p["workload"], "parameters": 1e200}}, "workload.parameters"),
        (lambda p: {k: v for k, v in p.items() if k != "quotes"}, "quotes"),
        (lambda p: {**p, "quotes": []}, "quotes"),
        (lambda p: {**p, "more": 1}, "more"),
        (lambda p: {**p, "met": "yes"}, "met"),
        (lambda p: {**p, "today": "2026-02-30"}, "2026-02-30"),
        (lambda p: {**p, "budget_usd": -1}, "budget_usd"),
        (lambda p: {**p, "request": {"params": 7e9}}, "request"),
        (lambda p: _with_usd(p, {"low": 3, "mid": 2, "high": 4}), "total_usd"),
        (lambda p: _with_usd(p, {"low": 1, "mid": 2}), "total_usd"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_plan_of_this_version(
    change: Callable[[dict[str, Any]], Any], said: str, plan: dict[str, Any], called: Call
) -> None:
    Path("good.json").write_text(json.dumps(plan), encoding="utf-8")
    assert read_plan("good.json").met
    Path("plan.json").write_text(json.dumps(change(plan)), encoding="utf-8")
    with pytest.raises(ZenplanError) as found:
        read_plan("plan.json")
    assert said in found.value.message
    assert found.value.hint
    assert found.value.exit_code == 1
    for words in (("plan.json", "good.json"), ("good.json", "plan.json"), ("plan.json",)):
        ended = called("diff", *words)
        assert (ended.code, ended.out, len(ended.err.splitlines())) == (1, "", 2)
        assert len(ended.err) < 1000


def _with_usd(plan: dict[str, Any], usd: dict[str, float]) -> dict[str, Any]:
    changed: dict[str, Any] = json.loads(json.dumps(plan))
    changed["quotes"][0]["bills"][0]["total_usd"] = usd
    return changed


def test_a_file_that_is_none(plan: dict[str, Any], called: Call, tmp_path: Path) -> None:
    Path("good.json").write_text(json.dumps(plan), encoding="utf-8")
    Path("cut.json").write_text(json.dumps(plan)[:3000], encoding="utf-8")
    Path("nan.json").write_text(json.dumps({**plan, "budget_usd": float("nan")}), encoding="utf-8")
    Path("deep.json").write_text("[" * 100_000, encoding="utf-8")
    Path("long.json").write_text("1" * 5000, encoding="utf-8")
    Path("latin.json").write_bytes(b'{"schema": "\xe4"}')
    Path("empty.json").touch()
    os.mkfifo("pipe.json")
    for name in ("cut", "nan", "deep", "long", "latin", "empty", "pipe", "missing"):
        for words in ((f"{name}.json", "good.json"), ("good.json", f"{name}.json"), (f"{name}.json",)):
            ended = called("diff", *words)
            assert (ended.code, ended.out, len(ended.err.splitlines())) == (1, "", 2), words
            assert f"{name}.json" in ended.err
    assert called("diff", str(tmp_path)).code == 1


def test_what_a_terminal_would_run_is_taken_out(plan: dict[str, Any], called: Call) -> None:
    changed = json.loads(json.dumps(plan))
    changed["quotes"][0]["instance"] = "p5\x1b[31m\nred"
    changed["request"]["gpu\x1b[1m"] = "x"
    Path("plan.json").write_text(json.dumps(changed), encoding="utf-8")
    Path("good.json").write_text(json.dumps(plan), encoding="utf-8")
    for out in ("table", "markdown"):
        assert "\x1b" not in called("diff", "plan.json", "good.json", "--format", out).out
