"""A training run from its job to its end, whatever framework trains: data, checkpoints, rehearsal, loop."""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec
import numpy as np

from zenplan import documents
from zenplan.domain.training.several import in_words
from zenplan.errors import FailureKind, InputFileError, UsageError, ZenplanError
from zenplan.worker.measuring.memory import Level, Memory, is_shortage, peak_over
from zenplan.worker.protocol import (
    Changed,
    Checkpointed,
    Ended,
    Event,
    Events,
    Metric,
    Ready,
    Rehearsal,
    Rehearsed,
    Steps,
    Train,
)
from zenplan.worker.training.agreed import AgreedWishes
from zenplan.worker.training.checkpoints import Checkpoint, Checkpoints, State, check_model, differences
from zenplan.worker.training.group import ALONE, Group, check_batch, check_copies, check_same, introduced
from zenplan.worker.training.loop import FINISHED, PATIENCE, UNTIL_LOSS, Diverged, Loop
from zenplan.worker.training.order import Order
from zenplan.worker.training.prepared import TEST, TRAIN, VALIDATION, Prepared, Samples
from zenplan.worker.training.rate import rate_at
from zenplan.worker.training.stepper import SharedStepper
from zenplan.worker.training.trainee import Build, Trainee
from zenplan.worker.training.wishes import Wishes

T = TypeVar("T")
DIVERGED = "diverged"


def train(
    job: Train,
    data: Prepared,
    build: Build,
    memory: Memory,
    wishes: Wishes,
    events: Events,
    group: Group = ALONE,
) -> None:
    """Do the job, and tell its end.

    Args:
        job: that is done.
        data: that it is trained on.
        build: makes what is trained.
        memory: of what it runs on.
        wishes: the parent's and the system's.
        events: the way to the parent.
        group: of the workers that train together, of which rank 0 writes and tells.

    Raises:
        ZenplanError: it cannot be done; the message says why.
    """
    checkpoints = Checkpoints(folder=Path(job.folder) / "checkpoints", keep=job.keep)
    if group.rank == 0:
        checkpoints.open()
    try:
        Run.begun(job, data, build, memory, checkpoints, wishes, events, group).whole()
    finally:
        checkpoints.close()


