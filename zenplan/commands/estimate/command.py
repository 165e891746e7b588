"""``zenplan estimate``: what a training run takes, on what, for how much."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from zenplan.commands.shared import options
from zenplan.commands.shared.request import asked
from zenplan.commands.shared.settings import Format

if TYPE_CHECKING:
    from zenplan.adapters.settings.settings import Settings
    from zenplan.domain.training.request import Request


@options.takes(*options.RUN)
def estimate(
    explain: Annotated[
        bool, typer.Option("--explain", help="Show every formula and number of the recommended.")
    ] = False,
    details: Annotated[
        bool, typer.Option("--details", help="Show every quote in full, its bill, layout and sources.")
    ] = False,
    no_calibrations: options.NoCalibrations = False,
    output: Format = None,
    **given: Any,
) -> int:
    """Estimate time, GPU-hours, dollars and memory of a training run.

    One of --params, --model, --config and --keras says what to train; all the rest has a default that is shown
    with its origin. With none of them, --budget, --deadline, --tokens or --dataset-size gives the largest language
    model for it. Exit code 3: it does not fit, or nothing meets the deadline or the budget.

    \b
    Examples:
      zenplan estimate --params 1e9
      zenplan estimate --model llama3-8b --tokens 10B --deadline 4d --budget 5000
      zenplan estimate --model llama3-8b --method lora --samples 50k --data-kind chat
      zenplan estimate --budget 5000
      zenplan estimate --model resnet50 --gpu H100 --gpus 8 --explain
    """
    settings, request = asked(output, given)
    return _answer(request, settings, explain, details, not no_calibrations)


def _answer(request: Request, settings: Settings, explain: bool, details: bool, calibrated: bool) -> int:
    from zenplan.commands.estimate.report import estimate_report
    from zenplan.commands.estimate.use_case import estimate as use_case
    from zenplan.commands.shared.known import known
    from zenplan.commands.shared.output import loaded_plugins, say, warned
    from zenplan.errors import NoFit

    with loaded_plugins() as plugins:
        answer = use_case(request, known(plugins, settings["prices"], warned if calibrated else None))
        say(estimate_report(answer, explain, details), settings["format"], plugins)
    return 0 if answer.met else NoFit.exit_code
