"""What-if: a change is what an estimate on those machines finds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenplan.commands.what_if.use_case import factor_of
from zenplan.errors import UsageError

PINNED = ("--gpu", "H100", "--gpus", "8", "--provider", "aws")
TEXT = ("--params", "1e9", "--tokens", "2e9", "--seq-len", "2048", "--batch", "128", *PINNED)
IMAGES = ("--model", "resnet50", "--samples", "1M", "--epochs", "10", "--batch", "256", *PINNED)


@pytest.fixture
def changed(called: Callable[..., Any]) -> Callable[..., Any]:
    def run(*argv: str) -> Any:
        ended = called("what-if", *argv, "--format", "json")
        assert ended.code == 0, ended.err
        return json.loads(ended.out)

    return run


@pytest.mark.parametrize(
    ("asked", "change", "instead"),
    [
        (TEXT, ("--tokens", "+50%"), ("--tokens", "3e9")),
        (TEXT, ("--seq-len", "x2"), ("--seq-len", "4096")),
        (TEXT, ("--batch", "x4"), ("--batch", "512")),
        (TEXT, ("--params", "-50%"), ("--params", "5e8")),
        (IMAGES, ("--samples", "-10%"), ("--samples", "900k")),
        (IMAGES, ("--epochs", "+100%"), ("--epochs", "20")),
        (IMAGES, ("--batch", "x2"), ("--batch", "512")),
    ],
)
def test_a_change_is_what_another_question_finds(
    called: Callable[..., Any],
    changed: Callable[..., Any],
    asked: tuple[str, ...],
    change: tuple[str, str],
    instead: tuple[str, str],
) -> None:
    place = asked.index(change[0])
    alone = json.loads(called("estimate", *asked[:place], *instead, *asked[place + 2 :], "--format", "json").out)
    bill = alone["quotes"][0]["bills"][0]
    found = changed(*asked, *change)
    assert [c["change"] for c in found["changes"]] == [" ".join(change)]
    assert found["changes"][0]["wall_clock_s"] == pytest.approx(bill["wall_clock_s"]["mid"])
    assert found["changes"][0]["total_usd"] == pytest.approx(bill["total_usd"]["mid"])
    assert found["after"]["wall_clock_s"] == bill["wall_clock_s"]


def test_changes_together_and_speed(changed: Callable[..., Any]) -> None:
    found = changed(*TEXT, "--tokens", "x2", "--price", "-50%", "--mfu", "-50%")
    was = found["before"]["wall_clock_s"]["mid"]
    tokens, price, speed, together = found["changes"]
    assert price["wall_clock_s"] == pytest.approx(was)
    assert price["total_usd"] < found["before"]["total_usd"]["mid"]
    # Ten minutes of start-up stay as they are; production takes a larger share of a longer run.
    start = 600.0
    assert tokens["wall_clock_s"] - start == pytest.approx(2 * (was - start), rel=0.05)
    assert speed["wall_clock_s"] - start == pytest.approx(2 * (was - start), rel=0.05)
    assert together["wall_clock_s"] - start == pytest.approx(4 * (was - start), rel=0.1)
    assert found["after"] is None


def test_a_price_moves_the_choice_of_all_alike(changed: Callable[..., Any]) -> None:
    found = changed("--params", "1e9", "--price", "x2")
    assert found["after"]["total_usd"]["mid"] == pytest.approx(2 * found["before"]["total_usd"]["mid"], rel=0.5)
    assert found["after"]["accelerator"]


def test_a_price_of_ones_own_moves_too(changed: Callable[..., Any]) -> None:
    own = ("--params", "1e9", "--gpu", "H100", "--gpus", "8", "--usd-per-hour", "2")
    found = changed(*own, "--price", "+50%")
    assert found["changes"][0]["total_usd"] == pytest.approx(1.5 * found["before"]["total_usd"]["mid"])
    assert found["after"]["total_usd"]["mid"] == pytest.approx(1.5 * found["before"]["total_usd"]["mid"])


def test_without_a_change_every_input_is_shown(called: Callable[..., Any], changed: Callable[..., Any]) -> None:
    found = changed("--params", "1e9")
    assert found["changes"] == []
    names = [effect["input"] for effect in found["sensitivity"]]
    assert {"tokens", "MFU", "price", "software"} <= set(names)
    out = called("what-if", "--params", "1e9").out
    assert all(name in out for name in names)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--gpu", "+5%"), "no such change"),
        (("--tokens", "-100%"), "leaves nothing"),
        (("--tokens", "x0"), "leaves nothing"),
        (("--price", "5"), "no change"),
        (("--mfu", "140%"), "more than the whole"),
        (("--mfu", "x20"), "cannot be"),
        (("--tokens", "+5%", "--tokens", "+6%"), "two changes"),
        (("--tokens", "1e9", "--tokens", "2e9"), "two values"),
        (("--price", "-10%", "--price", "-20%"), "--price has 2 values"),
        (("--mfu", "30%", "--mfu", "-20%"), "--mfu has 2 values"),
        (("--tokens", "5%"), "--tokens"),
    ],
)
def test_what_is_no_change_is_refused(called: Callable[..., Any], flags: tuple[str, ...], message: str) -> None:
    ended = called("what-if", "--params", "1e9", *flags)
    assert ended.code == 2
    assert message in ended.err
    assert ended.out == ""


@given(st.integers(1, 99))
def test_percentages_and_times(percent: int) -> None:
    assert factor_of(f"+{percent}%", "--x") == pytest.approx(1 + percent / 100)
    assert factor_of(f"-{percent}%", "--x") == pytest.approx(1 - percent / 100)
    assert factor_of(f"x{percent}", "--x") == percent
    assert factor_of(f"{percent}%", "--x") is None
    with pytest.raises(UsageError):
        factor_of(f"-{100 + percent}%", "--x")


def test_amounts_are_in_the_currency_that_was_asked_for(called: Callable[..., Any]) -> None:
    for change in (("--tokens", "+50%"), ()):
        shown = called("what-if", *TEXT, *change, "--currency", "CHF", "--rate", "0.8").out
        # Published prices stay as they were published.
        figures = shown.replace("price: $", "").replace("$1 is 0.8 CHF", "")
        assert "CHF" in figures
        assert "$" not in figures


@pytest.mark.parametrize("change", ["--samples", "--epochs", "--tokens", "--batch"])
def test_data_that_were_counted_can_change_too(called: Callable[..., Any], change: str) -> None:
    Path("chats.jsonl").write_text('{"text": "a word or two"}\n' * 5000, encoding="utf-8")
    Path("photos").mkdir()
    for number in range(8):
        Path(f"photos/{number}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 50)
    texts = ("--params", "1e8", "--data", "chats.jsonl", "--text-column", "text", "--label-usd", "0.01")
    images = ("--model", "resnet50", "--data", "photos", "--label-usd", "0.01")
    for asked in (texts, images) if change != "--tokens" else (texts,):
        ended = called("what-if", *asked, "--gpu", "H100", change, "x3")
        assert (ended.code, ended.err) == (0, "")
