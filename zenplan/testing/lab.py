"""Where engines are tested: a worker that was given a job, a folder with its runs, small prepared data, curves of events."""

from __future__ import annotations

import json
import os
import selectors
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from zenplan.adapters.workers.process import measuring_environment, spawned, worker_environment
from zenplan.documents import encode, plain
from zenplan.protocols import Engine
from zenplan.worker.protocol import Event, Job, Metric, Ready, Steps, decode_event

VOCABULARY = 17
_TOKENS = 900
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
