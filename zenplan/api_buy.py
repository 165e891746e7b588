"""Buying from Python: hardware of one's own against the cheapest rent. Arguments are as in ``zenplan.api``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from zenplan.arguments import flags, settings_of, warn
from zenplan.results import Purchase, result

Number = float | str
Names = str | Sequence[str]
File = str | os.PathLike[str]


def buy(
    *,
    gpu: str,
    gpus: Number | None = None,
    price: Number | None = None,
    utilisation: Number | None = None,
    years: Number | None = None,
    resale: Number | None = None,
    interest: Number | None = None,
    maintenance: Number | None = None,
    hosting: Number | None = None,
    staff: Number | None = None,
    power: Number | None = None,
    kwh: Number | None = None,
    pue: Number | None = None,
    provider: Names | None = None,
    exclude_provider: Names | None = None,
    provider_class: Names | None = None,
    region: Names | None = None,
    max_price_age: timedelta | str | None = None,
    prices: File | None = None,
    fresh: bool = False,
    operations: str | Mapping[str, Any] | None = None,
) -> Purchase:
    """What hardware costs a year against the cheapest rent, and from when on buying is cheaper. As ``zenplan buy``.

    Shares are texts or numbers: "60%" or 0.6. Amounts are of all devices, in dollars; what is not given is assumed, as
    ``.assumptions`` says.

    Args:
        gpu: the accelerator, as in "H100".
        gpus: how many devices; by default those of one machine.
        price: what all of it costs to buy; without it, what it is worth is the answer.
        utilisation: share of all hours in which it works.
        years: until it is written off.
        resale: share of the price that it is sold for then.
        interest: a year, of the money tied up in it.
        maintenance: support and parts a year, as a share of the price.
        hosting, staff: space and line, and who looks after it, a year.
        power: that all of it draws in use, as in "10.2kW".
        kwh: what electricity costs, for a kWh.
        pue: of where it stands.
        provider, exclude_provider: whose offers stand against it, and whose not; or several.
        provider_class: hyperscaler, cloud, marketplace or unknown; or several.
        region: of the provider; or several.
        max_price_age: leave out older prices, as in "90d", or a ``timedelta``, and those without a date.
        prices: your own prices: a CSV, or a price book in TOML.
        fresh: fetch prices first, where that is an hour ago or more.
        operations: the share of power and the PUE that are assumed, as for ``estimate``.

    Raises:
        UsageError: an argument is wrong.
        NoFit: nobody rents out as many of these devices, or no price is low enough.
    """
    given = flags(locals())
    from zenplan.commands.buy.use_case import INPUTS, Asked, purchase
    from zenplan.commands.shared.known import known
    from zenplan.commands.shared.output import loaded_plugins
    from zenplan.commands.shared.request import filters_of

    settings = settings_of({name: value for name, value in given.items() if name not in INPUTS})
    asked = Asked.of(given, settings["gpu"], settings["gpus"])
    with loaded_plugins(warn) as plugins:
        world = known(plugins, settings["prices"], None, settings["fresh"], settings["operations"], warn)
        found = purchase(asked, filters_of(settings), world)
    return result(Purchase, found, today=world.today)
