"""``zenplan accelerators``: the data sheets."""

from __future__ import annotations

from typing import Annotated

import typer

from zenplan.commands.shared.settings import Format, resolved

accelerators_app = typer.Typer(
    invoke_without_command=True,
    add_completion=False,
    rich_markup_mode=None,
)


@accelerators_app.callback()
def _accelerators(
    context: typer.Context,
    vendor: Annotated[str | None, typer.Option(help="Only this maker's, as in NVIDIA.", metavar="NAME")] = None,
    architecture: Annotated[
        str | None, typer.Option(help="Only this generation, as in Hopper.", metavar="NAME")
    ] = None,
    output: Format = None,
) -> None:
    """List accelerators, or show one data sheet with the source of each figure.

    \b
    Examples:
      zenplan accelerators --vendor NVIDIA
      zenplan accelerators show H100
    """
    # What is given before "show" counts for it.
    context.obj = output
    if context.invoked_subcommand:
        return
    from zenplan.commands.accelerators.report import accelerators_report
    from zenplan.commands.shared.output import loaded_plugins, say
    from zenplan.commands.shared.tables import catalogue, only

    settings = resolved(format=output)
    with loaded_plugins() as plugins:
        sheets = only(catalogue(plugins), vendor, architecture)
        say(accelerators_report(tuple(sheets)), settings["format"], plugins)


@accelerators_app.command("show")
def _accelerator(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Its name, an alias, or what NVML calls it.", metavar="NAME")],
    output: Format = None,
) -> None:
    """Show one data sheet: each figure with its source.

    \b
    Examples:
      zenplan accelerators show H100
    """
    from zenplan.commands.accelerators.report import accelerator_report
    from zenplan.commands.shared.output import loaded_plugins, say
    from zenplan.commands.shared.tables import catalogue

    settings = resolved(format=output or context.obj)
    with loaded_plugins() as plugins:
        say(accelerator_report(catalogue(plugins).by_name(name)), settings["format"], plugins)
