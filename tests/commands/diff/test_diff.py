"""Two plans beside each other: what is said to have changed is what was changed, by as much, and nothing else."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import zenplan

Call = Callable[..., Any]
Plan = dict[str, Any]
SCHEMA = Path(zenplan.__file__).parent / "data" / "schemas" / "diff-1.json"
OWN = "provider,instance,accelerator,devices,on_demand_usd_per_h,as_of\nmine,box,H100,8,{usd},2026-11-01\n"


@pytest.fixture(scope="module")
def made() -> Plan:
    with pytest.MonkeyPatch.context() as here:
        here.setenv("ZENPLAN_PLUGINS", "")
        return zenplan.estimate(params=1e9, gpu="H100", gpus=8, no_calibrations=True).to_dict()


@pytest.fixture
def diff(called: Call, made: Plan) -> Callable[..., tuple[int, Plan]]:
    """The exit code and the document for a plan and a changed copy of it."""

    def compared(change: Callable[[Plan], None], *flags: str) -> tuple[int, Plan]:
        changed = json.loads(json.dumps(made))
        change(changed)
        Path("old.json").write_text(json.dumps(made), encoding="utf-8")
        Path("new.json").write_text(json.dumps(changed), encoding="utf-8")
        ended = called("diff", "old.json", "new.json", *flags, "--format", "json")
        assert ended.err == "", ended.err
        return ended.code, json.loads(ended.out)

    return compared


def scaled(plan: Plan, factor: float, *path: str) -> None:
    for name in path[:-1]:
        plan = plan[int(name)] if isinstance(plan, list) else plan[name]
    plan[path[-1]] = {end: value * factor for end, value in plan[path[-1]].items()}


def dearer(factor: float) -> Callable[[Plan], None]:
    return lambda plan: scaled(plan, factor, "project", "total_usd")


def figure(told: Plan, name: str) -> Plan:
    found: Plan = next(f for f in told["figures"] if f["name"] == name)
    return found


def nothing(plan: Plan) -> None:
    pass


def test_equal_plans_do_not_differ(diff: Callable[..., tuple[int, Plan]], called: Call) -> None:
    code, told = diff(nothing, "--fail-over", "0", "--fail-over-days", "0%")
    assert (code, told["same"], told["passes"]) == (0, True, True)
    assert [told[name] for name in ("findings", "recommended", "request", "inputs", "prices")] == [[]] * 5
    assert {f["change"] for f in told["figures"] if f["old"]} == {0}
    assert "Nothing differs" in called("diff", "old.json", "new.json").out


@pytest.mark.parametrize("factor", [0.5, 0.999, 1.02, 1.5, 10.0])
def test_a_change_is_told_with_its_size(factor: float, diff: Callable[..., tuple[int, Plan]], made: Plan) -> None:
    _, told = diff(dearer(factor))
    usd, old = figure(told, "total_usd"), made["project"]["total_usd"]
    assert usd["change"] == pytest.approx(old["mid"] * (factor - 1))
    assert usd["change_ratio"] == pytest.approx(factor - 1)
    assert usd["new_in_old_range"] is (old["low"] <= old["mid"] * factor <= old["high"])
    assert {f["name"] for f in told["figures"] if f["change"]} == {"total_usd"}
    assert told["same"] is False
    assert told["verdict"].index("$") < told["verdict"].index("→")


def test_each_kind_of_difference_is_in_its_place(diff: Callable[..., tuple[int, Plan]]) -> None:
    def change(plan: Plan) -> None:
        first = plan["quotes"][0]
        first["layout"]["micro_batch"] += 1
        first["region"] = "the moon"
        plan["request"]["seq_len"] = "4096"
        plan["request"]["params"] = "1B"  # the same number
        plan["inputs"][0]["value"] = "another"
        plan["inputs"].append({"name": "luck", "value": "much", "origin": "assumed", "why": ""})

    _, told = diff(change)
    assert {d["name"] for d in told["recommended"]} == {"recommended plan", "layout"}
    assert told["request"] == [{"name": "seq_len", "old": None, "new": "4096"}]
    assert {d["name"] for d in told["inputs"]} == {"parameters", "luck"}
    assert told["new"]["region"] == "the moon"
    assert "the moon" in told["verdict"]


def test_prices_that_differ(diff: Callable[..., tuple[int, Plan]], made: Plan) -> None:
    def change(plan: Plan) -> None:
        plan["quotes"][0]["prices"]["on-demand"].update(usd_per_h=99.0, as_of="2026-11-28")

    _, told = diff(change)
    old = made["quotes"][0]
    (price,) = [p for p in told["prices"] if p["instance"] == old["instance"] and p["region"] == old["region"]]
    assert (price["old_usd_per_h"], price["new_usd_per_h"]) == (old["prices"]["on-demand"]["usd_per_h"], 99.0)
    assert (price["new_as_of"], price["gone"]) == ("2026-11-28", False)


def test_what_is_not_known_is_not_zero(diff: Callable[..., tuple[int, Plan]]) -> None:
    def change(plan: Plan) -> None:
        plan["project"]["total_usd"] = None
        plan["quotes"][0]["energy"] = None

    code, told = diff(change, "--fail-over", "10%")
    for name in ("total_usd", "kwh", "co2e_kg"):
        assert [figure(told, name)[key] for key in ("new", "change", "change_ratio")] == [None] * 3
    assert code == 3
    assert [(f["rule"], f["known"], f["fails"]) for f in told["findings"]] == [("--fail-over", False, True)]


def test_all_runs_count(called: Call) -> None:
    ask = ("estimate", "--params", "1e9", "--gpu", "H100", "--gpus", "8")
    assert called(*ask, "--save", "one.json").code == called(*ask, "--repeat", "3", "--save", "three.json").code == 0
    told = json.loads(called("diff", "one.json", "three.json", "--format", "json").out)
    for name in ("total_usd", "wall_clock_s", "gpu_hours", "kwh"):
        assert figure(told, name)["change_ratio"] == pytest.approx(2.0), name
    assert figure(told, "run_usd")["change"] == 0


# --- its formats


def test_the_document_is_what_its_schema_says(diff: Callable[..., tuple[int, Plan]]) -> None:
    check = Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
    _, told = diff(dearer(2.0), "--fail-over", "10%")
    check.validate(told)
    for name in tuple(told):
        assert not check.is_valid({key: value for key, value in told.items() if key != name}), name
    assert not check.is_valid({**told, "more": 1})


def test_the_rows_of_csv(diff: Callable[..., tuple[int, Plan]], called: Call) -> None:
    _, told = diff(dearer(2.0))
    rows = list(csv.DictReader(io.StringIO(called("diff", "old.json", "new.json", "--format", "csv").out)))
    assert [row["figure"] for row in rows] == [f["name"] for f in told["figures"]]
    assert float(rows[0]["change_ratio"]) == pytest.approx(1.0)


def test_the_comment_of_a_pull_request(diff: Callable[..., tuple[int, Plan]], called: Call) -> None:
    def change(plan: Plan) -> None:
        dearer(2.0)(plan)
        plan["inputs"][0]["value"] = "a | b\nc"

    diff(change)
    text = called("diff", "old.json", "new.json", "--fail-over", "10%", "--format", "markdown").out
    # The verdict first, then what fails, the figures, and the rest behind titles that open.
    places = [text.index(part) for part in ("**Fails --fail-over", "### Rules", "| dollars |", "<details><summary>")]
    assert places == sorted(places)
    assert places[0] == 0
    assert text.count("<details>") == text.count("</details>") >= 1
    blocks = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert len(blocks) >= 3
    for block in blocks:
        rows = block.splitlines()
        # As many cells in every row, whatever is in them; and a blank line before, or it is no table.
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1
        assert text[: text.index(block)].endswith("\n\n") or text.startswith(block)


# --- estimated now


def test_a_request_is_estimated_now(called: Call) -> None:
    Path("r.toml").write_text('params = 1e9\ngpu = "H100"\ngpus = 8\n', encoding="utf-8")
    assert called("estimate", "--request", "r.toml", "--save", "plan.json").code == 0
    for words in (("plan.json", "r.toml"), ("r.toml", "plan.json"), ("plan.json",)):
        told = json.loads(called("diff", *words, "--format", "json").out)
        assert told["same"], words
    Path("r2.toml").write_text('params = 2e9\ngpu = "H100"\ngpus = 8\n', encoding="utf-8")
    told = json.loads(called("diff", "plan.json", "r2.toml", "--format", "json").out)
    assert [d["name"] for d in told["request"]] == ["params"]
    assert figure(told, "total_usd")["change_ratio"] > 1.5


def test_the_old_request_at_new_prices(called: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = ("estimate", "--params", "1e9", "--provider", "mine", "--prices", "own.csv", "--save", "plan.json")
    Path("own.csv").write_text(OWN.format(usd=8.0), encoding="utf-8")
    assert called(*ask).code == 0
    Path("own.csv").write_text(OWN.format(usd=12.0), encoding="utf-8")
    # Settings of this place do not change what was asked then.
    monkeypatch.setenv("ZENPLAN_BILLING", "spot")
    ended = called("diff", "plan.json", "--fail-over", "20%", "--format", "json")
    told = json.loads(ended.out)
    assert (ended.code, told["request"]) == (3, [])
    assert figure(told, "total_usd")["change_ratio"] == pytest.approx(0.5, rel=0.05)
    assert [(p["old_usd_per_h"], p["new_usd_per_h"], p["gone"]) for p in told["prices"]] == [(8.0, 12.0, False)]


def test_prices_that_are_gone(called: Call) -> None:
    Path("own.csv").write_text(OWN.format(usd=8.0) + "mine,old,H100,8,4.0,2026-11-01\n", encoding="utf-8")
    ask = ("estimate", "--params", "1e9", "--provider", "mine", "--prices", "own.csv", "--save", "plan.json")
    assert called(*ask).code == 0
    Path("own.csv").write_text(OWN.format(usd=8.0), encoding="utf-8")
    told = json.loads(called("diff", "plan.json", "--format", "json").out)
    assert [(p["instance"], p["gone"], p["new_usd_per_h"]) for p in told["prices"]] == [("old", True, None)]
    assert "gone" in called("diff", "plan.json").out
    Path("own.csv").unlink()
    ended = called("diff", "plan.json")
    assert (ended.code, ended.out, len(ended.err.splitlines())) == (1, "", 2)
    assert "plan.json cannot be estimated again" in ended.err
    assert "own.csv" in ended.err


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({}, "what was asked"),
        ({"params": "1e9", "sparkle": "1"}, "sparkle"),
        ({"keras": None}, "made by code"),
        ({"keras": "os:getcwd"}, "made by code"),
        ({"params": {"a": 1}}, "--params"),
        ({"params": "many"}, "--params"),
        ({"params": "1e9", "gpus": ["8", "9"]}, "--gpus"),
        ({"params": "1e9", "provider": "nobody"}, "nobody"),
        ({"model": "no-such-model"}, "no-such-model"),
        ({"config": "config.json"}, "config.json"),
        ({"config": {"model_type": "no such"}}, "no such"),
    ],
    ids=str,
)
def test_a_request_that_cannot_be_asked_again(request_: Plan, said: str, made: Plan, called: Call) -> None:
    Path("plan.json").write_text(json.dumps({**made, "request": request_}), encoding="utf-8")
    ended = called("diff", "plan.json")
    assert (ended.code, ended.out, len(ended.err.splitlines())) == (1, "", 2), ended
    assert "plan plan.json cannot be estimated again" in ended.err
    assert said in ended.err


def test_no_code_that_a_plan_names_is_run(made: Plan, called: Call) -> None:
    Path("evil.py").write_text("open('ran', 'w').close()\ndef build(): pass\n", encoding="utf-8")
    Path("plan.json").write_text(json.dumps({**made, "request": {"keras": "evil:build"}}), encoding="utf-8")
    assert called("diff", "plan.json").code == 1
    assert not Path("ran").exists()


def test_one_file_twice(called: Call, made: Plan) -> None:
    Path("plan.json").write_text(json.dumps(made), encoding="utf-8")
    Path("link.json").symlink_to("plan.json")
    for other in ("plan.json", "./plan.json", "link.json"):
        ended = called("diff", "plan.json", other)
        assert (ended.code, ended.out, len(ended.err.splitlines())) == (1, "", 2)
        assert "are the same file" in ended.err


def test_nothing_fits_any_more(called: Call, made: Plan) -> None:
    Path("plan.json").write_text(
        json.dumps({**made, "request": {"params": "1e12", "gpu": "T4", "gpus": "1"}}), encoding="utf-8"
    )
    ended = called("diff", "plan.json")
    assert (ended.code, ended.out) == (3, "")
    assert "plan plan.json cannot be estimated again" in ended.err


@pytest.mark.parametrize("usd", ["2", "0"])
def test_machines_that_cost_nothing(usd: str, called: Call) -> None:
    own = ("estimate", "--params", "1e9", "--gpu", "H100", "--gpus", "8", "--usd-per-hour")
    assert called(*own, "0", "--save", "free.json").code == 0
    assert called(*own, usd, "--repeat", "2", "--save", "other.json").code == 0
    for old, new, code in (("free.json", "other.json", 3 if usd == "2" else 0), ("other.json", "free.json", 0)):
        ended = called("diff", old, new, "--fail-over", "10%")
        assert (ended.code, ended.err) == (code, "")
