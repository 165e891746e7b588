"""Policies: each rule passes what keeps it and names what breaks it; a rule that cannot be checked does as is stated."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

import zenplan
from zenplan.adapters.clock import today
from zenplan.commands.diff.policy import RULES

Call = Callable[..., Any]
Plan = dict[str, Any]


@pytest.fixture(scope="module")
def made() -> Plan:
    """A plan of which everything is known, in a region that is said."""
    with pytest.MonkeyPatch.context() as here:
        here.setenv("ZENPLAN_PLUGINS", "")
        plan = zenplan.estimate(params=7e9, gpu="H100", gpus=64, provider="aws", no_calibrations=True).to_dict()
    assert plan["quotes"][0]["energy"]["co2e_kg"]
    assert plan["quotes"][0]["prices"]["on-demand"]["as_of"]
    return plan


@pytest.fixture
def held(called: Call, made: Plan) -> Callable[..., tuple[int, dict[str, tuple[bool, bool]]]]:
    """The exit code and the findings, known and failing, of the plan under a policy, against one of half the cost."""
    old = json.loads(json.dumps(made))
    for name in ("total_usd", "wall_clock_s"):
        old["project"][name] = {end: value / 2 for end, value in old["project"][name].items()}

    def checked(policy: str, change: Callable[[Plan], None] = lambda plan: None) -> Any:
        new = json.loads(json.dumps(made))
        change(new)
        Path("old.json").write_text(json.dumps(old), encoding="utf-8")
        Path("new.json").write_text(json.dumps(new), encoding="utf-8")
        Path("policy.toml").write_text(policy, encoding="utf-8")
        ended = called("diff", "old.json", "new.json", "--policy", "policy.toml", "--format", "json")
        assert ended.err == "", ended.err
        told = json.loads(ended.out)
        assert told["passes"] is (ended.code == 0)
        found = {f["rule"]: (f["known"], f["fails"]) for f in told["findings"]}
        sentences = told["verdict"].split(". ")
        assert sentences[0].startswith("Fails ") is any(fails for _, fails in found.values())
        for rule, (_, fails) in found.items():
            assert rule not in next((s for s in sentences if s.startswith("Passes ")), "")
            assert (rule in sentences[0]) is fails or sentences[0].startswith("Not known")
        return ended.code, found

    return checked


def limits(plan: Plan) -> dict[str, float]:
    """The number that a rule of a most is held against."""
    quote = plan["quotes"][0]
    price = quote["prices"]["on-demand"]
    return {
        "max_usd": plan["project"]["total_usd"]["mid"],
        "max_days": plan["project"]["wall_clock_s"]["mid"] / 86400,
        "max_gpu_hours": quote["bills"][0]["gpu_hours"]["mid"],
        "max_kwh": quote["energy"]["kwh"]["mid"],
        "max_kg_co2e": quote["energy"]["co2e_kg"]["mid"],
        "max_gpus": quote["devices"],
        "max_usd_per_hour": price["usd_per_h"] * quote["machines"],
        "max_price_age_days": (today() - date.fromisoformat(price["as_of"])).days,
        "max_usd_increase": plan["project"]["total_usd"]["mid"] / 2,
        "max_days_increase": plan["project"]["wall_clock_s"]["mid"] / 2 / 86400,
    }


def test_a_most_is_kept_up_to_it_and_broken_beyond(held: Any, made: Plan) -> None:
    for rule, value in limits(made).items():
        assert value > 0, rule
        assert held(f"{rule} = {value * 1.001!r}") == (0, {}), rule
        assert held(f"{rule} = {value * 0.99!r}") == (3, {rule: (True, True)}), rule
        assert held(f'{rule} = {value * 0.99!r}\nunknown = "pass"') == (3, {rule: (True, True)}), rule


def test_an_increase_in_percent(held: Any) -> None:
    for rule in ("max_usd_increase", "max_days_increase"):
        assert held(f'{rule} = "101%"') == (0, {})
        assert held(f'{rule} = "99%"') == (3, {rule: (True, True)})
        assert held(f"{rule} = 0") == (3, {rule: (True, True)})
    assert held('max_days_increase = "1h"')[0] == 3


def test_names_may_be_patterns(held: Any, made: Plan) -> None:
    quote = made["quotes"][0]
    values = {
        "allowed_providers": quote["provider"],
        "allowed_regions": quote["region"],
        "allowed_gpus": quote["accelerator"],
        "allowed_billing": "on-demand",
    }
    assert set(RULES) == values.keys() | limits(made).keys()
    for rule, value in values.items():
        for names in ([value], [value.upper()], [f"{value[:2]}*"], ["other", value]):
            assert held(f"{rule} = {json.dumps(names)}") == (0, {}), (rule, names)
        for names in (["other"], [value[:2]], [f"{value}?"]):
            assert held(f"{rule} = {json.dumps(names)}") == (3, {rule: (True, True)}), (rule, names)


def unknown(plan: Plan) -> None:
    first = plan["quotes"][0]
    first["region"], first["energy"], plan["project"]["total_usd"] = "any", None, None
    first["prices"]["on-demand"]["as_of"] = None


@pytest.mark.parametrize(
    "rule",
    [
        "max_kg_co2e = 1e9",
        "max_kwh = 1e9",
        "max_usd = 1e9",
        "max_usd_increase = '900%'",
        'allowed_regions = ["*"]',
        "max_price_age_days = 1e5",
    ],
)
def test_what_cannot_be_checked_fails_unless_it_may_pass(rule: str, held: Any) -> None:
    name = rule.partition(" ")[0]
    assert held(rule) == (0, {})
    assert held(rule, unknown) == (3, {name: (False, True)})
    assert held(f'{rule}\nunknown = "fail"', unknown) == (3, {name: (False, True)})
    assert held(f'{rule}\nunknown = "pass"', unknown) == (0, {name: (False, False)})


def test_every_broken_rule_is_named(held: Any) -> None:
    code, found = held('max_usd = 1\nmax-days = 1e-3\nallowed_providers = ["x"]\nmax_gpus = 1e6\n')
    assert (code, [*found]) == (3, ["max_usd", "max_days", "allowed_providers"])


def test_the_high_end_may_be_held(held: Any, made: Plan) -> None:
    usd = made["project"]["total_usd"]
    between = (usd["mid"] + usd["high"]) / 2
    assert held(f"max_usd = {between}") == (0, {})
    assert held(f'max_usd = {between}\nend = "high"')[0] == 3


@pytest.mark.parametrize(
    ("text", "line", "error", "hint"),
    [
        ("max_usd = 1\nmax_uds = 2\n", 2, "unknown rule 'max_uds'", "did you mean max_usd"),
        ("[limits]\nmax_usd = 1\n", 1, "unknown rule 'limits'", "known: "),
        ("\nmax_usd = -1\n", 2, "max_usd must be", "TOML"),
        ("max_usd = true\n", 1, "max_usd must be", "TOML"),
        ('max_usd = "lots"\n', 1, "max_usd is not a number", "5000"),
        ('max_usd_increase = "ten%"\n', 1, "max_usd_increase is no percentage", "10%"),
        ('max_usd_increase = "-5%"\n', 1, "max_usd_increase is no percentage", "10%"),
        ("max_usd = nan\n", 1, "max_usd must be", "TOML"),
        ("allowed_regions = []\n", 1, "allowed_regions must be a list of names", "aws"),
        ("allowed_regions = [1]\n", 1, "allowed_regions must be a list of names", "aws"),
        ('max_usd = 1\nunknown = "maybe"\n', 2, "unknown must be fail or pass", "TOML"),
        ("max_usd = 1\nmax-usd = 2\n", 2, "max_usd is there already", "keep one"),
    ],
    ids=str,
)
def test_what_is_wrong_has_its_line(text: str, line: int, error: str, hint: str, called: Call, made: Plan) -> None:
    Path("old.json").write_text(json.dumps(made), encoding="utf-8")
    Path("policy.toml").write_text(text, encoding="utf-8")
    ended = called("diff", "old.json", "--policy", "policy.toml")
    assert (ended.code, ended.out) == (2, "")
    said, helped = ended.err.splitlines()
    assert said.startswith(f"error: policy.toml, line {line}: {error}")
    assert hint in helped


def test_a_policy_that_is_none(called: Call, made: Plan) -> None:
    Path("old.json").write_text(json.dumps(made), encoding="utf-8")
    Path("empty.toml").write_text('unknown = "pass"\n', encoding="utf-8")
    for name, code in (("empty.toml", 2), ("missing.toml", 1), (".", 1)):
        ended = called("diff", "old.json", "--policy", name)
        assert (ended.code, ended.out, len(ended.err.splitlines())) == (code, "", 2)


@pytest.mark.parametrize("value", ["", "%", "ten", "-1", "-1%", "nan", "inf%", "1e9%", "3d"])
def test_no_limit(value: str, called: Call, made: Plan) -> None:
    Path("old.json").write_text(json.dumps(made), encoding="utf-8")
    ended = called("diff", "old.json", f"--fail-over={value}")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("error: --fail-over ")
    assert called("diff", "old.json", f"--fail-over-days={value.replace('3d', '3k')}").code == 2
