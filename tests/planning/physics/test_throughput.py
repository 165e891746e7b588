"""The fastest of a run's layouts, against the time of a step."""

from __future__ import annotations

from typing import Any

import pytest

from zenplan.domain.training.layout import Layout, Recompute
from zenplan.planning.physics.step import fastest, step_time

SLOW = Layout(dp=8, micro_batch=1, accumulation=1, recompute=Recompute.FULL)
FAST = Layout(dp=8, micro_batch=1, accumulation=1)
LARGE = Layout(dp=8, micro_batch=8, accumulation=2)


def test_the_speed_is_samples_by_time_and_device(make: Any) -> None:
    plan, cluster = make.plan(), make.cluster()
    ((layout, speed),) = fastest(plan, [cluster], [[FAST]])
    seconds = float(step_time(plan, make.columns(FAST), make.hardware(cluster)).total_s[0])
    assert layout is FAST
    assert speed == pytest.approx(8 / seconds / 8)


def test_the_fastest_layout_is_taken_wherever_it_stands(make: Any) -> None:
    plan, cluster = make.plan(), make.cluster()
    for options in ([SLOW, FAST], [FAST, SLOW]):
        assert fastest(plan, [cluster], [options])[0][0] is FAST
    # More samples a step count: a longer step can be the faster one.
    overhead = make.cluster(efficiency={"operator_s": 1e-3})
    assert fastest(plan, [overhead], [[FAST, LARGE, SLOW]])[0][0] is LARGE


def test_runs_together_are_as_runs_alone(make: Any) -> None:
    plan = make.plan()
    clusters = [make.cluster(), make.cluster(efficiency={"matmul": 0.5}), make.cluster(nodes=2)]
    options = [[SLOW, FAST], [FAST], [Layout(dp=16), Layout(dp=8, tp=2), SLOW]]
    together = fastest(plan, clusters, options)
    alone = [fastest(plan, [c], [o])[0] for c, o in zip(clusters, options, strict=True)]
    assert [layout for layout, _ in together] == [layout for layout, _ in alone]
    assert [speed for _, speed in together] == pytest.approx([speed for _, speed in alone])
