"""The parent of a run: it hears the worker, writes the run's folder, watches money and time, and ends it in time."""

from __future__ import annotations

import math
import os
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from zenplan import units
from zenplan.adapters.machine.power import EnergyMeter
from zenplan.adapters.run_folder.folder import JOB, LIVE, METRICS, NOTICES, PREDICTION, STATUS, put_json, show_json
from zenplan.adapters.run_folder.lines import Lines, cut_after, read_lines
from zenplan.commands.train.asked import Asked
from zenplan.commands.train.document import prediction_document
from zenplan.commands.train.drifts import Drifts, cores_of
from zenplan.commands.train.kept_steps import KeptSteps
from zenplan.commands.train.notices import of_ready
from zenplan.commands.train.past import resumed_job
from zenplan.commands.train.predict import (
    World,
    after_the_rehearsal,
    checkpoints_of,
    evaluations_of,
    interval_of,
    mfu_of,
    spaced,
    tariff_of,
)
from zenplan.commands.train.screen import Screen, View, evaluated, live, told
from zenplan.commands.train.stopping import BEHIND, ENDS, PREEMPTION, why_of
from zenplan.commands.train.tracking import Followers
from zenplan.commands.train.workers import Workers, priced_on
from zenplan.documents import published
from zenplan.domain.hardware.device import Device
from zenplan.domain.measured.training_run import RUNNING, RunPrediction, RunStatus, Spent
from zenplan.domain.range import Range
from zenplan.errors import ZenplanError
from zenplan.planning.watch.drift import WINDOW, StepTime, drift_of
from zenplan.planning.watch.limits import must_stop
from zenplan.planning.watch.progress import BESIDE_SPREAD, Left, time_left
from zenplan.worker.protocol import Changed, Checkpointed, Event, Machine, Metric, Pulse, Ready, Rehearsed, Steps, Stop

_EVERY_S: Final = {"status": 5.0, "live": 1.0, "gpu": 2.0, "power": 2.0, "drift": 5.0, "view": 0.25, "left": 1.0}
# Steps that the speed is told by.
_MOST_STEPS: Final = 1000


