"""Names are shown to people: with any others, a model is the same to the program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from zenplan.adapters.tables.coefficients import read_coefficients
from zenplan.commands.shared import tables as inputs
from zenplan.commands.shared.shortfall import trains_in, what_helps
from zenplan.domain.fit.efficiency import Spread
from zenplan.domain.hardware.cluster import Cluster
from zenplan.domain.model.workload import Workload
from zenplan.domain.precision import PRECISIONS
from zenplan.domain.software import Software
from zenplan.domain.training.layout import Layout
from zenplan.domain.training.plan import OPTIMIZERS, TrainingPlan
from zenplan.planning.calibration.features import features_of_blocks
from zenplan.planning.explain.method import with_adapters
from zenplan.planning.physics.columns import Hardware, Layouts
from zenplan.planning.physics.interval import spread_of, traits
from zenplan.planning.physics.step import step_time
from zenplan.plugins import load_plugins

PLUGINS = load_plugins({"ZENPLAN_PLUGINS": ""})
FAMILIES = PLUGINS.workloads()
H100 = inputs.catalogue(PLUGINS).by_name("H100-SXM5-80GB")
COEFFICIENTS = read_coefficients()
SIZES: dict[str, dict[str, Any]] = {
    "1e8": {"params": 1e8},
    "1e9": {"params": 1e9},
    "7e10": {"params": 7e10},
    "a mixture": {"params": 1e11, "active_params": 2e10},
}
ASKED = {**{name: {"model": name} for f in FAMILIES for name in f.presets()}, **SIZES}
# What names have meant.
WORDS = ("add", "residual sum", "norm", "router", "attention key-value", "loss", "shape", "image size", "backend")


def renamed(of: Workload, words: Sequence[str]) -> Workload:
    """The same with its operators, blocks and facts called by any of the words; where there are none, by no word."""
    draw = np.random.default_rng(len(of.blocks))

    def name() -> str:
        return str(draw.choice(words)) if words else draw.bytes(5).hex()

    blocks = tuple(
        replace(b, name=name(), operators=tuple(replace(o, name=name()) for o in b.operators)) for b in of.blocks
    )
    return replace(of, blocks=blocks, facts=tuple(replace(f, name=name()) for f in of.facts))


def nameless(of: Workload) -> list[Any]:
    return [(b.repeat, b.place, [replace(o, name="o") for o in b.operators]) for b in of.blocks]


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
def test_features_and_adapters_do_not_go_by_names(asked: dict[str, Any]) -> None:
    own = inputs.lowered(FAMILIES, asked)
    for other in (renamed(own, WORDS), renamed(own, ())):
        assert features_of_blocks(other.blocks, 8) == features_of_blocks(own.blocks, 8)
        assert nameless(with_adapters(other)) == nameless(with_adapters(own))


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
def test_intervals_and_hints_do_not_go_by_names(asked: dict[str, Any]) -> None:
    own = inputs.lowered(FAMILIES, asked)
    for other in (renamed(own, WORDS), renamed(own, ())):
        assert interval(other) == interval(own)
        assert what_helps(plan_of(other), ()) == what_helps(plan_of(own), ())


def plan_of(of: Workload) -> TrainingPlan:
    return TrainingPlan(
        workload=of,
        samples=1e6,
        global_batch=8,
        precision=PRECISIONS["bf16"],
        optimizer=OPTIMIZERS["adamw"],
        software=Software.FUSED,
    )


def interval(of: Workload) -> tuple[Mapping[str, float], Spread, float]:
    """What the range of a step goes by, the range, and the step, on eight devices."""
    plan = plan_of(of)
    efficiency = COEFFICIENTS.of(H100.architecture, plan.precision, plan.software, of.family)
    cluster = Cluster(accelerator=H100, efficiency=efficiency, node_devices=8)
    steps = step_time(plan, Layouts.of([Layout(dp=8, micro_batch=1)]), Hardware.of([cluster], plan.precision))
    return traits(plan, cluster), spread_of(plan, cluster), float(steps.total_s[0])


def test_what_a_device_trains_in_does_not_go_by_names() -> None:
    sheets = tuple(inputs.catalogue(PLUGINS))
    for precision in PRECISIONS.values():
        other = replace(precision, name="bf16" if precision.block_scaled else "mxfp8")
        assert [trains_in(sheet, other) for sheet in sheets] == [trains_in(sheet, precision) for sheet in sheets]
    assert len({trains_in(sheet, PRECISIONS["mxfp8"]) for sheet in sheets}) == 2
