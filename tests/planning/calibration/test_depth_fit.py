"""From measured steps to the whole model's: exact where the law holds, honest where it does not."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pytest

from zenplan.domain.measured.calibration import Calibration, Fingerprint, Measured, Point, Sample
from zenplan.errors import DataError
from zenplan.planning.calibration.depth_fit import is_superlinear, predicted

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


def spread(*points: Measured) -> float:
    """In ln, one standard deviation: 80 of 100 cases of a normal distribution lie within 1.2816 of them."""
    step = predicted(calibration(*points)).step_s
    assert step.high / step.mid == pytest.approx(step.mid / step.low)
    return math.log(step.high / step.mid) / 1.2816


# Two runs of one program differ by 1.5 %; each doubling beyond the largest step adds 0.8 %.
ALIKE, DOUBLING, NONE_TO_SPARE, TWO_PROCESSES = 0.015, 0.008, 0.03, 0.025


def test_the_interval_of_a_step_of_the_whole_is_that_of_two_runs():
    assert spread(measured(1, 8, 0.1), measured(12, 8, 0.9)) == pytest.approx(TWO_PROCESSES)
    # One or two steps may have been disturbed.
    assert spread(measured(12, 8, [0.9, 0.9])) == pytest.approx(math.hypot(TWO_PROCESSES, 0.03))


def test_the_interval_adds_what_rounds_depths_and_reach_tell():
    """Rounds that are 10 % apart, on a line that no point can be spared of, twelve times as long as the longest step."""
    rounds = [math.exp(x) for x in (-0.1, 0.0, 0.1)]
    found = spread(*(measured(d, 8, [0.1 * d * r for r in rounds]) for d in (1, 2)))
    standard_error = 1.25 * 0.1 / math.sqrt(3)
    assert found == pytest.approx(math.hypot(ALIKE, standard_error, NONE_TO_SPARE, DOUBLING * math.log2(6)))


def test_two_rounds_say_nothing_of_rounds():
    found = spread(*(measured(d, 8, [0.09 * d, 0.11 * d]) for d in (1, 2)))
    assert found == pytest.approx(math.hypot(ALIKE, NONE_TO_SPARE, DOUBLING * math.log2(6)))


def test_a_round_that_says_next_to_nothing_counts_as_half_the_largest_step():
    found = spread(*(measured(d, 8, [0.1 * d, 0.1 * d, 1e-6 * d]) for d in (1, 2)))
    error = 1.25 * statistics.stdev(map(math.log, (1.2, 1.2, 0.1))) / math.sqrt(3)
    assert found == pytest.approx(math.hypot(ALIKE, error, NONE_TO_SPARE, DOUBLING * math.log2(6)))


def test_a_point_too_many_tells_how_far_the_answer_moves():
    """By hand: the lines through two of the three points, at twelve, against the best line through all."""
    points = [measured(1, 8, 1.0), measured(2, 8, 2.0), measured(3, 8, 3.3)]
    mid = predicted(calibration(*points)).step_s.mid
    lines = (2.0 + 1.3 * 10, 1.0 + 1.15 * 11, 1.0 + 1.0 * 11)
    moved = math.sqrt(statistics.fmean(math.log(line / mid) ** 2 for line in lines))
    assert spread(*points) == pytest.approx(math.hypot(ALIKE, moved, DOUBLING * math.log2(mid / 3.3)))


@pytest.mark.parametrize("unit", [1.0, 1e-9], ids=["bytes", "gigabytes"])
def test_the_share_of_the_bytes_beyond_the_line_is_doubtful(unit):
    """Three depths are enough to see it, and only the proportion of the bytes counts."""
    beyond = {1: 0.0, 2: 0.0, 4: 6e8, 12: 11e9}
    sizes = {d: unit * (1e9 * d + more) for d, more in beyond.items()}
    points = [measured(d, 8, 0.1 * d + 1e-10 * beyond[d], sizes[d]) for d in (1, 2, 4)]
    found = predicted(calibration(*points, program(12, 8, sizes[12])))
    assert found.step_s.mid == pytest.approx(1.2 + 1.1)
    assert found.method == "depths 1, 2, 4 at batch 8, and the bytes of compiled programs"
    doubtful, reach = 0.15 * 1.1 / 2.3, DOUBLING * math.log2(2.3 / 0.46)
    assert spread(*points, program(12, 8, sizes[12])) == pytest.approx(
        math.hypot(ALIKE, NONE_TO_SPARE, doubtful, reach)
    )


def test_growth_that_the_steps_do_not_show_is_a_doubt_where_few_depths_were_run():
    sizes = {1: 1e9, 2: 2e9, 4: 4e9, 12: 20e9}
    points = [measured(d, 8, 0.1 * d, sizes[d]) for d in (1, 2, 4)]
    assert predicted(calibration(*points, program(12, 8, sizes[12]))).doubts == ()
    programs = [program(d, 8, sizes[d]) for d in (4, 12)]
    assert predicted(calibration(*points[:2], *programs)).doubts == (
        "the compiled program grows faster than its depth, and too few depths were run",
    )


@pytest.mark.parametrize(("more", "expected"), [(0.0, False), (0.04, False), (0.06, True)])
def test_a_program_is_superlinear_from_a_twentieth_beyond_the_line_on(more, expected):
    target = Point(key="target", depth=12, batch=8)
    programs = [program(d, 8, 1e9 + 1e8 * d) for d in (1, 2)] + [program(12, 8, 2.2e9 * (1 + more))]
    assert is_superlinear(programs, target) is expected
    # A step of that depth that failed has no bytes.
    failed = Measured(point=Point(key="depth=12", depth=12, batch=8), failure="out of memory")
    assert is_superlinear([*programs, failed], target) is expected


def test_without_the_targets_program_nothing_is_superlinear():
    programs = [program(d, 8, 1e9 * d * d) for d in (1, 2, 4)]
    assert not is_superlinear(programs, Point(key="target", depth=12, batch=8))
    assert not is_superlinear(programs, Point(key="target", depth=None, batch=8))
    assert not is_superlinear(programs[1:], Point(key="target", depth=4, batch=8))
