"""What an answer is made of beside the request, gathered once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from zenplan.adapters.clock import of_day_s, today
from zenplan.commands.shared.output import warned
from zenplan.commands.shared.tables import catalogue, price_tables
from zenplan.domain.fit.coefficients import Coefficients
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.market.offer import PriceTable
from zenplan.domain.training.operations import Operations
from zenplan.plugins import Plugins
from zenplan.protocols import WorkloadFamily

if TYPE_CHECKING:
    from zenplan.domain.measured.calibration import Stored


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Data sheets, prices, models, fits and the day.

    Attributes:
        catalogue: every accelerator.
        tables: what providers ask, a table each.
        families: that a model can be of.
        coefficients: fitted to published runs.
        calibrations: of this machine's store; none for an answer without them.
        operations: how a run is operated: restarts, checkpoints, power.
        today: the day of the answer; of_day_s: how much of it is over, by the local clock.
    """

    catalogue: Catalogue
    tables: Sequence[PriceTable]
    families: Sequence[WorkloadFamily]
    coefficients: Coefficients
    calibrations: Sequence[Stored] = ()
    operations: Operations = field(default_factory=Operations)
    today: date = field(default_factory=today)
    of_day_s: float = field(default_factory=of_day_s)


def known(
    plugins: Plugins,
    prices: Path | None,
    warn: Callable[[str], None] | None,
    fresh: bool = False,
    operations: str | None = None,
    tell: Callable[[str], None] = warned,
) -> Known:
    """What plugins, the user's own prices and the store of calibrations give.

    Args:
        plugins: that are loaded.
        prices: the user's own prices, a table or a book; None without one.
        warn: told what of the store cannot be read; None to do without calibrations.
        fresh: whether prices are fetched first.
        operations: how runs are operated, as a setting has it; None as assumed.
        tell: told what is said of prices, on stderr where nothing else is given.

    Raises:
        InputFileError: the user's prices cannot be used.
    """
    from zenplan.adapters.settings.operations import operations_of
    from zenplan.adapters.tables.coefficients import read_coefficients
    from zenplan.commands.shared.evidence import stored_calibrations

    sheets, operated = catalogue(plugins), operations_of(operations)
    return Known(
        catalogue=sheets,
        tables=price_tables(plugins, sheets, prices, fresh, tell, operated),
        families=plugins.workloads(),
        coefficients=read_coefficients(),
        calibrations=stored_calibrations(warn) if warn else (),
        operations=operated,
    )
