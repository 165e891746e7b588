"""``Operations.production``: what whole published runs took over their steps, start-ups, checkpoints and failures.

Low, middle and high of measured over predicted GPU-hours, each group of sources as heavy as another; and the same with
groups left out of the fit. The calendar has start-up, evaluation, checkpoints, failures and the work they lose; what
is left between it and the measured hours is the factor that is fitted here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from zenplan.adapters.tables.accelerators import read_accelerators
from zenplan.backtesting.whole_runs import PredictedWholeRun, whole_runs_of
from zenplan.domain.fit.coefficients import Coefficients
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.range import Range
from zenplan.domain.training.operations import Operations
from zenplan.errors import ZenplanError
from zenplan.units import HOUR_S

Production = tuple[float, float, float]

_QUANTILES = (0.1, 0.5, 0.9)
# The least that low and the most that high may be.
_MIN, _MAX = 0.5, 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A run, and what the calendar model has for it without ``production``: what the factor is fitted to."""

    run: PredictedWholeRun
    bare: PredictedWholeRun
    publisher: str = ""

    @property
    def group(self) -> str:
        """Whose run it is: a publisher, or a collection of many."""
        return self.publisher or self.run.measured.written_family or "all"

    @property
    def share(self) -> float:
        """How much of ``production`` a run of that size has."""
        return min(1.0, self.bare.steady_gpu_hours.mid * HOUR_S / Operations().production_ramp_device_s)


def fit_production(pairs: Sequence[Pair]) -> Production:
    """Low, middle and high of measured over bare time, of the runs that have all of it; groups weigh alike."""
    long = [p for p in pairs if p.share == 1.0]
    sizes = Counter(p.group for p in long)
    ratios = np.array([p.run.measured_gpu_hours / p.bare.calendar_gpu_hours.mid for p in long])
    order = np.argsort(ratios)
    weights = np.array([1.0 / sizes[p.group] for p in long])[order]
    place = (np.cumsum(weights) - 0.5 * weights) / weights.sum()
    low, mid, high = (float(np.interp(q, place, ratios[order])) for q in _QUANTILES)
    return max(low, _MIN), max(mid, 1.0), min(max(high, mid, 1.0), _MAX)


def calendar(pair: Pair, production: Production) -> Range:
    """The run's calendar under other figures of ``production``; as ``planning.money.run`` applies them."""
    low, mid, high = (1.0 + (p - 1.0) * pair.share for p in production)
    bare = pair.bare.calendar_gpu_hours
    return Range(
        low=max(bare.low, min(bare.low * mid, bare.mid * low)),
        mid=bare.mid * mid,
        high=max(bare.high * mid, bare.mid * high),
    )


def left_out_calendars(pairs: Sequence[Pair]) -> list[Range]:
    """Each run's calendar under ``production`` fitted to the other groups."""
    fitted = {g: fit_production([p for p in pairs if p.group != g]) for g in {p.group for p in pairs}}
    return [calendar(p, fitted[p.group]) for p in pairs]


def pairs_of(rows: Sequence[Mapping[str, str]], coefficients: Coefficients) -> tuple[list[Pair], list[tuple[str, str]]]:
    """Each row's two predictions, and the rows without one, by id, with the reason.

    Args:
        rows: of a table of whole runs, by column.
        coefficients: that the steps are predicted with.
    """
    catalogue = Catalogue(accelerators=read_accelerators())
    bare = replace(Operations(), startup_s=0.0, production=(1.0, 1.0, 1.0))
    usual = whole_runs_of(rows, catalogue, coefficients)
    without = whole_runs_of(rows, catalogue, coefficients, bare)
    found, skipped = [], []
    for row, run, plain in zip(rows, usual, without, strict=True):
        if isinstance(run, PredictedWholeRun) and isinstance(plain, PredictedWholeRun):
            found.append(Pair(run=run, bare=plain, publisher=row.get("group", "")))
        elif isinstance(run, ZenplanError):
            skipped.append((row.get("id", "?"), run.message))
    return found, skipped
