"""The nouns of a calibration: what they ask of their fields, and what they know of their samples."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from zenplan.domain.measured.calibration import (
    CPU,
    MODEL,
    SWEEP,
    WALL,
    Calibration,
    Fingerprint,
    Measured,
    Point,
    Sample,
    Stored,
    told,
)
from zenplan.errors import DataError

HOST = Fingerprint(
    device="a processor",
    kind="cpu",
    threads=1,
    backend="jax",
    versions={"jax": "0.10.2"},
    precision="fp32",
    compiled=True,
)
GPU = replace(HOST, kind="gpu", device="NVIDIA H100 80GB HBM3", driver="580.1")
POINT = Point(key="depth=2 batch=8", depth=2, batch=8)


def sample(wall_s: float, cpu_s: float = 0.1) -> Sample:
    return Sample(round=0, wall_s=wall_s, cpu_s=cpu_s)


def calibration(**changes: Any) -> Calibration:
    given = {
        "id": "aaaaaaaa",
        "kind": MODEL,
        "subject": "net",
        "family": "convnet",
        "fingerprint": HOST,
        "target": POINT,
        "taken_at": datetime(2026, 11, 1, tzinfo=UTC),
        **changes,
    }
    return Calibration(**given)


@pytest.mark.parametrize(("changes", "clock"), [({}, CPU), ({"threads": 2}, WALL), ({"kind": "gpu"}, WALL)])
def test_one_thread_of_a_processor_is_timed_by_its_own_clock(changes: dict[str, Any], clock: str) -> None:
    assert replace(HOST, **changes).clock == clock


def test_the_median_step_and_its_spread_are_by_the_clock_that_is_asked_for() -> None:
    measured = Measured(point=POINT, samples=tuple(sample(w, c) for w, c in ((3.0, 1.0), (1.0, 1.0), (2.0, 4.0))))
    assert measured.step_s(WALL) == 2.0
    assert measured.step_s(CPU) == 1.0
    assert measured.spread(WALL) == pytest.approx(math.log(3.0) / 2)
    assert replace(measured, samples=measured.samples[:2]).spread(WALL) == 0.0


@pytest.mark.parametrize(
    ("mark", "notes", "wall_s", "expected"),
    [
        ({"threads": 2}, (), 0.1, False),
        ({"threads": 2}, ("busy: others took a core",), 0.1, True),
        ({"threads": 2}, ("throttled: heat",), 0.1, False),
        ({"threads": 2}, (), 0.3, True),
        # Of one thread its own clock tells, whoever else runs.
        ({"threads": 1}, ("busy: others took a core",), 0.3, False),
        ({"kind": "gpu", "threads": 2}, ("busy: another process is on GPU 0",), 0.1, True),
    ],
)
def test_what_others_held_up_is_told_from_what_they_did_not(
    mark: Any, notes: Any, wall_s: float, expected: bool
) -> None:
    measured = (Measured(point=POINT, samples=(sample(wall_s),)),)
    taken = calibration(fingerprint=replace(HOST, **mark), notes=notes, measured=measured)
    assert taken.disturbed is expected


def test_that_it_is_busy_is_told_once_whatever_the_figures() -> None:
    assert told("busy: 1.9 of 2", ["busy: 1.4 of 2"])
    assert told("on battery", ["on battery"])
    assert not told("on battery", ["busy: 1.4 of 2"])
    assert not told("busy: 1.4 of 2", [])


@pytest.mark.parametrize(("failure", "said"), [("out of memory", "out of memory"), ("", "not measured yet")])
def test_without_samples_there_is_no_step(failure: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        Measured(point=POINT, failure=failure).step_s(WALL)


def test_a_machine_that_did_something_else_was_busy() -> None:
    still = Measured(point=POINT, samples=(sample(0.11), sample(0.11), sample(9.0)))
    busy = Measured(point=POINT, samples=(sample(0.2), sample(0.3), sample(0.1)))
    assert not calibration(measured=(still,)).was_busy
    assert calibration(measured=(busy,)).waited == pytest.approx(2.0)
    assert calibration(measured=(busy,)).was_busy
    # Of a GPU the processor waits for, it says nothing.
    assert calibration(measured=(busy,), fingerprint=GPU).waited == 1.0
    assert calibration().waited == 1.0


def test_points_that_ran_are_those_with_samples() -> None:
    ran = Measured(point=POINT, samples=(sample(0.1),))
    failed = Measured(point=replace(POINT, key="depth=4"), failure="killed")
    assert calibration(measured=(ran, failed)).steps == (ran,)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"id": ""}, "id must be a name"),
        ({"kind": "guess"}, "kind is 'guess'"),
        ({"taken_at": datetime(2026, 11, 1)}, "time zone"),
        ({"target": None}, "one of a model has a target"),
        ({"kind": SWEEP}, "a sweep has none"),
        ({"measured": (Measured(point=POINT), Measured(point=POINT))}, "two points have one key"),
    ],
)
def test_a_calibration_that_cannot_be_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        calibration(**changes)


@pytest.mark.parametrize(
    ("noun", "changes", "said"),
    [
        (sample(1.0), {"wall_s": 0.0}, "wall_s must be above zero"),
        (sample(1.0), {"wall_s": math.nan}, "wall_s must be above zero and finite"),
        (sample(1.0), {"cpu_s": -1.0}, "cpu_s must be zero or above"),
        (sample(1.0), {"round": -1}, "round must be zero or above"),
        (POINT, {"role": "x"}, "role is 'x'"),
        (POINT, {"depth": 0}, "depth must be above zero"),
        (POINT, {"features": {"products": math.inf}}, "products must be zero or above and finite"),
        (HOST, {"threads": 0}, "threads must be above zero"),
        (HOST, {"kind": "tpu"}, "kind is 'tpu'"),
        (HOST, {"device": "two\nlines"}, "device must be a name"),
        (Stored(calibration=calibration(), state="done"), {"state": "good"}, "state is 'good'"),
    ],
)
def test_parts_that_cannot_be_are_refused(noun: Any, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        replace(noun, **changes)


def test_what_a_mapping_was_made_of_may_change() -> None:
    versions = {"jax": "0.10.2"}
    made = replace(HOST, versions=versions)
    versions["jax"] = "9"
    assert made == HOST


def test_points_that_differ_in_their_batch_alone_are_of_one_variant() -> None:
    one = replace(POINT, key="product rows=8 batch=16", batch=16)
    other = replace(POINT, key="product rows=8 batch=4", batch=4)
    assert one.variant == other.variant == "product rows=8"
    # Of another's file, whose keys say nothing of batches: each is its own.
    assert replace(POINT, key="my batch=first", batch=4).variant == "my batch=first"
