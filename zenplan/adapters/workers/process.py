"""The worker process: started, watched and ended; what becomes of it is an answer or one of zenplan's errors.

It runs the user's code, so it is trusted with nothing: it has a time and a memory of its own, a home folder for Keras
that is gone at its end, and what it prints stays apart from our answer. The rest of the environment is the user's,
whose code it is, but for what ``worker_environment`` sets.
"""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from io import FileIO
from pathlib import Path
from types import MappingProxyType
from typing import Final

import msgspec

from zenplan import units
from zenplan.adapters.files.scratch import scratch
from zenplan.documents import encode
from zenplan.errors import DataError, FailureKind, InputFileError, UnknownName, UsageError, ZenplanError
from zenplan.worker.protocol import Count, Done, Error, Event, Job, Machine, Raised, Stage, decode_event

# --- environment

_NO_GPU = {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
# A count needs no GPU, and frameworks take hold of all of its memory.
COUNTING: Final[Mapping[str, str]] = MappingProxyType(_NO_GPU)
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")


# PyTorch asks the C library for the memory of each tensor. By default glibc gives blocks of some hundred kilobytes back to
# the system when they are free, and each step pays for their pages anew: thousands of page faults, some percent of a small
# step. 32 MiB is the most that it takes for the first: mallopt(3).
_KEPT_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(1 << 40)}


