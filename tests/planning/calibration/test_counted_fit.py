"""Steps from counted work: exact where work is all there is, linear where blocks are alike, wide where little is known."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from zenplan.domain.measured.calibration import Calibration, Fingerprint, Measured, Point, Sample
from zenplan.errors import DataError
from zenplan.planning.calibration.counted_fit import (
    DOUBTS,
    CountedStep,
    can_count,
    counted_step,
    kind_of,
    surprise,
)
from zenplan.planning.calibration.depth_fit import predicted

CPU = Fingerprint(
    device="a processor", kind="cpu", threads=1, backend="torch", versions={}, precision="fp32", compiled=False
)


def point(depth: int, batch: int = 8, growth: float = 1.0) -> Point:
    """Products whose width grows from layer to layer, a head, weights."""
    layers = sum(growth**n for n in range(depth))
    flop, elements = batch * (2e8 + 1e8 * layers), batch * (1e5 + 3e5 * layers)
    features = {
        "steps": 1.0,
        "operators": 4.0 + 10.0 * depth,
        "product_flop": flop,
        "stream_elements": elements,
        "parameters": 1e5 + 1e5 * layers,
    }
    return Point(key=f"depth={depth} batch={batch}", depth=depth, batch=batch, features=features)


def measured(at: Point, seconds: float, bytes_: float | None = None) -> Measured:
    samples = tuple(Sample(round=r, wall_s=seconds, cpu_s=seconds) for r in range(5))
    return Measured(point=at, samples=samples, program_bytes=bytes_)


def law(at: Point, speed: float = 1.0) -> float:
    f = at.features
    return speed * (1e-4 * f["operators"] + 7e-12 * f["product_flop"] + 4e-10 * f["stream_elements"])


def step(points: list[Measured], target: Point, kind: str = "torch", bytes_: float | None = None) -> CountedStep:
    return counted_step(points, target, "cpu", kind, bytes_)


@pytest.mark.parametrize(("kind", "near"), [("torch", 0.06), ("tensorflow", 0.15), ("jax", 0.15)])
@pytest.mark.parametrize("growth", [0.7, 1.0, 1.3], ids=["narrower", "alike", "wider"])
def test_widths_that_change_with_the_depth(kind: str, near: float, growth: float) -> None:
    """The law is the usual of torch; others are surer of another."""
    target = point(12, growth=growth)
    points = [measured(p, law(p)) for p in (point(d, growth=growth) for d in (1, 2, 4))]
    found = step(points, target, kind)
    assert found.mid_s == pytest.approx(law(target), rel=near)
    line = points[1].step_s("cpu") + (points[2].step_s("cpu") - points[1].step_s("cpu")) / 2 * 10
    assert abs(found.mid_s - law(target)) <= abs(line - law(target)) + near * law(target)


def test_where_blocks_are_alike_it_is_the_line_through_the_depths() -> None:
    """Times on a line of their own, a third above what their head's work says."""
    found = step([measured(point(d), 0.05 + 0.02 * d) for d in (1, 2, 4)], point(12))
    assert found.mid_s == pytest.approx(0.05 + 0.02 * 12, rel=0.05)


@pytest.mark.parametrize("speed", [1e-4, 1.0, 1e3])
def test_only_the_ratio_of_times_counts(speed: float) -> None:
    """A device that is so many times as fast is that many times as fast on the target, with the same width."""
    points = [point(d) for d in (1, 2, 4)]
    one, other = (step([measured(p, law(p, s)) for p in points], point(12)) for s in (1.0, speed))
    assert other.mid_s == pytest.approx(speed * one.mid_s)
    assert other.spread == pytest.approx(one.spread)


def test_one_point_is_a_constant_mfu_and_wide() -> None:
    one = step([measured(point(1), law(point(1)))], point(12))
    three = step([measured(p, law(p)) for p in map(point, (1, 2, 4))], point(12))
    assert one.mid_s == pytest.approx(law(point(12)), rel=0.5)
    assert one.spread > 2 * three.spread


def test_the_nearer_the_target_the_narrower() -> None:
    def spread(*depths: int) -> float:
        return step([measured(p, law(p)) for p in map(point, depths)], point(12)).spread

    assert spread(1, 2, 8) < spread(1, 2, 4) < spread(1, 2)


def test_parts_of_the_batch_tell_of_the_whole() -> None:
    points = [point(12, batch) for batch in (2, 4)]
    found = step([measured(p, law(p)) for p in points], point(12, 8))
    assert found.mid_s == pytest.approx(law(point(12, 8)), rel=0.05)


