"""What a run is watched for, without a run."""

from __future__ import annotations

from typing import Any

import pytest

from zenplan.domain.range import Range
from zenplan.planning.watch.alarms import DEAR, DRIFT, LATE, NO_NUMBER, SILENT, SILENT_S, alarms_of

HOUR = Range(low=3000.0, mid=3600.0, high=4000.0)
DOLLAR = Range(low=0.8, mid=1.0, high=1.2)
QUIET: dict[str, Any] = {
    "elapsed_s": 100.0,
    "left_s": Range(low=3000.0, mid=3500.0, high=5000.0),
    "predicted_s": HOUR,
    "usd": 0.1,
    "usd_end": Range(low=0.9, mid=1.1, high=1.5),
    "predicted_usd": DOLLAR,
    "loss": 2.5,
    "drift": "",
    "silent_s": 1.0,
}


def test_a_run_as_predicted_has_none() -> None:
    assert alarms_of(**QUIET) == {}


def test_what_is_not_known_is_no_alarm() -> None:
    unknown = dict.fromkeys(("left_s", "predicted_s", "usd", "usd_end", "predicted_usd", "loss"))
    assert alarms_of(**{**QUIET, **unknown}) == {}


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (DRIFT, {"drift": "steps take 2 s, slower than the predicted 1 s"}),
        (LATE, {"elapsed_s": 4000.1, "left_s": None}),
        # Even its lower end is past the upper end of what was predicted.
        (LATE, {"left_s": Range(low=3901.0, mid=5000.0, high=6000.0)}),
        (DEAR, {"usd": 1.21, "usd_end": None}),
        (DEAR, {"usd_end": Range(low=1.21, mid=2.0, high=3.0)}),
        (NO_NUMBER, {"loss": float("nan")}),
        (NO_NUMBER, {"loss": float("inf")}),
        (SILENT, {"silent_s": SILENT_S}),
    ],
)
def test_each_alone(kind: str, change: dict[str, Any]) -> None:
    found = alarms_of(**{**QUIET, **change})
    assert list(found) == [kind]
    assert found[kind].isprintable()


def test_the_upper_end_itself_is_as_predicted() -> None:
    assert alarms_of(**{**QUIET, "elapsed_s": 4000.0, "left_s": None, "usd": 1.2, "usd_end": None}) == {}
