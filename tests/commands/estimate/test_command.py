"""``zenplan estimate``: what its tables say of devices, batches and memory, and which flags contradict."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

ODD = (
    "estimate",
    "--model",
    "llama3-8b",
    "--gpu",
    "h100",
    "--gpus",
    "3",
    "--tokens",
    "1B",
    "--top",
    "1",
    "--provider",
    "vast-ai",
)
PIPELINE = (
    *("estimate", "--model", "llama3-8b", "--gpu", "h100", "--gpus", "1001"),
    *("--tokens", "100B", "--global-batch", "2M", "--top", "1"),
)


def text(ended: Any) -> str:
    return " ".join(ended.out.split())


def test_idle_devices_are_not_counted_as_training(answer: Callable[..., Any]) -> None:
    assert "3 of 4 ×" in answer(*ODD).out
    assert "1 device idle" in text(answer(*ODD, "--details"))


def test_steps_speed_and_dollars_count_the_same_batch(answer: Callable[..., Any]) -> None:
    document = json.loads(answer(*ODD, "--format", "json").out)
    quote, batch = document["quotes"][0], document["plan"]["global_batch_samples"]
    layout, step_s = quote["layout"], quote["step"]["total_s"]["mid"]
    places = layout["dp"] * layout["micro_batch"] * layout["accumulation"]
    assert places > batch
    assert quote["samples_per_s"] == pytest.approx(batch / step_s)
    assert f"fills {batch} of its {places} places for samples in a step" in text(answer(*ODD, "--details"))
    assert f"for {document['plan']['steps']:,} steps" in text(answer(*ODD, "--details"))


def test_a_part_of_memory_that_is_nothing_is_not_said(answer: Callable[..., Any]) -> None:
    quote = json.loads(answer(*PIPELINE, "--format", "json").out)["quotes"][0]
    assert quote["layout"]["pp"] > 1
    assert quote["memory"]["logits_bytes"] == 0
    assert "weights " in text(answer(*PIPELINE, "--details"))
    assert "logits" not in text(answer(*PIPELINE, "--details"))
    assert "logits " in text(answer(*ODD, "--details"))


def test_more_devices_than_the_most_contradict(called: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    options = ("estimate", "--params", "1e9", "--gpu", "h100", "--gpus", "8")
    ended = called(*options, "--max-gpus", "4")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.splitlines() == ["error: --gpus 8 and --max-gpus 4 contradict", "hint: give one of them"]
    assert called(*options, "--max-gpus", "8").code == 0
    # A limit that always holds is no contradiction to one question.
    monkeypatch.setenv("ZENPLAN_MAX_GPUS", "4")
    assert called(*options).code == 0


@pytest.mark.parametrize(
    ("flags", "asked"),
    [
        (("--params", "7B", "--tokens", "200"), "200B"),
        (("--params", "125M", "--tokens", "3"), "3.00B"),
        (("--params", "125M", "--tokens", "900"), "900M"),
        (("--params", "7B", "--tokens", "1M"), ""),
        (("--params", "7B", "--tokens", "200B"), ""),
    ],
)
def test_tokens_without_their_unit_are_asked_about(
    flags: tuple[str, ...], asked: str, called: Callable[..., Any]
) -> None:
    ended = called("estimate", *flags, "--gpu", "H100", "--format", "json")
    assert ended.code == 0
    warnings = [line for line in ended.err.splitlines() if "did you mean" in line]
    assert len(warnings) == bool(asked)
    assert all(line.startswith("warning: ") and line.endswith(f"did you mean {asked}?") for line in warnings)
    assert json.loads(ended.out)


def test_next_to_no_tokens_are_not_enough_to_fine_tune(called: Callable[..., Any]) -> None:
    told = {
        tokens: called("estimate", "--params", "7B", "--gpu", "H100", "--tokens", tokens).out
        for tokens in ("200", "5M")
    }
    assert "enough to fine-tune" not in " ".join(told["200"].split())
    assert "enough to fine-tune" in " ".join(told["5M"].split())
