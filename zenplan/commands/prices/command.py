"""``zenplan prices``: what offers cost, and where that is from."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from zenplan.commands.shared.help import GroupedCommands
from zenplan.commands.shared.options import PRICES, Fresh, takes
from zenplan.commands.shared.settings import Format, resolved

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
    output: Format = None,
    **given: Any,
) -> None:
    """List what offers cost, cheapest device-hour first, and how old each table is.

    \b
    Examples:
      zenplan prices --gpu H100 --provider aws
      zenplan prices --gpu A100 --spot
      zenplan prices --gpu H100,H200 --provider-class cloud --max-price-age 180d
      zenplan prices refresh
    """
    if context.invoked_subcommand:
        _refuse(context.invoked_subcommand, {"spot": spot, "fresh": fresh, **given})
        # What is given before the word counts for it.
        context.obj = output
        return
    from zenplan.adapters.clock import today
    from zenplan.commands.prices.report import prices_report
    from zenplan.commands.shared.filters import Filters, filtered
    from zenplan.commands.shared.output import loaded_plugins, say
    from zenplan.commands.shared.request import filters_of
    from zenplan.commands.shared.tables import catalogue, price_tables

    settings = resolved(format=output, fresh=fresh or None, **given)
    with loaded_plugins() as plugins:
        sheets = catalogue(plugins)
        tables = price_tables(plugins, sheets, settings["prices"], settings["fresh"])
        found = filtered(tables, sheets, Filters(**filters_of(settings), spot=spot), today())
        kept = tuple(t for t in found if t.offers or t.left_out or t.too_old)
        say(prices_report(kept, today()), settings["format"], plugins)


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
      zenplan prices refresh runpod vast --strict
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
