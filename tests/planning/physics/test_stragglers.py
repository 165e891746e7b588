"""The slowest of some devices."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

from zenplan.domain.training.layout import Layout
from zenplan.planning.physics.step import step_time
from zenplan.planning.physics.stragglers import slowest


def test_the_slowest_of_drawn_devices_is_as_far_behind_as_said() -> None:
    drawn = np.random.default_rng(0)
    for devices in (2, 4, 8, 64, 512):
        worst = drawn.normal(size=(4000, devices)).max(axis=1).mean()
        assert float(slowest(np.array([float(devices)]))[0]) == pytest.approx(worst, abs=0.04), devices


def test_it_is_the_quantile_of_a_normal_distribution() -> None:
    devices = np.array([2.0, 3.0, 8.0, 100.0, 16384.0, 1e6])
    exact = [NormalDist().inv_cdf((n - 0.375) / (n + 0.25)) for n in devices.tolist()]
    assert slowest(devices).tolist() == pytest.approx(exact, abs=5e-4)


def test_one_device_waits_for_none() -> None:
    assert slowest(np.array([1.0])).tolist() == [0.0]


def test_devices_that_differ_wait_in_a_share_of_what_each_does(make: Any) -> None:
    def step(dp: int, variation: float) -> Any:
        cluster = make.cluster(node_devices=min(dp, 8), nodes=max(dp // 8, 1), efficiency={"variation": variation})
        layout = Layout(dp=dp)
        return step_time(make.plan(global_batch=dp), make.columns(layout), make.hardware(cluster)).at(0)

    assert step(1, 0.02).straggler_s == step(64, 0.0).straggler_s == 0.0
    few, many = step(8, 0.02), step(64, 0.02)
    own = few.compute_s + few.memory_s + few.overhead_s + few.launch_s + few.host_s + few.optimizer_s
    assert few.straggler_s == pytest.approx(0.02 * 1.434 * own, rel=1e-3)
    assert many.straggler_s == pytest.approx(0.02 * 2.337 * own, rel=1e-3)
    # What travels waits for nobody twice.
    assert few.data_s == step(8, 0.0).data_s
