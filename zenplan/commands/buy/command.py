"""``zenplan buy``: hardware of one's own against the cheapest rent."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from zenplan.commands.shared.options import BUY, Fresh, takes
from zenplan.commands.shared.settings import Format, resolved


def _option(flag: str, text: str, metavar: str) -> Any:
    return typer.Option(flag, help=text, metavar=metavar, rich_help_panel="Purchase")


@takes(*BUY)
def buy(
    price: Annotated[
        str | None,
        _option("--price", "What all of it costs to buy, as in 250000; without it, what it is worth.", "USD"),
    ] = None,
    utilisation: Annotated[
        str | None, _option("--utilisation", "Share of all hours in which it works; 60% by default.", "PERCENT")
    ] = None,
    years: Annotated[str | None, _option("--years", "Until it is written off; 4 by default.", "NUMBER")] = None,
    resale: Annotated[
        str | None, _option("--resale", "Share of the price that it is sold for then; 0.", "PERCENT")
    ] = None,
    interest: Annotated[str | None, _option("--interest", "A year, of the money tied up in it; 0.", "PERCENT")] = None,
    maintenance: Annotated[
        str | None, _option("--maintenance", "Support and parts a year, as a share of the price; 5%.", "PERCENT")
    ] = None,
    hosting: Annotated[
        str | None, _option("--hosting", "Space and line a year; by default $184 a kW and month.", "USD")
    ] = None,
    staff: Annotated[str | None, _option("--staff", "Who looks after it, a year; 15000 by default.", "USD")] = None,
    power: Annotated[
        str | None, _option("--power", "All of it draws in use, as in 10.2kW; by default by the data sheet.", "POWER")
    ] = None,
    kwh: Annotated[str | None, _option("--kwh", "Electricity, for a kWh; 0.13 by default.", "USD")] = None,
    pue: Annotated[str | None, _option("--pue", "Of where it stands; 1.2 by default.", "NUMBER")] = None,
    fresh: Fresh = False,
    output: Format = None,
    **given: Any,
) -> None:
    """Buy hardware or rent it: what each costs a year, and from which utilisation and month on buying is cheaper.

    The rent is the cheapest on-demand price of as many devices, of each class of providers. Every assumption is shown
    with its origin, and with what a lower and a higher value make of the answer.

    \b
    Examples:
      zenplan buy --gpu H100 --gpus 8 --price 250000
      zenplan buy --gpu H100 --gpus 64 --price 2.4M --utilisation 80% --kwh 0.09
      zenplan buy --gpu RTX4090 --gpus 4 --price 14000 --hosting 0 --staff 0
      zenplan buy --gpu H200 --gpus 8 --provider-class hyperscaler
    """
    from zenplan.commands.buy.report import purchase_report
    from zenplan.commands.buy.use_case import Asked, purchase
    from zenplan.commands.shared.known import known
    from zenplan.commands.shared.output import loaded_plugins, say
    from zenplan.commands.shared.request import filters_of

    texts = {
        "price": price,
        "utilisation": utilisation,
        "years": years,
        "resale": resale,
        "interest": interest,
        "maintenance": maintenance,
        "hosting": hosting,
        "staff": staff,
        "power": power,
        "kwh": kwh,
        "pue": pue,
    }
    settings = resolved(format=output, fresh=fresh or None, **given)
    asked = Asked.of(texts, settings["gpu"], settings["gpus"])
    with loaded_plugins() as plugins:
        world = known(plugins, settings["prices"], None, settings["fresh"], settings["operations"])
        found = purchase(asked, filters_of(settings), world)
        say(purchase_report(found, world.today), settings["format"], plugins)
