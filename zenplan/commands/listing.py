"""``zenplan accelerators | prices | workloads | plugins | config``: what zenplan knows and uses."""

from __future__ import annotations

from typing import Annotated

import typer

from zenplan.commands.shared.options import ImageSize, SeqLen
from zenplan.commands.shared.request import whole
from zenplan.commands.shared.settings import Format, Gpu, Prices, Provider, Region, resolved

accelerators_app = typer.Typer(
    help="List accelerators, or show one data sheet with the source of each figure.",
    invoke_without_command=True,
    rich_markup_mode=None,
)
workloads_app = typer.Typer(
    help="List named models, or show one operator by operator.", invoke_without_command=True, rich_markup_mode=None
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
    """List accelerators, or show one data sheet with the source of each figure."""
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
    """Show one data sheet: each figure with its source."""
    from zenplan.commands.accelerators.report import accelerator_report
    from zenplan.commands.shared.output import loaded_plugins, say
    from zenplan.commands.shared.tables import catalogue

    settings = resolved(format=output or context.obj)
    with loaded_plugins() as plugins:
        say(accelerator_report(catalogue(plugins).by_name(name)), settings["format"], plugins)


@workloads_app.callback()
def _workloads(
    context: typer.Context,
    family: Annotated[
        str | None, typer.Option(help="Only this family or kind, as in convnet or decoder.", metavar="NAME")
    ] = None,
    output: Format = None,
) -> None:
    """List named models by family, or show one operator by operator."""
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
def _workload(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A model, as in llama3-8b, resnet50, resnet:depth=101.", metavar="NAME")],
    image_size: ImageSize = None,
    seq_len: SeqLen = None,
    output: Format = None,
) -> None:
    """Show one model: its operators with shapes, parameters and FLOP."""
    from zenplan.commands.shared.output import loaded_plugins, say
    from zenplan.commands.shared.tables import model
    from zenplan.commands.workloads.report import workload_report

    settings = resolved(format=output or context.obj)
    options = {"image_size": whole(image_size, "--image-size", 1e5), "seq_len": whole(seq_len, "--seq-len", 1e8)}
    with loaded_plugins() as plugins:
        say(workload_report(*model(plugins.workloads(), name, **options)), settings["format"], plugins)


def prices(
    gpu: Gpu = None,
    provider: Provider = None,
    region: Region = None,
    spot: Annotated[bool, typer.Option("--spot", help="Only offers with a spot price.")] = False,
    prices: Prices = None,
    output: Format = None,
) -> None:
    """List what offers cost, cheapest device-hour first, and how old each table is."""
    from datetime import UTC, datetime

    from zenplan.commands.prices.report import prices_report
    from zenplan.commands.shared.output import loaded_plugins, say
    from zenplan.commands.shared.tables import catalogue, filtered, price_tables

    settings = resolved(format=output, gpu=gpu, provider=provider, region=region, prices=prices)
    with loaded_plugins() as plugins:
        sheets = catalogue(plugins)
        tables = price_tables(plugins, sheets, settings["prices"])
        found = filtered(tables, sheets, settings["gpu"], settings["provider"], settings["region"], spot)
        kept = tuple(t for t in found if t.offers or t.left_out)
        say(prices_report(kept, datetime.now(UTC).date()), settings["format"], plugins)


def plugins(output: Format = None) -> None:
    """List plugins: name, version, distribution, hooks, items, and what was left out and why."""
    from zenplan.commands.plugins.report import plugins_report
    from zenplan.commands.shared.output import say
    from zenplan.plugins import load_plugins

    settings, found = resolved(format=output), load_plugins()
    # Every hook is called for the counts, and only then all problems are known.
    infos = found.infos()
    say(plugins_report(infos, found.problems()), settings["format"], found)


def config(output: Format = None) -> None:
    """Show each setting and where its value comes from: flag, variable, file or default."""
    from zenplan.commands.config.report import config_report
    from zenplan.commands.shared.output import say
    from zenplan.plugins import load_plugins

    settings, found = resolved(format=output), load_plugins()
    say(config_report(settings), settings["format"], found)
