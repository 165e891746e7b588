"""Which calibrations say something of a plan, and what they make of estimates."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from zenplan.adapters.store.store import CalibrationStore
from zenplan.adapters.tables.coefficients import read_carried_over
from zenplan.adapters.tables.processors import read_processors
from zenplan.adapters.tables.sweep import read_sweep
from zenplan.commands.estimate.here import steps_here
from zenplan.commands.estimate.use_case import estimate
from zenplan.commands.layouts.use_case import cluster_of, layouts
from zenplan.commands.shared.evidence import Evidence, evidence_of, stored_calibrations
from zenplan.commands.shared.known import known
from zenplan.commands.shared.training_plan import training_plan
from zenplan.domain.answer.answer import Answer
from zenplan.domain.fit.efficiency import ACCELERATOR_DEVICES, BATCH, DEVICES, KINDS, VENDOR, Grounds
from zenplan.domain.fit.efficiency import MODEL as OTHER_MODEL
from zenplan.domain.hardware.cluster import Cluster
from zenplan.domain.hardware.device import Reading
from zenplan.domain.measured.calibration import (
    DONE,
    MODEL,
    OPERATOR,
    RUNNING,
    SWEEP,
    Calibration,
    Fingerprint,
    Measured,
    Point,
    Sample,
    Stored,
)
from zenplan.domain.provenance import Origin
from zenplan.domain.training.request import Request
from zenplan.planning.calibration.correction import alone_s
from zenplan.planning.physics.interval import spread_of
from zenplan.plugins import load_plugins

KNOWN = known(load_plugins({"ZENPLAN_PLUGINS": ""}), None, None)
SHEETS, FAMILIES, COEFFICIENTS = KNOWN.catalogue, KNOWN.families, KNOWN.coefficients
H100 = "NVIDIA H100 80GB HBM3"
REQUEST = Request(model="gpt2-124m", tokens=1e9, software="eager")
PLAN = training_plan(REQUEST, FAMILIES)
MARK = Fingerprint(device=H100, kind="gpu", threads=8, backend="torch", precision="bf16", compiled=False, versions={})
PROCESSOR = Fingerprint(
    device="Abacus 2000",
    kind="cpu",
    threads=1,
    backend="torch",
    precision="fp32",
    compiled=False,
    versions={"numpy": "0.1", "nothing": "1.0"},
)


def expected_s(batch: int) -> float:
    return alone_s(PLAN, cluster_of(PLAN, SHEETS.by_name("H100"), 1, COEFFICIENTS), batch)


def taken(step_s: float, mark: Fingerprint = MARK, batch: int = 8, day: int = 20, **changes: Any) -> Calibration:
    """A calibration of the plan's model whose whole step was run."""
    samples = tuple(Sample(round=n, wall_s=step_s, cpu_s=step_s) for n in range(3))
    point = Point(key="whole", batch=batch)
    return replace(
        Calibration(
            id="abcdefgh",
            kind=MODEL,
            subject="gpt2-124m",
            family="decoder",
            fingerprint=mark,
            target=point,
            parameters=PLAN.workload.parameters,
            flop_per_sample=PLAN.workload.training_flop_per_sample,
            measured=(Measured(point=point, samples=samples),),
            taken_at=datetime(2026, 11, day, tzinfo=UTC),
        ),
        **changes,
    )


def stored(*calibrations: Calibration, **more: Any) -> tuple[Stored, ...]:
    return tuple(Stored(calibration=c, **{"state": DONE, **more}) for c in calibrations)


def evidence(*calibrations: Calibration, **more: Any) -> Evidence:
    return evidence_of(PLAN, SHEETS, COEFFICIENTS, stored(*calibrations, **more))


def asked(*calibrations: Calibration, **options: Any) -> Answer:
    request = replace(REQUEST, **options)
    return estimate(request, replace(KNOWN, calibrations=stored(*calibrations)))


def factor_on(found: Evidence, gpu: str, devices: int) -> float | None:
    cluster = cluster_of(PLAN, SHEETS.by_name(gpu), devices, COEFFICIENTS)
    correction = found.corrected(cluster).efficiency.correction
    return correction.factor if correction else None


def test_the_table_says_what_helps() -> None:
    table = read_carried_over()
    assert table.keys() == KINDS.keys()
    helps = {kind for kind, each in table.items() if each.power > 0}
    assert {BATCH, DEVICES, ACCELERATOR_DEVICES} <= helps
    assert not helps & {VENDOR, OTHER_MODEL}
    assert all(table[kind].down + table[kind].up < 2.0 for kind in helps), "narrower than without"


def test_the_step_that_was_measured_comes_out_of_an_estimate() -> None:
    step_s = 1.3 * expected_s(8)
    answer = asked(taken(step_s), gpu="H100", gpus=1, batch=8)
    found = answer.ranked[0].quote.estimate
    assert found.step.total_s == pytest.approx(step_s, rel=1e-9)
    assert found.grounds is Grounds.MEASURED
    assert found.evidence == f"measured here on one {H100} on 2026-11-20"
    assert found.step_s.high / found.step_s.mid < 1.05
    fact = next(f for f in answer.plan.facts if f.name == "calibration")
    assert fact.origin is Origin.MEASURED
    assert "× 1.30 of what" in fact.why


