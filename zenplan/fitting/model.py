"""The step-time model as a function of its coefficients, on many measured runs at once.

Layouts and data sheets do not change while coefficients are fitted, so they are put into columns once. The formulas are
those of ``planning/physics/step.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from zenplan.backtesting.runs import Run, alike
from zenplan.domain.fit.attention import KERNELS
from zenplan.domain.fit.coefficients import Coefficients
from zenplan.domain.fit.efficiency import Efficiency, Interval
from zenplan.domain.training.plan import TrainingPlan
from zenplan.fitting.prior import START
from zenplan.planning.physics.blocks import Asked
from zenplan.planning.physics.columns import Hardware, Layouts
from zenplan.planning.physics.step import step_times

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
    "variation",
)
_SCALED = {
    "matmul_flop_per_s": "matmul",
    "other_flop_per_s": "wide_matmul",
    "attention_forward_flop_per_s": "attention",
    "attention_backward_flop_per_s": "attention",
    "softmax_per_s": "attention",
    "convolution_flop_per_s": "convolution",
    "feed_flop_per_s": "feed",
    "memory_bytes_per_s": "memory",
    "link_bytes_per_s": "link",
    "network_bytes_per_s": "network",
}
_TAKEN = ("fill_elements", "operator_s", "launch_s", "host_s", "contention", "variation")
# Of the layouts that a row can mean, those that can be the fastest under other coefficients too.
_NEAR = 1.25


@dataclass(frozen=True, slots=True)
class _Group:
    """Runs of one model in one arithmetic: one evaluation. Columns have an entry for each layout of each run.

    Attributes:
        hardware: what the data sheets say, at efficiency 1.
        owner: the index of each layout's run in the model's runs.
        peer: whether its devices reach each other over PCIe, without the host.
    """

    plan: TrainingPlan
    layouts: Layouts
    hardware: Hardware
    owner: npt.NDArray[np.intp]
    peer: npt.NDArray[np.bool_]


class Model:
    """ln(predicted / measured) tokens a second of each run, under any coefficients.

    Of the layouts that a run can have had the fastest counts.
    """

    def __init__(self, runs: Sequence[Run], start: Coefficients) -> None:
        """Layouts that under ``start`` are far from a run's fastest are left out for good."""
        self.runs = runs
        self._measured = np.log([r.tokens_per_s for r in runs])
        self._groups = [_group(runs, indices) for indices in alike(runs)]
        best = self._layout_speeds(self.efficiencies(start)[None])
        self._groups = [_pruned(g, speed[0]) for g, speed in zip(self._groups, best, strict=True)]

    def efficiencies(self, coefficients: Coefficients) -> Array:
        """Each run's efficiency; shape (runs, fields)."""
        return np.array([values_of(efficiency_of(r, coefficients)) for r in self.runs])

    def errors(self, efficiencies: Array) -> Array:
        """ln(predicted / measured) under efficiencies, shape (runs, fields); shape (runs,)."""
        found: Array = self._errors(efficiencies[None])[0]
        return found

    def slopes(self, efficiencies: Array, fields: Sequence[str], step: float = 0.02) -> tuple[Array, Array]:
        """Errors, shape (runs,), and d ln(speed) / d ln(field) by differences, shape (runs, fields)."""
        variants = np.repeat(efficiencies[None], len(fields) + 1, axis=0)
        for index, name in enumerate(fields, 1):
            variants[index, :, FIELDS.index(name)] *= 1 + step
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
        asked = [self._asked(g, variants) for g in self._groups]
        return [
            (a.layouts.samples * a.plan.workload.tokens_per_sample / steps.total_s / a.hw.devices).reshape(
                len(variants), -1
            )
            for a, steps in zip(asked, step_times(asked), strict=True)
        ]

    def _asked(self, group: _Group, variants: Array) -> Asked:
        """A group's layouts under each variant, one variant after another."""
        again = np.tile(np.arange(len(group.owner)), len(variants))
        layouts, spec = group.layouts.take(again), group.hardware.take(again)
        e = dict(zip(FIELDS, variants[:, group.owner].reshape(len(again), -1).T, strict=True))
        scaled = {column: getattr(spec, column) * e[name] for column, name in _SCALED.items()}
        scaled["pcie_bytes_per_s"] = spec.pcie_bytes_per_s * np.where(group.peer[again], e["pcie"], e["staged"])
        return Asked(group.plan, layouts, replace(spec, **scaled, **{name: e[name] for name in _TAKEN}))


def efficiency_of(run: Run, coefficients: Coefficients) -> Efficiency:
    """The efficiency that coefficients give a run."""
    return coefficients.of(
        run.cluster.accelerator.architecture, run.plan.precision, run.plan.software, run.plan.workload.family
    )


def values_of(efficiency: Efficiency) -> list[float]:
    """The fitted fields, in the order of ``FIELDS``."""
    return [getattr(efficiency, name) for name in FIELDS]


def at_data_sheet() -> Efficiency:
    """Everything as the data sheet has it, and nothing takes any time but what it moves and computes."""
    return Efficiency(
        architecture="sheet",
        matmul=1,
        wide_matmul=1,
        attention=1,
        kernel=KERNELS["fa2"],
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
        variation=0,
        link_hop_s=START["link_hop_s"].value,
        network_hop_s=START["network_hop_s"].value,
        source="data sheet",
        interval=Interval(new=1, known=1, basis="none"),
    )


def _group(runs: Sequence[Run], indices: Sequence[int]) -> _Group:
    whole = at_data_sheet()
    made = [runs[i].cluster for i in indices]
    clusters = [replace(c, efficiency=replace(whole, kernel=c.efficiency.kernel)) for c in made]
    of_layout = np.repeat(np.arange(len(indices)), [len(runs[i].layouts) for i in indices])
    plan = runs[indices[0]].plan
    return _Group(
        plan=plan,
        layouts=Layouts.of([layout for i in indices for layout in runs[i].layouts]),
        hardware=Hardware.of(clusters, plan.precision).take(of_layout),
        owner=np.array(indices, dtype=np.intp)[of_layout],
        peer=np.array([c.accelerator.peer_access for c in clusters])[of_layout],
    )


def _pruned(group: _Group, speed: Array) -> _Group:
    fastest = {int(o): speed[group.owner == o].max() for o in np.unique(group.owner)}
    kept = np.flatnonzero(speed * _NEAR >= [fastest[int(o)] for o in group.owner])
    return _Group(group.plan, group.layouts.take(kept), group.hardware.take(kept), group.owner[kept], group.peer[kept])
