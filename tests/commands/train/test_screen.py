"""What is seen of a run while it goes on."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from rich.console import Console

from zenplan.commands.train import screen
from zenplan.commands.train.screen import JsonLines, Lines, Panel, Told, View, line_of, rows_of, shown
from zenplan.domain.measured.training_run import REHEARSED, RunPrediction
from zenplan.domain.range import Range

PREDICTION = RunPrediction(
    origin=REHEARSED,
    why="timed",
    made_at=datetime(2026, 11, 30, tzinfo=UTC),
    steps=100,
    step_s=Range(low=0.9, mid=1.0, high=1.1),
)
VIEW = View(
    name="decoder [x]",
    backend="jax",
    stage="train",
    step=50,
    steps=100,
    checkpoint=40,
    loss=2.5,
    evaluated={"loss": 2.75},
    rate=12_000.0,
    unit="tokens",
    step_s=1.05,
    elapsed_s=60.0,
    left_s=Range(low=45.0, mid=50.0, high=55.0),
    usd=0.5,
    usd_end=Range(low=0.9, mid=1.0, high=1.1),
    prediction=PREDICTION,
    mfu=0.41,
    memory_bytes=9e9,
    power_w=350.0,
    temperature_c=61.0,
    drift="steps take longer",
)


def test_the_line_says_what_matters() -> None:
    found = line_of(VIEW)
    assert found == "step 50 of 100, loss 2.500, 12.0K tokens/s, MFU 41 %, 50 s left (45–55 s), $0.50 of $1.00"
    assert line_of(View(name="m", backend="jax", steps=9)) == "step 0 of 9"


def test_the_panel_has_a_row_for_each_figure_that_is_known() -> None:
    names = [name for name, _ in rows_of(VIEW)]
    assert names == ["step", "loss", "speed", "time", "dollars", "a step", "GPU", "checkpoint", "drift"]
    assert [name for name, _ in rows_of(View(name="m", backend="jax", steps=9))] == ["step", "time"]


def test_the_panel_is_drawn_with_names_as_they_are() -> None:
    from rich.live import Live

    stream = io.StringIO()
    with Live(console=Console(file=stream, force_terminal=True, width=100), auto_refresh=False) as live:
        panel = Panel(live)
        panel.update(VIEW)
        panel.tell("drift", "a line [above]", {})
    assert "12.0K tokens/s" in stream.getvalue()
    assert "a line [above]" in stream.getvalue()
    assert "[x]" in stream.getvalue()


def test_plain_lines_come_now_and_then() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="utf-8")
    lines = Lines(stream)
    for _ in range(100):
        lines.update(VIEW)
    lines.tell("checkpoint", "", {})
    lines.tell("drift", "it drifts", {})
    assert raw.getvalue().decode().splitlines() == [line_of(VIEW), "it drifts"]


def test_a_step_has_one_plain_line(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(screen.time, "monotonic", lambda: now[0])
    raw = io.BytesIO()
    lines = Lines(io.TextIOWrapper(raw, encoding="utf-8"))
    for step in (50, 50, 50, 51, 51):
        now[0] += 60.0
        lines.update(replace(VIEW, step=step, elapsed_s=now[0]))
    said = raw.getvalue().decode().splitlines()
    assert [line.split(",")[0] for line in said] == ["step 50 of 100", "step 51 of 100"]


def test_dollars_so_far_and_at_the_end_are_told_apart() -> None:
    near = replace(VIEW, usd=0.0161, usd_end=Range(low=0.02, mid=0.0239, high=0.03))
    assert line_of(near).endswith("$0.016 of $0.024")
    assert line_of(replace(near, usd_end=Range(low=0.0, mid=0.0161, high=1.0))).endswith("$0.02 of $0.02")


def test_json_lines_hold_no_figure_that_json_has_not(capsys: pytest.CaptureFixture[str]) -> None:
    lines = JsonLines()
    lines.update(VIEW)
    lines.update(VIEW)
    lines.tell("evaluation", "", {"values": {"loss": float("nan")}})
    progress, evaluation = map(json.loads, capsys.readouterr().out.splitlines())
    assert (progress["event"], progress["usd_end"], progress["left_s"]) == ("progress", 1.0, 50.0)
    assert evaluation["values"] == {"loss": None}


def test_a_function_is_told_each_change() -> None:
    told: list[tuple[float, str]] = []
    to = Told(lambda share, text: told.append((share, text)))
    to.update(VIEW)
    to.update(VIEW)
    to.tell("drift", "it drifts", {})
    assert told == [(0.5, line_of(VIEW)), (0.5, "it drifts")]


def test_where_a_run_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for stream, format, kind in (
        (io.StringIO(), "table", Lines),
        (Terminal(), "table", Panel),
        (Terminal(), "json", JsonLines),
        (None, "table", Lines),
    ):
        monkeypatch.setattr(screen.sys, "stderr", stream)
        with shown(format) as found:
            assert type(found) is kind
            found.tell("drift", "a line", {})
