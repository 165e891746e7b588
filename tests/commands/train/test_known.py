"""What is predicted of a run before it, from what is known of its model and its device."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from zenplan import units
from zenplan.commands.calibrate.how import How
from zenplan.commands.shared.known import known
from zenplan.commands.shared.training_plan import training_plan
from zenplan.commands.train.asked import asked_run
from zenplan.commands.train.beside import rows
from zenplan.commands.train.data import Part, Prepared
from zenplan.commands.train.known import _counted, _on_gpu
from zenplan.commands.train.past import step_ratios
from zenplan.commands.train.predict import (
    World,
    after_the_rehearsal,
    before_the_run,
    checkpoints_of,
    evaluations_every,
    evaluations_of,
    interval_of,
    spaced,
    tariff_of,
)
from zenplan.domain.measured.training_run import (
    FINISHED,
    FITTED,
    REHEARSED,
    STORED,
    UNKNOWN,
    RunPrediction,
    RunResult,
    RunStatus,
    Spent,
)
from zenplan.domain.provenance import Origin
from zenplan.domain.range import Range
from zenplan.domain.training.request import Request
from zenplan.errors import DataError, UsageError, ZenplanError
from zenplan.plugins import load_plugins
from zenplan.worker.protocol import Rehearsed

PLUGINS = load_plugins({"ZENPLAN_PLUGINS": ""})
KNOWN = known(PLUGINS, None, None)


def asked(device: str = "cpu", request: dict[str, Any] | None = None, **given: Any) -> Any:
    data = Prepared(
        schema="zenplan.prepared/1",
        kind="tokens",
        fingerprint="0",
        vocabulary=50,
        parts={name: Part(tokens=count) for name, count in (("train", 40_001), ("validation", 4001), ("test", 4001))},
    )
    how = How(device=device, precision="bf16" if device == "gpu" else "fp32", threads=1)
    return asked_run({"model": "decoder", **given}, {"batch": 8, **(request or {})}, data, how, "torch", "")


def test_steps_are_passes_over_whole_batches() -> None:
    # 40,000 tokens in samples of 128 are 312; of 8 each, 39 steps.
    assert asked().job.steps == 39
    assert asked(request={"epochs": 2.5}).job.steps == 97
    assert asked(request={"seq_len": 64}).job.model.options["length"] == 64
    with pytest.raises(UsageError, match="contradict"):
        asked(request={"seq_len": 64}, options={"length": 32})


def test_evaluations_and_checkpoints_are_counted_from_any_step() -> None:
    run = asked(steps=100, evaluate_every=30)
    # After 30, 60, 90 and at the end, and on test data.
    assert evaluations_of(run) == 5
    assert evaluations_of(run, 60) == 3
    assert (checkpoints_of(100, 30), checkpoints_of(100, 50), checkpoints_of(100, 0), checkpoints_of(100, 30, 60)) == (
        4,
        2,
        1,
        2,
    )


def test_checkpoints_are_as_far_apart_as_was_given_or_is_best() -> None:
    assert interval_of(asked(steps=1000, checkpoint_every=7), 1.0, 1.0) == 7
    assert interval_of(asked(steps=1000), None, None) == 100
    # Of what is done in half an hour, where the machine hardly ever fails.
    assert interval_of(asked(steps=10_000), 1.0, 1.0) == 1800
    assert interval_of(asked(steps=10_000, mtbf=3600.0), 1.0, 1.0) == pytest.approx(84, abs=2)


def test_evaluations_are_as_far_apart_as_was_given_or_cost_little() -> None:
    assert evaluations_every(asked(steps=1000, evaluate_every=7), 100.0, 1.0) == 7
    assert evaluations_every(asked(steps=1000, evaluate_every=0), 0.0, 1.0) == 0
    assert evaluations_every(asked(steps=1000), 1.0, 1.0) == 100
    # 100 seconds: four of twenty, and that of the test data.
    assert evaluations_every(asked(steps=1000), 20.0, 1.0) == 250
    assert evaluations_every(asked(steps=1000), 60.0, 1.0) == 0
    # Nobody has timed one: 31 samples there, a third of training on them.
    assert evaluations_every(asked(steps=1000), None, None) == 100
    assert evaluations_every(asked(steps=20), None, None) == 0
    # What ends by its validation loss has to know it.
    assert evaluations_every(asked(steps=1000, patience=3), 60.0, 1.0) == 100
    assert evaluations_every(asked(steps=1000, until_loss=1.0), 60.0, 1.0) == 100


def test_without_a_rehearsal_the_run_is_evaluated_and_saved_as_is_predicted() -> None:
    run, step = asked(steps=10_000), Range(low=0.9, mid=1.0, high=1.1)
    found = before_the_run(run, World(ratios={}, step=(step, STORED, "")), tariff_of(run, None, None), 3.0)
    assert found.checkpoint_every == interval_of(run, None, 1.0) > 0
    assert found.evaluate_s == pytest.approx(31 / 8 / 3)
    assert {fact.name for fact in found.facts if fact.origin is Origin.ASSUMED} >= {"setting up", "an evaluation"}
    assert (found.start_s, found.known_s) == (3.0, 3.0)
    then = spaced(run, found.evaluate_every, found.checkpoint_every)
    assert (evaluations_of(then), checkpoints_of(10_000, then.job.checkpoint_every)) == (
        found.evaluations,
        found.checkpoints,
    )
    assert before_the_run(run, World(ratios={}, setup_s=7.0), tariff_of(run, None, None), 3.0).setup_s == 10.0


def test_the_fit_predicts_where_nothing_was_measured() -> None:
    plan = training_plan(Request(params=1e8, batch=8, samples=8000, seq_len=1024), KNOWN.families, whole_run=False)
    sheet = KNOWN.catalogue.by_name("H100-SXM5-80GB")
    one, origin, why = _on_gpu(asked("gpu", micro_batch=8), plan, sheet, KNOWN.catalogue, ())
    assert (origin, one.low < one.mid < one.high) == (FITTED, True)
    assert "published runs" in why
    two, _, _ = _on_gpu(asked("gpu", micro_batch=4), plan, sheet, KNOWN.catalogue, ())
    assert two.mid > one.mid
    run = asked("gpu", steps=20)
    world = World(plan=plan, sheet=sheet, step=(one, origin, why), ratios={})
    found = before_the_run(run, world, tariff_of(run, sheet, None))
    assert found.origin == FITTED
    assert found.run_s is not None
    assert found.usd is not None
    assert found.memory_bytes is not None
    job = msgspec.structs.replace(run.job, batch=32, micro_batch=4, zero=3)
    divided = [replace(run, job=msgspec.structs.replace(job, workers=workers)) for workers in (2, 8)]
    of_two, of_eight = (before_the_run(each, world, tariff_of(each, sheet, None)).memory_bytes or 0 for each in divided)
    # Three eighths of the 16 bytes that a parameter has with AdamW in bf16.
    assert of_two - of_eight == pytest.approx(3 / 8 * 16 * 1e8, rel=0.1)
    (said,) = [
        each.value
        for each in before_the_run(divided[1], world, tariff_of(run, sheet, None)).facts
        if "ZeRO" in each.name
    ]
    assert "8 workers" in said
    own, whole = (units.parse_bytes(each) for each in re.findall(r"[\d.]+ [kMGT]?B", said))
    assert own == pytest.approx(whole / 8, rel=0.02)
    assert not any("ZeRO" in each.name for each in found.facts)
    assert found.peak_flop_per_s is not None
    # By the data sheet's power, said to be assumed.
    assert "assumed" in found.price


def test_a_processors_peak_that_nothing_measured_is_no_figure() -> None:
    """A run tells that of its process, the framework in it: what is counted of the model is the least that it can be."""
    plan = training_plan(Request(params=1e8, batch=8, samples=8000, seq_len=1024), KNOWN.families, whole_run=False)
    run = asked("cpu", steps=3)
    found = before_the_run(run, World(plan=plan, ratios={}), tariff_of(run, None, None))
    assert found.memory_bytes is None
    (least,) = [fact for fact in found.facts if fact.name == "peak memory"]
    assert (least.origin, least.value.startswith("at least ")) == (Origin.DERIVED, True)


def test_without_anything_there_is_no_figure() -> None:
    run = asked(steps=20)
    found = before_the_run(run, World(ratios={}), tariff_of(run, None, None))
    assert (found.origin, found.step_s, found.run_s, found.usd, found.memory_bytes) == (UNKNOWN, None, None, None, None)


@pytest.mark.parametrize(
    ("given", "hourly"),
    [
        ({}, None),
        ({"power": 500.0}, 0.065),
        ({"power": 500.0, "usd_per_kwh": 0.3}, 0.15),
        ({"usd_per_kwh": 0.3}, None),
    ],
)
def test_an_hour_costs_what_is_known_of_it(given: dict[str, Any], hourly: float | None) -> None:
    found = tariff_of(asked(**given), None, None).hourly_usd
    assert found == (None if hourly is None else pytest.approx(hourly))
    assert tariff_of(asked(request={"usd_per_h": 2.0}, **given), None, 700.0).hourly_usd == 2.0


def test_a_folder_that_is_no_prepared_data_is_refused(tmp_path: Path) -> None:
    from zenplan.commands.train.data import read_prepared
    from zenplan.errors import DataError, InputFileError

    np.save(tmp_path / "a.npy", np.zeros(3))
    for text, error in (
        ("{", DataError),
        ('{"schema": "zenplan.prepared/1", "kind": "tokens", "fingerprint": "", "parts": {}}', InputFileError),
        (
            '{"schema": "zenplan.prepared/1", "kind": "tokens", "fingerprint": "", '
            '"parts": {"train": {"tokens": 3, "files": {"tokens": "../a.npy"}}}}',
            InputFileError,
        ),
    ):
        (tmp_path / "data.json").write_text(text, encoding="utf-8")
        with pytest.raises(error):
            read_prepared(tmp_path)


def test_what_is_kept_of_a_long_run_has_its_mean(tmp_path: Path) -> None:
    """Of any number of steps, a hundred means at most, which together are the mean of all."""
    from zenplan.commands.train.kept_steps import MOST_SAMPLES
    from zenplan.commands.train.screen import Lines
    from zenplan.commands.train.supervise import Supervisor
    from zenplan.domain.measured.training_run import RUNNING, RunStatus
    from zenplan.planning.watch.drift import StepTime

    now = datetime(2026, 11, 30, tzinfo=UTC)
    status = RunStatus(
        id="a", name="m", state=RUNNING, steps=6400, pid=1, backend="jax", started_at=now, updated_at=now
    )
    found = Supervisor(folder=tmp_path, asked=asked(), world=World(ratios={}), status=status, screen=Lines(None))
    for step in range(1, 6401):
        found._step(1.0, StepTime(wall_s=0.001 * (1 + step % 7), cpu_s=0.002))
    assert MOST_SAMPLES <= len(found.kept.samples) <= 2 * MOST_SAMPLES
    mean = sum(each.wall_s for each in found.kept.samples) / len(found.kept.samples)
    assert mean == pytest.approx(found.spent.steps_s / 6400, rel=0.01)
    assert {round(each.cpu_s, 9) for each in found.kept.samples} == {0.002}
    assert [each.round for each in found.kept.samples] == list(range(len(found.kept.samples)))


@pytest.mark.parametrize(
    ("error", "kind", "warned"),
    [
        (UsageError("unknown option of decoder 'foo'"), "decoder", False),
        (UsageError("there is no module foo"), "foo:build", False),
        (DataError("it cannot be counted"), "decoder", True),
    ],
    ids=str,
)
def test_a_model_that_cannot_be_built_is_refused_and_one_that_is_not_counted_is_trained(
    error: ZenplanError, kind: str, warned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def count(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr("zenplan.commands.train.known.count_job", count)
    told: list[str] = []
    run = asked(model=kind, steps=10)
    if warned:
        assert _counted(run, told.append, lambda *_: None) is None
        assert error.message in told[0]
    else:
        with pytest.raises(UsageError, match="foo"):
            _counted(run, told.append, lambda *_: None)
        assert told == []


def test_earlier_runs_calibrate_the_step_and_not_what_was_known_before() -> None:
    """However long setting up and the rehearsal took, of which nothing had been predicted."""
    now = datetime(2026, 11, 30, tzinfo=UTC)
    step = Range(low=0.9, mid=1.0, high=1.1)
    found = []
    for setup_s in (1.0, 1000.0):
        prediction = RunPrediction(
            origin=REHEARSED, why="", made_at=now, steps=100, step_s=step, setup_s=setup_s, rehearsal_s=setup_s
        )
        spent = Spent(setup_s=setup_s, rehearsal_s=setup_s, steps_s=120.0)
        status = RunStatus(
            id="a",
            name="m",
            state=FINISHED,
            steps=100,
            pid=1,
            backend="jax",
            started_at=now,
            updated_at=now,
            spent=spent,
        )
        result = RunResult(status=status, prediction=prediction, step_s=1.2)
        found.append(step_ratios([(Path("run"), result)], "cpu", "")[REHEARSED])
        parts = {row.name: row for row in rows(result)}
        assert parts["time, unknown before"].ratio == pytest.approx(1.2)
    assert found[0] == found[1] == pytest.approx([1.2])


def test_a_busy_machine_widens_all_that_is_predicted() -> None:
    """Seen before the run or in its rehearsal, and whatever earlier quiet runs came to."""
    run, quiet = asked(), World(ratios={REHEARSED: [1.0] * 20})
    calm = Rehearsed(step_wall_s=(1.0,) * 8, step_cpu_s=(1.0,) * 8)
    held = Rehearsed(step_wall_s=(1.0,) * 8, step_cpu_s=(0.5,) * 8)
    tariff = tariff_of(run, None, None)
    one = after_the_rehearsal(run, quiet, tariff, calm, 5.0, 8.0)
    for busy in (
        after_the_rehearsal(run, quiet, tariff, held, 5.0, 8.0),
        after_the_rehearsal(run, replace(quiet, busy="busy: others"), tariff, calm, 5.0, 8.0),
    ):
        assert one.step_s is not None
        assert busy.step_s is not None
        assert busy.step_s.deviation > 3 * one.step_s.deviation
        assert busy.beside_spread > one.beside_spread
        assert busy.ending_spread > one.ending_spread
        assert any(fact.name == "before the run" for fact in busy.facts)
