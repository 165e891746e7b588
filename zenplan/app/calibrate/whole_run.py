"""What the steps are for: how many samples, and what the device costs."""

from __future__ import annotations

from collections.abc import Sequence

from zenplan import units
from zenplan.app.amount import amount
from zenplan.domain.accelerator import Accelerator
from zenplan.domain.calibrated import WholeRun
from zenplan.domain.offer import PriceTable
from zenplan.domain.request import Request
from zenplan.domain.workload import Workload


def whole_run(request: Request, workload: Workload, usd_per_h: float | None, sheet: Accelerator | None,
              tables: Sequence[PriceTable]) -> WholeRun:  # fmt: skip
    """Samples as they were given, and a price as it was given, or else the lowest of that accelerator.

    Args:
        sheet: of the device; None of a processor, whose price nobody knows.
    """
    asked = request.samples or request.tokens or request.dataset_bytes or request.epochs
    samples = amount(request, workload).samples if asked else None
    if usd_per_h is not None:
        return WholeRun(samples=samples, usd_per_h=usd_per_h, price="as given")
    found = _cheapest(sheet, tables) if sheet else None
    if found is None:
        return WholeRun(samples=samples)
    usd, whose = found
    return WholeRun(samples=samples, usd_per_h=usd, price=f"{units.usd(usd)} an hour on demand, {whose}")


def _cheapest(sheet: Accelerator, tables: Sequence[PriceTable]) -> tuple[float, str] | None:
    """The lowest on-demand price of one device of that kind in any machine, and whose it is."""
    prices = [
        (
            offer.on_demand.usd_per_h / offer.instance.devices,
            f"{offer.instance.provider} {offer.instance.name}",
        )
        for table in tables
        for offer in table.offers
        if offer.instance.accelerator == sheet.name and offer.on_demand is not None
    ]
    return min(prices, default=None)
