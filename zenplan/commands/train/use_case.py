"""``zenplan train``, from what was asked for to a trained model: the estimate, the run, what came of it."""

from __future__ import annotations

import math
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from zenplan.adapters.machine.nvml import read_gpus, watched
from zenplan.adapters.machine.preemption import preemption
from zenplan.adapters.run_folder.folder import ENDPOINT, METRICS, REQUEST, STATUS, put, put_json, writing
from zenplan.adapters.run_folder.lines import read_metrics
from zenplan.adapters.run_folder.orders import stop_orders
from zenplan.adapters.run_folder.place import link, runs_folder
from zenplan.adapters.workers.process import Limits, keras_backend, measuring_environment, run_job
from zenplan.adapters.workers.ranks import contract, environment_of, environments_of, free_address, run_ranks
from zenplan.commands.calibrate.how import gpu_of
from zenplan.commands.train.asked import Asked
from zenplan.commands.train.data import left_out
from zenplan.commands.train.ending import came_out, keep
from zenplan.commands.train.notices import of_before
from zenplan.commands.train.past import forget_checkpoints
from zenplan.commands.train.predict import World, before_the_run, spaced, tariff_of
from zenplan.commands.train.screen import Screen
from zenplan.commands.train.stopping import DIVERGED, ENDS, ORDERED, SIGINT, signals
from zenplan.commands.train.supervise import Supervisor
from zenplan.commands.train.tracking import Followers, tracked_run
from zenplan.domain.hardware.device import Device, Profile
from zenplan.domain.measured.training_run import FAILED, RUNNING, STOPPED, RunPrediction, RunResult, RunStatus
from zenplan.errors import FailureKind, ZenplanError
from zenplan.protocols import Engine, Tracker, several_of
from zenplan.worker.protocol import Ended, Event, Pulse, Ranks, Restarted

_FAILURE: Final = "failure"
_MOST_SAID: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a run is kept.

    Attributes:
        id: of the run; folder: that it is in.
        resumed: how it stood and what was predicted of it, of one that is gone on with; None of a new one.
    """

    id: str
    folder: Path
    resumed: tuple[RunStatus, RunPrediction | None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a run.

    Attributes:
        result: what came out; supervisor: who watched it.
        error: that ended it; None where it ended as it should.
    """

    result: RunResult
    supervisor: Supervisor
    error: ZenplanError | None = None


def train(
    asked: Asked,
    world: World,
    place: Place,
    engine: Engine,
    profile: Profile,
    screen: Screen,
    baselines: Mapping[str, Mapping[str, float]] | None = None,
    trackers: Sequence[Tracker] = (),
    *,
    judge: Callable[[int, float], bool] | None = None,
    heard: Callable[[Event], None] | None = None,
    began_s: float | None = None,
) -> Outcome:
    """Run it, to its end or until something ends it.

    Args:
        asked: the run.
        world: what is known before it.
        place: where it is kept.
        engine: that runs it.
        profile: of this machine.
        screen: where it is shown.
        baselines: what is reached without a model, by part and name.
        trackers: that follow it.
        judge: told the step and the lowest validation loss so far, after each evaluation; whether the run is given up.
        heard: told every event that is none of a plain run.
        began_s: when the command was started, by the monotonic clock; None for now.

    Raises:
        UsageError: another run is at its folder. ZenplanError: its folder cannot be written.
    """
    said = lambda: screen.tell("waiting", "the run's last worker is about to leave: waiting", {})  # noqa: E731 - one line
    with ExitStack() as stack:
        lock = stack.enter_context(writing(place.folder, place.resumed is None, tell=said))
        if place.resumed is None and place.folder.parent != runs_folder():
            link(place.id, place.folder)
        asked = replace(asked, job=msgspec.structs.replace(asked.job, folder=str(place.folder.absolute())))
        supervisor = _begun(asked, world, place, screen, began_s)
        supervisor.judge, supervisor.heard = judge or supervisor.judge, heard or supervisor.heard
        signal, ordered = stack.enter_context(signals()), stack.enter_context(stop_orders(place.folder))
        supervisor.signal = lambda: signal() or (ORDERED if ordered() else "")
        supervisor.notice = stack.enter_context(preemption())
        supervisor.gpu = stack.enter_context(_watched(asked, profile))
        stack.callback(supervisor.close)
        stack.push(partial(_at_fault, supervisor))
        supervisor.endpoint = stack.enter_context(_endpoint(asked, place.folder, screen))
        supervisor.followers = Followers.of(trackers, tracked_run(asked, place.id, place.resumed is not None))
        ended, error = _run(supervisor, engine, lock)
        return _over(supervisor, ended, error, baselines or {})


