"""``zenplan workloads``: the named models."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from zenplan.commands.shared.options import FLAGS, parsed, takes
from zenplan.commands.shared.settings import Format, resolved

workloads_app = typer.Typer(invoke_without_command=True, add_completion=False, rich_markup_mode=None)


@workloads_app.callback()
def _workloads(
    context: typer.Context,
    family: Annotated[
        str | None, typer.Option(help="Only this family or kind, as in convnet or decoder.", metavar="NAME")
    ] = None,
    output: Format = None,
) -> None:
    """List named models by family, or show one operator by operator.

    \b
    Examples:
      zenplan workloads --family convnet
      zenplan workloads show llama3-8b
    """
    # What is given before "show" counts for it.
    context.obj = output
    if context.invoked_subcommand:
        return
    from zenplan.commands.shared.output import loaded_plugins, say
    from zenplan.commands.shared.tables import models
    from zenplan.commands.workloads.report import workloads_report

    settings = resolved(format=output)
    with loaded_plugins() as plugins:
        say(workloads_report(models(plugins.workloads(), family)), settings["format"], plugins)


@workloads_app.command("show")
@takes(FLAGS["image_size"], FLAGS["seq_len"])
def _workload(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A model, as in llama3-8b, resnet50, resnet:depth=101.", metavar="NAME")],
    output: Format = None,
    **given: Any,
) -> None:
    """Show one model: its operators with shapes, parameters and FLOP.

    \b
    Examples:
      zenplan workloads show resnet50 --image-size 288
    """
    from zenplan.commands.shared.output import loaded_plugins, say
    from zenplan.commands.shared.tables import model
    from zenplan.commands.workloads.report import workload_report

    settings = resolved(format=output or context.obj)
    with loaded_plugins() as plugins:
        say(workload_report(*model(plugins.workloads(), name, **parsed(given))), settings["format"], plugins)
