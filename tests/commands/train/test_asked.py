"""What a run is asked for with: what is kept of it, and what is wrong of it is told before anything is started."""

from __future__ import annotations

import pickle
import re
import tomllib
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file


def test_the_file_that_is_kept_has_numbers_as_numbers_and_the_model_once(trainer: Any) -> None:
    assert trainer.train("--learning-rate", "1e-3", "--usd-per-hour", "2")[0] == 0
    kept = tomllib.loads((trainer.folder / "run" / "run.toml").read_text(encoding="utf-8"))
    assert (kept["step"]["batch"], kept["step"]["seq_len"], kept["train"]["steps"]) == (4, 8, 40)
    assert (kept["train"]["learning_rate"], kept["offers"]["usd_per_hour"]) == (1e-3, 2)
    assert [table for table in kept.values() if "model" in table] == [kept["train"]]


def test_data_that_are_not_there_are_told_alike_by_both_commands(trainer: Any) -> None:
    said = [
        trainer(*line)
        for line in (
            trainer.line("--data", "nowhere"),
            ("data", "prepare", "nowhere", "--out", "x"),
            ("data", "show", "nowhere"),
        )
    ]
    assert {code for code, _, _ in said} == {1}
    assert len({tuple(err.splitlines()[-2:]) for _, _, err in said}) == 1
    assert not (trainer.folder / "run").exists()


@pytest.mark.parametrize("content", [None, b"", b"junk", pickle.dumps([1.0] * 99), b"\x08" + bytes(7) + b"{}      "])
def test_weights_that_are_none_are_told_before_anything_is_started(content: bytes | None, trainer: Any) -> None:
    path = trainer.folder / "weights.safetensors"
    if content is not None:
        path.write_bytes(content)
    code, out, err = trainer.train("--weights", "weights.safetensors")
    assert (code, out) == (1, ""), err
    assert "weights.safetensors" in err
    assert err.count("\n") == 2
    assert not (trainer.folder / "run").exists()


def test_whole_weights_are_taken(trainer: Any) -> None:
    save_file({"00000": np.zeros(3, np.float32)}, trainer.folder / "good.safetensors")
    code, _, err = trainer.train("--weights", "good.safetensors")
    assert code == 0, err
    (trainer.folder / "cut.safetensors").write_bytes((trainer.folder / "good.safetensors").read_bytes()[:-4])
    assert trainer(*trainer.line("--out", "two", "--weights", "cut.safetensors"))[0] == 1


@pytest.mark.parametrize(
    ("flag", "value"),
    [("--max-hours", "0"), ("--steps", "0"), ("--learning-rate", "-1"), ("--until-loss", "0"), ("--patience", "-2")],
)
def test_a_hint_shows_a_number_of_the_kind_that_is_wanted(flag: str, value: str, trainer: Any) -> None:
    code, _, err = trainer.train(flag, value)
    assert code == 2
    hint = err.splitlines()[1]
    assert re.search(r"\d", hint)
    assert "7B" not in hint


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("[data]\npath = 'x'", "data"),
        ("[data]\nfolder = 'x'", "data"),
        ("[data]\nvocabluary = 9", "vocabulary"),
        ("[step]\nbatch_size = 9", "batch"),
        ("[train]\nlr = 1e-3", "learning_rate"),
        ("[train]\nmax_steps = 9", "steps"),
    ],
)
def test_a_key_by_the_name_that_others_use_has_a_hint(text: str, meant: str, trainer: Any) -> None:
    (trainer.folder / "mine.toml").write_text(text + "\n", encoding="utf-8")
    code, _, err = trainer("train", "mine.toml")
    assert code == 2
    assert err.splitlines()[1] == f"hint: did you mean {meant}?"
