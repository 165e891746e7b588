"""Calibrating, with a worker whose events are written here: what is measured, kept, halved, gone on with."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from zenplan.adapters.machine.host import read_host
from zenplan.adapters.store.store import CalibrationStore
from zenplan.adapters.tables.coefficients import read_coefficients
from zenplan.adapters.workers import ranks
from zenplan.adapters.workers.engines import KerasEngine, engines
from zenplan.commands.calibrate import asked, points, running, use_case
from zenplan.commands.calibrate import how as hows
from zenplan.commands.calibrate.how import How, engines_of, how_of
from zenplan.commands.calibrate.pacing import _parts
from zenplan.commands.calibrate.report import calibrate_report
from zenplan.commands.calibrate.use_case import Machine, Wanted, calibrate
from zenplan.domain.hardware.device import Device, DriverState, Profile, Reading
from zenplan.domain.measured.calibrated import Calibrations
from zenplan.domain.model.count import LayerCount, ModelCount
from zenplan.domain.model.operators import MatMul, Split
from zenplan.domain.training.request import Request
from zenplan.errors import FailureKind, UnknownName, UsageError, ZenplanError
from zenplan.plugins import load_plugins
from zenplan.worker.protocol import Blocks, Built, Communicated, Done, Failed, Measure, Replica, Sampled, WantedPoint
from zenplan.worker.protocol import Machine as RunsOn

HERE = Profile(driver=DriverState.absent("no driver"), devices=(), host=read_host(), taken_at=datetime.now(UTC))
HOW = How(device="cpu", precision="fp32", threads=1)
SCHEMA = Path(__file__).parents[3] / "zenplan" / "data" / "schemas" / "calibrate-1.json"
# Six layers; the batch is small enough to be affordable.
GPT = Request(model="gpt2", seq_len=32, batch=4)
Step = Callable[[WantedPoint], float]
# What becomes of a point that ends its worker, or fails alone.
Crash = tuple[FailureKind, str]
FINE = (FailureKind.NONE, "")


class Worker:
    """In place of a worker process: steps take what ``step_s`` says; ``trouble`` may end it, or ``fails`` fail a point."""

    def __init__(
        self,
        step_s: Step,
        trouble: Callable[[WantedPoint], Crash] = lambda point: FINE,
        fails: Callable[[WantedPoint], Crash] = lambda point: FINE,
    ) -> None:
        self.step_s, self.trouble, self.fails, self.jobs = step_s, trouble, fails, list[Measure]()

    def __call__(
        self,
        job: Measure,
        backend: str,
        limits: Any,
        tell: Any,
        *,
        hear: Any,
        command: Any,
        environment: Any,
        more: Any,
    ) -> Done:
        hear(RunsOn(device="a processor", kind="cpu", threads=job.threads, versions={"keras": "3"}, compiled=False))
        held: set[str] = set()
        following: Measure | None = job
        while following is not None:
            self.jobs.append(following)
            self.do(following, held, tell, hear)
            following = more() if self.stays and following.more else None
        return Done()

    def do(self, job: Measure, held: set[str], tell: Any, hear: Any) -> None:
        """One job of its worker, which holds those models."""
        tell("build", 0.1)
        good = []
        for point in job.points:
            kind, said = self.fails(point)
            if kind:
                hear(Failed(key=point.key, reason=said, kind=kind))
                continue
            kind, said = self.trouble(point)
            if kind:
                raise ZenplanError(said, kind=kind)
            if point.key not in held:
                hear(self.built(point))
            held.add(point.key)
            good += [point] if point.role != "program" else []
        for number in range(job.rounds.least):
            tell("measure", self.round_s * number)
            for point in good:
                seconds = self.step_s(point)
                hear(Sampled(key=point.key, round=number, wall_s=self.waits * seconds, cpu_s=seconds))

    def built(self, point: WantedPoint) -> Built:
        """What it says of a model that is ready."""
        return Built(key=point.key, setup_s=self.setup_s, program_bytes=1e9 * (1 + depth_of(point)))

    round_s, setup_s, waits, stays = 1.0, 1.0, 1.0, True

    @property
    def keys(self) -> list[list[str]]:
        """What each worker was asked for."""
        return [[point.key for point in job.points] for job in self.jobs]


def depth_of(point: WantedPoint | Replica) -> int:
    blocks = point.model.blocks if isinstance(point.model, Blocks) else ()
    return next((b.repeat for b in blocks if b.place == "middle"), 1)


def linear(point: WantedPoint) -> float:
    """A few tokens a sample: weights that are updated whatever the batch are half of it."""
    return 0.05 + 0.015 * depth_of(point) + point.batch * (0.01 + 0.004 * depth_of(point))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[CalibrationStore]:
    with CalibrationStore.open(tmp_path / "calibrations.sqlite") as opened:
        yield opened


@pytest.fixture
def run(store: CalibrationStore, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Calibrations]:
    """The use case with that worker."""
    monkeypatch.setattr(use_case, "before", lambda how, profile: ())
    families = load_plugins({"ZENPLAN_PLUGINS": ""}).workloads()

    def call(worker: Worker, wanted: Wanted | None = None, backend: str = "torch", how: How = HOW) -> Calibrations:
        monkeypatch.setattr(running, "run_job", worker)
        machine = Machine(profile=HERE, sheet=None, families=families)
        return calibrate(
            wanted or Wanted(request=GPT),
            [KerasEngine(backend)],
            how,
            machine,
            store,
            lambda share, text: None,
            lambda text: None,
        )

    return call


TRUTH_S = 0.05 + 0.015 * 12 + 4 * (0.01 + 0.004 * 12)


def test_what_can_be_run_whole_is_run_whole(run: Any, store: CalibrationStore) -> None:
    worker = Worker(linear)
    wanted = Wanted(request=replace(GPT, samples=1e6, epochs=1.0), usd_per_h=3.6)
    found = run(worker, wanted).taken[0]
    assert worker.keys[:2] == [["depth=1 batch=4"], ["depth=12 batch=4"]]
    assert found.prediction.step_s.mid == pytest.approx(TRUTH_S)
    assert found.prediction.method == "a step of the whole model"
    assert found.samples_per_s.mid == pytest.approx(4 / TRUTH_S, rel=1e-3)
    assert found.run_s.mid == pytest.approx(1e6 / 4 * TRUTH_S, rel=1e-3)
    assert found.run_usd.mid == pytest.approx(found.run_s.mid * 0.001, rel=1e-6)
    assert store.state(found.calibration.id) == "done"
    assert found.calibration.target.depth == 12
    assert found.calibration.target.features["product_flop"] > 0


def test_what_takes_too_long_whole_is_predicted_from_less(run: Any) -> None:
    """A step of the whole is half a minute: what fits into one is taken, the whole is not tried."""
    worker = Worker(lambda point: 60 * linear(point))
    found = run(worker).taken[0]
    keys = [key for keys in worker.keys for key in keys]
    assert "depth=12 batch=4" not in keys
    assert len(set(keys)) > 1
    assert found.prediction.step_s.mid == pytest.approx(60 * TRUTH_S, rel=0.25)


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_benchmarks_forbid_the_whole(run: Any, backend: str) -> None:
    worker = Worker(linear)
    found = run(worker, backend=backend, how=replace(HOW, whole=False)).taken[0]
    stepped = {key for keys in worker.keys for key in keys if not key.startswith("program")}
    assert "depth=12 batch=4" not in stepped
    assert any(key.startswith("program depth=12") for keys in worker.keys for key in keys) is (backend == "jax")
    assert found.prediction.step_s.low < TRUTH_S < found.prediction.step_s.high
    assert found.prediction.step_s.mid == pytest.approx(TRUTH_S, rel=0.1)


def test_a_worker_that_takes_one_job_alone_is_followed_by_another(run: Any) -> None:
    worker = Worker(linear)
    worker.stays = False
    assert run(worker).taken[0].prediction.step_s.mid == pytest.approx(TRUTH_S)


def test_the_minutes_are_kept_by_the_clock_on_the_wall(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Setting up a model takes 20 s of a clock that runs as the worker works."""
    now = [0.0]
    monkeypatch.setattr(running.time, "monotonic", lambda: now[0])

    def step(point: WantedPoint) -> float:
        now[0] += 20.0
        return linear(point)

    worker = Worker(step)
    found = run(worker, how=replace(HOW, minutes=1.0)).taken[0]
    assert found.prediction is not None
    assert now[0] <= 80.0


