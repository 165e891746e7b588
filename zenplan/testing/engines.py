"""What an engine has to keep, as tests: a plugin's author derives a class from the contract, and pytest runs it.

    class TestMine(EngineContract):
        engine = MyEngine()

Each test starts the engine's worker as ``zenplan train`` does, with small prepared data in a temporary folder.
"""

from __future__ import annotations

import json
import math
import os
import random
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import numpy as np
import pytest

from zenplan.adapters.workers.engines import KerasEngine as KerasEngine
from zenplan.adapters.workers.process import measuring_environment, spawned, worker_environment
from zenplan.documents import encode, plain
from zenplan.domain.training.several import Several
from zenplan.errors import FailureKind
from zenplan.protocols import Engine, several_of
from zenplan.worker.protocol import (
    Checkpointed,
    Count,
    Counted,
    Ended,
    Error,
    Event,
    Job,
    Kind,
    Machine,
    Metric,
    Optimizer,
    Ready,
    Rehearsal,
    Rehearsed,
    Steps,
    Stop,
    Train,
    TrainedModel,
    decode_event,
)

VOCABULARY = 17
_TOKENS, _ENDLESS = 900, 10**7
_SMALL = Kind(name="decoder", options={"layers": 1, "width": 16, "heads": 2, "length": 8, "dropout": 0.2})
# A worker may be newer or older than its parent: what it does not know in a line is nothing to it.
_NEWER = {"of_a_newer_zenplan": [1]}
_LINE_BYTES = 1 << 16


@dataclass(slots=True, kw_only=True)
class Worker:
    """A worker that was given a job.

    Attributes:
        process: it, the leader of a session of its own.
        answers: what its events are read from.
        patience_s: in which the next event has to come.
        events: that have come.
    """

    process: subprocess.Popen[bytes]
    answers: FileIO
    patience_s: float
    events: list[Event] = field(default_factory=list)
    _partial: bytes = b""

    def next(self) -> Event | None:
        """Its next event; None once there are no more."""
        while b"\n" not in self._partial:
            with selectors.DefaultSelector() as selector:
                selector.register(self.answers, selectors.EVENT_READ)
                assert selector.select(self.patience_s), f"it says nothing for {self.patience_s:g} s: {self._last()}"
            more = self.answers.read(_LINE_BYTES)
            if not more:
                return None
            self._partial += more
        line, _, self._partial = self._partial.partition(b"\n")
        event = decode_event(line)
        if event is None:
            return self.next()
        self.events.append(event)
        return event

    def until(self, wanted: Callable[[Event], bool]) -> Event:
        """The first event of that kind."""
        while (event := self.next()) is not None:
            if wanted(event):
                return event
        raise AssertionError(f"it ended before: {self._last()}")

    def rest(self) -> list[Event]:
        """All events, once it has ended."""
        while self.next() is not None:
            pass
        self.process.wait(self.patience_s)
        return self.events

    def say(self, line: msgspec.Struct) -> None:
        """Write a line to it."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.write(encode({**_fields(line), **_NEWER}).encode() + b"\n")
            self.process.stdin.flush()

    def leave(self) -> None:
        """Shut both pipes, as the system does for a parent that was killed; return once the worker has left."""
        self.answers.close()
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process.wait(self.patience_s)

    def kill(self) -> None:
        """SIGKILL, to it and all that it has started."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def _last(self) -> str:
        self.kill()
        assert self.process.stderr is not None
        said = self.process.stderr.read().decode(errors="replace")[-2000:]
        return f"last events {self.events[-3:]}; on stderr: {said}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """A folder, its prepared data, and runs in it.

    Attributes:
        data: the folder of the prepared data.
    """

    engine: Engine
    folder: Path
    data: str
    patience_s: float

    @contextmanager
    def started(self, job: Job) -> Iterator[Worker]:
        """A worker at that job, as ``zenplan train`` starts it; it is gone at the end."""
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        environment = {
            **measuring_environment("cpu", 1, os.environ),
            **worker_environment(self.engine.name, str(home)),
        }
        with spawned(self.engine.worker(), self.engine.name, environment) as (process, answers, theirs):
            worker = Worker(process=process, answers=answers, patience_s=self.patience_s)
            worker.say(msgspec.structs.replace(job, events=theirs))
            yield worker

    def done(self, job: Job) -> list[Event]:
        """All events of the job."""
        with self.started(job) as worker:
            return worker.rest()

    def checkpoints(self, name: str) -> list[int]:
        """Steps of the checkpoints of a run, in their order."""
        found = (self.folder / name / "checkpoints").glob("step-*")
        return sorted(int(each.name.removeprefix("step-")) for each in found)

    def copied(self, name: str, other: str) -> Path:
        """The folder of a run once more."""
        return Path(shutil.copytree(self.folder / name, self.folder / other))


def _fields(line: msgspec.Struct) -> dict[str, Any]:
    fields: dict[str, Any] = plain(line)
    return fields


def write_data(folder: Path, card: Mapping[str, Any], arrays: Mapping[str, Any]) -> str:
    """A folder of prepared data.

    Args:
        folder: that is made where it is not there.
        card: what its ``data.json`` says, but for the parts.
        arrays: NumPy arrays by ``part-name``, as in ``train-x``; of tokens ``train-tokens``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parts: dict[str, Any] = {}
    for name, array in arrays.items():
        part, _, what = name.partition("-")
        np.save(folder / f"{name}.npy", array)
        entry = parts.setdefault(part, {"files": {}})
        entry["files"][what] = f"{name}.npy"
        entry["tokens" if card["kind"] == "tokens" else "samples"] = len(array)
    whole = {"schema": "zenplan.prepared/1", "fingerprint": "0" * 64, **card, "parts": parts}
    (folder / "data.json").write_text(json.dumps(whole), encoding="utf-8")
    return str(folder)


