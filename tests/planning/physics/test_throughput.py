"""The fastest of a run's layouts, against the time of a step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from zenplan.domain.software import Software
from zenplan.domain.training.layout import Layout, Recompute
from zenplan.families.transformer.shape import Experts
from zenplan.planning.explain.method import with_adapters
from zenplan.planning.physics.blocks import Asked
from zenplan.planning.physics.step import Question, fastest, step_time, step_times

SLOW = Layout(dp=8, micro_batch=1, accumulation=1, recompute=Recompute.FULL)
FAST = Layout(dp=8, micro_batch=1, accumulation=1)
LARGE = Layout(dp=8, micro_batch=8, accumulation=2)


def test_the_speed_is_samples_by_time_and_device(make: Any) -> None:
    plan, cluster = make.plan(), make.cluster()
    [[(layout, speed)]] = fastest([Question(plan, [cluster], [[FAST]])])
    seconds = float(step_time(plan, make.columns(FAST), make.hardware(cluster)).total_s[0])
    assert layout is FAST
    assert speed == pytest.approx(8 / seconds / 8)


def test_the_fastest_layout_is_taken_wherever_it_stands(make: Any) -> None:
    plan, cluster = make.plan(), make.cluster()
    for options in ([SLOW, FAST], [FAST, SLOW]):
        assert fastest([Question(plan, [cluster], [options])])[0][0][0] is FAST
    # More samples a step count: a longer step can be the faster one.
    overhead = make.cluster(efficiency={"operator_s": 1e-3})
    assert fastest([Question(plan, [overhead], [[FAST, LARGE, SLOW]])])[0][0][0] is LARGE


def test_runs_together_are_as_runs_alone(make: Any) -> None:
    plan = make.plan()
    clusters = [make.cluster(), make.cluster(efficiency={"matmul": 0.5}), make.cluster(nodes=2)]
    options = [[SLOW, FAST], [FAST], [Layout(dp=16), Layout(dp=8, tp=2), SLOW]]
    [together] = fastest([Question(plan, clusters, options)])
    alone = [fastest([Question(plan, [c], [o])])[0][0] for c, o in zip(clusters, options, strict=True)]
    assert [layout for layout, _ in together] == [layout for layout, _ in alone]
    assert [speed for _, speed in together] == pytest.approx([speed for _, speed in alone])


def test_plans_together_are_as_plans_alone(make: Any) -> None:
    """To the last bit, so that a row does not depend on the table that it is in."""
    unfused = make.plan(fused_attention=False)
    plans = [make.plan(make.workload(layers=n), software=s) for n in (2, 3, 30) for s in (None, Software.EAGER)]
    plans += [unfused, make.plan(make.workload(gated=True)), make.plan(with_adapters(make.workload()), method="lora")]
    plans += [make.plan(make.workload(experts=Experts(count=n, active=2, width=256))) for n in (8, 16)]
    asked = []
    for number, plan in enumerate(plans):
        layouts = make.columns(SLOW, FAST, Layout(dp=2, tp=4, micro_batch=number + 1), Layout(dp=4, cp=2))
        asked.append(Asked(plan, layouts, make.hardware(*[make.cluster()] * 4, precision=plan.precision.name)))
    for each, together in zip(asked, step_times(asked), strict=True):
        assert np.array_equal(step_time(*each).total_s, together.total_s)
        for name in ("compute_s", "memory_s", "overhead_s", "recompute_s", "tensor_s", "data_s"):
            assert np.array_equal(getattr(step_time(*each), name), getattr(together, name)), name
