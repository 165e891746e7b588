"""The command line: argv in, text out. ``main`` is the one place where an error becomes a line."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from zenplan.errors import ZenplanError

_INTERRUPTED, _CLOSED_PIPE, _TERMINATED = 130, 141, 143
_THREADS = "OPENBLAS_NUM_THREADS"


def main() -> NoReturn:
    """The ``zenplan`` command."""
    import gc

    from zenplan.commands.shared import start

    start.of_process()
    # Most commands live for half a second and make little garbage: collect seldom.
    gc.set_threshold(1_000_000, 50, 50)
    if _THREADS not in os.environ:
        # Columns are added and compared, never multiplied as matrices: numpy's threads for that take longer to start
        # than numpy itself. ``os.putenv`` and not ``os.environ``: workers, whose models need theirs, do not see it.
        os.putenv(_THREADS, "1")
    _leave_on_sigterm()
    code = run(sys.argv[1:])
    # Python would look through all that is left before it ends: it is a tenth of a short command.
    gc.freeze()
    sys.exit(_TERMINATED if code == _INTERRUPTED and _terminated else code)


# Filled when SIGTERM has come.
_terminated: list[int] = []


def _leave_on_sigterm() -> None:
    """SIGTERM leaves as Ctrl-C does: workers are ended, folders removed, one line said."""
    import signal

    def leave(number: int, _frame: object) -> None:
        # What is left to do is done once, and undisturbed.
        signal.signal(number, signal.SIG_IGN)
        _terminated.append(number)
        raise KeyboardInterrupt

    # Not where whoever started us wants it ignored.
    if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, leave)


def run(argv: Sequence[str]) -> int:
    """Run one command line and return its exit code: 0 done, 1 error, 2 usage, 3 the answer is no."""
    from zenplan.commands.shared.output import complain, hush

    try:
        if sys.stdout is None:
            raise ZenplanError("stdout is closed", "there is nowhere to write the answer")
        code = _run(argv)
        sys.stdout.flush()
    except ZenplanError as error:
        complain(error.message, error.hint)
        return error.exit_code
    except KeyboardInterrupt:
        complain("terminated" if _terminated else "interrupted")
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read our answer has enough: say nothing, also not when Python flushes at exit.
        hush(sys.stdout)
        return _CLOSED_PIPE
    except OSError as error:
        return _disowned(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
    except Exception as error:
        # The program's top, one of the two broad excepts: a fault of ours is still one line.
        if os.environ.get("ZENPLAN_TRACEBACK"):
            raise
        complain(
            f"a fault in zenplan: {type(error).__name__}: {error}", "ZENPLAN_TRACEBACK=1 shows where; please report it"
        )
        return 1
    return code


@contextmanager
def _plugin_files(argv: Sequence[str]) -> Iterator[list[str]]:
    """The command line without ``--plugin FILE``, which may stand anywhere in it; the files are loaded while it runs."""
    rest = list(argv)
    if not any(each.startswith("--plugin") for each in rest):
        yield rest
        return
    from zenplan.commands.plugins.files import FILES, parted

    before = os.environ.get(FILES)
    files, rest = parted(rest, before or "")
    os.environ[FILES] = files
    try:
        yield rest
    finally:
        if before is None:
            del os.environ[FILES]
        else:
            os.environ[FILES] = before


def _disowned(message: str) -> int:
    """An error of the system (a full disk, say), after which stdout may not be flushed again."""
    from zenplan.commands.shared.output import complain, hush

    complain(message, "nothing was lost: zenplan writes only what it prints")
    hush(sys.stdout)
    return 1


def _run(argv: Sequence[str]) -> int:
    import typer

    from zenplan.commands.app import COMPLETION, app, complete
    from zenplan.errors import UsageError

    try:
        if COMPLETION in os.environ:
            complete()
        with _plugin_files(argv) as rest:
            code = app(args=rest, prog_name="zenplan", standalone_mode=False)
    except typer.Abort as error:
        raise KeyboardInterrupt from error
    except SystemExit as error:
        if error.code == 0:
            return 0
        # What Typer makes of a closed pipe; it ends the program for nothing else here.
        raise BrokenPipeError from error
    except typer.TyperException as error:
        from zenplan.commands.usage import hint_of

        raise UsageError(error.format_message(), hint_of(error, argv)) from error
    if code == _INTERRUPTED:
        # Typer turns Ctrl-C in a command into this code; no command of ours has it.
        raise KeyboardInterrupt
    return code if isinstance(code, int) else 0
