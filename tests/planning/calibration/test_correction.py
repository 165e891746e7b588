"""What a measured step makes of predictions."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from zenplan.domain.fit.efficiency import (
    ACCELERATOR,
    ACCELERATOR_DEVICES,
    BATCH,
    DEVICES,
    MODEL,
    MODEL_DEVICES,
    VENDOR,
    CarriedOver,
    Correction,
    Grounds,
    Spread,
)
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.hardware.cluster import Cluster
from zenplan.domain.range import Range
from zenplan.domain.training.layout import Layout
from zenplan.domain.training.tuning import TensorOverlap, Tuning
from zenplan.errors import DataError
from zenplan.planning.calibration.correction import alone_s, correction, kind_of, usable
from zenplan.planning.physics.columns import Hardware, Layouts
from zenplan.planning.physics.interval import spread_of
from zenplan.planning.physics.step import step_time

PRIOR = Spread(low=0.8, high=1.25, basis="made up")
CARRIED = CarriedOver(kind=BATCH, power=0.5, down=0.5, up=1.0, pairs=10, publishers=3)
FIXED = {"operator_s": 1e-5, "launch_s": 2e-5, "host_s": 1e-2}


def corrected(cluster: Cluster, factor: float) -> Cluster:
    one = Correction(factor=factor, grounds=Grounds.MEASURED, spread=PRIOR, calibration="a")
    return replace(cluster, efficiency=replace(cluster.efficiency, correction=one))


@pytest.mark.parametrize("factor", [0.6, 1.0, 1.7])
def test_all_that_one_device_does_takes_so_many_times_as_long(make: Any, factor: float) -> None:
    cluster, plan = make.cluster(efficiency=FIXED, node_devices=1), make.plan()
    before, after = alone_s(plan, cluster, 4), alone_s(plan, corrected(cluster, factor), 4)
    assert after == pytest.approx(factor * before, rel=1e-12)


def test_what_devices_exchange_takes_as_long_as_before(make: Any) -> None:
    # Where nothing travels under the computation, which takes longer.
    cluster, plan = make.cluster(node_devices=8), make.plan(tuning=Tuning(tensor=TensorOverlap.NONE))
    layouts = Layouts.of([Layout(dp=2, tp=4, micro_batch=4)])
    before, after = (
        step_time(plan, layouts, Hardware.of([c], plan.precision)) for c in (cluster, corrected(cluster, 1.5))
    )
    assert after.tensor_s[0] == before.tensor_s[0] > 0
    assert after.compute_s[0] == pytest.approx(1.5 * before.compute_s[0])


def test_the_very_step_comes_out_as_it_was_measured(make: Any) -> None:
    cluster, plan = make.cluster(efficiency=FIXED, node_devices=1), make.plan()
    predicted = alone_s(plan, cluster, 4)
    measured = Range(low=1.2 * predicted, mid=1.3 * predicted, high=1.35 * predicted)
    found = correction(measured, predicted, None, PRIOR, Grounds.MEASURED, "here", "a")
    assert alone_s(plan, corrected(cluster, found.factor), 4) == pytest.approx(measured.mid)
    assert found.spread.low == pytest.approx(1.2 / 1.3)
    assert found.spread.high == pytest.approx(1.35 / 1.3)


def test_elsewhere_a_part_of_the_ratio_is_carried_and_a_part_of_the_interval_is_left() -> None:
    measured = Range(low=1.9, mid=2.0, high=2.2)
    found = correction(measured, 1.0, CARRIED, PRIOR, Grounds.CARRIED, "there", "a")
    assert found.factor == pytest.approx(2**0.5)
    down = math.hypot(0.5 * math.log(2.0 / 1.9), 0.5 * math.log(1 / 0.8))
    up = math.hypot(0.5 * math.log(2.2 / 2.0), 1.0 * math.log(1.25))
    assert (found.spread.low, found.spread.high) == pytest.approx((math.exp(-down), math.exp(up)))
    assert found.spread.basis == "there"


def test_the_interval_of_a_corrected_cluster_is_the_corrections(make: Any) -> None:
    cluster, plan = make.cluster(), make.plan()
    assert spread_of(plan, corrected(cluster, 1.0)) is PRIOR
    assert spread_of(plan, cluster).basis == "made up"
    assert spread_of(plan, cluster) is not PRIOR


def test_one_device_is_taken_for_itself_whatever_cluster_it_is_of(make: Any) -> None:
    plan = make.plan()
    node = make.cluster(node_devices=8)
    assert alone_s(plan, node, 2) == alone_s(plan, replace(node, node_devices=1), 2)


@pytest.mark.parametrize(
    ("other", "devices", "same_model", "kind"),
    [
        ({}, 1, True, BATCH),
        ({}, 8, True, DEVICES),
        ({}, 1, False, MODEL),
        ({}, 8, False, MODEL_DEVICES),
        ({"name": "Square"}, 1, True, ACCELERATOR),
        ({"name": "Square"}, 8, True, ACCELERATOR_DEVICES),
        ({"name": "Square", "vendor": "Else"}, 1, True, VENDOR),
        ({"name": "Square", "vendor": "Else"}, 8, True, VENDOR),
        ({"name": "Square"}, 1, False, ""),
    ],
)
def test_kinds(make: Any, other: dict[str, Any], devices: int, same_model: bool, kind: str) -> None:
    measured_on: Accelerator = make.sheet()
    cluster = make.cluster(sheet=other, node_devices=devices)
    assert kind_of(measured_on, cluster, same_model) == kind


def test_what_does_not_help_is_not_used() -> None:
    table = {BATCH: CARRIED, VENDOR: replace(CARRIED, kind=VENDOR, power=0.0)}
    assert usable(table, BATCH) is CARRIED
    assert usable(table, VENDOR) is None
    assert usable(table, MODEL) is None
    assert usable(table, "") is None


@pytest.mark.parametrize("changes", [{"power": 1.1}, {"power": -0.1}, {"down": 0.0}, {"up": -1.0}, {"kind": "x"}])
def test_impossible_figures(changes: dict[str, Any]) -> None:
    with pytest.raises(DataError):
        replace(CARRIED, **changes)


def test_impossible_factors() -> None:
    with pytest.raises(DataError):
        Correction(factor=0.0, grounds=Grounds.MEASURED, spread=PRIOR, calibration="a")