def test_bytes_of_programs_tell_what_fusing_across_layers_costs() -> None:
    """Each layer is computed again by those after it: the compiler's bytes grow with the square of the depth."""

    def bytes_(at: Point) -> float:
        return 1e8 * (at.depth or 1) + 2e7 * (at.depth or 1) ** 2

    points = [measured(p, law(p) + 8e-10 * bytes_(p), bytes_(p)) for p in map(point, (1, 2, 4, 7))]
    target, truth_s = point(12), law(point(12)) + 8e-10 * bytes_(point(12))
    knowing, not_knowing = step(points, target, "jax", bytes_(target)), step(points, target, "jax")
    assert knowing.mid_s == pytest.approx(truth_s, rel=0.05)
    assert abs(knowing.mid_s - truth_s) < abs(not_knowing.mid_s - truth_s)


def residual(depth: int) -> Point:
    """Each layer ends in a sum with all that is before it."""
    plain = point(depth)
    return replace(plain, features={**plain.features, "refused_elements": 5e5 * depth * (depth - 1) / 2})


@pytest.mark.parametrize("again", [0.0, 8.0, 16.0])
def test_what_xla_adds_up_again_is_known_by_the_bytes_of_shallow_programs(again: float) -> None:
    """Nothing of it is seen in the time of three shallow steps; the bytes say whether it will be, and of none it is not."""

    def bytes_(at: Point) -> float:
        return 1e7 + 8 * at.features["stream_elements"] + again * at.features.get("refused_elements", 0.0)

    found = step([measured(p, law(p), bytes_(p)) for p in map(residual, (1, 2, 3))], residual(24), "jax")
    plain = step([measured(p, law(p), bytes_(p)) for p in map(point, (1, 2, 3))], point(24), "jax")
    if again:
        assert found.mid_s > 1.02 * plain.mid_s
        assert found.spread > plain.spread
    else:
        assert found.mid_s == pytest.approx(plain.mid_s, rel=0.01)


def test_without_bytes_it_may_be_added_up_again_or_not() -> None:
    points = [residual(d) for d in (1, 2, 3)]
    told = step([measured(p, law(p), 1e7 + 8 * p.features["stream_elements"]) for p in points], residual(24), "jax")
    untold = step([measured(p, law(p)) for p in points], residual(24), "jax")
    assert untold.spread > told.spread
    assert untold.mid_s > told.mid_s


def test_only_jax_adds_up_again() -> None:
    target = residual(24)
    kinds = {kind: step([measured(p, law(p)) for p in map(residual, (1, 2, 3))], target, kind) for kind in DOUBTS}
    plain = {kind: step([measured(p, law(p)) for p in map(point, (1, 2, 3))], point(24), kind) for kind in DOUBTS}
    assert {kind for kind in DOUBTS if kinds[kind].mid_s != pytest.approx(plain[kind].mid_s)} == {"jax"}


def test_a_largest_step_that_nobody_foretold_widens_the_answer_and_is_told() -> None:
    def answer(last: float) -> Calibration:
        points = [measured(p, law(p) * (last if p.depth == 6 else 1.0)) for p in map(point, (1, 2, 6))]
        return Calibration(
            id="c",
            kind="model",
            subject="m",
            family="keras",
            fingerprint=CPU,
            target=point(12),
            measured=tuple(points),
            taken_at=datetime(2026, 11, 1, tzinfo=UTC),
        )

    usual, odd = predicted(answer(1.0)), predicted(answer(1.6))
    assert usual.doubts == ()
    assert "depth=6 batch=8" in odd.doubts[0]
    width = [math.log(found.step_s.high / found.step_s.low) for found in (usual, odd)]
    assert width[1] > 1.5 * width[0]
    assert surprise(answer(1.0).steps, "cpu", "torch") == 1.0


def test_what_nobody_counted_is_not_for_it() -> None:
    bare = Point(key="bare", depth=1, batch=8)
    assert not can_count([measured(bare, 0.1)], point(12))
    assert not can_count([measured(point(1), 0.1)], bare)
    assert not can_count([], point(12))
    with pytest.raises(DataError):
        step([], point(12))
    with pytest.raises(DataError):
        step([measured(bare, 0.1)], point(12))


def test_a_gpu_is_a_kind_of_its_own_and_an_engine_that_is_not_known_as_the_usual() -> None:
    assert kind_of(CPU) == "torch"
    points = [measured(p, law(p)) for p in map(point, (1, 2, 4))]
    assert step(points, point(12), "a plugin's") == step(points, point(12), "torch")
    assert step(points, point(12), "gpu").mid_s == pytest.approx(law(point(12)), rel=0.1)
    assert set(DOUBTS) == {"torch", "tensorflow", "jax"}


def test_parts_of_the_batch_say_nothing_of_xla_where_there_are_two_depths_at_the_batch() -> None:
    """XLA makes another program of another batch; without a compiler it is the same one, of less."""
    points, part = [measured(p, law(p)) for p in map(point, (1, 2, 4))], point(6, 2)
    odd = measured(part, 3 * law(part))
    assert step([*points, odd], point(12), "jax") == step(points, point(12), "jax")
    assert step([*points, odd], point(12), "torch") != step(points, point(12), "torch")
    assert step([points[0], odd], point(12), "jax") != step(points[:1], point(12), "jax")
