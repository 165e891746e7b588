"""From measured steps to the whole model's: exact where the law holds, honest where it does not."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pytest

from zenplan.domain.measured.calibration import Calibration, Fingerprint, Measured, Point, Sample
from zenplan.errors import DataError
from zenplan.planning.calibration.depth_fit import predicted

ONE_THREAD = Fingerprint(
    device="a processor",
    kind="cpu",
    threads=1,
    backend="torch",
    versions={"keras": "3.15.1"},
    precision="fp32",
    compiled=False,
)


def measured(depth: int | None, batch: int, seconds: float | list[float], bytes_: float | None = None) -> Measured:
    each = seconds if isinstance(seconds, list) else [seconds] * 5
    samples = tuple(Sample(round=i, wall_s=9.0, cpu_s=s) for i, s in enumerate(each))
    point = Point(key=f"depth={depth} batch={batch}", depth=depth, batch=batch)
    return Measured(point=point, samples=samples, program_bytes=bytes_)


def program(depth: int, batch: int, bytes_: float) -> Measured:
    point = Point(key=f"program depth={depth}", role="program", depth=depth, batch=batch)
    return Measured(point=point, program_bytes=bytes_)


def calibration(*points: Measured, depth: int | None = 12, batch: int = 8) -> Calibration:
    return Calibration(
        id="abcd",
        kind="model",
        subject="m",
        family="decoder",
        fingerprint=ONE_THREAD,
        target=Point(key="target", depth=depth, batch=batch),
        measured=points,
        taken_at=datetime(2026, 11, 1, tzinfo=UTC),
    )


def test_depths_at_the_wanted_batch():
    found = predicted(calibration(*(measured(d, 8, 0.05 + 0.03 * d) for d in (1, 2, 4))))
    assert found.step_s.mid == pytest.approx(0.05 + 0.03 * 12)
    assert found.method == "depths 1, 2, 4 at batch 8"
    assert found.doubts == ()
    assert found.step_s.low < found.step_s.mid < found.step_s.high


def test_fractions_of_the_batch_are_bilinear():
    def law(d: int, b: int) -> float:
        return 0.01 + 0.002 * b + 0.004 * d + 0.003 * d * b

    points = [measured(d, b, law(d, b)) for d, b in itertools.product((1, 2, 4), (2, 4))]
    found = predicted(calibration(*points))
    assert found.step_s.mid == pytest.approx(law(12, 8))
    assert found.method == "depths 1, 2, 4 at batch 2, 4"


def test_the_wanted_batch_alone_decides_where_it_has_two_depths():
    points = [measured(d, 8, 0.1 * d) for d in (1, 2)] + [measured(d, 2, 77.0) for d in (1, 2)]
    assert predicted(calibration(*points)).step_s.mid == pytest.approx(1.2)


def test_a_whole_model_at_fractions_of_its_batch():
    points = [measured(None, b, 0.02 + 0.01 * b) for b in (2, 4)]
    found = predicted(calibration(*points, depth=None))
    assert found.step_s.mid == pytest.approx(0.10)
    assert found.method == "the whole model at batch 2, 4"


def test_a_step_of_the_whole_model_is_taken_as_it_is():
    found = predicted(calibration(measured(1, 8, 0.1), measured(12, 8, 0.9)))
    assert found.step_s.mid == pytest.approx(0.9)
    assert found.method == "a step of the whole model"


def test_programs_that_grow_faster_than_their_depth():
    """Time follows the bytes beyond the line; depths alone would be far too short."""

    def bytes_(d: int) -> float:
        return 1e9 + 4e8 * d + 2e7 * d * d

    def seconds(d: int) -> float:
        beyond = bytes_(d) - bytes_(1) - (bytes_(2) - bytes_(1)) * (d - 1)
        return 0.05 + 0.1 * d + 0.9e-9 * beyond

    points = [measured(d, 8, seconds(d), bytes_(d)) for d in (1, 2, 4, 8)]
    found = predicted(calibration(*points, program(12, 8, bytes_(12))))
    assert found.step_s.mid == pytest.approx(seconds(12), rel=0.01)
    assert "bytes of compiled programs" in found.method
    assert found.doubts == ("the cost of a layer grows with the depth of the compiled program",)
    assert predicted(calibration(*points)).step_s.mid < 0.9 * seconds(12)


def test_noise_and_curvature_widen_the_interval():
    def width(points: list[Measured]) -> float:
        step = predicted(calibration(*points)).step_s
        return math.log(step.high / step.low)

    quiet = width([measured(d, 8, 0.1 * d) for d in (1, 2, 4)])
    draw = np.random.default_rng(1)
    noisy = width([measured(d, 8, [0.1 * d * float(draw.uniform(0.8, 1.2)) for _ in range(5)]) for d in (1, 2, 4)])
    curved = width([measured(d, 8, 0.1 * d**1.3) for d in (1, 2, 4)])
    assert noisy > 1.5 * quiet
    assert curved > 1.5 * quiet


def test_a_first_layer_that_is_cheaper_than_the_others_is_on_no_line_through_zero():
    """The line through the depths may begin below zero: the second block costs more than the whole of one."""
    found = predicted(calibration(*(measured(d, 8, -0.01 + 0.03 * d) for d in (1, 2, 4))))
    assert found.step_s.mid == pytest.approx(-0.01 + 0.03 * 12)


def test_depths_do_not_cost_less_than_nothing():
    """A deeper model that was measured faster is noise: the answer is not below what was measured."""
    found = predicted(calibration(measured(1, 8, 0.11), measured(2, 8, 0.10), measured(4, 8, 0.10)))
    assert found.step_s.mid >= 0.10


@pytest.mark.parametrize(
    ("points", "says"),
    [
        ([], "nothing was measured"),
        ([measured(2, 8, 0.1)], "one point, depth=2 batch=8, says nothing"),
        ([measured(2, 2, 0.1), measured(2, 4, 0.1)], "says nothing"),
        # What a layer costs for a sample is in none of these: 12 layers of 8 would be a third of what they are.
        ([measured(1, 2, 0.2), measured(2, 2, 0.4), measured(1, 4, 0.4)], "do not tell what depth and batch each cost"),
        ([measured(1, 2, 0.2), measured(2, 2, 0.4), measured(4, 2, 0.8), measured(1, 4, 0.4)], "do not tell"),
        ([measured(1, 2, 0.2), measured(4, 4, 1.6)], "do not tell"),
    ],
)
def test_too_little_is_an_error(points: list[Measured], says: str):
    with pytest.raises(DataError, match=says):
        predicted(calibration(*points))


@pytest.mark.parametrize("law", [lambda d, b: 0.02 + 0.05 * d, lambda d, b: 0.5 + 0.001 * d])
def test_failed_points_are_left_out(law: Callable[[int, int], float]):
    failed = Measured(point=Point(key="depth=4 batch=8", depth=4, batch=8), failure="out of memory")
    found = predicted(calibration(measured(1, 8, law(1, 8)), measured(2, 8, law(2, 8)), failed))
    assert found.step_s.mid == pytest.approx(law(12, 8))
    assert found.doubts == ("not measured: depth=4 batch=8 (out of memory)",)