def test_versions_that_have_changed_since_are_told() -> None:
    import numpy

    (older,) = stored(taken(0.1))
    mark = replace(older.calibration.fingerprint, versions={"numpy": "0.1"})
    older = replace(older, calibration=replace(older.calibration, fingerprint=mark))
    (step,) = evidence_of(PLAN, SHEETS, COEFFICIENTS, [older]).steps
    assert step.where.endswith(f"on 2026-11-20 (numpy 0.1, now {numpy.__version__})")


def test_elsewhere_it_is_carried_over_as_pairs_of_runs_say() -> None:
    found, table = evidence(taken(1.3 * expected_s(8))), read_carried_over()
    for gpu, devices, kind in (("H100", 1, BATCH), ("H100", 8, DEVICES), ("A100-80GB", 8, ACCELERATOR_DEVICES)):
        cluster = cluster_of(PLAN, SHEETS.by_name(gpu), devices, COEFFICIENTS)
        correction = found.corrected(cluster).efficiency.correction
        assert correction is not None
        assert correction.factor == pytest.approx(1.3 ** table[kind].power)
        assert correction.grounds is (Grounds.MEASURED if gpu == "H100" else Grounds.CARRIED)
        assert correction.spread.basis.startswith(f"carried over to {KINDS[kind]}: measured here on one {H100}")
        prior = spread_of(PLAN, cluster)
        assert math.log(correction.spread.high / correction.spread.low) < math.log(prior.high / prior.low)
    assert factor_on(found, "MI300X", 1) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"parameters": 1.01 * PLAN.workload.parameters},
        {"flop_per_sample": None},
        {"flop_per_sample": 0.99 * PLAN.workload.training_flop_per_sample},
        {"fingerprint": replace(MARK, precision="fp32")},
        {"fingerprint": replace(MARK, compiled=True)},
        {"fingerprint": replace(MARK, backend="jax", compiled=True)},
        {"fingerprint": replace(MARK, device="Abacus 2000")},
        {"fingerprint": replace(MARK, kind="cpu")},
        {"measured": ()},
    ],
)
def test_what_does_not_fit_is_not_used(changes: dict[str, Any]) -> None:
    found = evidence(taken(1.0, **changes))
    assert found.steps == ()
    cluster = cluster_of(PLAN, SHEETS.by_name("H100"), 1, COEFFICIENTS)
    assert found.corrected(cluster) is cluster


def test_one_that_is_still_being_taken_is_not_used() -> None:
    assert evidence(taken(1.0), state=RUNNING).steps == ()


def test_one_of_other_software_is_named_with_what_would_take_it() -> None:
    answer = asked(taken(1.0, replace(MARK, compiled=True, precision="fp32")), gpu="H100", gpus=1)
    line = f"calibration abcdefgh on {H100} is not used: it is for --precision fp32 --software compiled"
    assert line in answer.left_out
    assert answer.ranked[0].quote.estimate.grounds is Grounds.PUBLISHED


def test_the_newest_of_one_kind_counts() -> None:
    newer, older = taken(2 * expected_s(8), day=21, id="newernew"), taken(expected_s(8))
    found = evidence(newer, older)
    assert [step.calibration for step in found.steps] == ["newernew"]


def test_whose_it_is_is_said() -> None:
    found = evidence(taken(0.1), origin="imported from team.json on 2026-12-01")
    assert found.steps[0].where == f"on one {H100} on 2026-11-20 (imported from team.json on 2026-12-01)"


def sweep(slower: float) -> Calibration:
    """Every candidate, on a device that takes some time for each kind of work."""
    seconds = {
        "steps": 1e-3,
        "product_flop": 3e-15,
        "attention_flop": 5e-15,
        "stream_elements": 2e-12,
        "parameters": 1e-11,
    }
    measured = []
    for number, point in enumerate(read_sweep()[::4]):
        step_s = slower * sum(seconds.get(name, 0.0) * amount for name, amount in point.features.items())
        sample = Sample(round=0, wall_s=step_s, cpu_s=step_s)
        measured.append(
            Measured(
                samples=(sample,),
                point=Point(
                    key=f"{number} batch={point.batch}", role=OPERATOR, batch=point.batch, features=point.features
                ),
            )
        )
    return taken(1.0, id="sweepswe", kind=SWEEP, subject="all", target=None, measured=tuple(measured))


def test_a_sweep_speaks_for_any_model_on_its_device() -> None:
    once, twice = (evidence(sweep(slower)).steps[0] for slower in (1.0, 2.0))
    assert not once.own
    assert twice.step_s.mid == pytest.approx(2 * once.step_s.mid, rel=0.02)
    assert once.predicted_s == pytest.approx(expected_s(64))
    assert "by a sweep of" in once.where


def test_a_sweep_is_not_asked_where_the_model_was_measured() -> None:
    found = evidence(sweep(1.0), taken(0.1))
    assert [step.calibration for step in found.steps] == ["abcdefgh"]