def dry_run(
    asked: Asked,
    world: World,
    engine: Engine,
    profile: Profile,
    screen: Screen,
    folder: Path,
    began_s: float | None = None,
) -> RunPrediction:
    """What is predicted of a run, which is not done: its rehearsal at most.

    Args:
        asked, world, engine, profile, screen, began_s: as of ``train``.
        folder: of a run that is thrown away.
    """
    if asked.job.rehearsal is None or not world.rehearses:
        if line := left_out(asked.data):
            screen.tell("data", line, {})
        return _before(asked, world, began_s)
    with ExitStack() as stack:
        lock = stack.enter_context(writing(folder, True))
        asked = replace(asked, job=msgspec.structs.replace(asked.job, folder=str(folder.absolute())))
        supervisor = _begun(asked, world, Place(id="dry", folder=folder), screen, began_s)
        supervisor.dry = True
        supervisor.signal = stack.enter_context(signals())
        supervisor.gpu = stack.enter_context(_watched(asked, profile))
        stack.callback(supervisor.close)
        _, error = _run(supervisor, engine, lock)
        if supervisor.prediction is None:
            if supervisor.stopping in ENDS:
                raise KeyboardInterrupt
            raise error or ZenplanError("the rehearsal came to nothing", "leave --dry-run out")
        return supervisor.prediction


def _before(asked: Asked, world: World, began_s: float | None) -> RunPrediction:
    start_s = 0.0 if began_s is None else time.monotonic() - began_s
    return before_the_run(asked, world, tariff_of(asked, world.sheet, None), start_s)


def _begun(asked: Asked, world: World, place: Place, screen: Screen, began_s: float | None) -> Supervisor:
    """Who watches it, and its folder as it is before the worker starts."""
    job = asked.job
    prediction: RunPrediction | None
    if not world.rehearses:
        job = msgspec.structs.replace(job, rehearsal=None)
    if place.resumed is None:
        put(place.folder, REQUEST, asked.request)
        status = _new(place.id, asked)
        prediction = _before(asked, world, began_s)
        # Until a rehearsal has shown more, or where none does.
        job = spaced(replace(asked, job=job), prediction.evaluate_every, prediction.checkpoint_every).job
    else:
        old, prediction = place.resumed
        status = replace(
            old,
            state=RUNNING,
            reason="",
            message="",
            exit_code=None,
            pid=os.getpid(),
            starts=old.starts + 1,
            workers=job.workers,
            devices=job.devices,
        )
        if asked.usd_per_h is not None:
            status = replace(status, usd_per_h=asked.usd_per_h)
    supervisor = Supervisor(
        folder=place.folder,
        asked=replace(asked, job=job),
        world=world,
        status=status,
        screen=screen,
        before=status.spent,
        energy_before_j=status.energy_j if place.resumed else 0.0,
        began_s=time.monotonic() if began_s is None else began_s,
    )
    if place.resumed is not None:
        supervisor.prediction = prediction
    elif prediction is not None and not job.rehearsal:
        supervisor.keep_prediction(prediction)
    supervisor.keep_job(supervisor.asked)
    supervisor.write_status()
    if place.resumed is not None:
        supervisor.say(*of_before(place.resumed[0]))
    if line := left_out(asked.data):
        supervisor.say("data", line, {})
    return supervisor


def _new(id: str, asked: Asked) -> RunStatus:
    """How a run stands that is about to begin."""
    now, job = datetime.now(UTC), asked.job
    return RunStatus(
        id=id,
        name=asked.name,
        state=RUNNING,
        steps=job.steps,
        pid=os.getpid(),
        host=socket.gethostname(),
        backend=asked.backend,
        device=job.device,
        workers=job.workers,
        devices=job.devices,
        started_at=now,
        updated_at=now,
    )


def _run(supervisor: Supervisor, engine: Engine, lock: int) -> tuple[Ended | None, ZenplanError | None]:
    while True:
        try:
            ended = _worked(supervisor, engine, lock)
        except ZenplanError as error:
            if supervisor.begins_again(error):
                continue
            return None, error
        except KeyboardInterrupt:
            # A second signal: it ends here, without a checkpoint.
            supervisor.stopping = supervisor.stopping or SIGINT
            return None, None
        return ended if isinstance(ended, Ended) else None, None


def _worked(supervisor: Supervisor, engine: Engine, lock: int) -> Event:
    """The answer of the worker; of several on this machine, that of rank 0."""
    asked, limits = supervisor.asked, Limits(time_s=math.inf)
    job, command = msgspec.structs.replace(asked.job, ranks=asked.ranks), engine.worker()
    if not job.resume:
        forget_checkpoints(supervisor.folder)
    starts = several_of(engine).starts
    if starts:
        restarts = asked.max_restarts - supervisor.workers.restarts if job.workers > 1 else 0
        job = msgspec.structs.replace(job, max_restarts=restarts, wait_s=asked.rendezvous_s)
    if asked.ranks is not None or job.workers == 1 or starts:
        environment = (
            measuring_environment(job.device, job.threads, os.environ)
            if asked.ranks is None
            else environment_of(job.device, job.threads, job.devices, asked.ranks, os.environ)
        )
        return run_job(
            job,
            asked.backend,
            limits,
            supervisor.tell,
            hear=partial(_heard, supervisor),
            environment=environment,
            command=command,
            orders=supervisor.orders,
            inherit=(lock,),
        )
    address, size = free_address(), job.workers
    ranks = [
        Ranks(rank=rank, size=size, local=rank, address=address, wait_s=asked.rendezvous_s) for rank in range(size)
    ]
    environments = environments_of(job.device, job.threads, size, job.devices, os.environ)
    return run_ranks(
        [msgspec.structs.replace(job, ranks=each) for each in ranks],
        asked.backend,
        limits,
        supervisor.tell,
        lambda rank, event: supervisor.hear(event) if rank == 0 or isinstance(event, Pulse) else None,
        [{**each, **contract(rank)} for each, rank in zip(environments, ranks, strict=True)],
        command,
        supervisor.orders,
        (lock,),
    )


