"""``zenplan layouts``: the ways to lay a training step out over so many devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from zenplan.commands.shared import options
from zenplan.commands.shared.request import asked
from zenplan.commands.shared.settings import Format

if TYPE_CHECKING:
    from zenplan.adapters.settings.settings import Settings
    from zenplan.domain.training.request import Request


def _option(text: str, metavar: str) -> Any:
    return typer.Option(help=text, metavar=metavar)


@options.takes(*options.STEP)
def layouts(
    by: Annotated[str, _option("time or memory: what the list is ordered by.", "ORDER")] = "time",
    top: Annotated[str, _option("How many layouts to list.", "COUNT")] = "10",
    tokens: Annotated[str | None, typer.Option(hidden=True)] = None,
    no_calibrations: options.NoCalibrations = False,
    output: Format = None,
    **given: Any,
) -> None:
    """List the best layouts of a training step on so many devices of one kind.

    A layout is the degrees of data, tensor, pipeline, context and expert parallelism, the ZeRO stage, the
    micro-batch and what is recomputed. Every one that can be run is compared. Exit code 3: none fits.

    \b
    Examples:
      zenplan layouts --params 70e9 --gpu H100 --gpus 64
      zenplan layouts --model deepseek-v3 --gpu H100 --gpus 2048 --by memory
    """
    if tokens is not None:
        from zenplan.errors import UsageError

        raise UsageError("layouts takes no --tokens", "it is about one step; 'zenplan estimate' is about a whole run")
    settings, request = asked(output, {**given, "top": top})
    _answer(request, by, settings, not no_calibrations)


def _answer(request: Request, by: str, settings: Settings, calibrated: bool) -> None:
    from zenplan.commands.layouts.report import layouts_report
    from zenplan.commands.layouts.use_case import layouts as use_case
    from zenplan.commands.shared.known import known
    from zenplan.commands.shared.output import loaded_plugins, say, warned

    with loaded_plugins() as plugins:
        found = use_case(
            request, by, known(plugins, settings["prices"], warned if calibrated else None, settings["fresh"])
        )
        say(layouts_report(found), settings["format"], plugins)
