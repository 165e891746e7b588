"""Any combination of flags ends in an answer or in one line of what is wrong: laws of every command line."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import zenplan

SCHEMAS = Path(zenplan.__file__).parent / "data" / "schemas"
# Values as far apart as they come: possible ones, contradictory ones, and nothing.
VALUES = {
    "--params": ("1e9", "70B", "3M", "1e14", "1"),
    "--model": ("llama3-8b", "resnet50", "unet", "mixtral-8x7b", "whisper-small", "dlrm"),
    "--tokens": ("1", "10M", "300B", "1e18"),
    "--samples": ("1", "50k", "1e12"),
    "--data-kind": ("chat", "books"),
    "--epochs": ("0.001", "3", "1e6"),
    "--seq-len": ("1", "512", "1e6"),
    "--batch": ("1", "7", "1e9"),
    "--precision": ("fp8", "fp32", "tf32"),
    "--software": ("hf-trainer", "megatron", "keras", "xla"),
    "--method": ("full", "lora", "qlora"),
    "--gpu": ("h100", "h100,a100", "t4", "gaudi2", "tpu-v5e", "k80"),
    "--gpus": ("1", "3", "64", "100000"),
    "--max-gpus": ("1", "512"),
    "--provider": ("aws", "aws,gcp", "runpod"),
    "--exclude-provider": ("aws", "runpod"),
    "--provider-class": ("cloud", "marketplace"),
    "--region": ("us-east-1",),
    "--max-usd-per-hour": ("0.01", "100"),
    "--max-price-age": ("1d", "10y"),
    "--usd-per-hour": ("0", "1e-6", "2", "1e5"),
    "--billing": ("spot", "on-demand"),
    "--deadline": ("1s", "7d", "1000y"),
    "--budget": ("0.01", "500", "1e12"),
    "--horizon": ("1s", "1d", "1e6y"),
    "--day-is-worth": ("0", "500", "1e9"),
    "--top": ("1", "100"),
    "--repeat": ("1", "10000"),
    "--trials": ("0", "20", "1e6"),
    "--trial-share": ("5%", "0.0001%"),
    "--failed-runs": ("0", "1e4"),
    "--data-usd": ("0", "0.001", "1e9"),
    "--label-usd": ("0", "0.05"),
    "--currency": ("JPY", "CHF", "XXX"),
    "--rate": ("0.92", "150", "1e-5"),
}
# No amount is shown as one of these.
NO_FIGURE = re.compile(r"\b(?:nan|inf|None|Infinity)\b|∞")
FREE = {"--usd-per-hour", "--data-usd", "--label-usd", "--day-is-worth", "--trials", "--failed-runs"}


@cache
def validator(schema: str) -> Draft202012Validator:
    file = SCHEMAS / f"{schema.removeprefix('zenplan.').replace('/', '-')}.json"
    return Draft202012Validator(json.loads(file.read_text(encoding="utf-8")))


def some_flags(chance: random.Random) -> dict[str, str]:
    what = chance.choice(("--params", "--params", "--model", "--model", ""))
    others = [name for name in VALUES if name not in ("--params", "--model")]
    names = [*([what] if what else []), *chance.sample(others, chance.choice((0, 1, 1, 2, 2, 3, 4)))]
    if "--rate" in names or "--currency" in names:
        names = list(dict.fromkeys((*names, "--currency", "--rate")))
    return {name: chance.choice(VALUES[name]) for name in names}


@pytest.mark.parametrize("seed", range(8))
def test_every_command_line_ends_well(seed: int, called: Callable[..., Any]) -> None:
    chance = random.Random(seed)  # noqa: S311  # the same lines every time
    for _ in range(12):
        flags = some_flags(chance)
        argv = ["estimate", *(word for pair in flags.items() for word in pair)]
        ended = called(*argv)
        assert ended.code in (0, 1, 2, 3), argv
        if ended.err:
            error, *hint = ended.err.splitlines()
            assert error.startswith("error: "), argv
            assert "a fault in zenplan" not in error, argv
            assert [line[:6] for line in hint] == ["hint: "], argv
            assert (ended.out, ended.code > 0) == ("", True), argv
            continue
        assert len(ended.lines) <= 24, argv
        assert max(map(len, ended.lines)) <= 80, argv
        assert not NO_FIGURE.search(ended.out), argv
        if not {name for name in FREE & flags.keys() if float(flags[name]) == 0}:
            assert not re.search(r"\b0\.00(?!\d| %)", ended.out), argv
        document = json.loads(called(*argv, "--format", "json").out)
        assert not list(validator(document["schema"]).iter_errors(document)), argv
        first = document["quotes"][0]
        if document["met"]:
            place = ("provider", "instance", "region", "machines")
            assert [first[n] for n in place] in [[p[n] for n in place] for p in document["frontier"]], argv
