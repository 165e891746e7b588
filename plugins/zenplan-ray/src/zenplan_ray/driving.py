"""A run on Ray, in the process that zenplan has started: it hears the workers, and passes on what its parent says."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty
from types import FrameType
from typing import Any, Final

import msgspec
import pyarrow.fs
import ray
from fsspec.implementations.memory import MemoryFileSystem
from ray.train import FailureConfig, RunConfig, ScalingConfig, UserCallback
from ray.train.torch import TorchConfig, TorchTrainer
from zenplan import ZenplanError
from zenplan.errors import FailureKind
from zenplan.worker.protocol import Ended, Error, Event, Events, Pulse, Raised, Restarted, Stop, Train, decode_event
from zenplan.worker.protocol import decode_stop as decoded
from zenplan.worker.serving import Stdin
from zenplan.worker.training.wishes import TERMINATED

from zenplan_ray import mailbox
from zenplan_ray.cluster import room
from zenplan_ray.mailbox import Said
from zenplan_ray.training import PATIENCE_S, Lost, work

# In which workers that are done leave, or that failed.
_LEAVE_S: Final = 60.0
_FAIL_S: Final = 15.0
# In which a run whose parent is gone writes its checkpoint.
_GRACE_S: Final = 330.0


def driven(job: Train, events: Events, stdin: Stdin, own: bool) -> Event | None:
    """Do the job; its last event, which is not told yet; None where it had to be.

    Args:
        own: whether the cluster is of this run alone, on this machine.

    Raises:
        ZenplanError: workers do not come, or one was lost too often.
    """
    return Driver(job=job, events=events, stdin=stdin, box=mailbox.opened()).driven(own)


class _Notice(UserCallback):
    """What Ray says of workers that are gone goes into the mailbox, in its place among what workers say."""

    def __init__(self, box: Any) -> None:
        self.box = box

    def after_exception(self, run_context: Any, worker_exceptions: Mapping[int, Exception]) -> None:
        """As of ``UserCallback``."""
        first = [rank for rank, error in worker_exceptions.items() if not isinstance(error, Lost)]
        ranks = ", ".join(map(str, sorted(first or worker_exceptions)))
        ray.get(self.box.say.remote(Said(lost=f"rank {ranks} was lost")))


@dataclass(slots=True, kw_only=True)
class Driver:
    """A run that goes on.

    Attributes:
        box: handle on the mailbox.
        lives: of the workers that are there, by rank.
        lost: why workers are gone that have not begun again; empty where none are.
        begun: whether the first step was made or is; stopping: whether it is to end.
        failed: what Ray has raised at the end.
    """

    job: Train
    events: Events
    stdin: Stdin
    box: Any
    lives: dict[int, str] = field(default_factory=dict)
    lost: str = ""
    begun: bool = False
    stopping: bool = False
    failed: BaseException | None = None
    _since_s: float = field(default_factory=time.monotonic)
    _terminated: list[bool] = field(default_factory=list)

    def driven(self, own: bool) -> Event | None:
        """As of the function."""
        # Ray has a handler of its own from its start on.
        signal.signal(signal.SIGTERM, self._terminate)
        fitting = threading.Thread(target=self._fit, args=(own,), daemon=True)
        fitting.start()
        while True:
            self._tell()
            over = not fitting.is_alive()
            for said in ray.get(self.box.heard.remote()):
                if last := self._hear(said):
                    fitting.join(_LEAVE_S if isinstance(last, Ended) else _FAIL_S)
                    if not fitting.is_alive():
                        return last
                    self.events.stage = last.stage
                    self.events.send(last)
                    return None
            if over:
                raise self._why()
            self._check_all_there()
            time.sleep(mailbox.LOOK_S)

    # --- Ray

    def _fit(self, own: bool) -> None:
        job = self.job
        names = ("KERAS_HOME",) if own else ()
        config = {
            "job": msgspec.json.encode(job),
            "mailbox": self.box,
            "folder": str(Path.cwd()),
            "environment": {name: os.environ[name] for name in names if name in os.environ},
            "new": not job.resume and not any((Path(job.folder) / "checkpoints").glob("step-*")),
        }
        trainer = TorchTrainer(
            work,
            train_loop_config=config,
            torch_config=TorchConfig(timeout_s=PATIENCE_S),
            scaling_config=ScalingConfig(
                num_workers=job.workers, use_gpu=job.device == "gpu", resources_per_worker={"CPU": job.threads}
            ),
            run_config=RunConfig(
                name="run",
                # Checkpoints are zenplan's own, in the run's folder: what Ray keeps beside them is kept nowhere.
                storage_filesystem=pyarrow.fs.PyFileSystem(pyarrow.fs.FSSpecHandler(MemoryFileSystem())),
                storage_path="/zenplan",
                failure_config=FailureConfig(max_failures=job.max_restarts),
                callbacks=[_Notice(self.box)],
            ),
        )
        try:
            trainer.fit()
        except (ray.train.TrainingFailedError, ray.exceptions.RayError, RuntimeError, ValueError) as error:
            self.failed = error

    def _why(self) -> ZenplanError:
        text = self.lost or next((line for line in str(self.failed or "").splitlines() if line.strip()), "")
        return ZenplanError(
            text[:300] or "the workers ended without a word",
            "the last checkpoint is as it was",
            kind=FailureKind.NO_COLLECTIVES,
            type=type(self.failed).__name__ if self.failed else "",
        )

    def _check_all_there(self) -> None:
        job = self.job
        missing = [str(rank) for rank in range(job.workers) if rank not in self.lives]
        if missing and time.monotonic() - self._since_s > job.wait_s:
            raise ZenplanError(
                f"rank {', '.join(missing)} of {job.workers} did not come within {job.wait_s:,.0f} s: {room(job)}",
                "fewer --workers or --threads; --rendezvous-timeout 20min waits longer; 'ray status' shows what is free",
                kind=FailureKind.NO_COLLECTIVES,
            )

    # --- the workers speak

    def _hear(self, said: Said) -> Event | None:
        """The last event, once it comes. Raises ZenplanError: workers are gone, and do not begin again."""
        if said.lost:
            self.lost = said.lost
            self.lives.clear()
            self._since_s = time.monotonic()
            if self.stopping or not self.begun:
                raise self._why()
            return None
        if not said.line:
            self.lives[said.rank] = said.life
            return None
        event = decode_event(said.line.encode())
        if event is None or self.lives.get(said.rank) != said.life:
            return None
        if isinstance(event, Error | Raised) or (isinstance(event, Ended) and said.rank == 0):
            return event
        if said.rank == 0 or isinstance(event, Pulse):
            self._pass_on(event)
        return None

    def _pass_on(self, event: Event) -> None:
        if self.lost:
            self.events.send(Restarted(why=self.lost))
            self.lost = ""
        if event.stage == "train" and not self.begun:
            self.begun = True
            # From here on there is something to save when the parent is gone.
            self.stdin.patient.set()
        self.events.stage = event.stage
        self.events.send(event)

    # --- the parent speaks

    def _tell(self) -> None:
        """Pass on what the parent has written, and what the system wishes."""
        if self._terminated and not self.stopping:
            self.stopping = True
            self._put(msgspec.json.encode(Stop(reason=TERMINATED)).decode())
        while True:
            try:
                line = self.stdin.lines.get_nowait()
            except Empty:
                return
            if line is None:
                self.stopping = True
                threading.Thread(target=_end, daemon=True).start()
            else:
                stop = decoded(line)
                self.stopping = self.stopping or (stop.checkpoint_every is None and stop.evaluate_every is None)
            self._put(line)

    def _put(self, line: str | None) -> None:
        ray.get(self.box.tell.remote(line))

    def _terminate(self, number: int, frame: FrameType | None) -> None:
        self._terminated.append(True)


def _end() -> None:
    time.sleep(_GRACE_S)
    os._exit(1)
