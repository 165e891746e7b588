"""``zenplan prices``: what offers cost."""

from __future__ import annotations

from typing import Annotated

import typer

from zenplan.commands.shared.settings import Format, Gpu, Prices, Provider, Region, resolved


def prices(
    gpu: Gpu = None,
    provider: Provider = None,
    region: Region = None,
    spot: Annotated[bool, typer.Option("--spot", help="Only offers with a spot price.")] = False,
    prices: Prices = None,
    output: Format = None,
) -> None:
    """List what offers cost, cheapest device-hour first, and how old each table is.

    \b
    Examples:
      zenplan prices --gpu H100 --provider aws
      zenplan prices --gpu A100 --spot
    """
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
