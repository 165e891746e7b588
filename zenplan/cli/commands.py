"""The commands. Each imports what it needs when it is run: starting takes no longer than Typer does."""

from __future__ import annotations

from typing import Annotated

import typer

from zenplan.cli.estimate import estimate
from zenplan.cli.listing import accelerators_app, config, plugins, prices, workloads_app
from zenplan.cli.profile import profile

app = typer.Typer(
    name="zenplan",
    help="What a training run takes: time, GPU-hours, dollars and memory, before you pay for it.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
)


def _version(wanted: bool) -> None:
    if wanted:
        from zenplan import __version__

        typer.echo(f"zenplan {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    pass


app.command()(estimate)
app.command()(profile)
app.add_typer(accelerators_app, name="accelerators")
app.command()(prices)
app.add_typer(workloads_app, name="workloads")
app.command()(plugins)
app.command()(config)