def test_layouts_use_them_too() -> None:
    request = replace(REQUEST, tokens=None, gpu="H100", gpus=1, batch=8)
    step_s = 1.4 * expected_s(8)
    found = layouts(request, "time", replace(KNOWN, calibrations=stored(taken(step_s))))
    assert found.fastest.step.total_s == pytest.approx(step_s)
    assert [f.value for f in found.plan.facts if f.name == "calibration"]


@pytest.fixture
def abacus(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine's processor."""
    from zenplan.adapters.machine import host

    real = host.read_host()
    monkeypatch.setattr(host, "read_host", lambda: replace(real, cpu_model=Reading.of("Abacus 2000")))


@pytest.mark.usefixtures("abacus")
def test_on_this_machine_the_newest_of_each_way_is_told() -> None:
    older, newer = taken(4.0, PROCESSOR, day=1), taken(2.0, PROCESSOR)
    faster = taken(1.0, replace(PROCESSOR, backend="jax", compiled=True))
    elsewhere = taken(0.1, replace(PROCESSOR, device="Difference engine"))
    other = taken(0.1, PROCESSOR, parameters=1e6)
    answer = asked(older, newer, faster, elsewhere, other, gpu="H100", gpus=1)
    assert [step.calibration for step in answer.here] == [faster, newer]
    steps = math.ceil(PLAN.samples) / 8
    assert answer.here[0].run_s.mid == pytest.approx(steps, rel=1e-3)
    assert answer.here[1].samples_per_s.mid == pytest.approx(4.0)
    assert answer.ranked[0].quote.estimate.grounds is Grounds.PUBLISHED, "no data sheet joins the two"


@pytest.mark.usefixtures("abacus")
def test_on_this_machine_a_sweep_speaks_where_the_model_was_not_measured() -> None:
    (swept,) = stored(sweep(1.0))
    swept = replace(swept, calibration=replace(swept.calibration, fingerprint=PROCESSOR))
    (found,) = steps_here(PLAN, [swept])
    assert "a sweep of" in found.prediction.method
    assert found.run_s.mid == pytest.approx(PLAN.samples / found.batch * found.prediction.step_s.mid)
    (measured,) = steps_here(PLAN, [*stored(taken(1.0, PROCESSOR)), swept])
    assert measured.calibration.kind == "model"
    huge = replace(PLAN, workload=replace(PLAN.workload, blocks=(replace(PLAN.workload.blocks[1], repeat=10**6),)))
    assert steps_here(huge, [swept]) == (), "nobody waits for what does not fit"


@pytest.mark.usefixtures("abacus")
def test_a_quiet_machine_goes_before_a_newer_measurement_of_a_busy_one() -> None:
    two = replace(PROCESSOR, threads=2)
    quiet = taken(1.0, two, day=1, id="quietaaa")
    busy = taken(2.0, two, day=20, id="busyaaaa", notes=("busy: other programs took 1.9 of 2 cores",))
    (found,) = steps_here(PLAN, stored(busy, quiet))
    assert (found.calibration.id, found.disturbed) == ("quietaaa", False)
    (only,) = steps_here(PLAN, stored(busy))
    assert only.disturbed
    of_gpus = evidence(replace(busy, fingerprint=MARK), replace(quiet, fingerprint=MARK))
    assert [step.calibration for step in of_gpus.steps] == ["quietaaa"]


def test_what_a_gpu_did_says_nothing_of_a_processor() -> None:
    sheet = next(p for p in read_processors() if p.name == "Grace")
    cluster = Cluster(
        accelerator=sheet, efficiency=COEFFICIENTS.of("x", PLAN.precision, None, "decoder"), node_devices=1
    )
    assert evidence(taken(1.3 * expected_s(8))).corrected(cluster) is cluster


@pytest.mark.usefixtures("abacus")
def test_other_versions_are_told() -> None:
    import numpy

    (found,) = steps_here(PLAN, stored(taken(1.0, PROCESSOR)))
    assert found.changed == (f"numpy 0.1, now {numpy.__version__}", "nothing 1.0, which is not installed now")


def test_without_a_store_nothing_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert stored_calibrations(pytest.fail) == ()
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user's store is."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    return tmp_path / "zenplan" / "calibrations.sqlite"


def test_what_is_in_the_store_is_read(store: Path) -> None:
    with CalibrationStore.open(store) as opened:
        opened.insert(stored(taken(1.0)))
    assert [s.calibration for s in stored_calibrations(pytest.fail)] == [taken(1.0)]


def _damage(path: Path) -> None:
    path.write_bytes(b"not a database, whatever else it may be" * 30)


def _newer(path: Path) -> None:
    with CalibrationStore.open(path) as opened:
        opened._db.execute("PRAGMA user_version = 999")


@pytest.mark.parametrize("spoil", [_damage, _newer])
def test_a_store_that_cannot_be_read_is_one_warning(store: Path, spoil: Callable[[Path], None]) -> None:
    store.parent.mkdir()
    spoil(store)
    before = store.read_bytes()
    said: list[str] = []
    assert stored_calibrations(said.append) == ()
    assert len(said) == 1
    assert "going on without" in said[0]
    assert store.read_bytes() == before, "nothing is changed by reading"
