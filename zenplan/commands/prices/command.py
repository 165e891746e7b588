"""``zenplan prices``: what offers cost."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from zenplan.commands.shared.options import FLAGS, takes
from zenplan.commands.shared.settings import Format, resolved


@takes(*(FLAGS[name] for name in ("gpu", "provider", "region", "prices")))
def prices(
    spot: Annotated[bool, typer.Option("--spot", help="Only offers with a spot price.")] = False,
    output: Format = None,
    **given: Any,
) -> None:
    """List what offers cost, cheapest device-hour first, and how old each table is.

    \b
    Examples:
      zenplan prices --gpu H100 --provider aws
      zenplan prices --gpu A100 --spot
    """
    from zenplan.adapters.clock import today
    from zenplan.commands.prices.report import prices_report
    from zenplan.commands.shared.output import loaded_plugins, say
    from zenplan.commands.shared.tables import catalogue, filtered, price_tables

    settings = resolved(format=output, **given)
    with loaded_plugins() as plugins:
        sheets = catalogue(plugins)
        tables = price_tables(plugins, sheets, settings["prices"])
        found = filtered(tables, sheets, settings["gpu"], settings["provider"], settings["region"], spot)
        kept = tuple(t for t in found if t.offers or t.left_out)
        say(prices_report(kept, today()), settings["format"], plugins)
