"""Buying against renting: its figures by hand, its laws, what is said of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

DAY = "2026-11-29"
HOURS = 8766.0
PLAIN = ("--hosting", "20000", "--staff", "10000", "--power", "10kW", "--kwh", "0.10", "--pue", "1.25")


@pytest.fixture
def bought(answer: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    def asked(*argv: str) -> dict[str, Any]:
        ended = answer("buy", "--gpu", "H100", *argv, "--format", "json", day=DAY)
        assert ended.code == 0, ended.err
        return dict(json.loads(ended.out))

    return asked


def test_a_year_of_owning_is_recomputed_by_hand(bought: Callable[..., dict[str, Any]]) -> None:
    found = bought("--gpus", "8", "--price", "250000", "--years", "5", "--maintenance", "4%", *PLAIN)
    # 700 W and 100 W of host for each: 12 % of the limit while standing by.
    idle_kw = 8 * (0.12 * 700 + 100) / 1000
    electricity = HOURS * (0.6 * 10 + 0.4 * idle_kw) * 1.25 * 0.10
    by_hand = 250_000 / 5 + 0.04 * 250_000 + 20_000 + 10_000 + electricity
    assert found["usd_per_year"] == pytest.approx(by_hand)
    assert found["usd_per_gpu_h"] == pytest.approx(by_hand / (8 * 0.6 * HOURS))


def test_it_breaks_even_where_both_cost_the_same(bought: Callable[..., dict[str, Any]]) -> None:
    found = bought("--gpus", "8", "--price", "250000", *PLAIN)
    assert len(found["rents"]) > 1
    for rent in found["rents"]:
        assert rent["usd_per_year"] == pytest.approx(0.6 * HOURS * rent["usd_per_h"])
        share = rent["even_utilisation"]
        if share is not None and share > 0.01:
            there = bought("--gpus", "8", "--price", "250000", *PLAIN, "--utilisation", f"{100 * share:.9f}%")
            assert there["usd_per_year"] == pytest.approx(share * HOURS * rent["usd_per_h"], rel=1e-6)
        if rent["worth_usd"]:
            worth = bought("--gpus", "8", "--price", f"{rent['worth_usd']:.6f}", *PLAIN)
            assert worth["usd_per_year"] == pytest.approx(rent["usd_per_year"], rel=1e-6)
    best = found["rents"][0]
    assert (found["cheaper"] == "buy") == (found["usd_per_year"] <= best["usd_per_year"])


def test_without_a_price_it_says_what_it_is_worth(bought: Callable[..., dict[str, Any]]) -> None:
    found = bought("--gpus", "8", *PLAIN)
    assert not found["price_given"]
    assert found["price_usd"] == pytest.approx(found["rents"][0]["worth_usd"])
    assert found["usd_per_year"] == pytest.approx(found["rents"][0]["usd_per_year"])


def test_every_assumption_has_an_origin_and_moves_the_answer(bought: Callable[..., dict[str, Any]]) -> None:
    found = bought("--gpus", "8", "--price", "250000", "--kwh", "0.11")
    names = {each["input"]: each for each in found["assumptions"]}
    flags = {"utilisation", "years", "resale", "interest", "maintenance", "hosting", "staff", "power", "kwh", "pue"}
    assert set(names) == flags | {"price", "rent"}
    assert {n for n, each in names.items() if each["origin"] == "given"} == {"price", "kwh"}
    for name, each in names.items():
        assert each["origin"] == "given" or each["why"], name
        low, high = each["shifts"]
        assert (low["usd_per_year"], low["even_utilisation"]) != (high["usd_per_year"], high["even_utilisation"]), name


def test_more_machines_share_nothing_but_hosting_and_staff(bought: Callable[..., dict[str, Any]]) -> None:
    one = bought("--gpus", "8", "--price", "250k", "--hosting", "0", "--staff", "0")
    eight = bought("--gpus", "64", "--price", "2M", "--hosting", "0", "--staff", "0")
    assert (one["machines"], eight["machines"]) == (1, 8)
    assert eight["usd_per_year"] == pytest.approx(8 * one["usd_per_year"])


def test_a_price_book_is_a_rent_and_its_own_hardware_is_none(
    bought: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    book = tmp_path / "prices.toml"
    book.write_text(
        '[[rate]]\nprovider = "neo"\ninstance = "big"\ngpu = "H100"\ngpus = 8\non_demand = 4.0\nas_of = 2026-11-20\n'
        '[[hardware]]\nname = "rack"\ngpu = "H100"\nprice = 10000\nyears = 4\nkwh = 0.1\nutilisation = "90%"\n',
        encoding="utf-8",
    )
    found = bought("--gpus", "8", "--price", "250000", "--prices", str(book))
    assert (found["rents"][0]["provider"], found["rents"][0]["usd_per_h"]) == ("neo", 4.0)
    assert "rack" not in {rent["provider"] for rent in found["rents"]}


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        ((), 2),
        (("--gpu", "H100,A100"), 2),
        (("--gpu", "H100", "--price", "-1"), 2),
        (("--gpu", "H100", "--years", "0"), 2),
        (("--gpu", "H100", "--years", "31"), 2),
        (("--gpu", "H100", "--utilisation", "120%"), 2),
        (("--gpu", "H100", "--pue", "0.5", "--price", "1000"), 2),
        (("--gpu", "H1O0"), 2),
        (("--gpu", "H800", "--gpus", "8", "--price", "1000"), 3),
        (("--gpu", "H100", "--gpus", "8", "--utilisation", "1%"), 3),
    ],
)
def test_what_cannot_be_answered_is_one_line_and_a_hint(
    answer: Callable[..., Any], argv: tuple[str, ...], code: int
) -> None:
    ended = answer("buy", *argv, day=DAY)
    assert ended.code == code, ended.out + ended.err
    assert ended.err.startswith("error: ")
    assert ended.err.count("\n") == 2


def test_how_hardware_is_operated_is_as_given_and_nothing_is_fetched(answer: Callable[..., Any]) -> None:
    ended = answer("buy", "--gpu", "H100", "--operations", "pue=1.5", "--price", "1k", "--format", "json", day=DAY)
    assert ended.err == ""
    pue = next(each for each in json.loads(ended.out)["assumptions"] if each["input"] == "pue")
    assert (pue["value"], pue["origin"]) == ("1.5", "given")


def test_a_count_may_stand_beside_the_name(bought: Callable[..., dict[str, Any]], answer: Callable[..., Any]) -> None:
    ended = answer("buy", "--gpu", "16xH100", "--price", "500000", "--format", "json", day=DAY)
    assert ended.code == 0, ended.err
    assert json.loads(ended.out) == bought("--gpus", "16", "--price", "500000")
    assert answer("buy", "--gpu", "16xH100", "--gpus", "8", "--price", "500000", day=DAY).code == 2
