"""``zenplan prices``: what offers cost."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from zenplan.commands.shared.options import PRICES, takes
from zenplan.commands.shared.settings import Format, resolved


@takes(*PRICES)
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
      zenplan prices --gpu H100,H200 --provider-class cloud --max-price-age 180d
    """
    from zenplan.adapters.clock import today
    from zenplan.commands.prices.report import prices_report
    from zenplan.commands.shared.filters import Filters, filtered
    from zenplan.commands.shared.output import loaded_plugins, say
    from zenplan.commands.shared.request import filters_of
    from zenplan.commands.shared.tables import catalogue, price_tables

    settings = resolved(format=output, **given)
    with loaded_plugins() as plugins:
        sheets = catalogue(plugins)
        tables = price_tables(plugins, sheets, settings["prices"])
        found = filtered(tables, sheets, Filters(**filters_of(settings), spot=spot), today())
        kept = tuple(t for t in found if t.offers or t.left_out or t.too_old)
        say(prices_report(kept, today()), settings["format"], plugins)
