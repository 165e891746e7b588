"""What an engine has to keep, as tests: a plugin's author derives a class from the contract, and pytest runs it.

    class TestMine(EngineContract):
        engine = MyEngine()

Each test starts the engine's worker as ``zenplan train`` does, with small prepared data in a temporary folder.
"""

from __future__ import annotations

import math
import os
import random
import signal
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import numpy as np
import pytest

from zenplan.adapters.workers.engines import KerasEngine as KerasEngine
from zenplan.adapters.workers.process import keras_backend
from zenplan.domain.training.forms import KERAS
from zenplan.domain.training.several import Several
from zenplan.errors import FailureKind
from zenplan.protocols import Engine, several_of
from zenplan.testing.lab import VOCABULARY, Lab, Worker, figures, losses, text_data
from zenplan.testing.served import written
from zenplan.worker.protocol import (
    Artefact,
    Checkpointed,
    Count,
    Counted,
    Ended,
    Error,
    Event,
    Export,
    Exported,
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
    Trained,
    TrainedModel,
)

_ENDLESS = 10**7
_SMALL = Kind(name="decoder", options={"layers": 1, "width": 16, "heads": 2, "length": 8, "dropout": 0.2})


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

    def test_its_model_is_exported_and_served_where_it_is_one_of_keras(self, lab: Lab, whole: list[Event]) -> None:
        """By zenplan's own workers, on the backend of Keras that ``Machine`` has a version of."""
        machine = next(event for event in whole if isinstance(event, Machine))
        backend, ended = keras_backend(machine), whole[-1]
        assert isinstance(ended, Ended)
        if not backend:
            assert not ended.model.endswith(".keras"), "a model of Keras, and no version of a backend in Machine"
            pytest.skip("its model is none of Keras's")
        model = Trained(path=ended.model, job=self.job(lab, "whole"))
        assert all(0 <= token < VOCABULARY for token in written(model, backend, (3, 4, 5), 6, self.patience_s))
        if not find_spec("tensorflow"):
            pytest.skip("tensorflow is not installed, and nothing is exported without")
        own = Lab(engine=KerasEngine("tensorflow"), folder=lab.folder, data=lab.data, patience_s=self.patience_s)
        place = lab.folder / "exported.keras"
        exported = own.done(Export(what="the model", model=model, artefact=Artefact(form=KERAS, path=str(place))))[-1]
        assert isinstance(exported, Exported), exported
        assert not exported.refused
        assert place.is_file()

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