@dataclass(slots=True, kw_only=True)
class Run:
    """A run whose model is built.

    Attributes:
        memory: of what it runs on; before: how it was before the model.
        passed: why newer checkpoints were not taken.
        told: events of before the checkpoint that a parent may not have heard.
        first_checkpoint: that of the beginning; None where the run is resumed.
        hosts: machines that it trains on, where several workers do.
        own: as of ``SharedStepper.own``, after a step.
    """

    job: Train
    loop: Loop
    events: Events
    start: float
    memory: Memory
    before: Level | None
    passed: list[str] = field(default_factory=list)
    differs: list[str] = field(default_factory=list)
    first_checkpoint: Checkpointed | None = None
    forgotten: bool = False
    hosts: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    told: tuple[Steps | Metric, ...] = ()

    @classmethod
    def begun(
        cls,
        job: Train,
        data: Prepared,
        build: Build,
        memory: Memory,
        checkpoints: Checkpoints,
        wishes: Wishes,
        events: Events,
        group: Group = ALONE,
    ) -> Run:
        """A run with its model and its checkpoint: the newest, or one of its beginning.

        Args:
            job, data, build, memory, wishes, events, group: as of ``train``.
            checkpoints: of the run, held.
        """
        start = time.perf_counter()
        own, job = job, _agreed(job, group)
        _check(job)
        before = memory.level()
        trainee = build(job, data, events)
        samples = _samples(job, data, trainee.length)
        order = Order(samples=samples[TRAIN].count, batch=job.batch, seed=job.seed)
        machine = _machine(trainee)
        hosts = _looked_at(group, job, order, _settings(own, data) | _software(machine))
        if job.several:
            machine |= {"workers": in_words(job.workers, job.devices)}
        if group.rank == 0:
            events.send(trainee.machine)
        say = partial(_say if group.rank == 0 else _say_the_end, events, wishes)
        begun: dict[str, Any] = {"job": _settings(job, data), "machine": machine, "variables": trainee.variables}
        loop = Loop(
            job=job,
            trainee=trainee,
            order=order,
            samples=samples,
            group=group,
            checkpoints=checkpoints,
            wishes=wishes if group.size == 1 else AgreedWishes(wishes, group, say),
            say=say,
            state=State(step=0, micro_batch=job.micro_batch, **begun),
            micro_batch=job.micro_batch,
        )
        run = cls(job=job, loop=loop, events=events, start=start, memory=memory, before=before, hosts=hosts)
        run._take_up() if job.resume else run._keep_beginning()
        return run

    def whole(self) -> None:
        """Compile, rehearse, train, and tell the end."""
        self.events.begin("compile")
        self._enough_memory(self._warm)
        self.loop.say(self._ready())
        for event in self.told:
            self.loop.say(event)
        # What compiling took is not the run's: neither of what is predicted of it, nor of what is measured.
        self._forget()
        if self.job.rehearsal is not None and not self.job.resume:
            wanted = self.job.rehearsal
            self.events.begin("rehearse")
            self.loop.say(self._enough_memory(lambda: self._rehearsed(wanted)))
            self.restore()
            if wanted.waits:
                self.loop.wishes.wait()
        self._forget()
        self.events.begin("train")
        self.loop.wishes.begin()
        diverged_at = None
        try:
            reason = self._enough_memory(self.loop.go)
        except Diverged as error:
            reason, diverged_at = DIVERGED, error.step
        peak, how = self._peak()
        path = ""
        if reason in (FINISHED, UNTIL_LOSS, PATIENCE):
            # A parent that is gone by now changes nothing: the model is written.
            with suppress(BrokenPipeError):
                self.events.begin("write")
            path = self._saved_model()
        # None leaves before the model is written: one that is gone would end the others.
        self.loop.group.gathered("")
        self.loop.say(
            Ended(reason=reason, step=self.loop.saved, diverged_at=diverged_at, peak_bytes=peak, how=how, model=path)
        )

    def restore(self) -> None:
        """Go back to the newest checkpoint."""
        found, now = self.loop.checkpoints.latest, self.loop.state
        if found is None:
            raise ZenplanError("the checkpoint of this run is gone", "does another program write into its folder?")
        self.loop.stepper.write(found.arrays())
        # What is written from here on is of this job and this machine.
        self.loop.state = msgspec.structs.replace(
            found.state, job=now.job, machine=now.machine, variables=now.variables
        )
        self.loop.step = self.loop.saved = found.state.step

    # --- the beginning

    def _keep_beginning(self) -> None:
        if self.loop.group.rank == 0 and self.loop.checkpoints.steps():
            raise UsageError(f"there is a run in {self.job.folder} already", "go on with --resume, or another --out")
        self.first_checkpoint = self.loop.save()

    def _take_up(self) -> None:
        loop, now = self.loop, self.loop.state
        found, self.passed = self._newest()
        if found is None:
            why = f": {self.passed[0]}" if self.passed else ""
            raise InputFileError(f"there is no checkpoint to go on from in {self.job.folder}{why}", "begin anew: --out")
        check_model(found.state, now.variables, now.machine["backend"])
        self.differs = differences(found.state.machine, now.machine) + differences(found.state.job, now.job)
        if found.state.job.get("micro_batch") == now.job["micro_batch"]:
            loop.micro_batch = found.state.micro_batch
        loop.step = loop.saved = found.state.step
        self.told = found.state.told

    def _newest(self) -> tuple[Checkpoint | None, list[str]]:
        """As of ``Checkpoints.newest``; several workers go on from the one that rank 0 takes."""
        group, checkpoints = self.loop.group, self.loop.checkpoints
        found, passed = checkpoints.newest() if group.rank == 0 else (None, [])
        if group.size == 1:
            return found, passed
        step = int(group.told(str(found.state.step if found else -1)))
        if group.rank and step >= 0:
            found = checkpoints.of(step)
        return found, passed

    def _warm(self) -> None:
        """One step and one evaluation, which compile them, taken back."""
        loop = self.loop
        begun = self._checksum()
        done = loop.stepper.step(loop.load(0), rate_at(self.job.optimizer, 1, self.job.steps))
        loop.stepper.wait(done)
        loop.stepper.numbers([done.loss])
        if loop.group.size > 1:
            check_same(loop.group, begun, "at the beginning")
            check_same(loop.group, self._checksum(), "after a step")
        if loop.group is not ALONE:
            shared = cast(SharedStepper, loop.stepper)
            check_copies(shared.copies(), "after a step")
            self.own = tuple(shared.own())
        for part in (VALIDATION, TEST):
            if part in loop.samples:
                count = loop.micro_batch * loop.group.share.at_once
                x, y = loop.samples[part].batch(np.zeros(count, np.int64))
                loop.stepper.numbers([loop.stepper.evaluate(x, y, np.ones(count, np.float32))])
                break
        self.restore()

    def _checksum(self) -> str:
        """Of all state that several workers have in common; empty of one alone."""
        if self.loop.group.size == 1:
            return ""
        found = 0
        for name, array in self.loop.stepper.read():
            found = found if name.startswith("random/") else zlib.crc32(np.ascontiguousarray(array).data, found)
        return f"{found:08x}"

    def _ready(self) -> Ready:
        loop, job = self.loop, self.job
        parameters, trainable = loop.trainee.count()
        gpu = ("a GPU adds numbers in no fixed order",) if job.device == "gpu" and job.resume else ()
        differs = (*self.differs, *gpu)
        return Ready(
            parameters=parameters,
            trainable=trainable,
            setup_s=time.perf_counter() - self.start,
            step=loop.step,
            exact=not differs,
            differs=differs,
            passed=tuple(self.passed),
            micro_batch=loop.micro_batch,
            samples=loop.order.samples,
            tokens_per_sample=loop.samples[TRAIN].length or None,
            hosts=self.hosts,
            own=self.own,
        )

    def _rehearsed(self, wanted: Rehearsal) -> Rehearsed:
        """Timed steps of the first batches, and an evaluation; they are taken back after it."""
        loop, begin = self.loop, time.perf_counter()
        most = wanted.most or math.inf

        def enough(count: int) -> bool:
            over = count >= wanted.least and time.perf_counter() - begin >= wanted.seconds
            if isinstance(loop.wishes, AgreedWishes):
                # They ask each other seldom: after 4, 8, 16, ... steps.
                over = bool(count >= wanted.least and not count & (count - 1)) and loop.wishes.all_think(over)
            return bool(over or count >= most or loop.wishes.look())

        walls, cpus = loop.rehearse(enough)
        evaluate_s = None
        if VALIDATION in loop.samples:
            begin = time.perf_counter()
            evaluate_s = time.perf_counter() - begin if loop.evaluation(VALIDATION) is not None else None
        peak, how = self._peak()
        first = self.first_checkpoint
        return Rehearsed(
            step_wall_s=tuple(walls),
            step_cpu_s=tuple(cpus),
            evaluate_s=evaluate_s,
            checkpoint_s=first.wall_s if first else None,
            checkpoint_bytes=first.bytes if first else None,
            peak_bytes=peak,
            how=how,
        )

    # --- memory

    def _forget(self) -> None:
        """The peak of memory begins anew."""
        self.memory.give_back()
        self.forgotten = self.memory.forget_peak()

    def _peak(self) -> tuple[float | None, str]:
        peak = peak_over(self.before, self.memory.level(), self.forgotten)
        return peak, self.before.how if self.before and peak else ""

    def _enough_memory(self, work: Callable[[], T]) -> T:
        """What the work returns. Where memory runs out the micro-batch is halved, and it begins again from the newest
        checkpoint: what a step that failed has left behind is no state to go on from."""
        while True:
            try:
                return work()
            except self.memory.kinds_of_shortage() as error:
                if not is_shortage(error):
                    raise
                if self.loop.group.size > 1:
                    # The others are at their step, and cannot be called back from it.
                    raise _too_large(self.loop.micro_batch) from error
            # Out of the handler nothing refers to what the step had made.
            before = self.loop.micro_batch
            self.loop.micro_batch = _smaller(self.job.batch // self.job.replicas, before)
            self.memory.give_back()
            self.restore()
            self.loop.say(
                Changed(
                    step=self.loop.step,
                    what="micro_batch",
                    value=self.loop.micro_batch,
                    why=f"memory ran out with a micro-batch of {before}",
                )
            )

    # --- the end

    def _saved_model(self) -> str:
        """The trained model's file."""
        folder = Path(self.job.folder) / "model"
        self.loop.stepper.settle()
        if self.loop.group.rank:
            return ""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return str(self.loop.trainee.save(folder))
        except OSError as error:
            raise ZenplanError(
                f"the trained model cannot be written: {error.strerror or error}", "make room and go on with --resume"
            ) from error


def _agreed(job: Train, group: Group) -> Train:
    """The job as rank 0 has it, of which each worker keeps what is its own."""
    if group.size == 1:
        return job
    told = documents.decode(group.told(documents.encode(job)), Train, "the job of rank 0")
    return msgspec.structs.replace(told, folder=job.folder, data=job.data, threads=job.threads, ranks=job.ranks)


def _too_large(micro_batch: int) -> ZenplanError:
    return ZenplanError(
        f"memory is not enough for a micro-batch of {micro_batch} on this worker",
        f"--micro-batch {max(1, micro_batch // 2)}; the last checkpoint is as it was",
        kind=FailureKind.OUT_OF_MEMORY,
    )


def _say(events: Events, wishes: Wishes, event: Event) -> None:
    try:
        events.send(event)
    except BrokenPipeError:
        wishes.parent_gone()


def _say_the_end(events: Events, wishes: Wishes, event: Event) -> None:
    """Of a worker that is not rank 0."""
    if isinstance(event, Ended):
        _say(events, wishes, event)


def _check(job: Train) -> None:
    """Raise UsageError where figures of the job do not go together."""
    for name, value in (("steps", job.steps), ("batch", job.batch), ("micro-batch", job.micro_batch)):
        if value < 1:
            raise UsageError(f"{name} is {value}", "1 is the least")
    if job.batch % (job.micro_batch * job.replicas):
        of = f" on {job.replicas} replicas" if job.replicas > 1 else ""
        raise UsageError(
            f"a batch of {job.batch} is not made of micro-batches of {job.micro_batch}{of}", "take one that divides it"
        )


def _samples(job: Train, data: Prepared, length: int) -> dict[str, Samples]:
    found = {part: s for part in (TRAIN, VALIDATION, TEST) if (s := data.samples(part, length)) is not None}
    found = {part: s for part, s in found.items() if s.count or part == TRAIN}
    if VALIDATION not in found and (job.until_loss is not None or job.patience):
        raise UsageError("there is no validation data to end the run by", "leave out --until-loss and patience")
    return found


def _settings(job: Train, data: Prepared) -> dict[str, str]:
    """What of the job changes what comes out of it."""
    settings = {
        "model": documents.encode(job.model),
        "data": data.card.fingerprint,
        "loss": job.loss,
        "optimizer": documents.encode(job.optimizer),
        "precision": job.precision,
        "seed": str(job.seed),
        "batch": str(job.batch),
        "micro_batch": str(job.micro_batch),
        "lora_rank": str(job.lora_rank),
    }
    if job.quantize:
        settings["quantize"] = job.quantize
    if job.zero and job.workers > 1:
        settings["zero"] = str(job.zero)
    return settings | ({} if job.optimizer.schedule == "constant" else {"steps": str(job.steps)})


def _looked_at(group: Group, job: Train, order: Order, settings: Mapping[str, str]) -> tuple[str, ...]:
    """Machines of several workers, which are about to do the same, each with its share of a batch."""
    if group is ALONE:
        return ()
    hosts = introduced(group, job, settings) if group.size > 1 else ()
    check_batch(group, job, order.numbers(0))
    return hosts


def _software(machine: Mapping[str, str]) -> dict[str, str]:
    """What of a machine must be the same where several train together: threads and devices may differ."""
    return {name: value for name, value in machine.items() if name not in ("threads", "device")}


def _machine(trainee: Trainee) -> dict[str, str]:
    """What of the machine and its software does."""
    found = trainee.machine
    return {
        "backend": trainee.backend,
        "device": found.device,
        "threads": str(found.threads),
        "compiled": str(found.compiled),
        **{f"version of {name}": version for name, version in found.versions.items()},
        "version of numpy": np.__version__,
    }


def _smaller(batch: int, micro_batch: int) -> int:
    """The largest divisor of a replica's batch that is at most half the micro-batch."""
    if micro_batch == 1:
        raise ZenplanError(
            "memory is not enough for a micro-batch of 1",
            "a smaller model, shorter samples or another --precision may do",
            kind=FailureKind.OUT_OF_MEMORY,
        )
    return next(n for n in range(micro_batch // 2, 0, -1) if batch % n == 0)