def _heard(supervisor: Supervisor, event: Event) -> None:
    """Raises ZenplanError: an engine that starts its workers itself lost one, and they are not to begin again."""
    if not isinstance(event, Restarted):
        supervisor.hear(event)
        return
    error = ZenplanError(event.why, "the last checkpoint is as it was", kind=FailureKind.NO_COLLECTIVES)
    if not supervisor.begins_again(error):
        raise error


def _over(
    supervisor: Supervisor,
    ended: Ended | None,
    error: ZenplanError | None,
    baselines: Mapping[str, Mapping[str, float]],
) -> Outcome:
    """The folder says what became of it, whatever that is."""
    state, reason, code, message = _end(supervisor, ended, error)
    done = ended.step if ended is not None else supervisor.status.step
    supervisor.status = replace(
        supervisor.status,
        state=state,
        reason=reason,
        exit_code=code,
        message=message,
        step=done,
        checkpoint=ended.step if ended is not None else supervisor.status.checkpoint,
        keras_backend=keras_backend(supervisor.machine) if supervisor.machine else supervisor.status.keras_backend,
    )
    if reason == DIVERGED and ended is not None:
        error = ZenplanError(
            f"the loss is no number any more from step {ended.diverged_at or ended.step + 1:,} on",
            f"the checkpoint of step {ended.step:,} is good: try a lower --learning-rate, --clip-norm 1 or --warmup-steps",
        )
        supervisor.status = replace(supervisor.status, message=error.message)
    supervisor.over()
    supervisor.left_out(supervisor.followers.close(state))
    supervisor.write_status()
    # The last steps may have come with the end.
    supervisor.screen.update(supervisor.view())
    metrics = read_metrics(supervisor.folder / METRICS)
    result = came_out(supervisor, ended, baselines, metrics)
    try:
        keep(supervisor.folder, supervisor.asked, result, metrics)
    except ZenplanError as other:
        # What ended it first is what is said.
        error = error or other
    return Outcome(result=result, supervisor=supervisor, error=error)


def _at_fault(
    supervisor: Supervisor, kind: type[BaseException] | None, error: BaseException | None, _trace: object
) -> None:
    """Where the command itself is at fault, its folder says so: nobody else would."""
    if supervisor.status.state != RUNNING or kind is None:
        return
    state, code = ENDS[SIGINT] if kind is KeyboardInterrupt else (FAILED, 1)
    status = replace(
        supervisor.status,
        state=state,
        reason=SIGINT if kind is KeyboardInterrupt else _FAILURE,
        exit_code=code,
        message=f"{kind.__name__}: {error}"[:_MOST_SAID],
        updated_at=datetime.now(UTC),
    )
    with suppress(ZenplanError):
        put_json(supervisor.folder, STATUS, status)


def _end(supervisor: Supervisor, ended: Ended | None, error: ZenplanError | None) -> tuple[str, str, int, str]:
    """State, reason, exit code and message."""
    if error is not None:
        why = str(error.kind) if error.kind is not FailureKind.REFUSED else _FAILURE
        return FAILED, why, error.exit_code, error.message
    reason = ended.reason if ended is not None else supervisor.stopping
    state, code = ENDS.get(reason, (STOPPED, 1))
    return state, reason, code, ""


@contextmanager
def _endpoint(asked: Asked, folder: Path, screen: Screen) -> Iterator[Callable[[], str]]:
    """Says once why the run cannot be watched over HTTP any more, where that was asked for."""
    if asked.endpoint is None:
        yield lambda: ""
        return
    from zenplan.adapters.serving.run_endpoint import watchable

    with watchable(asked.endpoint, folder) as endpoint:
        where = folder / ENDPOINT
        screen.tell("endpoint", f"watched at {endpoint.url}; its token is in {where}", {"url": endpoint.url})
        yield endpoint.failure


@contextmanager
def _watched(asked: Asked, profile: Profile) -> Iterator[Callable[[], tuple[Device | None, str]] | None]:
    """Reads the GPU that computes, and why its clock is held down; None on a processor."""
    gpu = gpu_of(profile) if asked.job.device == "gpu" else None
    if gpu is None:
        yield None
        return
    index = gpu.index
    with watched(index) as look:
        yield lambda: (next((d for d in read_gpus()[1] if d.index == index), None), look()[1].value or "")
