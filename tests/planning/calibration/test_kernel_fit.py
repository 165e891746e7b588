"""The fit of a sweep: coefficients come back, what was left out is judged, and what was never run is refused."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from zenplan.domain.measured.calibration import Calibration, Fingerprint, Measured, Point, Sample
from zenplan.errors import DataError
from zenplan.planning.calibration.counted_fit import USUAL_S
from zenplan.planning.calibration.kernel_fit import fit_sweep, predicted_by_sweep, too_few

TRUTH = {"steps": 2e-3, "product_flop": 2e-11, "stream_elements": 5e-10, "operators": 1e-5}


def law(features: Mapping[str, float]) -> float:
    return sum(TRUTH.get(name, 0.0) * amount for name, amount in features.items())


def points(count: int, noise: float = 0.0) -> list[Measured]:
    draw = np.random.default_rng(7)
    made = []
    for number in range(count):
        size = 10 ** draw.uniform(8, 10)
        features = {
            "steps": 1.0,
            "operators": float(draw.integers(20, 400)),
            "product_flop": size,
            "stream_elements": size / draw.uniform(20, 400),
            "parameters": draw.uniform(1e5, 1e7),
        }
        seconds = law(features) * (1 + draw.uniform(-noise, noise))
        point = Point(key=f"transformer width={number} batch=8", batch=8, features=features)
        samples = tuple(Sample(round=r, wall_s=1.0, cpu_s=seconds) for r in range(3))
        made.append(Measured(point=point, samples=samples))
    return made


def sweep(measured: list[Measured]) -> Calibration:
    mark = Fingerprint(
        device="a processor", kind="cpu", threads=1, backend="jax", versions={}, precision="fp32", compiled=True
    )
    return Calibration(
        id="abcd",
        kind="sweep",
        subject="all",
        family="all",
        fingerprint=mark,
        measured=tuple(measured),
        taken_at=datetime(2026, 11, 1, tzinfo=UTC),
    )


def test_coefficients_come_back_where_nothing_disturbs():
    fit = fit_sweep(points(20), "cpu")
    assert {name: fit.seconds[name] for name in TRUTH} == pytest.approx(TRUTH, rel=1e-6)
    assert max(map(abs, fit.left_out)) < 1e-6


def test_a_larger_model_is_predicted_and_its_interval_is_that_of_left_out_points():
    measured = points(24, noise=0.1)
    large = {"steps": 1.0, "operators": 800.0, "product_flop": 1e11, "stream_elements": 1e9, "parameters": 1e8}
    found = predicted_by_sweep(sweep(measured), large)
    assert found.step_s.mid == pytest.approx(law(large), rel=0.15)
    fit = fit_sweep(measured, "cpu")
    inside = sum(abs(e) <= fit.width for e in fit.left_out)
    assert 0.7 <= inside / len(fit.left_out) <= 0.9


def test_points_of_one_size_are_left_out_together():
    """Batches of one model say much of each other, and nothing of another model."""
    measured = points(8)
    twins = [
        Measured(
            point=Point(key=m.point.key.replace("batch=8", "batch=16"), batch=16, features=m.point.features),
            samples=m.samples,
        )
        for m in measured
    ]
    assert fit_sweep(measured + twins, "cpu").left_out[: len(measured)] == pytest.approx(
        fit_sweep(measured, "cpu").left_out, abs=1e-6
    )


def test_work_that_was_never_run_is_refused():
    with pytest.raises(DataError, match="never ran FLOP of convolutions"):
        predicted_by_sweep(sweep(points(10)), {"steps": 1.0, "convolution_flop": 1e9})


def test_too_few_points_are_an_error():
    with pytest.raises(DataError, match="5 points of a sweep are too few"):
        fit_sweep(points(5), "cpu")


def test_six_points_are_enough():
    assert len(fit_sweep(points(6), "cpu").left_out) == 6


def test_what_costs_nothing_is_not_kept():
    """Parameters cost nothing by that law: the points that are left out are met as well without them."""
    for noise in (0.0, 0.05):
        assert "parameters" not in fit_sweep(points(24, noise), "cpu").seconds


def test_few_noisy_points_are_drawn_to_the_usual() -> None:
    """Seven points, each off by up to a third, and a model that is a thousand times as large."""
    usual = USUAL_S["torch"]
    slower = 3.0
    made = []
    for number, each in enumerate(points(7)):
        seconds = slower * sum(usual[name] * amount for name, amount in each.point.features.items())
        off = seconds * (1.33 if number % 2 else 0.75)
        made.append(replace(each, samples=(Sample(round=0, wall_s=off, cpu_s=off),)))
    large = {"steps": 1.0, "operators": 3000.0, "product_flop": 1e13, "stream_elements": 3e10, "parameters": 1e8}
    truth_s = slower * sum(usual[name] * amount for name, amount in large.items())
    drawn, free = (math.log(fit_sweep(made, "cpu", kind).step_s(large) / truth_s) for kind in ("torch", ""))
    assert abs(drawn) < 0.75 * abs(free)


def test_many_points_are_fitted_as_they_are() -> None:
    fit = fit_sweep(points(20), "cpu", "torch")
    assert {name: fit.seconds[name] for name in TRUTH} == pytest.approx(TRUTH, rel=1e-6)


@pytest.mark.parametrize("count", [0, 5, 6])
def test_how_many_are_too_few_is_told(count: int) -> None:
    assert bool(too_few(points(count))) is (count < 6)
