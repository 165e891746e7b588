"""Embedding tables that devices share out: rows travel, tables stay, and what was not looked up is left alone."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from zenplan.domain.model.operators import Embedding, MatMul, Split
from zenplan.domain.model.workload import Workload
from zenplan.domain.training.layout import Layout
from zenplan.planning.physics.memory import peak_memory
from zenplan.planning.physics.step import step_time

# A billion rows of 64: 64e9 parameters. 26 of them for a sample.
TABLES = Embedding(name="tables", entries=1e9, width=64, rows=26, sparse=True)
TOP = MatMul(name="top", rows=1, inner=512, columns=512, split=Split.NONE)
ROWS = 26 * 64


def load(make: Any, table: Embedding = TABLES) -> Workload:
    return replace(make.only(table, TOP), family="recommender", unit="samples")


def steps(make: Any, layout: Layout, table: Embedding = TABLES, **changes: Any) -> Any:
    plan = make.plan(load(make, table), optimizer="sgd", **changes)
    cluster = make.cluster(nodes=1, node_devices=8)
    return step_time(plan, make.columns(layout), make.hardware(cluster)).at(0)


def memory(make: Any, layout: Layout, table: Embedding = TABLES) -> Any:
    plan = make.plan(load(make, table), optimizer="adamw")
    return peak_memory(plan, make.columns(layout)).at(0)


def test_each_device_has_its_share_of_the_tables_in_the_compute_type(make: Any) -> None:
    one, eight = (memory(make, Layout(dp=n, micro_batch=4)) for n in (1, 8))
    top = 512 * 512
    assert one.weights_bytes == pytest.approx((64e9 + top) * 2)
    assert eight.weights_bytes == pytest.approx((64e9 / 8 + top) * 2)
    assert eight.optimizer_bytes == pytest.approx(64e9 / 8 * 8 + top * 12)
    # Only rows that were taken have a gradient, which is next to nothing.
    assert eight.gradients_bytes == pytest.approx(top * 4)


def test_rows_travel_to_their_samples_and_their_gradients_back(make: Any) -> None:
    step = steps(make, Layout(dp=8, micro_batch=1024, accumulation=2))
    size = ROWS * 1024 * 2
    assert step.lookup_s == pytest.approx(2 * 2 * 7 / 8 * size / 100e9)
    assert steps(make, Layout(micro_batch=1024)).lookup_s == 0


def test_the_tables_are_in_no_all_reduce(make: Any) -> None:
    layout = Layout(dp=8, micro_batch=1024)
    dense = replace(TABLES, sparse=False)
    assert steps(make, layout).data_s < 1e-4 < steps(make, layout, dense).data_s
    assert steps(make, layout, dense).lookup_s == 0


def test_only_rows_that_were_taken_are_updated(make: Any) -> None:
    small, large = (steps(make, Layout(micro_batch=b)).optimizer_s for b in (1024, 2048))
    # Read a gradient in fp32, read and write the row: 8 bytes an element under plain SGD.
    assert large - small == pytest.approx(1024 * ROWS * 8 / 1e12)
    # As many again in each micro-batch of the step.
    several = steps(make, Layout(micro_batch=1024, accumulation=4)).optimizer_s
    assert several - small == pytest.approx(3 * 1024 * ROWS * 8 / 1e12)
    whole = steps(make, Layout(micro_batch=1024), replace(TABLES, sparse=False)).optimizer_s
    assert whole > 1000 * small


def test_a_model_without_tables_has_nothing_to_look_up(make: Any) -> None:
    plan = make.plan()
    step = step_time(plan, make.columns(Layout(dp=8)), make.hardware())
    assert np.all(step.lookup_s == 0)
