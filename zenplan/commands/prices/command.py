"""``zenplan prices``: what offers cost, and where that is from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zenplan.commands.shared.help import GroupedCommands
from zenplan.commands.shared.options import PRICES, Fresh, takes
from zenplan.commands.shared.settings import Format, resolved

if TYPE_CHECKING:
    from zenplan.adapters.settings.settings import Settings
    from zenplan.commands.prices.here import Here
    from zenplan.plugins import Plugins

prices_app = typer.Typer(
    cls=GroupedCommands,
    invoke_without_command=True,
    add_completion=False,
    rich_markup_mode=None,
)


@prices_app.callback()
@takes(*PRICES)
def _prices(
    context: typer.Context,
    spot: Annotated[bool, typer.Option("--spot", help="Only offers with a spot price.")] = False,
    fresh: Fresh = False,
    every: Annotated[
        bool, typer.Option("--all", help="List every offer, where many are summed up by accelerator.")
    ] = False,
    output: Format = None,
    **given: Any,
) -> None:
    """List what offers cost, cheapest device-hour first, and how old each table is.

    Many offers are summed up: the lowest price of a device of each accelerator. JSON and CSV have all of them.

    \b
    Examples:
      zenplan prices
      zenplan prices --gpu 8xH100
      zenplan prices --gpu H100 --provider aws
      zenplan prices --gpu A100 --spot
      zenplan prices --gpu H100,H200 --provider-class cloud --max-price-age 180d
      zenplan prices refresh
    """
    if context.invoked_subcommand:
        _refuse(context.invoked_subcommand, {"spot": spot, "fresh": fresh, "all": every, **given})
        # What is given before the word counts for it.
        context.obj = output
        return
    from zenplan.adapters.clock import today
    from zenplan.commands.prices.report import prices_report
    from zenplan.commands.shared.filters import filtered
    from zenplan.commands.shared.machines import wanted
    from zenplan.commands.shared.output import loaded_plugins, say
    from zenplan.commands.shared.request import filters_of
    from zenplan.commands.shared.tables import catalogue, price_tables

    settings = resolved(format=output, fresh=fresh or None, **given)
    with loaded_plugins() as plugins:
        sheets = catalogue(plugins)
        tables = price_tables(plugins, sheets, settings["prices"], settings["fresh"])
        found = filtered(tables, sheets, wanted(filters_of(settings), sheets, tables, spot), today())
        kept = tuple(t for t in found if t.offers or t.left_out or t.too_old)
        say(prices_report(kept, today(), every), settings["format"], plugins)


def _refuse(word: str, given: dict[str, Any]) -> None:
    """Raise UsageError: an option that is not for that word stands before it."""
    from zenplan.errors import UsageError

    for name, value in given.items():
        if value:
            flag = f"--{name.replace('_', '-')}"
            raise UsageError(
                f"{flag} is not for 'zenplan prices {word}'", f"'zenplan prices {word} --help' lists what is"
            )


_Providers = Annotated[
    list[str] | None,
    typer.Argument(help="Whose; every plugin's that can be asked, if none is named.", metavar="PROVIDER"),
]


@prices_app.command("refresh")
def _refresh(
    context: typer.Context,
    providers: _Providers = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit code 1 where any of them fails.")] = False,
    output: Format = None,
) -> int:
    """Fetch prices as they are now, of the providers whose plugins can.

    One that cannot be had keeps the table that it has. Nothing else uses the network, but for 'zenplan estimate --fresh'.
    Exit code 1: none could be had.

    \b
    Examples:
      zenplan prices refresh
      zenplan prices refresh runpod vast-ai --strict
    """
    from zenplan.adapters.clock import today
    from zenplan.adapters.prices.kept import KeptTables
    from zenplan.adapters.prices.place import price_cache
    from zenplan.commands.prices.refresh_report import refresh_report
    from zenplan.commands.shared.current import current_tables
    from zenplan.commands.shared.output import loaded_plugins, say, warned
    from zenplan.commands.shared.progress import staged
    from zenplan.commands.shared.refresh import live_providers, network, refresh
    from zenplan.commands.shared.tables import catalogue

    settings = resolved(format=output or context.obj)
    with loaded_plugins() as plugins:
        wanted = live_providers(plugins.price_providers(), providers or ())
        tables = {table.provider: table for table in current_tables(plugins, warned)}
        with staged("prices") as tell:
            verdicts = refresh(
                wanted,
                tables,
                KeptTables(price_cache(), warned),
                catalogue(plugins),
                network=network(),
                today=today(),
                tell=tell,
                named=bool(providers),
            )
        say(refresh_report(verdicts, today()), settings["format"], plugins)
    failures = [bool(verdict.failure) for verdict in verdicts]
    return int(any(failures) if strict else all(failures))


_Provider = Annotated[
    list[str] | None, typer.Option("--provider", help="Whose; may come several times.", metavar="NAME")
]


@prices_app.command("diff")
def _diff(
    context: typer.Context,
    since: Annotated[
        str | None,
        typer.Argument(
            help="A day, as in 2026-11-01, or a CSV of prices; by default the table before.", metavar="DATE|FILE"
        ),
    ] = None,
    provider: _Provider = None,
    output: Format = None,
) -> None:
    """Show what changed since the table before, a day's, or a file.

    \b
    Examples:
      zenplan prices diff
      zenplan prices diff 2026-11-01 --provider runpod
      zenplan prices diff prices.csv
    """
    from zenplan.commands.prices.past_report import diff_report
    from zenplan.commands.shared.output import say

    with _tables(output or context.obj, provider) as (settings, plugins, here):
        say(diff_report(here.changed(since)), settings["format"], plugins)


@prices_app.command("history")
def _history(
    context: typer.Context,
    instance: Annotated[
        str, typer.Argument(help="As the provider calls it: p5.48xlarge, aws/p5.48xlarge.", metavar="INSTANCE")
    ],
    provider: _Provider = None,
    output: Format = None,
) -> None:
    """Show what an instance cost, in all tables that are kept.

    \b
    Examples:
      zenplan prices history p5.48xlarge
      zenplan prices history p5.48xlarge --provider aws
    """
    from zenplan.commands.prices.past_report import history_report
    from zenplan.commands.shared.output import say

    with _tables(output or context.obj, provider) as (settings, plugins, here):
        say(history_report(here.spells(instance)), settings["format"], plugins)


@prices_app.command("export")
def _export(
    file: Annotated[str, typer.Argument(help="The CSV to write, or - for stdout.", metavar="FILE")],
    provider: _Provider = None,
) -> None:
    """Write the prices that an answer takes to a CSV.

    'zenplan prices import' and --prices read it.

    \b
    Examples:
      zenplan prices export prices.csv
      zenplan prices export runpod.csv --provider runpod
    """
    import sys

    from zenplan.adapters.files.whole_file import write_whole
    from zenplan.adapters.prices.written import price_csv
    from zenplan.commands.shared.output import write

    with _tables(None, provider) as (_, _, here):
        offers = [offer for table in here.current for offer in table.offers]
    if file == "-":
        write(sys.stdout, price_csv(offers))
        return
    write_whole(Path(file), price_csv(offers))
    write(sys.stdout, f"exported to {file}: {len(offers):,} offers of {len(here.current):,} providers\n")


@prices_app.command("import")
def _import(file: Annotated[Path, typer.Argument(help="A CSV with the columns of --prices.", metavar="FILE")]) -> None:
    """Take the prices of a CSV as if they had been fetched now.

    For whoever has no network, or has a list of a provider's.

    Each provider in it has that table from now on, where no newer one ships. --prices uses a file for one answer.

    \b
    Examples:
      zenplan prices import prices.csv
    """
    import sys

    from zenplan.commands.shared.output import write

    with _tables(None, None) as (_, _, here):
        for line in here.taken_in(file):
            write(sys.stdout, f"{line}\n")


@prices_app.command("doctor")
def _doctor(context: typer.Context, output: Format = None) -> None:
    """Say what is wrong with the prices there are, and what is missing.

    Accelerators without a data sheet, prices without a day, rows that were set aside and why, old tables, data sheets
    that nobody has a price of.

    \b
    Examples:
      zenplan prices doctor
    """
    from zenplan.adapters.clock import today
    from zenplan.commands.prices.doctor_report import doctor_report
    from zenplan.commands.shared.output import say

    with _tables(output or context.obj, None) as (settings, plugins, here):
        say(doctor_report(here.health(today()), today()), settings["format"], plugins)


@contextmanager
def _tables(output: str | None, providers: list[str] | None) -> Iterator[tuple[Settings, Plugins, Here]]:
    """The settings, the plugins, and all price tables of those providers, old and new."""
    from zenplan.commands.prices.here import Here
    from zenplan.commands.shared.output import loaded_plugins

    settings = resolved(format=output)
    with loaded_plugins() as plugins:
        yield settings, plugins, Here.of(plugins, providers or ())
