"""``--federated``: beside the plan, which stays as it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import zenplan

PINNED = ("estimate", "--model", "resnet50", "--gpu", "L4", "--gpus", "4")
ASKED = "clients=100,rounds=50,local_epochs=1"


def test_the_plan_stays_and_every_door_says_the_same(called: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text("[federated]\nclients = 100\nrounds = 50\nlocal_epochs = 1\n")
    plain, flag, table = (
        json.loads(called(*PINNED, *more, "--format", "json").out)
        for more in ((), ("--federated", ASKED), ("--request", str(file)))
    )
    assert "federation" not in plain
    assert flag["quotes"] == plain["quotes"]
    assert flag["federation"] == table["federation"]
    given: Any = {"clients": 100, "rounds": 50, "local_epochs": 1}
    answer = zenplan.estimate(model="resnet50", gpu="L4", gpus=4, federated=given)
    assert answer.federation is not None
    assert answer.to_dict()["federation"] == flag["federation"]
    assert {fact["origin"] for fact in flag["federation"]["facts"]} == {"given", "assumed"}


def test_the_screen_keeps_its_size_and_compares(called: Callable[..., Any]) -> None:
    out = called(*PINNED, "--federated", ASKED).out
    assert "times the central plan" in " ".join(out.split())
    assert len(out.splitlines()) <= 24
    assert max(map(len, out.splitlines())) <= 80
    assert "Federated instead" in called(*PINNED, "--federated", ASKED, "--details").out


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "clients=100",
        "rounds=5",
        "clients,rounds=5",
        "clients=,rounds=5",
        "clients=0,rounds=5",
        "clients=1.5,rounds=5",
        "clients=5,rounds=nan",
        "clients=5,rounds=5,rounds=6",
        "clients=5,rounds=5,client=6",
        "clients=5,rounds=5,participating=6",
        "clients=5,rounds=5,spread=-1",
        "clients=5,rounds=5,penalty=2:1:3",
        "clients=5,rounds=5,penalty=1:2",
        "clients=5,rounds=5,local_epochs=0",
        "clients=5,rounds=5,bandwidth=fast",
    ],
)
def test_what_cannot_be_is_one_line(called: Callable[..., Any], wrong: str) -> None:
    ended = called(*PINNED, "--federated", wrong)
    assert ended.code == 2
    error, hint = ended.err.splitlines()
    assert error.startswith("error: ")
    assert hint.startswith("hint: ")
