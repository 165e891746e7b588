"""Flags of the project and of another currency."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zenplan import units

BOOK = """[currencies.EUR]
per_usd = 0.5
as_of = 2026-11-20

[currencies]
gbp = 0.8
"""
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 50


def test_another_currency_is_the_dollars_at_the_rate(called: Callable[..., Any]) -> None:
    asked = ("estimate", "--params", "7B", "--gpu", "H100", "--gpus", "64")
    euros = ("--currency", "eur", "--rate", "0.5", "--rate-date", "2026-11-01")
    dollars = json.loads(called(*asked, "--format", "json").out)
    document = json.loads(called(*asked, *euros, "--format", "json").out)
    assert document["currency"] == {"code": "EUR", "per_usd": 0.5, "as_of": "2026-11-01", "source": "as given"}
    assert document["quotes"] == dollars["quotes"]
    out = called(*asked, *euros).out
    half = document["quotes"][0]["bills"][0]["total_usd"]["mid"] / 2
    assert f"€{half:,.0f}" in out
    assert "$1 is 0.5 EUR: as given, of 2026-11-01" in out
    assert f"${dollars['quotes'][0]['bills'][0]['total_usd']['mid']:,.0f}" not in out


@pytest.fixture
def book(tmp_path: Path) -> str:
    path = tmp_path / "prices.toml"
    path.write_text(BOOK)
    return str(path)


@pytest.mark.parametrize(
    "asked",
    [
        ("estimate", "--gpu", "H100"),
        ("compare", "--gpu", "H100", "--gpu", "A100"),
        ("what-if", "--gpu", "H100"),
        ("what-if", "--gpu", "H100", "--tokens", "+50%"),
    ],
)
def test_a_currency_of_the_price_book_is_at_its_rate_and_day(
    called: Callable[..., Any], book: str, asked: tuple[str, ...]
) -> None:
    asked = (*asked, "--params", "7B", "--tokens", "1B", "--prices", book)
    shown = called(*asked, "--currency", "eur").out
    given = called(*asked, "--currency", "eur", "--rate", "0.5", "--rate-date", "2026-11-20").out
    assert "$1 is 0.5 EUR: prices.toml, [currencies.EUR], of 2026-11-20." in " ".join(shown.split())
    # The same amounts; only whose rate it is differs.
    assert [line for line in shown.splitlines() if "€" in line] == [line for line in given.splitlines() if "€" in line]


def test_a_rate_that_is_given_comes_before_that_of_the_book(called: Callable[..., Any], book: str) -> None:
    asked = ("estimate", "--params", "1e9", "--gpu", "H100", "--prices", book, "--format", "json")
    found = json.loads(called(*asked, "--currency", "EUR", "--rate", "0.9").out)["currency"]
    assert found == {"code": "EUR", "per_usd": 0.9, "as_of": None, "source": "as given"}
    found = json.loads(called(*asked, "--currency", "GBP").out)["currency"]
    assert (found["per_usd"], found["as_of"], found["source"]) == (0.8, None, "prices.toml, [currencies.gbp]")


def test_a_currency_that_the_book_has_not_is_refused_with_those_it_has(called: Callable[..., Any], book: str) -> None:
    ended = called("estimate", "--params", "1e9", "--prices", book, "--currency", "CHF")
    assert (ended.code, ended.out) == (2, "")
    assert "no rate of CHF" in ended.err
    assert "EUR, GBP" in ended.err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--currency", "EUR"), "--currency and --rate go together"),
        (("--rate", "0.9"), "--currency and --rate go together"),
        (("--currency", "EUR", "--rate-date", "2026-11-01"), "--rate-date is of --rate"),
        (("--currency", "EURO", "--rate", "0.9"), "no code of a currency"),
        (("--currency", "EUR", "--rate", "0"), "no rate"),
        (("--currency", "EUR", "--rate", "nan"), "no rate"),
        (("--currency", "EUR", "--rate", "0.9", "--rate-date", "yesterday"), "no date"),
        (("--trial-share", "5%"), "--trial-share is of --trials"),
        (("--trials", "5", "--trial-share", "120%"), "more than the whole"),
        (("--label-hours", "5"), "go together"),
        (("--label-rate", "5"), "go together"),
        (("--label-hours", "5", "--label-rate", "5", "--label-usd", "1"), "contradict"),
        (("--repeat", "0"), "--repeat"),
        (("--currency", "usd", "--rate", "2"), "already"),
        (("--data-usd", "-1"), "--data-usd"),
        (("--label-usd", "0.05"), "how many"),
        (("--label-usd", "0.05", "--tokens", "1B"), "how many"),
        (("--gpu", "H100", "--usd-per-hour", "0", "--budget", "0"), "--budget"),
    ],
)
def test_what_cannot_be_is_refused(called: Callable[..., Any], flags: tuple[str, ...], message: str) -> None:
    ended = called("estimate", "--params", "1e9", *flags)
    assert ended.code == 2
    assert message in ended.err
    assert ended.out == ""


@pytest.mark.parametrize(
    ("flags", "cost"),
    [
        (("--data-usd", "0"), "data"),
        (("--data-usd", "$0.00"), "data"),
        (("--trials", "0"), "experiments"),
        (("--failed-runs", "0"), "failed runs"),
        (("--label-usd", "0", "--samples", "1000"), "labels"),
        (("--label-hours", "40", "--label-rate", "0"), "labels"),
        (("--label-hours", "0", "--label-rate", "25"), "labels"),
    ],
)
def test_what_costs_nothing_is_known_to(called: Callable[..., Any], flags: tuple[str, ...], cost: str) -> None:
    ended = called("estimate", "--params", "1e9", *flags, "--format", "json")
    (found,) = (each for each in json.loads(ended.out)["project"]["costs"] if each["name"] == cost)
    assert (found["usd"]["mid"], found["usd"]["high"], found["counted"], found["origin"]) == (0.0, 0.0, True, "given")


def test_days_of_no_worth_leave_the_cheapest(called: Callable[..., Any]) -> None:
    document = json.loads(called("estimate", "--params", "1e9", "--day-is-worth", "0", "--format", "json").out)
    assert document["day_is_worth_usd"] == 0.0
    assert {"recommended", "cheapest"} <= set(document["quotes"][0]["labels"])


def test_samples_that_were_counted_are_labelled_too(called: Callable[..., Any]) -> None:
    Path("photos/a").mkdir(parents=True)
    for number in range(8):
        Path(f"photos/a/{number}.png").write_bytes(PNG)
    asked = ("estimate", "--model", "resnet50", "--data", "photos", "--label-usd", "0.5", "--format", "json")
    costs = {each["name"]: each["usd"] for each in json.loads(called(*asked).out)["project"]["costs"]}
    assert costs["labels"]["mid"] == 4.0


def test_the_budget_and_the_deadline_are_told_as_they_were_given(called: Callable[..., Any]) -> None:
    asked = ("--params", "1e8", "--budget", "777", "--deadline", "55d", "--repeat", "3", "--data-usd", "10")
    told = json.loads(called("estimate", *asked, "--format", "json").out)
    assert "$777" in told["verdict"]
    assert "55.0 d" in told["verdict"]
    high = told["project"]["total_usd"]["high"]
    assert f"even at its high end ({units.usd(high)})" in told["verdict"]
