"""What a calibration of the device in general means: speeds of known models, and points in words."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from zenplan.adapters.tables.sweep import read_sweep
from zenplan.commands.calibrate.known_models import known_speeds
from zenplan.commands.calibrate.names import in_words
from zenplan.commands.calibrate.report import calibrate_report
from zenplan.domain.measured.calibrated import Calibrated, Calibrations
from zenplan.domain.measured.calibration import Calibration, Fingerprint, Measured, Point, Sample
from zenplan.domain.training.request import Request
from zenplan.plugins import load_plugins

MARK = Fingerprint(
    device="a processor",
    kind="cpu",
    threads=1,
    backend="torch",
    versions={"keras": "3.15.1"},
    precision="fp32",
    compiled=False,
)
SECONDS_EACH = {"product_flop": 1e-11, "convolution_flop": 2e-11, "recurrent_flop": 3e-11, "stream_elements": 1e-9}


def sweep(*families: str) -> Calibration:
    """Of a device whose every kind of work takes the same each time."""
    points = [p for p in read_sweep() if not families or p.family in families]
    measured = []
    for p in points:
        seconds = 1e-3 + sum(each * p.features.get(name, 0.0) for name, each in SECONDS_EACH.items())
        samples = tuple(Sample(round=r, wall_s=seconds, cpu_s=seconds) for r in range(3))
        measured.append(Measured(point=Point(key=p.key, batch=p.batch, features=p.features), samples=samples))
    return Calibration(
        id="sweep",
        kind="sweep",
        subject="all",
        family="all",
        fingerprint=MARK,
        measured=tuple(measured[::6]),
        taken_at=datetime(2026, 11, 1, tzinfo=UTC),
    )


def test_five_known_models_have_a_speed() -> None:
    found = known_speeds(sweep(), Request(), load_plugins({"ZENPLAN_PLUGINS": ""}).workloads())
    assert len(found) == 5
    assert {each.unit for each in found} == {"tokens", "images"}
    assert all(each.a_second and each.a_second.low < each.a_second.mid < each.a_second.high for each in found)
    gpt2 = found[0]
    # Some 6 · 124M FLOP a token and its attention, by products at 1e11 FLOP/s.
    assert gpt2.a_second is not None
    assert gpt2.a_second.mid == pytest.approx(1e11 / (6 * 124e6), rel=0.35)


def test_what_the_sweep_never_ran_has_a_reason_in_place_of_a_speed() -> None:
    found = known_speeds(sweep("recurrent"), Request(), load_plugins({"ZENPLAN_PLUGINS": ""}).workloads())
    resnet = next(each for each in found if each.model == "resnet50")
    assert resnet.a_second is None
    assert "convolutions" in resnet.reason


def test_the_report_ends_in_them() -> None:
    calibration = sweep()
    speeds = known_speeds(calibration, Request(), load_plugins({"ZENPLAN_PLUGINS": ""}).workloads())
    taken = Calibrated(calibration=calibration, prediction=None, reason="a sweep is of no model", speeds=speeds)
    report = calibrate_report(Calibrations(taken=(taken,)))
    assert [row[0] for row in report.tables[-1].rows] == [each.model for each in speeds]
    assert [each["model"] for each in report.document["calibrations"][0]["speeds"]] == [each.model for each in speeds]


def test_every_point_of_a_sweep_has_words() -> None:
    for point in read_sweep():
        variant = Point(key=point.key, batch=point.batch).variant
        words = in_words(variant)
        assert words != variant
        assert "=" not in words


@pytest.mark.parametrize("key", ["depth=2", "stream elements=many", "whole", "a builder of a plugin's size=3"])
def test_what_has_no_words_is_shown_as_it_is(key: str) -> None:
    assert in_words(key) == key
