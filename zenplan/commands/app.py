"""The commands. Each imports what it needs when it is run: starting takes no longer than Typer does."""

from __future__ import annotations

from typing import Annotated

import typer

from zenplan.commands.backtest.command import backtest
from zenplan.commands.calibrate.command import calibrate
from zenplan.commands.calibrations.command import calibrations_app
from zenplan.commands.count.command import count
from zenplan.commands.estimate.command import estimate
from zenplan.commands.layouts.command import layouts
from zenplan.commands.listing import accelerators_app, config, plugins, prices, workloads_app
from zenplan.commands.profile.command import profile

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
        from zenplan.version import __version__

        typer.echo(f"zenplan {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    pass


# In the list of commands there is room for 58 letters; Typer cuts a longer help off.
app.command(short_help="Time, GPU-hours, dollars and memory of a training run.")(estimate)
app.command(short_help="The best layouts of a step on so many devices.")(layouts)
app.command(short_help="Parameters, FLOP and activations of any Keras model.")(count)
app.command(short_help="Measured runs of a table beside what is predicted.")(backtest)
app.command(short_help="The GPUs of this machine, their data sheets, and the host.")(profile)
app.command(short_help="Measure this machine, and predict a model it has never run.")(calibrate)
app.add_typer(calibrations_app, name="calibrations", short_help="What was measured here: list, show, share, remove.")
app.add_typer(accelerators_app, name="accelerators", short_help="Accelerators, or one data sheet with its sources.")
app.command(short_help="What offers cost, and how old each price table is.")(prices)
app.add_typer(workloads_app, name="workloads", short_help="Named models, or one operator by operator.")
app.command(short_help="Plugins, what each gives, and what was left out and why.")(plugins)
app.command(short_help="Each setting, and where its value comes from.")(config)