@dataclass(slots=True, kw_only=True)
class Supervisor:
    """A run that goes on.

    Attributes:
        folder: of the run; asked, world: what was asked for, and what is known before it.
        status: as it is in the folder.
        screen: where it is shown.
        prediction: of it, once there is one.
        dry: whether it ends with its prediction.
        signal, notice: say which signal or order, and which notice of a cloud, has come.
        endpoint: says once what has become of the run's HTTP endpoint, where that has failed.
        gpu: reads the GPU, and why its clock is held down; None on a processor.
        followers: trackers of the run.
        judge: whether the run is given up, by the step of an evaluation and the lowest validation loss so far.
        heard: told every event that is none of a plain run.
        began_s: of the monotonic clock, when the command was started: what it takes is the run's from there on.
    """

    folder: Path
    asked: Asked
    world: World
    status: RunStatus
    screen: Screen
    prediction: RunPrediction | None = None
    dry: bool = False
    signal: Callable[[], str] = lambda: ""
    notice: Callable[[], str] = lambda: ""
    endpoint: Callable[[], str] = lambda: ""
    gpu: Callable[[], tuple[Device | None, str]] | None = None
    followers: Followers = field(default_factory=Followers)
    judge: Callable[[int, float], bool] = lambda step, loss: False
    heard: Callable[[Event], None] = lambda event: None
    began_s: float = field(default_factory=time.monotonic)
    machine: Machine | None = None
    ready: Ready | None = None
    before: Spent = field(default_factory=Spent)
    energy_before_j: float | None = 0.0
    spent: Spent = field(default_factory=Spent)
    window: deque[StepTime] = field(default_factory=lambda: deque(maxlen=WINDOW))
    walls: deque[float] = field(default_factory=lambda: deque(maxlen=_MOST_STEPS))
    kept: KeptSteps = field(default_factory=KeptSteps)
    validation: Mapping[str, float] = field(default_factory=dict)
    best_loss: float | None = None
    loss: float | None = None
    evaluations: int = 0
    longest_checkpoint_s: float | None = None
    interval: int = 0
    notes: list[str] = field(default_factory=list)
    stopping: str = ""
    drifts: Drifts = field(default_factory=Drifts)
    workers: Workers = field(default_factory=Workers)
    stage: str = "start"
    _orders: list[msgspec.Struct] = field(default_factory=list)
    _worker_s: float = field(default_factory=time.monotonic)
    _ready_s: float = 0.0
    _meter: EnergyMeter | None = None
    _metrics: Lines | None = None
    _notices: Lines | None = None
    _last: dict[str, float] = field(default_factory=dict)
    _device: Device | None = None
    _held: str = ""
    _written: int = 0
    _left: Range | None = None
    _saved_before: int = 0
    _known: set[tuple[int, str]] = field(default_factory=set)

    # --- the worker speaks

    def hear(self, event: Event) -> None:
        """One event. Raises ZenplanError: the folder cannot be written."""
        match event:
            case Machine():
                self.machine = event
            case Ready():
                self._ready(event)
            case Rehearsed():
                self._rehearsed(event)
            case Pulse():
                self.workers.heard(event)
            case Steps():
                self._steps(event)
            case Metric():
                self._metric(event)
            case Checkpointed():
                self._checkpointed(event)
            case Changed():
                self._back_to(event.step)
                self.say("changed", event.why, {"step": event.step, "what": event.what, "value": event.value})
            case _:
                self.heard(event)

    def _ready(self, event: Ready) -> None:
        if self.ready is None:
            self.asked = priced_on(self.asked, event.hosts)
        self.ready, self._ready_s = event, time.monotonic()
        # Workers that begin again have set up before.
        since_s = self.workers.begun_s or self.began_s
        self.spent = replace(self.spent, setup_s=self.spent.setup_s + self._ready_s - since_s)
        self._meter = EnergyMeter(self._device.index if self._device else None)
        self._open_metrics(event.step)
        usd_per_h = self.asked.usd_per_h or self.status.usd_per_h
        self.status = replace(self.status, step=event.step, checkpoint=event.step, usd_per_h=usd_per_h)
        self._saved_before = self.status.checkpoints
        for name, text, values in of_ready(event, self.asked.job):
            self.say(name, text, values)
        self.write_status()

    def _open_metrics(self, step: int) -> None:
        """Those of later steps are left out: they are done again."""
        path = self.folder / METRICS
        if self._metrics is not None:
            self._metrics.close()
        self._written = cut_after(path, step)
        self._known = {(line["step"], line["part"]) for line in read_lines(path) if "part" in line}
        self._metrics = Lines(path)

    def _back_to(self, step: int) -> None:
        """The worker goes on from that checkpoint."""
        if self._metrics is not None and step < self._written:
            self._open_metrics(step)
            self.status = replace(self.status, step=step, checkpoint=step)

    def _rehearsed(self, event: Rehearsed) -> None:
        self.spent = replace(self.spent, rehearsal_s=time.monotonic() - self._ready_s)
        if not event.step_wall_s:
            # It was told to end before the first was timed: the checkpoint of its beginning is all that it leaves.
            return
        tariff = tariff_of(self.asked, self.world.sheet, self._meter.power_w() if self._meter else None)
        spent, start_s = self.spent, self._worker_s - self.began_s
        found = after_the_rehearsal(self.asked, self.world, tariff, event, spent.setup_s, spent.rehearsal_s, start_s)
        self.longest_checkpoint_s = event.checkpoint_s
        self.keep_prediction(found)
        if self.dry:
            self.stop("dry_run")
            return
        self.keep_job(spaced(self.asked, found.evaluate_every, found.checkpoint_every))
        # It waits for that word, whatever the distances are.
        self._orders.append(Stop(checkpoint_every=found.checkpoint_every, evaluate_every=found.evaluate_every))

    def keep_job(self, asked: Asked) -> None:
        """What the worker does, as it is told or will be: it is in the folder first, for whoever goes on with the run."""
        self.asked, self.interval = asked, asked.job.checkpoint_every
        put_json(self.folder, JOB, asked.job)

    def keep_prediction(self, found: RunPrediction) -> None:
        """It is on the disk before the worker may go on."""
        self.prediction = found
        self.status = replace(self.status, usd_per_h=found.usd_per_h)
        put_json(self.folder, PREDICTION, published(prediction_document(found)))
        self.say("prediction", told(found), {"origin": found.origin})

    def _steps(self, event: Steps) -> None:
        count = len(event.losses)
        wall_s = sum(event.wall_s)
        lines: list[dict[str, Any]] = []
        before = self.ready.step if self.ready is not None else 0
        if event.first > self._written + 1:
            text = f"the losses of steps {self._written + 1:,} to {event.first - 1:,} were not kept"
            self.say("gap", text, {"step": event.first})
        for index, loss in enumerate(event.losses):
            step = event.first + index
            # What an earlier parent has heard, and the worker could not know that it had.
            if step <= self._written:
                continue
            wall, wait = event.wall_s[index], event.wait_s[index]
            cpu_s = event.cpu_s * wall / wall_s if wall_s > 0.0 else None
            if step > before:
                self._step(loss, StepTime(wall_s=wall, wait_s=wait, cpu_s=cpu_s))
            lines.append({"step": step, "loss": loss, "wall_s": wall, "wait_s": wait})
        if lines:
            more = {"gradient_norm": event.gradient_norm, "learning_rate": event.learning_rate}
            lines[-1] |= {name: value for name, value in more.items() if value is not None}
            self._add(*lines)
            self._written = lines[-1]["step"]
        self.status = replace(self.status, step=max(self.status.step, event.first + count - 1))

    def _step(self, loss: float, each: StepTime) -> None:
        self.window.append(each)
        self.walls.append(each.wall_s)
        self.loss = loss
        self.spent = replace(self.spent, steps_s=self.spent.steps_s + each.wall_s)
        self.kept.add(each)

    def _metric(self, event: Metric) -> None:
        if (event.step, event.part) in self._known:
            return
        self._known.add((event.step, event.part))
        self.evaluations += 1
        self.spent = replace(self.spent, evaluation_s=self.spent.evaluation_s + event.wall_s)
        self._add({"step": event.step, "part": event.part, "values": event.values, "wall_s": event.wall_s})
        if event.part == "validation":
            self._validated(event)
        self.screen.tell(*evaluated(event.step, event.part, event.values))

    def _validated(self, event: Metric) -> None:
        self.validation = event.values
        known = [loss for loss in (self.best_loss, event.values.get("loss")) if loss is not None]
        self.best_loss = min(known, default=None)
        over = self.stopping or event.step >= self.asked.job.steps
        if self.best_loss is not None and not over and self.judge(event.step, self.best_loss):
            self.say(BEHIND, f"behind other trials at step {event.step:,}: given up", {"step": event.step})
            self.stop(BEHIND)

    def _checkpointed(self, event: Checkpointed) -> None:
        self.longest_checkpoint_s = max(event.wall_s, self.longest_checkpoint_s or 0.0)
        self.status = replace(self.status, checkpoint=event.step)
        if self.ready is not None:
            # That of the beginning is part of setting up, by its time and in number.
            self.spent = replace(self.spent, checkpoint_s=self.spent.checkpoint_s + event.wall_s)
            self.status = replace(self.status, checkpoints=self.status.checkpoints + 1)
        if self._metrics is not None:
            self._metrics.sync()
        self.write_status()
        self.screen.tell("checkpoint", "", {"step": event.step, "path": event.path, "bytes": event.bytes})
        if self.asked.chosen_interval and self.walls:
            steps = interval_of(self.asked, self.longest_checkpoint_s, self.step_s)
            # A little nearer or further apart makes no difference.
            if not 0.8 * self.interval <= steps <= 1.25 * self.interval:
                self.interval = steps
                self._orders.append(Stop(checkpoint_every=steps))

    def _add(self, *lines: Mapping[str, Any]) -> None:
        if self._metrics is not None:
            self._metrics.add(*lines)
        self.followers.add(lines)

    # --- now and then

    def tell(self, stage: str, _seconds: float) -> None:
        """Called many times a second, while the worker is at it."""
        self.stage = stage
        self._look()
        if text := self.workers.look(stage, self.step_s):
            self.say("straggler", text, {"step": self.status.step})
        self.left_out(self.followers.failures())
        if why := self.endpoint():
            self.say("endpoint", why, {})
        if not self.stopping:
            self._end_in_time()
        if self._due("status"):
            self.write_status()
        elif self._due("live"):
            show_json(self.folder, LIVE, live(self.view()))
        if self._due("drift"):
            self._drifts()
        # What is shown is seldom drawn, and made of a thousand steps.
        if self._due("view") or self.status.step in (0, self.asked.job.steps):
            self.screen.update(self.view())

    def orders(self) -> Sequence[msgspec.Struct]:
        """What the worker is to be told now."""
        orders, self._orders = self._orders, []
        return orders

    def stop(self, reason: str) -> None:
        """End it with a checkpoint."""
        if not self.stopping:
            self.stopping = reason
            self._orders.append(Stop(reason=reason))

    def begins_again(self, error: ZenplanError) -> bool:
        """Whether several workers of which one was lost begin again, from the last checkpoint."""
        begun = self.ready is not None and (self.prediction is not None or not self.asked.job.rehearsal)
        if self.stopping or self.dry or not self.workers.may_begin_again(error, self.asked, begun):
            return False
        self.workers.begin_again()
        self.status = replace(self.status, starts=self.status.starts + 1)
        self._orders.clear()
        self.keep_job(replace(self.asked, job=resumed_job(self.asked.job, self.folder)))
        values = {"step": self.status.checkpoint, "restart": self.workers.restarts}
        self.say("restarted", f"{error.message}: all begin again from step {self.status.checkpoint:,}", values)
        return True

    def _end_in_time(self) -> None:
        if found := self.signal():
            self.say(found, why_of(found), {})
            self.stop(found)
            if self.stage == "start" and self.asked.job.workers > 1:
                # They wait for each other, and hear nothing; there is nothing to keep yet.
                raise KeyboardInterrupt
        elif found := self.notice():
            self.say("preempted", f"{found}: ending with a checkpoint", {})
            self.stop(PREEMPTION)
        elif found := must_stop(
            self.asked.limits,
            self.elapsed_s,
            self.status.usd_per_h,
            max(self.window, key=lambda each: each.wall_s).wall_s if self.window else None,
            self.longest_checkpoint_s,
            (self.prediction.ending_s if self.prediction else None) or 0.0,
        ):
            self.say(found, f"--{found.replace('_', '-')} is near: ending with a checkpoint", {})
            self.stop(found)

    def _due(self, what: str) -> bool:
        now = time.monotonic()
        if due := now - self._last.get(what, self._worker_s) >= _EVERY_S[what]:
            self._last[what] = now
        return due

    def _look(self) -> None:
        if self.gpu is not None and (self._device is None or self._due("gpu")):
            self._device, self._held = self.gpu()
        if self._meter is not None and self._due("power"):
            self._meter.read()

    def _drifts(self) -> None:
        predicted, job = self.prediction.step_for(self.status) if self.prediction else None, self.asked.job
        cores = cores_of(self.prediction, job)
        found = drift_of(tuple(self.window), predicted, cores, self._held, job.device == "cpu")
        step = self.status.step
        if text := self.drifts.look(found, step, time.monotonic()):
            more = {} if found is None else {"step_s": found.step_s, "ratio": found.ratio, "cause": str(found.cause)}
            self.say("drift_over" if found is None else "drift", text, {"step": step, **more})

    def over(self) -> None:
        """The run is at its end: what was said of its steps and is so no more is taken back."""
        if self.drifts.now:
            self._drifts()
        if text := self.drifts.end(self.status.step):
            self.say("drift_over", text, {"step": self.status.step})
        self.notes += self.drifts.notes()

    # --- how it stands

    @property
    def device_name(self) -> str:
        """Of the GPU, as NVML calls it; empty on a processor."""
        return (self._device.name.value or "") if self._device else ""

    @property
    def elapsed_s(self) -> float:
        """Of all starts, until now."""
        return self.before.total_s + time.monotonic() - self.began_s

    @property
    def all_spent(self) -> Spent:
        """Of all starts; what is not known of this one is ``other_s``."""
        seen = self.spent.total_s
        other_s = max(0.0, time.monotonic() - self.began_s - seen) if self.ready is not None else 0.0
        setup_s = self.spent.setup_s if self.ready is not None else time.monotonic() - self.began_s
        return self.before + replace(self.spent, setup_s=setup_s, other_s=other_s)

    @property
    def energy_j(self) -> float | None:
        """Of all starts; None where a start was not measured."""
        now = self._meter.read() if self._meter else None
        return None if now is None or self.energy_before_j is None else self.energy_before_j + now

    @property
    def step_s(self) -> float | None:
        """Mean of the last steps."""
        return sum(self.walls) / len(self.walls) if self.walls else None

    def left(self) -> Range | None:
        """Seconds until the end; made anew now and then."""
        if self.ready is None:
            return None
        if self.status.state != RUNNING:
            return Range.exactly(0.0)
        if self._left is None or self._due("left"):
            step_s = self.prediction.step_for(self.status) if self.prediction else None
            self._left = time_left(self._still(), step_s, [each.wall_s for each in self.kept.samples], self.kept.stride)
        return self._left

    def _still(self) -> Left:
        """What is still to be done: by what each took so far, else as predicted."""
        steps, done, known = self.asked.job.steps, self.status.step, self.prediction
        evaluate_s, checkpoint_s = known.evaluate_s if known else None, known.checkpoint_s if known else None
        saved = self.status.checkpoints - self._saved_before
        if self.evaluations:
            evaluate_s = self.spent.evaluation_s / self.evaluations
        if saved:
            checkpoint_s = self.spent.checkpoint_s / saved
        spread = known.beside_spread if known else BESIDE_SPREAD
        return Left(
            steps=max(0, steps - done),
            evaluations=max(0, evaluations_of(self.asked) - len(self._known)),
            evaluate_s=evaluate_s or 0.0,
            checkpoints=0 if self.status.checkpoint == steps else checkpoints_of(steps, self.interval, done),
            checkpoint_s=checkpoint_s or 0.0,
            ending_s=(known.ending_s if known else None) or 0.0,
            # The more of them were timed, the surer the rest is.
            beside_spread=spread / math.sqrt(1 + self.evaluations),
        )

    def view(self) -> View:
        """As it is shown."""
        left, price, known, step_s = self.left(), self.status.usd_per_h, self.prediction, self.step_s
        device, each = self._device, self.ready.tokens_per_sample if self.ready else None
        samples = self.asked.step_samples(self.ready.samples if self.ready else None)
        rate = None if not step_s else samples * (each or 1) / step_s
        elapsed_s, hourly = self.elapsed_s, None if price is None else price / units.HOUR_S
        return View.of(
            self.status,
            stage=self.stage,
            loss=self.loss,
            evaluated=self.validation,
            rate=rate,
            unit="tokens" if each else "samples",
            step_s=step_s,
            elapsed_s=elapsed_s,
            left_s=left,
            usd=None if hourly is None else hourly * elapsed_s,
            usd_end=None if hourly is None or left is None else (left + elapsed_s) * hourly,
            prediction=known,
            mfu=mfu_of(known, step_s),
            memory_bytes=device.memory_used_bytes.value if device else None,
            power_w=device.power_draw_w.value if device else None,
            temperature_c=device.temperature_c.value if device else None,
            drift=self.drifts.now,
            faster=self.drifts.faster,
        )

    def say(self, event: str, text: str, values: Mapping[str, Any]) -> None:
        """Something that is kept with the run."""
        # What ends the run is its state; of what is not as predicted, the notes are made at the end: it may pass.
        if event == PREEMPTION or event not in ("prediction", "drift", "drift_over", *ENDS):
            self.notes.append(text)
        if self._notices is None:
            self._notices = Lines(self.folder / NOTICES)
        self._notices.add({"at": datetime.now(UTC).isoformat(), "event": event, "text": text, **values})
        self.screen.tell(event, text, values)

    def left_out(self, failures: Sequence[tuple[str, str]]) -> None:
        """Trackers that follow the run no more, and why."""
        for name, reason in failures:
            self.say("tracker", f"tracker {name} is left out: {reason}", {"tracker": name})

    def write_status(self) -> None:
        """How it stands, in the folder. Raises ZenplanError: it cannot be written."""
        self.status = replace(
            self.status, spent=self.all_spent, energy_j=self.energy_j, updated_at=datetime.now(UTC), pid=os.getpid()
        )
        show_json(self.folder, LIVE, live(self.view()))
        put_json(self.folder, STATUS, self.status)

    def close(self) -> None:
        """Nothing more is written by line."""
        for lines in filter(None, (self._metrics, self._notices)):
            lines.close()
