"""A request answered, with the tables of the plugins and what was measured on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zenplan.adapters.clock import today
from zenplan.adapters.tables.coefficients import read_coefficients
from zenplan.commands.estimate.use_case import estimate
from zenplan.commands.shared.evidence import stored
from zenplan.commands.shared.tables import catalogue, price_tables

if TYPE_CHECKING:
    from zenplan.adapters.settings.settings import Settings
    from zenplan.domain.answer.answer import Answer
    from zenplan.domain.training.request import Request
    from zenplan.plugins import Plugins


def answered(request: Request, settings: Settings, plugins: Plugins, calibrated: bool) -> Answer:
    """What ``zenplan estimate`` answers today; without the calibrations of the store where not ``calibrated``.

    Raises:
        UsageError: the request is wrong.
        NoFit: no offer can run it.
    """
    sheets = catalogue(plugins)
    tables = price_tables(plugins, sheets, settings["prices"])
    return estimate(
        request,
        sheets,
        tables,
        plugins.workloads(),
        read_coefficients(),
        today(),
        calibrations=stored() if calibrated else (),
    )
