"""``zenplan runs list | show | compare | rm``: training runs, predicted beside actual."""

from __future__ import annotations

from typing import Annotated

import typer

from zenplan.commands.shared.settings import Format, resolved

runs_app = typer.Typer(invoke_without_command=True, add_completion=False, rich_markup_mode=None)
_Run = Annotated[
    str, typer.Argument(help="Its id, the first letters of it, four at least, or its folder.", metavar="RUN")
]


@runs_app.callback()
def _runs(context: typer.Context) -> None:
    """List, show, compare and remove training runs: predicted against actual time, memory, dollars and energy.

    \b
    Examples:
      zenplan runs list
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@runs_app.command("list")
def _list(output: Format = None) -> None:
    """List runs, the newest first."""
    from zenplan.commands.runs.report import runs_report
    from zenplan.commands.runs.use_case import entries
    from zenplan.commands.shared.output import loaded_plugins, say

    settings = resolved(format=output)
    with loaded_plugins() as plugins:
        say(runs_report(*entries()), settings["format"], plugins)


@runs_app.command("show")
def _show(run: _Run, output: Format = None) -> None:
    """Show one: what came out, beside what was predicted, by part."""
    from zenplan.commands.runs.use_case import entry
    from zenplan.commands.shared.output import loaded_plugins, say
    from zenplan.commands.train.report import train_report

    settings = resolved(format=output)
    with loaded_plugins() as plugins:
        found = entry(run)
        say(train_report(found.result, found.folder), settings["format"], plugins)


@runs_app.command("compare")
def _compare(
    runs: Annotated[list[str], typer.Argument(help="Two runs or more.", metavar="RUN...")], output: Format = None
) -> None:
    """Compare runs: what each came to, side by side."""
    from zenplan.commands.runs.report import comparison_report
    from zenplan.commands.runs.use_case import entry
    from zenplan.commands.shared.output import loaded_plugins, say
    from zenplan.errors import UsageError

    if len(runs) < 2:
        raise UsageError("one run is compared with nothing", "name two or more: zenplan runs compare RUN RUN")
    settings = resolved(format=output)
    with loaded_plugins() as plugins:
        say(comparison_report([entry(run) for run in runs]), settings["format"], plugins)


@runs_app.command("rm")
def _rm(runs: Annotated[list[str], typer.Argument(help="Which.", metavar="RUN...")]) -> None:
    """Remove runs, with their checkpoints and models. One that a process is at stays."""
    import sys

    from zenplan.commands.runs.use_case import remove
    from zenplan.commands.shared.output import write

    write(sys.stdout, f"removed: {', '.join(remove(runs))}\n")
