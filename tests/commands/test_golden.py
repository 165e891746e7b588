"""Whole outputs, as they were last looked at, in ``golden/``.

A change of the fit, the prices or the wording changes them. Look at the difference; if it is meant, write them
anew with ``ZENPLAN_REGENERATE=1 pytest tests/commands/test_golden.py`` and commit them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

GOLDEN = Path(__file__).parent / "golden"
# Finish dates and ages of prices are of one day.
DAY = "2026-11-29"
REGENERATE = bool(os.environ.get("ZENPLAN_REGENERATE"))

COMMANDS = {
    "estimate_1b": ("estimate", "--params", "1e9"),
    "estimate_explained": (
        "estimate",
        "--model",
        "llama3-8b",
        "--gpu",
        "H100",
        "--gpus",
        "64",
        "--provider",
        "aws",
        "--explain",
    ),
    "estimate_over_budget": ("estimate", "--params", "7B", "--gpu", "a100-80gb", "--top", "2", "--budget", "100"),
    "layouts_70b": ("layouts", "--params", "70e9", "--gpu", "H100-SXM5-80GB", "--gpus", "64"),
    "accelerators_show_h100": ("accelerators", "show", "h100"),
    "prices_h100_aws": ("prices", "--gpu", "h100", "--provider", "aws"),
    "workloads_show_gpt2": ("workloads", "show", "gpt2-124m"),
    "config": ("config",),
    "plugins": ("plugins",),
    "help": ("--help",),
    "help_estimate": ("estimate", "--help"),
    "help_compare": ("compare", "--help"),
    "help_what_if": ("what-if", "--help"),
    "help_buy": ("buy", "--help"),
    "help_serve_cost": ("serve-cost", "--help"),
    "serve_cost_8b": (
        "serve-cost",
        "--model",
        "llama3-8b",
        "--gpu",
        "L4",
        "--rate",
        "10/s",
        "--in",
        "800",
        "--out",
        "200",
    ),
    "help_diff": ("diff", "--help"),
    "help_report": ("report", "--help"),
    "help_layouts": ("layouts", "--help"),
    "help_count": ("count", "--help"),
    "help_calibrate": ("calibrate", "--help"),
    "help_calibrations": ("calibrations", "--help"),
    **{
        f"help_calibrations_{name}": ("calibrations", name, "--help")
        for name in ("list", "show", "export", "import", "rm")
    },
    "help_backtest": ("backtest", "--help"),
    "help_profile": ("profile", "--help"),
    "help_accelerators": ("accelerators", "--help"),
    "help_accelerators_show": ("accelerators", "show", "--help"),
    "help_retrain_plan": ("retrain-plan", "--help"),
    "help_train": ("train", "--help"),
    "help_compress": ("compress", "--help"),
    "help_explain": ("explain", "--help"),
    "help_serve": ("serve", "--help"),
    "help_federate": ("federate", "--help"),
    "help_export": ("export", "--help"),
    "train_init_decoder": ("train", "init", "decoder", "-"),
    "help_launch": ("launch", "--help"),
    "help_watch": ("watch", "--help"),
    "help_stop": ("stop", "--help"),
    "help_runs": ("runs", "--help"),
    **{f"help_runs_{name}": ("runs", name, "--help") for name in ("list", "show", "compare", "rm")},
    "prices_doctor": ("prices", "doctor"),
    "prices_history": ("prices", "history", "p5.48xlarge"),
    "help_prices": ("prices", "--help"),
    **{
        f"help_prices_{name}": ("prices", name, "--help")
        for name in ("refresh", "diff", "history", "export", "import", "doctor")
    },
    "help_data": ("data", "--help"),
    "help_data_show": ("data", "show", "--help"),
    "help_data_prepare": ("data", "prepare", "--help"),
    "help_workloads": ("workloads", "--help"),
    "help_workloads_show": ("workloads", "show", "--help"),
    "help_plugins": ("plugins", "--help"),
    "help_plugins_check": ("plugins", "check", "--help"),
    "help_plugins_new": ("plugins", "new", "--help"),
    "help_config": ("config", "--help"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_whole_output(name: str, answer: Callable[..., Any]) -> None:
    ended = answer(*COMMANDS[name], day=DAY)
    told = f"$ zenplan {' '.join(COMMANDS[name])}\n{ended.out}{ended.err}[exit code {ended.code}]\n"
    # The home of the tests is another one each time.
    told = re.sub(r"/\S+/home/", "~/", told)
    file = GOLDEN / f"{name}.txt"
    if REGENERATE:
        file.write_text(told, encoding="utf-8")
    assert file.exists(), "no golden file: see the top of this test"
    assert told == file.read_text(encoding="utf-8"), "if that is meant, see the top of this test"


def test_no_golden_file_is_left_over() -> None:
    assert {file.stem for file in GOLDEN.iterdir()} == COMMANDS.keys()


def test_every_command_has_its_help_here() -> None:
    """A new command, or a command of a command, needs a line above."""
    from typer.main import get_command

    from zenplan.commands.app import app

    def paths(command: Any, path: tuple[str, ...]) -> list[tuple[str, ...]]:
        below = getattr(command, "commands", {})
        return [path, *(each for n, c in below.items() for each in paths(c, (*path, n)))]

    helped = {argv[:-1] for argv in COMMANDS.values() if argv[-1] == "--help"}
    assert set(paths(get_command(app), ())) == helped
