"""The step-time model as a function of its coefficients, on many measured runs at once.

Layouts and data sheets do not change while coefficients are fitted, so they are put into columns once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from prior import START

from zenplan.backtesting.runs import Run, alike
from zenplan.domain.fit.coefficients import Coefficients
from zenplan.domain.fit.efficiency import Efficiency
from zenplan.domain.fit.interval import Interval
from zenplan.domain.training.plan import TrainingPlan
from zenplan.planning.physics.columns import Hardware, Layouts
from zenplan.planning.physics.step import step_time

Array = npt.NDArray[np.float64]

# The coefficients that are fitted, as fields of ``Efficiency``; and the columns of ``Hardware`` they scale.
FIELDS = (
    "matmul",
    "wide_matmul",
    "attention",
    "convolution",
    "feed",
    "memory",
    "link",
    "pcie",
    "staged",
    "network",
    "fill_elements",
    "operator_s",
    "launch_s",
    "host_s",
    "contention",
)
_SCALED = {
    "matmul_flop_per_s": "matmul",
    "other_flop_per_s": "wide_matmul",
    "attention_flop_per_s": "attention",
    "convolution_flop_per_s": "convolution",
    "feed_flop_per_s": "feed",
    "memory_bytes_per_s": "memory",
    "link_bytes_per_s": "link",
    "network_bytes_per_s": "network",
}
_TAKEN = ("fill_elements", "operator_s", "launch_s", "host_s", "contention")
# Of the layouts that a row can mean, those that can be the fastest under other coefficients too.
_NEAR = 1.25
_FIXED = {name: START[name].value for name in ("link_hop_s", "network_hop_s")}


@dataclass(frozen=True, slots=True)
class _Group:
    """Runs of one model in one arithmetic: one evaluation."""

    plan: TrainingPlan
    layouts: Layouts
    sheet: Hardware
    owner: npt.NDArray[np.intp]  # the place of each layout's run
    reach: npt.NDArray[np.bool_]  # whether its devices reach each other over PCIe


class Model:
    """ln(predicted / measured) tokens a second of each run, under any coefficients."""

    def __init__(self, runs: Sequence[Run], start: Coefficients) -> None:
        self.runs = runs
        self._measured = np.log([r.tokens_per_s for r in runs])
        self._groups = [_group(runs, places) for places in alike(runs)]
        best = self._layout_speeds(self.efficiencies(start)[None])
        self._groups = [_pruned(g, speed[0]) for g, speed in zip(self._groups, best, strict=True)]

    def efficiencies(self, coefficients: Coefficients) -> Array:
        """Each run's efficiency; shape (runs, fields)."""
        return np.array([values_of(efficiency_of(r, coefficients)) for r in self.runs])

    def errors(self, efficiencies: Array) -> Array:
        """Shape (runs,)."""
        return self._errors(efficiencies[None])[0]

    def slopes(self, efficiencies: Array, fields: Sequence[str], step: float = 0.02) -> tuple[Array, Array]:
        """Errors, shape (runs,), and d ln(speed) / d ln(field) by differences, shape (runs, fields)."""
        variants = np.repeat(efficiencies[None], len(fields) + 1, axis=0)
        for place, name in enumerate(fields, 1):
            variants[place, :, FIELDS.index(name)] *= 1 + step
        at, *moved = self._errors(variants)
        return at, (np.array(moved) - at).T / np.log1p(step)

    def _errors(self, variants: Array) -> Array:
        """Under several sets of efficiencies at once, (variants, runs, fields); shape (variants, runs)."""
        predicted = np.full((len(self.runs), len(variants)), -np.inf)
        for group, speed in zip(self._groups, self._layout_speeds(variants), strict=True):
            np.maximum.at(predicted, group.owner, np.log(speed.T))
        return predicted.T - self._measured

    def _layout_speeds(self, variants: Array) -> list[Array]:
        """Of each group, shape (variants, layouts). One evaluation for all variants: numpy's calls cost more than
        what they compute."""
        speeds = []
        for g in self._groups:
            again = np.tile(np.arange(len(g.owner)), len(variants))
            layouts, sheet = g.layouts.take(again), g.sheet.take(again)
            e = dict(zip(FIELDS, variants[:, g.owner].reshape(len(again), -1).T, strict=True))
            scaled = {column: getattr(sheet, column) * e[name] for column, name in _SCALED.items()}
            scaled["pcie_bytes_per_s"] = sheet.pcie_bytes_per_s * np.where(g.reach[again], e["pcie"], e["staged"])
            hw = replace(sheet, **scaled, **{name: e[name] for name in _TAKEN})
            tokens = layouts.samples * g.plan.workload.tokens_per_sample
            speed = tokens / step_time(g.plan, layouts, hw).total_s / hw.devices
            speeds.append(speed.reshape(len(variants), -1))
        return speeds


def efficiency_of(run: Run, coefficients: Coefficients) -> Efficiency:
    """The efficiency that coefficients give a run."""
    return coefficients.of(
        run.cluster.accelerator.architecture, run.plan.precision, run.plan.software, run.plan.workload.family
    )


def values_of(efficiency: Efficiency) -> list[float]:
    """The fitted fields."""
    return [getattr(efficiency, name) for name in FIELDS]


def _group(runs: Sequence[Run], places: Sequence[int]) -> _Group:
    whole = Efficiency(
        architecture="sheet",
        matmul=1,
        wide_matmul=1,
        attention=1,
        convolution=1,
        feed=1,
        memory=1,
        link=1,
        pcie=1,
        staged=1,
        network=1,
        fill_elements=1,
        operator_s=1,
        host_s=0,
        launch_s=0,
        contention=1,
        **_FIXED,
        source="data sheet",
        interval=Interval(down=1, up=1, basis="none"),
    )
    clusters = [replace(runs[p].cluster, efficiency=whole) for p in places]
    counts = [len(runs[p].layouts) for p in places]
    index = np.repeat(np.arange(len(places)), counts)
    plan = runs[places[0]].plan
    return _Group(
        plan=plan,
        layouts=Layouts.of([layout for p in places for layout in runs[p].layouts]),
        sheet=Hardware.of(clusters, plan.precision).take(index),
        owner=np.array(places, dtype=np.intp)[index],
        reach=np.array([c.accelerator.peer_access for c in clusters])[index],
    )


def _pruned(group: _Group, speed: Array) -> _Group:
    fastest = {int(o): speed[group.owner == o].max() for o in np.unique(group.owner)}
    kept = np.flatnonzero(speed * _NEAR >= [fastest[int(o)] for o in group.owner])
    return _Group(group.plan, group.layouts.take(kept), group.sheet.take(kept), group.owner[kept], group.reach[kept])
