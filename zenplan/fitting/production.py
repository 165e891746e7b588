"""``Operations.production``: what whole published runs took over their steps, start-ups, checkpoints and failures.

Low, middle and high of measured over predicted GPU-hours, each publisher as heavy as another; and the same with
publishers left out of the fit. The calendar has start-up, evaluation, checkpoints, failures and the work they lose;
what is left between it and the measured hours is the factor that is fitted here. A run has the share of it that
``planning.money.run.production_share`` gives its devices and its days.

The middle is the factor with the least sum of |ln error|. Runs of one publisher err alike, so that the range is of two
levels: of each publisher's errors the 80 % quantile, of those the 80 % quantile over publishers.
"""

from __future__ import annotations

import math
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
from zenplan.fitting.intervals import ASKED
from zenplan.planning.money.run import production_share
from zenplan.units import HOUR_S

Production = tuple[float, float, float]

# The least that low and the most that high may be; the middle is looked for in steps of a hundredth.
_MIN, _MAX = 0.5, 3.0
_STEPS = 201
# A run with less of the factor says little about it: its own steps' range is what counts.
_TELLING = 0.5
# Runs of one person, or of a day.
_FEW_DEVICES, _FEW_DAYS = 8, 1.0


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
        devices = float(self.bare.devices)
        return production_share(Operations(), devices, self.bare.steady_gpu_hours.mid * HOUR_S / devices)

    @property
    def small(self) -> bool:
        """Whether it is a run as one person makes it: on few devices, or within a day."""
        days = self.run.measured_days
        return self.run.devices <= _FEW_DEVICES or (days is not None and days <= _FEW_DAYS)


def fit_production(pairs: Sequence[Pair]) -> Production:
    """Low, middle and high of measured over bare time, of runs that have all of it; groups weigh alike."""
    sizes = Counter(p.group for p in pairs)
    weights = np.array([1.0 / sizes[p.group] for p in pairs])
    logs = np.log([p.run.measured_gpu_hours / p.bare.calendar_gpu_hours.mid for p in pairs])
    shares = np.array([p.share for p in pairs])
    tried = np.linspace(1.0, _MAX, _STEPS)
    errors = logs - np.log1p((tried[:, None] - 1.0) * shares)
    best = int(np.argmin(np.abs(errors) @ weights))
    groups: dict[str, list[float]] = {}
    for each, error in zip(pairs, errors[best], strict=True):
        if each.share >= _TELLING:
            groups.setdefault(each.group, []).append(abs(float(error)))
    width = two_level(list(groups.values()), ASKED)
    mid = float(tried[best])
    return max(mid * math.exp(-width), _MIN), mid, min(mid * math.exp(width), _MAX)


def two_level(groups: Sequence[Sequence[float]], share: float) -> float:
    """The quantile over groups of each group's own: how far a run of a new group lies off. 0 without any.

    Over k groups it is the ⌈(k + 1)·share⌉-th smallest, as a new group is one more of them (Vovk et al. 2005).
    """
    if not groups:
        return 0.0
    own = sorted(float(np.quantile(each, share)) for each in groups)
    return own[min(math.ceil((len(own) + 1) * share), len(own)) - 1]


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