class Compiles(Worker):
    """The first model is built slowly, for everything is new; compiling takes a second and as much for each layer."""

    def __init__(self, now: list[float], first_s: float, each_s: float, slower: float = 10.0) -> None:
        super().__init__(lambda point: slower * linear(point))
        self.now, self.first_s, self.each_s = now, first_s, each_s

    def built(self, point: WantedPoint) -> Built:
        """The clock goes on as long as it takes."""
        compile_s, build_s = self.each_s * (1.0 + 0.3 * depth_of(point)), self.first_s
        self.first_s = 0.1
        step_s = self.step_s(point)
        self.now[0] += build_s + compile_s + 2 * step_s
        return Built(
            key=point.key,
            setup_s=build_s + compile_s + 2 * step_s,
            compile_s=compile_s + step_s,
            program_bytes=1e8 * (1 + depth_of(point)),
        )


def test_what_the_first_model_took_to_build_is_not_asked_of_the_next(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the minutes are left after the first depth: more depths are run, and the minutes are kept."""
    now = [0.0]
    monkeypatch.setattr(running.time, "monotonic", lambda: now[0])
    worker = Compiles(now, first_s=14.0, each_s=2.0, slower=2.0)
    found = run(worker, backend="jax", how=replace(HOW, whole=False, minutes=0.6)).taken[0]
    depths = {m.point.depth for m in found.calibration.steps}
    assert len(depths) >= 3
    assert now[0] <= 1.1 * 36.0


def test_depths_at_the_batch_come_before_parts_of_it_where_parts_tell_little(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Time for two or three programs alone: with jax none is spent on another batch, which is another program."""
    now = [0.0]
    monkeypatch.setattr(running.time, "monotonic", lambda: now[0])
    worker = Compiles(now, first_s=2.0, each_s=6.0, slower=4.0)
    found = run(worker, backend="jax", how=replace(HOW, whole=False, minutes=0.6)).taken[0]
    assert {m.point.batch for m in found.calibration.steps} == {4}
    assert len({m.point.depth for m in found.calibration.steps}) >= 2


def test_without_an_answer_the_minutes_are_doubled_and_no_more(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(running.time, "monotonic", lambda: now[0])

    class Slow(Worker):
        def do(self, job: Measure, held: set[str], tell: Any, hear: Any) -> None:
            for _ in range(100):
                now[0] += 3.0
                tell("compile", now[0])

    with pytest.raises(ZenplanError, match="nothing of gpt2-124m was measured: the time was over"):
        run(Slow(linear))
    assert 120.0 <= now[0] <= 126.0


def test_short_of_memory_less_is_run_and_the_failure_is_kept(run: Any) -> None:
    def fails(point: WantedPoint) -> Crash:
        return (FailureKind.OUT_OF_MEMORY, "out of memory") if point.batch > 2 else FINE

    found = run(Worker(linear, fails=fails)).taken[0]
    failures = [m for m in found.calibration.measured if m.failure]
    assert {(m.failure, m.failure_kind) for m in failures} == {("out of memory", FailureKind.OUT_OF_MEMORY)}
    assert len(failures) == 1
    assert found.prediction.step_s.low < TRUTH_S < found.prediction.step_s.high


def test_what_the_system_kills_for_its_memory_is_tried_at_less(run: Any) -> None:
    worker = Worker(linear, lambda p: (FailureKind.KILLED, "it was killed by SIGKILL") if p.batch > 2 else FINE)
    found = run(worker).taken[0]
    assert {p.batch for p in worker.jobs[-1].points} <= {1, 2}
    assert found.prediction.step_s.low < TRUTH_S < found.prediction.step_s.high


@pytest.mark.parametrize("kind", [kind for kind in FailureKind if kind])
@pytest.mark.parametrize("alone", [True, False], ids=["its point alone", "the worker"])
def test_what_is_done_after_a_failure_goes_by_its_kind_and_never_by_its_words(
    run: Any, store: CalibrationStore, kind: FailureKind, alone: bool
) -> None:
    done = []
    for words in ("out of memory", "killed by SIGKILL", "[gloo/pair.cc] reset by peer", "yes", ""):
        trouble = lambda p, words=words: (kind, words) if p.batch > 2 else FINE  # noqa: E731 - a line
        worker = Worker(linear, **{"fails" if alone else "trouble": trouble})
        try:
            found = run(worker).taken[0]
            kinds = [(m.point.key, m.failure_kind) for m in found.calibration.measured]
            said = (found.prediction.step_s, found.prediction.method, len(found.prediction.doubts), kinds)
        except ZenplanError as error:
            said = (type(error), error.kind)
        done.append((worker.keys, said))
        for each in store.all():
            store.remove(each.id)
    for each in done[1:]:
        assert each == done[0]
    less = {FailureKind.OUT_OF_MEMORY, FailureKind.KILLED}
    tried = sum("batch=4" in key for keys in done[0][0] for key in keys)
    assert (tried == 1) is (kind in less)


def test_a_crash_costs_its_point_and_the_rest_goes_on(run: Any) -> None:
    worker = Worker(linear, lambda p: (FailureKind.CRASHED, "it was killed by SIGSEGV") if depth_of(p) == 12 else FINE)
    found = run(worker).taken[0]
    lost = next(m for m in found.calibration.measured if m.point.depth == 12)
    assert (lost.failure, lost.failure_kind) == ("it was killed by SIGSEGV", FailureKind.CRASHED)
    assert found.prediction is not None


def test_where_everything_crashes_the_first_reason_is_the_error(run: Any, store: CalibrationStore) -> None:
    worker = Worker(linear, lambda p: (FailureKind.CRASHED, f"crash {depth_of(p)}"))
    with pytest.raises(ZenplanError, match=r"nothing of .* was measured: depth=1 batch=4: crash 1"):
        run(worker)
    assert 1 < len(worker.jobs) <= 4
    assert store.all()[0].measured[0].failure == "crash 1"


def let_go(store: CalibrationStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever was at its calibration is at it no more."""
    with monkeypatch.context() as patch, store._changing(store.all()[0].id):
        patch.setattr("zenplan.adapters.store.records.this_process", lambda: "")
        store._touch(store.all()[0].id)


def test_an_interrupted_run_is_gone_on_with(run: Any, store: CalibrationStore, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = iter(range(100))

    def interrupted(point: WantedPoint) -> float:
        # The first point has its samples, the second one of two.
        if next(steps) == 3:
            raise KeyboardInterrupt
        return linear(point)

    with pytest.raises(KeyboardInterrupt):
        run(Worker(interrupted))
    begun = store.all()[0]
    assert [len(m.samples) for m in begun.measured] == [2, 1]
    worker = Worker(linear)
    # What another process begins is its own: this one is no longer at it.
    let_go(store, monkeypatch)
    found = run(worker).taken[0]
    assert found.calibration.id == begun.id
    whole = next(m for m in found.calibration.measured if m.point.depth == 12)
    assert [s.round for s in whole.samples] == list(range(len(whole.samples)))
    assert len(whole.samples) > 3


def test_where_worker_after_worker_ends_what_is_left_is_told(run: Any, store: CalibrationStore) -> None:
    worker = Worker(linear, lambda p: (FailureKind.CRASHED, "killed"))
    with pytest.raises(ZenplanError, match="killed"):
        run(worker, Wanted(request=Request()))
    found, left = store.all()[0], len(worker.jobs[0].points) - 4
    assert [m.failure for m in found.measured] == 4 * ["killed"]
    assert f"given up after 4 workers ended in the middle: {left} points are left" in found.notes


def test_what_is_older_than_a_day_is_begun_anew(
    run: Any, store: CalibrationStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = run(Worker(linear)).taken[0].calibration
    store.remove(found.id)
    store.begin(replace(found, id="oldoldol", taken_at=datetime.now(UTC) - timedelta(days=2)))
    let_go(store, monkeypatch)
    assert run(Worker(linear)).taken[0].calibration.id != "oldoldol"


def test_a_comparison_says_what_failed_and_goes_on(run: Any) -> None:
    def trouble(point: WantedPoint) -> Crash:
        return (FailureKind.RAISED, "no compiler") if worker.jobs[-1].compiled else FINE

    worker = Worker(linear, trouble)
    found = run(worker, Wanted(request=GPT, compare=True))
    assert [f.name for f in found.failed] == ["torch, compiled"]
    assert "no compiler" in found.failed[0].reason
    assert len(found.fastest) == 1


class Sweeps(Worker):
    """Points of a sweep, one after another; each takes that long by the clock that it tells."""

    def __init__(self, each_s: float) -> None:
        super().__init__(lambda point: 0.01)
        self.each_s = each_s

    def do(self, job: Measure, held: set[str], tell: Any, hear: Any) -> None:
        """Each point is done before the next."""
        for number, point in enumerate(job.points):
            tell("build", number * self.each_s)
            assert not job.count, "what a sweep runs is counted already"
            hear(Built(key=point.key, setup_s=1.0))
            tell("measure", (number + 0.9) * self.each_s)
            for index in range(job.rounds.least):
                hear(Sampled(key=point.key, round=index, wall_s=0.01 * (number + 1), cpu_s=0.01 * (number + 1)))


def test_a_sweep_stops_when_its_time_is_over(run: Any) -> None:
    found = run(Sweeps(7.0), Wanted(request=Request())).taken[0]
    assert found.prediction is None
    assert found.calibration.kind == "sweep"
    assert len(found.calibration.steps) == 8, "a minute has room for so many"
    assert any(known.a_second for known in found.speeds)
    with pytest.raises(UsageError, match="too short for a single point"):
        run(Sweeps(7.0), Wanted(request=Request()), how=replace(HOW, minutes=0.001))


def test_a_sweep_goes_on_until_it_tells_something_at_most_as_long_again(run: Any, store: CalibrationStore) -> None:
    found = run(Sweeps(15.0), Wanted(request=Request())).taken[0]
    assert len(found.calibration.steps) == 6
    assert all(known.a_second or known.reason for known in found.speeds)
    assert store.state(found.calibration.id) == "done"


def test_a_sweep_of_too_few_points_is_an_error_and_is_gone_on_with(
    run: Any, store: CalibrationStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ZenplanError, match=r"^4 points of a sweep are too few") as raised:
        run(Sweeps(28.0), Wanted(request=Request()))
    assert raised.value.exit_code == 1
    assert "--minutes" in raised.value.hint
    let_go(store, monkeypatch)
    found = run(Sweeps(7.0), Wanted(request=Request())).taken[0]
    assert len(found.calibration.steps) > 4 + 6, "those of both"
    assert store.state(found.calibration.id) == "done"


def test_that_it_is_busy_is_one_note(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen before, in the middle and by the steps; a saved document has it, and no reader is told twice."""
    monkeypatch.setattr(use_case, "before", lambda how, profile: ("busy: others took 1.9 of 2 cores",))
    monkeypatch.setattr(running, "crowded", lambda *_: "busy: others took 1.4 of 2 cores")
    worker = Worker(linear)
    worker.waits = 3.0
    found = run(worker)
    notes = found.taken[0].calibration.notes
    assert [note for note in notes if note.startswith("busy")] == ["busy: others took 1.9 of 2 cores"]
    assert notes[0] in calibrate_report(found).notes
    assert notes[0] not in calibrate_report(found, said={notes[0]}).notes
    assert calibrate_report(found, said={notes[0]}).make_document().calibrations[0].notes == notes


def test_who_waits_is_told_once_that_it_is_busy(monkeypatch: pytest.MonkeyPatch, store: CalibrationStore) -> None:
    """By each of two backends, in other words each time."""
    looks = iter(f"busy: others took 1.{n} of 2 cores" for n in range(99))
    monkeypatch.setattr(use_case, "before", lambda how, profile: (next(looks),))
    monkeypatch.setattr(running, "crowded", lambda *_: next(looks))
    monkeypatch.setattr(running, "run_job", Worker(linear))
    machine = Machine(profile=HERE, sheet=None, families=load_plugins({"ZENPLAN_PLUGINS": ""}).workloads())
    both, said = [KerasEngine("torch"), KerasEngine("jax")], list[str]()
    found = calibrate(Wanted(request=GPT), both, HOW, machine, store, lambda share, text: None, said.append)
    assert len(found.taken) == 2
    assert len([note for note in said if note.startswith("busy")]) == 1
    assert not [note for note in calibrate_report(found, said=said).notes if "busy" in note]


def test_one_step_has_no_spread(run: Any) -> None:
    found = run(Worker(linear)).taken[0]
    often = max(found.calibration.steps, key=lambda m: len(m.samples))
    assert often.known_spread("cpu") == 0.0
    once = replace(often, point=replace(often.point, key="once"), samples=often.samples[:1])
    assert once.known_spread("cpu") is None
    report = calibrate_report(
        Calibrations(taken=(replace(found, calibration=replace(found.calibration, measured=(once, often))),))
    )
    column = [column.name for column in report.tables[0].columns].index("spread")
    assert [row[column] for row in report.tables[0].rows] == ["-", "0.0 %"]


def test_a_sweep_has_every_family_before_any_has_two() -> None:
    session = running.Session(
        engine=KerasEngine("torch"),
        how=HOW,
        profile=HERE,
        show=lambda s, t: None,
        record=running.StoredRecorder(
            store=None,
            about=points.sweep_about("all"),
            backend="torch",  # type: ignore[arg-type]
            precision="fp32",
        ),
    )
    kinds = [p.family for p in points._sweep_points(session, 50.0)]
    assert len(set(kinds[:4])) == 4


def test_strict_refuses_a_busy_machine(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "crowded_now", lambda cores, threads: "busy: very")
    with pytest.raises(ZenplanError, match="not measured under --strict: busy: very"):
        running.before(replace(HOW, strict=True), HERE)
    assert running.before(HOW, HERE) == ("busy: very",)


def test_strict_refuses_a_gpu_that_is_held_down(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def watched(index: int) -> Iterator[Any]:
        yield lambda: (Reading.of(1e9), Reading.of("heat"))

    monkeypatch.setattr(running, "watched", watched)
    monkeypatch.setattr(running, "crowded_now", lambda cores, threads: "")
    gpu = Device.unreadable(0, "it does not tell")
    with pytest.raises(ZenplanError, match="under --strict: throttled: the GPU's clock was held down by heat"):
        running.before(replace(HOW, device="gpu", strict=True), replace(HERE, devices=(gpu,)))


def test_a_model_for_an_engine_of_a_plugin_is_counted_on_a_backend_of_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    known = LayerCount(
        path=("a",),
        kind="Dense",
        parameters=16,
        trainable_parameters=16,
        operators=(MatMul(name="a", rows=1, inner=4, columns=4, split=Split.NONE),),
    )
    unknown = LayerCount(path=("b",), kind="Odd", method="unknown")
    asked_for = []

    def counted(target: str, backend: str | None, **options: Any) -> ModelCount:
        asked_for.append(backend)
        return ModelCount(name="m", backend="jax", input_shape="4", layers=(known, unknown))

    monkeypatch.setattr(asked, "count_keras", counted)
    found = [
        asked.own_model("m:f", Request(batch=4), HOW, name, None, None, lambda stage, seconds: None)
        for name in ("torch", "a plugin's")
    ]
    assert asked_for == ["torch", None]
    assert found[0].facts == ("FLOP and predicted memory are without b (Odd), whose cost is unknown",)


@pytest.mark.parametrize(("batch", "parts"), [(32, (32, 16, 8, 4, 2, 1)), (7, (7, 3, 1)), (2, (2, 1)), (1, (1,))])
def test_parts_of_a_batch(batch: int, parts: tuple[int, ...]) -> None:
    assert _parts(batch) == parts


# --- several workers


def ranks_in_place(monkeypatch: pytest.MonkeyPatch, step_s: Callable[[Any], float]) -> list[Any]:
    """In place of the workers of a job: each step takes what ``step_s`` says, a byte to reduce a nanosecond."""
    jobs: list[Any] = []

    def run_job(job: Any, backend: str, limits: Any, tell: Any, hear: Any, *more: Any, **named: Any) -> Done:
        jobs.append(job)
        hear(RunsOn(device="a processor", kind="cpu", threads=job.threads, versions={"keras": "3"}, compiled=False))
        tell("measure", 1.0)
        for number in range(job.rounds):
            for size, name in product(job.sizes, job.collectives):
                hear(Communicated(group=0, collective=name, bytes=size, round=number, wall_s=1e-9 * size))
            for replica in job.groups[0]:
                gradients = 1e6 * depth_of(replica)
                hear(Built(key=replica.key, setup_s=1.0, gradient_bytes=gradients))
                for way, seconds in (("alone", 0.0), ("at_once", 0.0), ("together", 1e-9 * gradients)):
                    if way != "alone" or job.ranks.rank == 0:
                        wall_s = step_s(replica) + seconds
                        hear(Sampled(key=replica.key, way=way, round=number, wall_s=wall_s, cpu_s=wall_s))
        return Done()

    monkeypatch.setattr(ranks, "run_job", run_job)
    return jobs


def test_the_step_of_several_workers_stands_beside_that_of_one(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = ranks_in_place(monkeypatch, linear)
    found = run(Worker(linear), how=replace(HOW, workers=2)).taken[0]
    assert sorted(job.ranks.rank for job in jobs) == [0, 1]
    assert {(job.workers, job.threads, job.precision) for job in jobs} == {(2, 1, "fp32")}
    assert [replica.key for replica in jobs[0].groups[0]] == ["depth=1 batch=4", "depth=2 batch=4", "depth=4 batch=4"]
    alone_s = 0.05 + 0.015 * 12 + 4 * (0.01 + 0.004 * 12)
    together = found.together
    assert (together.workers, together.batch) == (2, 4)
    assert together.gradient_bytes == pytest.approx(12e6)
    assert together.reduce_s == pytest.approx(12e6 * 1e-9, rel=1e-3)
    assert together.exposed == pytest.approx(1.0, rel=1e-3)
    assert together.step.step_s.mid == pytest.approx(alone_s + 12e6 * 1e-9, rel=1e-3)
    assert together.speed_up == pytest.approx(2 * alone_s / (alone_s + 12e6 * 1e-9), rel=1e-3)
    # Half of what n workers send for a byte is what two of them do, as n - 1 of n.
    eight = next(each for each in together.scaling if each.workers == 8)
    # The slowest of eight is 1.43 standard deviations behind, that of two 0.59.
    later = 1 + (1.434 - 0.589) * read_coefficients().all["variation"].value
    assert eight.step_s.mid == pytest.approx(alone_s * later + 12e6 * 1e-9 * 2 * 7 / 8, rel=1e-3)
    assert [each.measured for each in together.scaling] == [each.workers == 2 for each in together.scaling]
    report = calibrate_report(Calibrations(taken=(found,)))
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    document = json.loads(json.dumps(report.document))
    assert [error.message for error in Draft202012Validator(schema).iter_errors(document)] == []
    assert "together" in schema["$defs"]["CalibrationDocument"]["properties"]
    rows = {row[0]: row[1:] for table in report.tables for row in table.rows}
    assert rows["step of 2 × 4"][1].endswith("all-reduce × 1.00")
    assert rows["step of 4, 12 deep"][0].startswith("462 ms")
    assert rows["speed-up"][0] == "1.95"
    assert "277 tokens a second, wall time" in rows["speed-up"][1]
    # Each says what it is beside: one that is slower in a group is not told as if it were not.
    quick = replace(found, prediction=replace(found.prediction, step_s=found.prediction.step_s * 0.5))
    rows_of_quick = {
        row[0]: row[1:] for table in calibrate_report(Calibrations(taken=(quick,))).tables for row in table.rows
    }
    assert rows_of_quick["speed-up"] == rows["speed-up"]
    assert float(rows["beside one by itself"][0]) == pytest.approx(
        2 * float(rows_of_quick["beside one by itself"][0]), 0.01
    )
    low, mid, high = together.efficient_workers.ends
    assert 2 < low < mid == high == 4096
    assert rows["efficient workers"][0] == f"{low:g}"
    assert rows["efficient workers"][1].endswith("4,096 or more in the middle, 4,096 or more at the high end")
    told = report.document["calibrations"][0]["together"]
    assert told["efficient_workers"] == low
    assert told["efficient_workers_range"] == {"low": low, "mid": 4096, "high": 4096}
    assert rows["all-to-all"][1] == "500 MB/s"


def test_without_several_workers_the_document_says_nothing_of_them(run: Any) -> None:
    report = calibrate_report(run(Worker(linear)))
    assert "together" not in report.document["calibrations"][0]


def test_a_model_in_which_nothing_repeats_has_no_step_of_several_workers(run: Any) -> None:
    worker = Worker(linear)
    with pytest.raises(UsageError, match="predicts resnet50 from less deep ones, and nothing in it repeats") as caught:
        run(worker, Wanted(request=Request(model="resnet50", batch=2)), how=replace(HOW, workers=2))
    assert "--vary" in caught.value.hint
    assert worker.jobs == []


# --- how


def test_engines_are_those_that_are_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hows, "is_installed", lambda name: name in ("jax", "torch"))
    monkeypatch.setattr(hows, "backend_of", lambda wanted, environ: wanted or "jax")
    assert [e.name for e in engines_of("all", engines(), {})] == ["jax", "torch"]
    assert [e.name for e in engines_of(None, engines(), {})] == ["jax"]
    with pytest.raises(UnknownName):
        engines_of("flax", engines(), {})


def test_how_is_the_usual_where_nothing_is_said() -> None:
    asked = {"device": None, "precision": None, "threads": None, "compiled": None, "minutes": 1.0, "strict": False}
    found = how_of(HERE, **asked)  # type: ignore[arg-type]
    assert (found.device, found.precision) == ("cpu", "fp32")
    assert found.threads >= 1
    assert len([fact for fact in found.facts if "NUMA" not in fact]) == 2
    for wrong in ({"workers": 10_000}, {"device": "gpu"}, {"device": "tpu"}, {"precision": "fp8"}, {"threads": 10_000}):
        with pytest.raises(UsageError):
            how_of(HERE, **{**asked, **wrong})  # type: ignore[arg-type]


ASKED = {"device": None, "precision": None, "threads": 1, "compiled": None, "minutes": 1.0, "strict": False}


def with_gpus(*gpus: dict[str, Any]) -> Profile:
    devices = tuple(
        Device.unreadable(
            n, "not supported", **{k: Reading.of(v) if k in ("name", "uuid") else v for k, v in g.items()}
        )
        for n, g in enumerate(gpus)
    )
    return replace(HERE, devices=devices)


def test_of_several_gpus_it_is_said_which_and_whether_they_are_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    alike = with_gpus({"name": "Tesla T4"}, {"name": "Tesla T4"})
    (said,) = [fact for fact in how_of(alike, **ASKED).facts if "GPU 0 of 2" in fact]  # type: ignore[arg-type]
    assert ", all alike" in said
    other = with_gpus({"name": "Tesla T4"}, {"name": "NVIDIA L4"})
    assert any("not all alike" in fact for fact in how_of(other, **ASKED).facts)  # type: ignore[arg-type]
    one = with_gpus({"name": "Tesla T4"})
    assert not any("alike" in fact for fact in how_of(one, **ASKED).facts)  # type: ignore[arg-type]


def test_each_worker_has_a_gpu_of_its_own() -> None:
    one, two = (with_gpus(*[{"name": "Tesla T4"}] * count) for count in (1, 2))
    four = Reading.of(4)
    host = replace(HERE.host, logical_cores=four, affinity_cores=four, cpu_limit_cores=four)
    assert how_of(replace(two, host=host), **ASKED, workers=2).device == "gpu"  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="2 workers need a GPU each, and there is 1"):
        how_of(replace(one, host=host), **ASKED, workers=2)  # type: ignore[arg-type]


def test_a_gpu_that_is_cut_into_slices_is_measured_on_one() -> None:
    slices = [{"name": "A100 MIG 1g.5gb", "uuid": f"MIG-{n}", "slice_of": 0} for n in (1, 2)]
    cut = with_gpus({"name": "A100", "uuid": "GPU-1"}, *slices)
    assert hows.gpu_of(cut, {}) == cut.devices[1]
    assert hows.gpu_of(cut, {"CUDA_VISIBLE_DEVICES": "MIG-2"}) == cut.devices[2]
    assert running._whole(cut.devices[2]) == 0


@pytest.mark.parametrize("variable", ["CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"])
def test_variables_of_either_maker_choose_the_gpu(variable: str) -> None:
    two = with_gpus({"name": "MI300X", "vendor": "AMD"}, {"name": "MI300X", "vendor": "AMD"})
    assert hows.gpu_of(two, {variable: "1,0"}) == two.devices[1]


def test_gpus_that_no_backend_computes_on_leave_the_processor() -> None:
    mac = with_gpus({"name": "Apple M1", "vendor": "Apple"})
    assert how_of(mac, **ASKED).device == "cpu"  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="do not compute on those of Apple"):
        how_of(mac, **{**ASKED, "device": "gpu"})  # type: ignore[arg-type]


def test_several_sockets_are_said() -> None:
    two = replace(HERE, host=replace(HERE.host, sockets=Reading.of(2), numa_nodes=Reading.of(4)))
    (said,) = [fact for fact in how_of(two, **ASKED).facts if "NUMA" in fact]  # type: ignore[arg-type]
    assert "sockets: 2, NUMA nodes: 4" in said
