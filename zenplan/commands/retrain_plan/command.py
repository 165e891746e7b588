"""``zenplan retrain-plan``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from zenplan.commands.shared.settings import Format, resolved


def _option(text: str, metavar: str) -> Any:
    return typer.Option(help=text, metavar=metavar)


def retrain_plan(
    run: Annotated[
        str, typer.Argument(help="A finished run: its id, four letters of it at least, or its folder.", metavar="RUN")
    ],
    decay: Annotated[
        str | None, _option("Share of the metric that is lost, as in 1%/week, 0.5%:1%:2%/week.", "RATE")
    ] = None,
    drift: Annotated[
        Path | None, _option("Or a log of it since the run: CSV or JSON lines of date and metric, or its name.", "FILE")
    ] = None,
    metric: Annotated[str | None, _option("Which; else the run's first that is no loss.", "NAME")] = None,
    usd_per_point_day: Annotated[
        str | None, _option("What a point (0.01) of the metric is worth a day.", "USD")
    ] = None,
    min_metric: Annotated[str | None, _option("The least that it may be, as in 0.9.", "NUMBER")] = None,
    max_metric: Annotated[str | None, _option("The most, of one that is worse the higher it is.", "NUMBER")] = None,
    run_usd: Annotated[str | None, _option("What a run costs; else what this one did.", "USD")] = None,
    output: Format = None,
) -> None:
    """Say when to train again: at the least cost, or before a metric is too bad.

    The interval is that at which the bill of runs and what is lost between them are least together, a day; with a range, by
    how sure the decay is.

    \b
    Examples:
      zenplan retrain-plan RUN --decay 1%/week --usd-per-point-day 20
      zenplan retrain-plan RUN --drift accuracy.csv --min-metric 0.9
      zenplan retrain-plan RUN --drift psi.jsonl --max-metric 0.25
    """
    from zenplan.commands.retrain_plan.report import retrain_report
    from zenplan.commands.retrain_plan.use_case import Asked
    from zenplan.commands.retrain_plan.use_case import retrain_plan as use_case
    from zenplan.commands.shared.output import loaded_plugins, say

    settings = resolved(format=output)
    given = {"decay": decay, "drift": drift, "metric": metric, "usd_per_point_day": usd_per_point_day}
    more = {"min_metric": min_metric, "max_metric": max_metric, "run_usd": run_usd}
    with loaded_plugins() as plugins:
        say(retrain_report(use_case(run, Asked.of({**given, **more}))), settings["format"], plugins)