def worker_environment(backend: str, home: str, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What every worker has.

    Args:
        home: the folder that Keras keeps its settings in.
        environ: the user's; what it says of the C library's memory stays.
    """
    kept = {name: environ.get(name, value) for name, value in _KEPT_MEMORY.items()} if backend == "torch" else {}
    # The flags of TensorFlow, absl and Python only keep the last line of stderr one that says something.
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore"}
    return {"KERAS_BACKEND": backend, "KERAS_HOME": home, **quiet, **kept}


def measuring_environment(device: str, threads: int, environ: Mapping[str, str]) -> dict[str, str]:
    """What a worker that measures has: so many threads, and no GPU unless it measures one.

    Args:
        device: ``cpu`` or ``gpu``. Which of several GPUs it sees is left to the user's own environment.
        threads: of the host.
        environ: the user's.
    """
    found = {
        **dict.fromkeys(_THREADS, str(threads)),
        "TF_NUM_INTEROP_THREADS": "1",
        # Else jax takes most of the GPU's memory at its start, and no peak is seen.
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        # By default CUDA has the fastest GPU first, and NVML, which names what was measured, does not.
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
    }
    if threads == 1:
        flags = environ.get("XLA_FLAGS", "")
        found["XLA_FLAGS"] = f"{flags} --xla_cpu_multi_thread_eigen=false".strip()
    return {**found, **(_NO_GPU if device == "cpu" else {})}


# --- the process

BACKENDS: Final = ("jax", "torch", "tensorflow")
USUAL_TIME_S: Final = 120.0
_LOOK_S, _READ_BYTES, _MOST_SAID_BYTES = 0.05, 1 << 20, 4096
# The count of a model of ten thousand layers has some ten megabytes.
_MOST_ANSWER_BYTES = 500_000_000

# Told now and then: the stage that the worker is in, and the seconds since its start.
Tell = Callable[[str, float], None]
# Told each event before the last, as it comes.
Hear = Callable[[Event], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a worker may take.

    Attributes:
        memory_bytes: resident; None for no limit.
    """

    time_s: float = USUAL_TIME_S
    memory_bytes: float | None = None


def _unheard(_event: Event) -> None:
    pass


def untold(_stage: str, _seconds: float) -> None:
    """A ``Tell`` for nobody."""


def _no_more() -> Job | None:
    return None


def _no_orders() -> Sequence[msgspec.Struct]:
    return ()


def backend_of(wanted: str | None, environ: Mapping[str, str]) -> str:
    """The backend to run Keras on: the one that is wanted, that of ``KERAS_BACKEND``, or the first that is installed.

    Raises:
        UsageError: it is none of Keras's, or it or Keras is not installed.
    """
    name = wanted or environ.get("KERAS_BACKEND")
    if name and name not in BACKENDS:
        raise UnknownName("backend", name, BACKENDS)
    names = (name,) if name else BACKENDS
    installed = [each for each in names if find_spec(each)]
    missing = "keras" if not find_spec("keras") else "" if installed else name or "jax, torch or tensorflow"
    if missing:
        raise UsageError(
            f"{missing} is not installed, and no Keras model runs without", f"pip install 'zenplan[{names[0]}]'"
        )
    return installed[0]


def keras_backend(machine: Machine) -> str:
    """The backend of Keras that a worker trains on, whichever engine's it is; empty of another framework."""
    return next((name for name in BACKENDS if name in machine.versions), "") if "keras" in machine.versions else ""


def own_worker() -> tuple[str, ...]:
    """The command line of zenplan's worker."""
    # Without -P a file of the current folder could stand in for one of Python's.
    return (sys.executable, "-P", "-m", "zenplan.worker")


def run_job(
    job: Job,
    backend: str,
    limits: Limits,
    tell: Tell = untold,
    hear: Hear = _unheard,
    environment: Mapping[str, str] = COUNTING,
    command: Sequence[str] = (),
    more: Callable[[], Job | None] = _no_more,
    orders: Callable[[], Sequence[msgspec.Struct]] = _no_orders,
    inherit: Sequence[int] = (),
) -> Event:
    """The answer of a worker: its last event.

    A model to count is first built without values in its weights, which takes no memory; where that fails inside a
    library, which may have wanted values, again with them.

    Args:
        hear: told what a job finds before its end; what it raises ends the worker.
        environment: what the worker has over the user's own; as of ``worker_environment``.
        command: that starts a worker of another kind; empty for zenplan's.
        more: asked for another job each time that one is done and the worker stays for more; None ends it.
        orders: asked now and then for what is to be told to the worker while it is at its job, such as ``Stop``.
        inherit: descriptors that stay open in the worker, such as that of a lock.

    Raises:
        ZenplanError: the job failed; the message says how.
    """
    start = time.monotonic()
    tries = (
        [msgspec.structs.replace(job, values=values) for values in (False, True)] if isinstance(job, Count) else [job]
    )
    for each in tries:
        with _started(each, backend, environment, command, inherit) as worker:
            event = worker.answer(limits, start, tell, hear, orders)
            while isinstance(event, Done) and event.stays and (following := more()) is not None:
                worker.give(following)
                event = worker.answer(limits, start, tell, hear, orders)
        if not isinstance(event, Raised) or not event.inside:
            break
    if isinstance(event, Raised):
        raise raised(event, job.what, backend)
    if isinstance(event, Error):
        raise error_of(event)
    return event


@contextmanager
def _started(
    job: Job, backend: str, environment: Mapping[str, str], command: Sequence[str], inherit: Sequence[int]
) -> Iterator[_Worker]:
    """A worker with that job. It and whatever it started are gone at the end."""
    with settled(backend, environment, command, inherit) as (process, events, theirs):
        worker = _Worker(process=process, events=events.fileno(), theirs=theirs, job=job)
        worker.give(job)
        yield worker


@contextmanager
def settled(
    backend: str, environment: Mapping[str, str], command: Sequence[str] = (), inherit: Sequence[int] = ()
) -> Iterator[tuple[subprocess.Popen[bytes], FileIO, int]]:
    """As of ``spawned``, with a home of its own for Keras; without a command it is zenplan's worker."""
    with scratch() as home:
        _keep_settings(home)
        variables = {**environment, **worker_environment(backend, str(home))}
        with spawned(command or own_worker(), backend, variables, inherit) as found:
            yield found


@contextmanager
def spawned(
    command: Sequence[str], backend: str, environment: Mapping[str, str], inherit: Sequence[int] = ()
) -> Iterator[tuple[subprocess.Popen[bytes], FileIO, int]]:
    """A worker's process, leader of a session of its own, what its events are read from, and the number of the
    descriptor that it writes them to. It and whatever it started are gone at the end.

    Args:
        backend: how an error calls it.
        environment: what it has over the user's own.
        inherit: descriptors that stay open in it.

    Raises:
        ZenplanError: there is no such program.
    """
    ours, theirs = os.pipe()
    with FileIO(ours) as events:
        try:
            process = subprocess.Popen(  # noqa: S603 - a command is that of an engine the user installed
                list(command),
                env={**os.environ, **environment},
                pass_fds=(theirs, *inherit),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise ZenplanError(
                f"the worker of {backend} does not start: {command[0]}: {error.strerror}",
                "the plugin that has this engine names the command",
            ) from error
        finally:
            os.close(theirs)
        try:
            yield process, events, theirs
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            for pipe in (process.stdin, process.stderr):
                with suppress(BrokenPipeError):
                    pipe.close() if pipe else None


def _keep_settings(home: Path) -> None:
    """The user's Keras settings (the order of channels, the float type) hold in the private home too."""
    # A user without a home, as in some containers, has no settings either.
    with suppress(OSError, RuntimeError):
        own = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "keras.json"
        shutil.copyfile(own, home / "keras.json")


@dataclass(slots=True, kw_only=True)
class _Worker:
    """A running worker.

    Attributes:
        events: the descriptor on which it answers; ``theirs`` is the number of its own end.
        stage: that it is in.
        partial: the beginning of a line that has not ended yet.
        said: the end of its stderr.
    """

    process: subprocess.Popen[bytes]
    events: int
    theirs: int
    job: Job
    stage: str = "start"
    partial: bytearray = field(default_factory=bytearray)
    said: bytearray = field(default_factory=bytearray)

    def give(self, job: Job) -> None:
        """Write the job to its stdin, which stays open: it ends when its parent does."""
        self.job = job
        self._write(msgspec.structs.replace(job, events=self.theirs))

    def _write(self, line: msgspec.Struct) -> None:
        if self.process.stdin is not None:
            # One that is gone already is found out about below.
            with suppress(BrokenPipeError):
                self.process.stdin.write(encode(line).encode() + b"\n")
                self.process.stdin.flush()

    def answer(
        self,
        limits: Limits,
        start: float,
        tell: Tell,
        hear: Hear,
        orders: Callable[[], Sequence[msgspec.Struct]] = _no_orders,
    ) -> Event:
        """Its last event. Raises ZenplanError where it took too long or too much, or ended without one."""
        with selectors.DefaultSelector() as selector:
            for descriptor in (self.events, self.process.stderr):
                if descriptor is not None:
                    selector.register(descriptor, selectors.EVENT_READ)
            while True:
                # Looked at before what it wrote is read: then nothing is left behind by one that is gone.
                gone = os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                for event in self._read(selector):
                    if isinstance(event, self.job.last | Error | Raised):
                        return event
                    if isinstance(event, Stage):
                        self.stage = event.stage
                    else:
                        hear(event)
                if gone:
                    killed = gone.si_code != os.CLD_EXITED
                    raise ended(gone.si_status, killed, self.stage, self.job.what, self.said.decode(errors="replace"))
                self._check(limits, start)
                tell(self.stage, time.monotonic() - start)
                for order in orders():
                    self._write(order)

    def _check(self, limits: Limits, start: float) -> None:
        counting = isinstance(self.job, Count)
        if time.monotonic() - start > limits.time_s:
            raise took_too_long(limits.time_s, self.stage, self.job.what, counting)
        if limits.memory_bytes is not None and resident_bytes(self.process.pid) > limits.memory_bytes:
            raise took_too_much(limits.memory_bytes, self.stage, self.job.what, counting)

    def _read(self, selector: selectors.BaseSelector) -> list[Event]:
        """The events that have come, waiting a moment for the first."""
        lines: list[bytes] = []
        for key, _ in selector.select(_LOOK_S):
            found = os.read(key.fd, _READ_BYTES)
            if not found:
                selector.unregister(key.fileobj)
            elif key.fd == self.events:
                *ended_lines, rest = (self.partial + found).split(b"\n")
                lines, self.partial = [*lines, *map(bytes, ended_lines)], bytearray(rest)
            else:
                self.said = (self.said + found)[-_MOST_SAID_BYTES:]
        if len(self.partial) > _MOST_ANSWER_BYTES:
            raise DataError(f"the worker's answer on {self.job.what} has no end")
        return [event for line in lines if (event := decode_event(line)) is not None]


def resident_bytes(pid: int) -> int:
    """Of the process, as /proc tells it; 0 on a system without it, where no limit is held."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0


# --- what became of it

_DOING = {
    "start": "starting",
    "read": "reading it",
    "import": "importing it",
    "build": "building it",
    "count": "counting it",
    "compile": "compiling it",
    "measure": "measuring it",
    "rehearse": "timing its first steps",
    "train": "training it",
    "write": "writing it",
    "score": "scoring it",
    "explain": "explaining it",
    "serve": "serving it",
    "export": "exporting it",
}
_AFTER = ("score", "export")
_TRAINING = ("rehearse", "train")
_OF_TORCH_COMPILE = {"BackendCompilerFailed", "InductorError", "InvalidCxxCompiler", "CppCompileError"}
_WITH_CPP = {signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT}


def error_of(event: Error) -> ZenplanError:
    """One of zenplan's errors, as the worker told it."""
    usage = UsageError if event.exit_code == UsageError.exit_code else ZenplanError
    error = InputFileError if event.file else usage
    return error(event.message, event.hint, kind=event.kind, type=event.type)


def raised(event: Raised, what: str, backend: str) -> ZenplanError:
    """An exception in the worker: of the import, of the user's builder, of the count, or of a training step."""
    error = _raised(event, what, backend)
    error.kind, error.type = event.kind, event.type
    return error


def _raised(event: Raised, what: str, backend: str) -> ZenplanError:
    kind, text, stage = event.type, event.text, event.stage
    where = f" ({event.place})" if event.place else ""
    why = f"{kind}: {text}" if text else kind
    if kind == "SystemExit":
        return ZenplanError(
            f"{what} called sys.exit({text}) while {_DOING.get(stage, stage)}{where}",
            "a builder must return its model; guard scripts with if __name__ == '__main__'",
        )
    if stage == "start" and backend not in BACKENDS:
        return ZenplanError(f"the worker of {backend} does not start: {why}", "'zenplan plugins' lists whose it is")
    if stage == "start":
        return ZenplanError(
            f"Keras does not start with backend {backend}: {why}",
            f"pip install 'zenplan[{backend}]', or another --backend",
        )
    if stage == "import":
        module = what.partition(":")[0]
        missing = event.module
        if kind == "ModuleNotFoundError" and f"{module}.".startswith(f"{missing}."):
            return UsageError(
                f"there is no module {missing}",
                "it is looked for in the current folder, then among the installed packages",
            )
        return UsageError(
            f"module {module} does not import: {why}{where}", "it must import as in: python -c 'import " + module + "'"
        )
    if stage == "build":
        return ZenplanError(
            f"building {what} raised {why}{where}", "the model must build before anything is known of it"
        )
    if stage == "read":
        return ZenplanError(f"reading {what} raised {why}{where}", "save the model with model.save('model.keras')")
    if stage in _TRAINING:
        return ZenplanError(
            f"{_DOING[stage]} with {backend}, {what} raised {why}{where}", "the last checkpoint is as it was: --resume"
        )
    if stage in _AFTER:
        return ZenplanError(f"{_DOING[stage]} with {backend}, {what} raised {why}{where}", "please report it")
    if stage in ("compile", "measure"):
        return _stepping(what, backend, kind, why, where)
    doing = _DOING.get(stage or "count", stage).removesuffix(" it")
    return ZenplanError(f"{doing} {what} raised {why}{where}", "another --backend may do; please report it")


def _stepping(what: str, backend: str, kind: str, why: str, where: str) -> ZenplanError:
    """An exception of a training step; torch.compile has classes of its own."""
    if kind in _OF_TORCH_COMPILE:
        return ZenplanError(
            f"torch.compile fails on {what}: {why}{where}",
            "it needs a C++ compiler, as g++; or measure it without compiling",
        )
    return ZenplanError(
        f"a training step of {what} with {backend} raised {why}{where}", "another --backend or --precision may do"
    )


def ended(status: int, killed: bool, stage: str, what: str, said: str) -> ZenplanError:
    """A worker that is gone without a word: ``status`` is its exit code or the signal that killed it."""
    doing = _DOING.get(stage, stage)
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    last = f"its last words: {lines[-1][:200]}" if lines else ""
    if not killed:
        began = f"{what} ended the worker (os._exit, code {status}) while {doing}"
        message = f"the worker ended with code {status} before it began" if stage == "start" else began
        return ZenplanError(message, last, kind=FailureKind.ENDED)
    name = signal.Signals(status).name if status in signal.valid_signals() else f"signal {status}"
    short = status == signal.SIGKILL
    hint = "the system kills what takes too much memory" if short else last
    if status in _WITH_CPP:
        hint = last or "native code of the backend or the builder crashed"
    kind = FailureKind.KILLED if short else FailureKind.CRASHED
    return ZenplanError(f"{what} was killed by {name} while {doing}", hint, kind=kind)


def took_too_long(limit_s: float, stage: str, what: str, counting: bool) -> ZenplanError:
    """The time is up; ``counting``, or measuring."""
    return ZenplanError(
        f"{what} takes longer than {units.duration(limit_s)}, and was still {_DOING.get(stage, stage)}",
        "'zenplan count --timeout 10min' gives it more" if counting else "--minutes 5 gives it more",
        kind=FailureKind.TIMED_OUT,
    )


def took_too_much(limit_bytes: float, stage: str, what: str, counting: bool) -> ZenplanError:
    """The memory is up; ``counting``, or measuring."""
    return ZenplanError(
        f"{what} takes more than {units.size(limit_bytes)} of memory while {_DOING.get(stage, stage)}",
        "'zenplan count --memory 64GB' gives it more" if counting else "--batch makes it smaller",
        kind=FailureKind.OUT_OF_MEMORY,
    )
