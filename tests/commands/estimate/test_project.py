"""Flags of the project and of another currency."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest


def test_another_currency_is_the_dollars_at_the_rate(called: Callable[..., Any]) -> None:
    asked = ("estimate", "--params", "7B", "--gpu", "H100", "--gpus", "64")
    euros = ("--currency", "eur", "--rate", "0.5", "--rate-date", "2026-11-01")
    dollars = json.loads(called(*asked, "--format", "json").out)
    document = json.loads(called(*asked, *euros, "--format", "json").out)
    assert document["currency"] == {"code": "EUR", "per_usd": 0.5, "as_of": "2026-11-01"}
    assert document["quotes"] == dollars["quotes"]
    out = called(*asked, *euros).out
    half = document["quotes"][0]["bills"][0]["total_usd"]["mid"] / 2
    assert f"€{half:,.0f}" in out
    assert "$1 is 0.5 EUR, as given of 2026-11-01" in out
    assert f"${dollars['quotes'][0]['bills'][0]['total_usd']['mid']:,.0f}" not in out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--currency", "EUR"), "--currency and --rate go together"),
        (("--rate", "0.9"), "--currency and --rate go together"),
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
    ],
)
def test_what_cannot_be_is_refused(called: Callable[..., Any], flags: tuple[str, ...], message: str) -> None:
    ended = called("estimate", "--params", "1e9", *flags)
    assert ended.code == 2
    assert message in ended.err
    assert ended.out == ""
