"""What became of a worker that has no answer, as one line and a hint."""

from __future__ import annotations

import signal

from zenplan import units
from zenplan.errors import FailureKind, UsageError, ZenplanError
from zenplan.worker.protocol import Error, Raised

_DOING = {
    "start": "starting",
    "read": "reading it",
    "import": "importing it",
    "build": "building it",
    "count": "counting it",
    "compile": "compiling it",
    "measure": "measuring it",
}
_OF_TORCH_COMPILE = {"BackendCompilerFailed", "InductorError", "InvalidCxxCompiler", "CppCompileError"}
_WITH_CPP = {signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT}


def told(event: Error) -> ZenplanError:
    """One of zenplan's errors, as the worker told it."""
    error = UsageError if event.exit_code == UsageError.exit_code else ZenplanError
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
    if stage in ("compile", "measure"):
        return _stepping(what, backend, kind, why, where)
    return ZenplanError(f"counting {what} raised {why}{where}", "another --backend may do; please report it")


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
