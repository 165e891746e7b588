"""``zenplan backtest``: a table of measured runs, predicted and compared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zenplan.commands.shared.settings import Format, resolved

_Keys = Annotated[
    str,
    typer.Option(
        "--by",
        help="A table of scores for each of these, with commas: source, accelerator, generation, precision, "
        "family, model, size, software, framework, task, scale.",
        metavar="KEYS",
    ),
]


def backtest(
    table: Annotated[Path, typer.Argument(help="A CSV file of measured runs.", metavar="TABLE.csv")],
    by: _Keys = "accelerator",
    worst: Annotated[
        int, typer.Option("--worst", help="How many of the rows farthest off to show.", metavar="COUNT", min=0)
    ] = 5,
    output: Format = None,
) -> int:
    """Predict every measured run of a table, and show how far off that is.

    A row is a run: its model (params; or layers, width, heads, ff_width, vocab), seq_len, accelerator, devices,
    and tokens_per_s_per_device or samples_per_s_per_device. With them, as far as they are known: precision,
    framework, global_batch, micro_batch, dp, tp, pp, cp, ep, vp, zero_stage, recompute, network, source.
    d_model and d_ff do for width and ff_width. An empty cell, n/a or ? is unknown; numbers may be 7B or 11,000.

    Convnets, vision transformers, recurrent nets, recommenders, diffusion, GNNs and MLPs go by their model's name, as
    'zenplan workloads' has it, or by flop_per_sample, activations_per_sample (both forward) and params; with image_size,
    unit and layout (nhwc, nchw). A row with op and fwd_ms is a single operator, in milliseconds.

    A row with gpu_hours is a whole run: model, params, tokens, accelerator, devices, gpu_hours; framework and
    global_batch (in samples) where they are known. It is predicted on the calendar, and its steps alone.

    A row that cannot be used is skipped with its line and the reason. JSON has predicted_low, predicted,
    predicted_high and measured of each row, in samples a second and device, in GPU-hours or milliseconds; CSV has a
    line for each scored row. Exit code 0: at least one row was scored; 1: none; 2: the file cannot be used.

    \b
    Examples:
      zenplan backtest runs.csv
      zenplan backtest runs.csv --by source,precision --worst 5
    """
    from zenplan.adapters.tables.coefficients import read_coefficients
    from zenplan.commands.backtest.report import backtest_report
    from zenplan.commands.backtest.use_case import backtest as use_case
    from zenplan.commands.backtest.use_case import check_scored, keys_of
    from zenplan.commands.shared.output import loaded_plugins, say
    from zenplan.commands.shared.progress import progress
    from zenplan.commands.shared.tables import catalogue

    settings = resolved(format=output)
    keys = keys_of(by)
    with loaded_plugins() as plugins:
        with progress("backtest") as done:
            found = use_case(table, catalogue(plugins), read_coefficients(), keys, done)
        say(backtest_report(found, worst), settings["format"], plugins)
    check_scored(found)
    return 0
