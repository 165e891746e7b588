"""Whether a measured step carries over: pairs that are made here, of which it is known whether it does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from zenplan.backtesting.runs import Run
from zenplan.domain.fit.efficiency import ACCELERATOR, BATCH, KINDS
from zenplan.fitting.carry import Pairs, carried_over, carried_pairs, measured_runs
from zenplan.fitting.fit import errors_of
from zenplan.fitting.prior import start

POWERS = np.linspace(0.0, 1.0, 11)
WIDTH = 0.4


def pairs(first: Sequence[float], second: Sequence[float], publishers: Sequence[str]) -> Pairs:
    """Pairs of runs by their errors before anything is carried over."""
    errors = np.array([[b - a * power for power in POWERS] for a, b in zip(first, second, strict=True)])
    widths = np.full((len(publishers), 2), WIDTH)
    return Pairs(errors=errors, publishers=publishers, weights=np.ones(len(publishers)), widths=widths)


def made(carries: float, publishers: int = 6, each: int = 40, seed: int = 3) -> Pairs:
    """Pairs whose second error is that share of the first, and 0.02 of noise."""
    random = np.random.default_rng(seed)
    names = [f"maker {i}" for i in range(publishers) for _ in range(each)]
    first = random.normal(0.0, 0.3, len(names))
    return pairs(first, carries * first + random.normal(0.0, 0.02, len(names)), names)


@pytest.mark.parametrize("carries", [0.5, 0.8, 1.0])
def test_the_power_is_what_carries(carries: float) -> None:
    assert made(carries).power == pytest.approx(carries, abs=0.05)


def test_what_does_not_help_is_not_carried_over() -> None:
    assert made(0.0).power == 0.0
    assert made(-1.0).power == 0.0


def test_two_publishers_say_nothing_of_a_third() -> None:
    assert made(1.0, publishers=2).power == 0.0
    assert made(1.0, publishers=3).power == 1.0


def test_a_publisher_is_predicted_with_the_power_of_the_others() -> None:
    """One publisher's errors do not carry; under the power of the others they grow."""
    random = np.random.default_rng(5)
    names = [f"maker {i}" for i in range(5) for _ in range(20)]
    first = random.normal(0.0, 0.3, len(names))
    other = np.array([name == "maker 4" for name in names])
    found = pairs(first, np.where(other, 0.0, first), names).left_out()
    assert found[other] == pytest.approx(-first[other])
    assert found[~other] == pytest.approx(0.0)


def test_what_is_left_of_the_interval_holds_eighty_of_a_hundred() -> None:
    found = carried_over(BATCH, made(1.0, publishers=10))
    assert (found.pairs, found.publishers, found.kind) == (400, 10, BATCH)
    # Normal errors of 0.02 in an interval of 0.4: the tenth and ninetieth percentile are at 1.28 of it.
    assert (found.down, found.up) == pytest.approx((1.28 * 0.02 / WIDTH,) * 2, rel=0.2)
    assert made(1.0, publishers=10).holds() == pytest.approx(0.80, abs=0.04)


def test_runs_are_paired_with_those_of_their_setting(toy: list[Run], as_if: Callable[..., Run]) -> None:
    def alone(run: Run, by: str) -> Run:
        cluster = replace(run.cluster, node_devices=1, used=1)
        layouts = tuple(replace(layout, dp=1) for layout in run.layouts)
        plan = replace(run.plan, global_batch=layouts[0].global_batch)
        return as_if(replace(run, cluster=cluster, layouts=layouts, plan=plan), source=by)

    # Of one model: batch 1 and 2 on A100, batch 1 on H100; and one run of another publisher.
    a100, h100 = toy[0], toy[1]
    bigger = replace(a100, layouts=tuple(replace(layout, micro_batch=2) for layout in a100.layouts))
    runs = [alone(a100, "one"), alone(bigger, "one"), alone(h100, "one"), alone(bigger, "other")]
    found = carried_pairs(measured_runs(runs, start()))
    assert {kind: len(each.publishers) for kind, each in found.items()} == {BATCH: 2, ACCELERATOR: 4}
    assert [*found] == [kind for kind in KINDS if kind in found]
    assert set(found[ACCELERATOR].publishers) == {"one"}


def test_with_the_whole_factor_an_equal_run_has_no_error(toy: list[Run]) -> None:
    """On one device all is the device's own work: the ratio of one run, carried to itself, explains it."""
    cluster = replace(toy[0].cluster, node_devices=1, used=1)
    one = replace(toy[0], cluster=cluster, layouts=tuple(replace(layout, dp=1) for layout in toy[0].layouts))
    [each] = measured_runs([one], start())
    [(_, error)] = errors_of([one], start())
    assert each.prior == pytest.approx(error)
    assert each.after(each, 0.0) == pytest.approx(error)
    assert each.after(each, 1.0) == pytest.approx(0.0, abs=1e-9)


def test_on_several_devices_communication_is_not_carried(toy: list[Run]) -> None:
    """A step that waits for its network too becomes less than twice as long where the device takes twice as long."""
    [each] = measured_runs([toy[0]], start())
    slower = each.errors[0] - each.errors[-1]
    assert 0.5 * 3.0 < slower < 3.0
    assert (np.diff(each.errors) < 0).all()
