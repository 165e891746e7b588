"""``zenplan estimate``: what a training run takes, on what, for how much."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zenplan.commands.shared import options
from zenplan.commands.shared.request import asked
from zenplan.commands.shared.settings import Format

if TYPE_CHECKING:
    from collections.abc import Mapping


@options.takes(*options.RUN)
def estimate(
    explain: Annotated[
        bool, typer.Option("--explain", help="Show every formula and number of the recommended plan.")
    ] = False,
    details: Annotated[
        bool, typer.Option("--details", help="Show every plan in full: its bill, layout and sources.")
    ] = False,
    no_calibrations: options.NoCalibrations = False,
    fresh: options.Fresh = False,
    request: options.RequestFile = None,
    save: Annotated[
        Path | None,
        typer.Option("--save", help="Write the plan to this file too, for 'diff' and 'report'.", metavar="FILE"),
    ] = None,
    output: Format = None,
    **given: Any,
) -> int:
    """Estimate time, GPU-hours, dollars and memory of a training run.

    One of --params, --model, --config and --keras says what to train; the rest has defaults, which the answer shows
    with their origin. Without any of them, --budget, --deadline, --tokens, --dataset-size or --data gives the largest
    language model for it. Fine-tuning (--method lora) needs data. Exit code 3: it does not fit, or nothing meets
    the deadline or the budget.

    \b
    Examples:
      zenplan estimate --params 1e9
      zenplan estimate --model llama3-8b --tokens 10B --deadline 4d --budget 5000
      zenplan estimate --model llama3-8b --method lora --samples 50k
      zenplan estimate --budget 5000
      zenplan estimate --model resnet50 --gpu H100 --gpus 8 --explain
      zenplan estimate --params 7B --provider-class hyperscaler --billing spot
      zenplan estimate --params 7B --gpu H100 --gpus 64 --usd-per-hour 2.50
      zenplan estimate --params 1e9 --repeat 3 --trials 20 --save plan.json
      zenplan estimate --model llama3-8b --tokens 1B --then export,compress,explain,serve:30d
    """
    if save is not None:
        from zenplan.commands.estimate.saved_plan import check_place

        check_place(save)
    if request is None:
        return _answer(output, {"fresh": fresh or None, **given}, explain, details, not no_calibrations, save)
    from zenplan.commands.shared.request_file import lines_named, with_request

    with lines_named(request, given):
        given = {"fresh": fresh or None, **with_request(request, given)}
        return _answer(output, given, explain, details, not no_calibrations, save)


def _answer(
    output: str | None, given: Mapping[str, Any], explain: bool, details: bool, calibrated: bool, save: Path | None
) -> int:
    from zenplan.commands.estimate.report import estimate_report
    from zenplan.commands.estimate.use_case import estimate as use_case
    from zenplan.commands.shared.amount import meant
    from zenplan.commands.shared.known import known
    from zenplan.commands.shared.output import loaded_plugins, say, warned
    from zenplan.errors import NoFit

    settings, request = asked(output, given)
    with loaded_plugins() as plugins:
        answer = use_case(
            request,
            known(
                plugins, settings["prices"], warned if calibrated else None, settings["fresh"], settings["operations"]
            ),
        )
        if question := meant(request, answer.plan.workload):
            warned(question)
        report = estimate_report(answer, explain, details)
        if save is not None:
            from zenplan.commands.estimate.saved_plan import write_plan

            write_plan(save, report.make_document())
        say(report, settings["format"], plugins)
    return 0 if answer.met else NoFit.exit_code