def text_data(folder: Path) -> str:
    """Prepared tokens that mostly count upwards."""
    steps = np.random.default_rng(0).choice([1, 1, 1, 2], _TOKENS)
    flat = (np.cumsum(steps) % VOCABULARY).astype(np.uint16)
    cut = {"train": flat[: _TOKENS * 2 // 3], "validation": flat[_TOKENS * 2 // 3 :], "test": flat[-_TOKENS // 5 :]}
    card = {"kind": "tokens", "vocabulary": VOCABULARY, "end": 0}
    return write_data(folder, card, {f"{part}-tokens": tokens for part, tokens in cut.items()})


def losses(*runs: Sequence[Event]) -> dict[int, float]:
    """The loss of each step over the starts of one run: what was done after the checkpoint that the next start goes on
    from is not part of it. What is said twice must be the same."""
    found: dict[int, float] = {}
    for events in runs:
        ready = next((e for e in events if isinstance(e, Ready)), None)
        found = {step: loss for step, loss in found.items() if ready is None or step <= ready.step}
        for event in events:
            for step, loss in enumerate(event.losses, event.first) if isinstance(event, Steps) else ():
                assert found.setdefault(step, loss) == loss, f"step {step} has two losses: {found[step]} and {loss}"
    return found


def figures(*runs: Sequence[Event]) -> dict[tuple[int, str], Mapping[str, float]]:
    """The figures of each evaluation over the starts of one run, as of ``losses``."""
    found: dict[tuple[int, str], Mapping[str, float]] = {}
    for events in runs:
        ready = next((e for e in events if isinstance(e, Ready)), None)
        found = {at: values for at, values in found.items() if ready is None or at[0] <= ready.step}
        for event in events:
            if isinstance(event, Metric):
                known = found.setdefault((event.step, event.part), event.values)
                assert known == event.values, f"step {event.step}, {event.part}: {known} and {event.values}"
    return found


class EngineContract:
    """The tests. Derive a class of a name that begins with ``Test``, and give it an engine.

    Attributes:
        engine: that is tested.
        model: a small language model that the engine trains on tokens, 8 to a sample; with dropout, if it has that.
        unknown: a model that no engine has; ``known``: a word of what the engine then says it knows.
        steps: of a run, enough of them for a second or two.
        kills: how often a run is killed before it may end.
        patience_s: in which a worker has to say something.
    """

    engine: ClassVar[Engine]
    model: ClassVar[TrainedModel] = _SMALL
    unknown: ClassVar[TrainedModel] = Kind(name="no-such-model")
    known: ClassVar[str] = "decoder"
    steps: ClassVar[int] = 210
    kills: ClassVar[int] = 2
    patience_s: ClassVar[float] = 300.0

    @pytest.fixture(scope="class")
    @classmethod
    def lab(cls, tmp_path_factory: pytest.TempPathFactory) -> Lab:
        """Where the runs of all tests are."""
        folder = tmp_path_factory.mktemp("engine")
        data = text_data(folder / "data")
        return Lab(engine=cls.engine, folder=folder, data=data, patience_s=cls.patience_s)

    @pytest.fixture(scope="class")
    @classmethod
    def whole(cls, lab: Lab) -> list[Event]:
        """All events of a run that nobody disturbs, and that is rehearsed."""
        return lab.done(cls.job(lab, "whole", rehearsal=Rehearsal(seconds=0.0, least=3)))

    @classmethod
    def job(cls, lab: Lab, name: str, **changes: Any) -> Train:
        """A run with accumulation, clipping and several epochs, in a folder of that name."""
        usual: dict[str, Any] = {
            "what": "the model",
            "folder": str(lab.folder / name),
            "data": lab.data,
            "model": cls.model,
            "optimizer": Optimizer(name="adamw", learning_rate=1e-2, weight_decay=0.1, clip_norm=1.0),
            "threads": 1,
            "seed": 5,
            "steps": cls.steps,
            "batch": 8,
            "micro_batch": 4,
            "evaluate_every": 40,
            "evaluate_batches": 6,
            "checkpoint_every": 7,
        }
        return Train(**{**usual, **changes})

    # --- a run that nobody disturbs

    def test_it_is_an_engine(self) -> None:
        """It has a name, says what to install, and names a command."""
        engine: object = self.engine
        assert isinstance(engine, Engine)
        assert all(isinstance(each, str) and each for each in (engine.name, engine.extra, *engine.worker()))
        several: object = several_of(engine)
        assert isinstance(several, Several)
        assert several.workers or not several.starts, "it starts workers, and has not several"
        assert several.workers or several.devices or not several.divides, "it divides matrices over one device"

    def test_events_come_in_their_order(self, whole: list[Event]) -> None:
        """Machine, Ready and Rehearsed, once each; then Steps, with evaluations and checkpoints after the steps that they
        are of; then Ended."""
        ended = whole[-1]
        assert isinstance(ended, Ended), f"it did not end: {whole[-3:]}"
        assert (ended.reason, ended.diverged_at, ended.step) == ("finished", None, self.steps)
        kinds = [type(event) for event in whole]
        once = [kinds.index(kind) for kind in (Machine, Ready, Rehearsed, Steps, Ended)]
        assert once == sorted(once), f"not in their order: {[kind.__name__ for kind in kinds]}"
        assert all(kinds.count(kind) == 1 for kind in (Machine, Ready, Rehearsed, Ended))
        done = 0
        for event in whole:
            if isinstance(event, Steps):
                done = event.first + len(event.losses) - 1
            elif isinstance(event, Metric | Checkpointed):
                assert event.step == done, f"after step {done} comes {event}"

    def test_each_step_is_done_once(self, whole: list[Event]) -> None:
        """From 1 to the last, each with its loss and its times."""
        steps = [event for event in whole if isinstance(event, Steps)]
        numbers = [event.first + i for event in steps for i in range(len(event.losses))]
        assert numbers == list(range(1, self.steps + 1))
        assert all(len(e.losses) == len(e.wall_s) == len(e.wait_s) for e in steps)
        assert all(math.isfinite(loss) for e in steps for loss in e.losses)
        assert all(0.0 <= wait <= wall for e in steps for wall, wait in zip(e.wall_s, e.wait_s, strict=True))
        curve = losses(whole)
        assert np.mean([curve[s] for s in range(self.steps - 9, self.steps + 1)]) < curve[1], "it learns nothing"

    def test_it_evaluates_when_it_is_told_to(self, whole: list[Event]) -> None:
        """Validation in between and at the end, the test once."""
        parts = [(event.step, event.part) for event in whole if isinstance(event, Metric)]
        due = [*range(40, self.steps, 40), self.steps]
        assert parts == [*((step, "validation") for step in due), (self.steps, "test")]
        assert all(math.isfinite(values["loss"]) for values in figures(whole).values())

    def test_it_leaves_its_checkpoints_and_its_model_alone(self, lab: Lab, whole: list[Event]) -> None:
        """The newest two checkpoints and the trained model, whole; nothing of the worker's elsewhere in the folder."""
        told = [event.step for event in whole if isinstance(event, Checkpointed)]
        assert told == [*range(0, self.steps, 7), self.steps]
        assert lab.checkpoints("whole") == told[-2:]
        assert isinstance(whole[-1], Ended)
        assert Path(whole[-1].model).is_file()
        assert _odd(lab.folder / "whole") == []

    # --- one that is disturbed

    def test_killed_and_resumed_is_never_killed(self, lab: Lab, whole: list[Event]) -> None:
        """SIGKILL at any moment, while a checkpoint is written too: every loss and every figure are those of the run that
        nobody killed, bit for bit. That one was rehearsed and this is not: so a rehearsal leaves no trace either."""
        moments, job, starts = random.Random(self.engine.name), self.job(lab, "killed"), []
        span_s = sum(wall for e in whole if isinstance(e, Steps) for wall in e.wall_s)
        for _ in range(self.kills):
            with lab.started(job) as worker:
                worker.until(lambda event: isinstance(event, Ready))
                time.sleep(moments.uniform(0.0, span_s / self.kills))
                worker.kill()
                starts.append(list(worker.rest()))
            job = msgspec.structs.replace(job, resume=bool(lab.checkpoints("killed")))
        starts.append(lab.done(job))
        assert isinstance(starts[-1][-1], Ended), f"it did not end: {starts[-1][-3:]}"
        ready = next(e for e in starts[-1] if isinstance(e, Ready))
        assert (ready.exact, ready.differs, ready.passed) == (True, (), ())
        assert losses(*starts) == losses(whole)
        assert figures(*starts) == figures(whole)
        assert _odd(lab.folder / "killed") == []

    def test_it_ends_with_a_checkpoint_when_it_is_told_to(self, lab: Lab, whole: list[Event]) -> None:
        """By a Stop, then by SIGTERM, then by the end of stdin; it goes on each time as if nothing had been."""
        job = self.job(lab, "ended", steps=_ENDLESS)
        starts = []
        for reason in ("max_usd", "terminated", ""):
            with lab.started(job) as worker:
                _until_new_steps(worker)
                if reason == "max_usd":
                    worker.say(Stop(checkpoint_every=1000))
                    worker.say(Stop(reason=reason))
                elif reason:
                    worker.process.send_signal(signal.SIGTERM)
                else:
                    worker.leave()
                    break
                starts.append(list(worker.rest()))
            ended = starts[-1][-1]
            assert isinstance(ended, Ended), f"it did not end: {starts[-1][-3:]}"
            assert (ended.reason, ended.model) == (reason, "")
            assert ended.step == max(losses(*starts)) == lab.checkpoints("ended")[-1] > 0
            job = msgspec.structs.replace(job, resume=True)
        assert lab.checkpoints("ended")[-1] > max(losses(*starts)), "the end of stdin left no checkpoint"
        curve, wanted = losses(*starts), losses(whole)
        both = curve.keys() & wanted.keys()
        assert {step: curve[step] for step in both} == {step: wanted[step] for step in both}
        assert _odd(lab.folder / "ended") == []

    def test_a_broken_checkpoint_is_passed_over(self, lab: Lab, whole: list[Event]) -> None:
        """A truncated one: the run goes on from the one before it, and says so."""
        folder = lab.copied("whole", "broken")
        before, newest = lab.checkpoints("broken")
        for file in (folder / "checkpoints" / f"step-{newest:08d}").iterdir():
            os.truncate(file, file.stat().st_size // 2)
        events = lab.done(self.job(lab, "broken", resume=True))
        ready = next(e for e in events if isinstance(e, Ready))
        assert ready.step == before
        assert ready.passed, "it does not say that a checkpoint was passed over"
        curve = losses(events)
        assert {s: loss for s, loss in losses(whole).items() if s > before} == {
            s: loss for s, loss in curve.items() if s > before
        }

    # --- jobs that cannot be done

    def test_a_second_run_in_the_folder_is_refused(self, lab: Lab, whole: list[Event]) -> None:
        """A new run does not begin over one that is there."""
        folder = lab.copied("whole", "taken")
        before = _files(folder)
        assert isinstance(whole[-1], Ended)
        _refused(lab.done(self.job(lab, "taken")))
        assert _files(folder) == before

    @pytest.mark.parametrize("what", ["no data", "a batch larger than the data", "no checkpoint", "an optimizer"])
    def test_a_bad_job_is_one_error(self, lab: Lab, what: str) -> None:
        """With a hint, and without a file."""
        changes: dict[str, dict[str, Any]] = {
            "no data": {"data": str(lab.folder / "nowhere")},
            "a batch larger than the data": {"batch": 4000},
            "no checkpoint": {"resume": True},
            "an optimizer": {"optimizer": Optimizer(name="no-such-optimizer", learning_rate=1e-3)},
        }
        name = what.replace(" ", "-")
        _refused(lab.done(self.job(lab, name, **changes[what])))
        assert _files(lab.folder / name) == {}

    def test_an_unknown_model_says_what_it_knows(self, lab: Lab) -> None:
        """The message or the hint names what there is."""
        error = _refused(lab.done(self.job(lab, "unknown", model=self.unknown)))
        assert self.known in f"{error.message} {error.hint}"
        assert _files(lab.folder / "unknown") == {}

    def test_another_job_is_done_or_refused(self, lab: Lab) -> None:
        """An engine that trains need not count: then it says ``unsupported``, which zenplan goes on from."""
        last = lab.done(Count(what="the model", model=self.model, data=lab.data))[-1]
        assert isinstance(last, Counted) or _refused([last]).kind == FailureKind.UNSUPPORTED


def _until_new_steps(worker: Worker) -> None:
    """Until it has made steps after the checkpoint that it goes on from."""
    ready = worker.until(lambda event: isinstance(event, Ready))
    start = ready.step if isinstance(ready, Ready) else 0
    worker.until(lambda event: isinstance(event, Steps) and event.first > start)


def _refused(events: Sequence[Event]) -> Error:
    """The one error that the job came to."""
    last = events[-1] if events else None
    assert isinstance(last, Error), f"it is not refused: {events[-3:]}"
    assert last.message, "the error says nothing"
    assert last.hint, f"the error has no hint: {last.message}"
    assert "\n" not in last.message + last.hint
    assert not any(isinstance(e, Steps | Checkpointed | Ended) for e in events)
    return last


def _files(folder: Path) -> dict[str, bytes]:
    """Each file below it, and what is in it."""
    return {str(each.relative_to(folder)): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def _odd(folder: Path) -> list[str]:
    """What is neither a checkpoint nor the model, hidden and half-written files among it."""
    found = [each for each in folder.iterdir() if each.name not in ("checkpoints", "model")]
    found += [each for each in (folder / "checkpoints").iterdir() if not each.name.startswith("step-")]
    if (folder / "model").is_dir():
        found += [each for each in (folder / "model").iterdir() if each.name.startswith(".")]
    return sorted(str(each.relative_to(folder)) for each in found)
