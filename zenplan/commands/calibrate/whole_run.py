"""What the steps are for: how many samples, and what the device costs."""

from __future__ import annotations

from collections.abc import Sequence

from zenplan import units
from zenplan.commands.shared.amount import amount
from zenplan.commands.shared.cheapest import cheapest
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.market.offer import PriceTable
from zenplan.domain.measured.calibrated import WholeRun
from zenplan.domain.model.workload import Workload
from zenplan.domain.training.request import Request


def whole_run(
    request: Request,
    workload: Workload,
    usd_per_h: float | None,
    sheet: Accelerator | None,
    tables: Sequence[PriceTable],
) -> WholeRun:
    """Samples as they were given, and a price as it was given, or else the lowest of that accelerator.

    Args:
        sheet: of the device; None of a processor, whose price nobody knows.
    """
    asked = request.samples or request.tokens or request.dataset_bytes or request.epochs
    samples = amount(request, workload).samples if asked else None
    if usd_per_h is not None:
        return WholeRun(samples=samples, usd_per_h=usd_per_h, price="as given")
    found = cheapest(sheet, tables) if sheet else None
    if found is None:
        return WholeRun(samples=samples)
    dated = f" as of {found.as_of}" if found.as_of else ""
    return WholeRun(
        samples=samples,
        usd_per_h=found.usd_per_h,
        price=f"{units.usd(found.usd_per_h)} an hour on demand, {found.offer}{dated}",
    )
