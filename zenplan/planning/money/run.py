"""From steps to a calendar: start-up, evaluation, checkpoints, failures and the work they lose.

With failures at rate λ, checkpoints that take δ every τ, and a restart of R, a run of T takes

    T · e^(λR) · (e^(λ(τ+δ)) − 1) / (λτ)

(Daly 2006, equation 20), and is shortest near τ = sqrt(2·δ/λ) (Young 1974). T is the time of the steps as whole
runs take them (``Operations.production``) and of evaluation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from zenplan.domain.answer.estimate import RunTime
from zenplan.domain.hardware.cluster import Cluster
from zenplan.domain.range import Range
from zenplan.domain.training.operations import Operations
from zenplan.domain.training.plan import TrainingPlan
from zenplan.planning.physics.columns import Array
from zenplan.planning.physics.interval import step_ranges
from zenplan.planning.search.search import Found, useful_samples

# One run's figure, or a column of them.
Number = TypeVar("Number", float, Array)

# A run that failures make so many times as long is not going to end.
_HOPELESS = 100.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Runs:
    """``domain.answer.estimate.RunTime`` in columns; low, middle and high as rows of shape (3, n)."""

    steady_s: Array
    work_s: Array
    wall_clock_s: Array
    checkpoint_interval_s: Array
    checkpoint_write_s: Array
    checkpoint_bytes: float
    interruptions: Array

    def at(self, index: int) -> RunTime:
        """One entry as a noun."""
        steady, work, calendar = (
            Range(**dict(zip(("low", "mid", "high"), map(float, a[:, index]), strict=True)))
            for a in (self.steady_s, self.work_s, self.wall_clock_s)
        )
        return RunTime(
            steady_s=steady,
            work_s=work,
            wall_clock_s=calendar,
            goodput=steady.mid / calendar.mid,
            checkpoint_interval_s=float(self.checkpoint_interval_s[index]),
            checkpoint_write_s=float(self.checkpoint_write_s[index]),
            checkpoint_bytes=self.checkpoint_bytes,
            interruptions=float(self.interruptions[index]),
        )


def checkpoint_bytes(plan: TrainingPlan) -> float:
    """Bytes of what must be saved: trained weights, their master copies and optimizer state."""
    p = plan.precision
    return plan.workload.trainable_parameters * (p.compute_bytes + p.master_bytes + plan.state_bytes)


def run_time(
    plan: TrainingPlan,
    operations: Operations,
    step_s: Array,
    samples: Array,
    devices: Array,
    nodes: Array,
    spot: bool,
    taken_per_s: Array | None = None,
) -> Runs:
    """Time of whole runs.

    Args:
        plan: how many samples there are to see.
        operations: what happens besides steps.
        step_s: low, middle and high seconds of a step, shape (3, n).
        samples: samples a step, shape (n,).
        devices, nodes: of the clusters, shape (n,).
        spot: machines can be taken away.
        taken_per_s: low, middle and high rate at which one is, shape (3, n); None for that of the operations.

    Returns:
        Where a run would never end, its calendar time is infinite.
    """
    steady = np.ceil(plan.samples / samples) * step_s
    size = checkpoint_bytes(plan)
    write = size / (operations.checkpoint_bytes_per_s * nodes)
    if taken_per_s is None:
        taken_per_s = np.array(operations.preemptions_per_node_s)[:, None]
    rate = devices / operations.device_mtbf_s + (taken_per_s * nodes if spot else np.zeros((3, 1)))
    interval = np.minimum(np.sqrt(2.0 * write / rate[1]), steady[1])
    restart = operations.restart_s + (operations.replace_s if spot else 0.0)
    produced = _in_production(steady, devices, operations)
    work = produced * (1.0 + operations.evaluation_share)
    with np.errstate(over="ignore"):  # where a failure is due before anything can be saved
        slower = np.exp(rate * restart) * np.expm1(rate * (interval + write)) / (rate * interval)
    calendar = np.where(slower < _HOPELESS, work * slower, np.inf) + operations.startup_s
    return Runs(
        steady_s=steady,
        work_s=produced,
        wall_clock_s=calendar,
        checkpoint_interval_s=interval,
        checkpoint_write_s=write,
        checkpoint_bytes=size,
        interruptions=rate[1] * calendar[1],
    )


def production_share(operations: Operations, devices: Number, steady_s: Number) -> Number:
    """How much of ``Operations.production`` a run has, 0 to 1: it grows with devices and with days, from none on one
    device or in no time."""
    many = (devices - 1.0) / (devices - 1.0 + operations.production_half_devices)
    return many * steady_s / (steady_s + operations.production_half_s)


def _in_production(steady_s: Array, devices: Array, operations: Operations) -> Array:
    """Seconds of the steps as runs of that size take them; low, middle and high, shape (3, n).

    Benchmarks of steps are peak configurations; ``Operations.production`` says what whole runs took over them,
    with its own spread, which has that of the steps in it. So the wider of both counts, never their product; and
    nothing is faster than the steps' low end.
    """
    share = production_share(operations, devices, steady_s[1])
    least, usual, most = (1.0 + (p - 1.0) * share for p in operations.production)
    low, mid, high = steady_s
    work: Array = np.stack(
        [np.maximum(low, np.minimum(low * usual, mid * least)), mid * usual, np.maximum(high * usual, mid * most)]
    )
    return work


def runs_on(plan: TrainingPlan, operations: Operations, clusters: Sequence[Cluster], found: Found) -> Runs:
    """Whole runs on machines that nobody takes away, each cluster in the layout found for it.

    Args:
        plan: what is trained.
        operations: how the run is operated.
        clusters: n of them.
        found: the layout of each cluster, with its step; n entries.
    """
    devices, nodes = (np.array([float(getattr(c, n)) for c in clusters]) for n in ("devices", "nodes"))
    step_s = step_ranges(plan, clusters, found.steps.total_s)
    return run_time(plan, operations, step_s, useful_samples(plan, found.layouts), devices, nodes, spot=False)
