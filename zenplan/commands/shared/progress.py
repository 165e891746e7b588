"""Progress on stderr, for what takes long enough that somebody waits for it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

# What is done by then shows nothing.
_PATIENCE_S = 2.0
# Lines of what is waited for come so far apart.
_LINE_EVERY_S = 10.0
# Letters of what is being done, so that the bar still has room.
_MOST_STAGE = 40


@contextmanager
def progress(what: str) -> Iterator[Callable[[float], None]]:
    """A function to call with the share that is done, 0 to 1.

    After two seconds a bar with the time that is left is on stderr, if that is a terminal; it is gone at the end.
    """
    with ExitStack() as stack:
        start = time.monotonic()
        bar: Callable[[float], None] | None = None

        def show(share: float) -> None:
            nonlocal bar
            if bar is None and time.monotonic() - start >= _PATIENCE_S and _watched():
                bar = _bar(what, stack)
            if bar is not None:
                bar(share)

        yield show


@contextmanager
def staged(what: str) -> Iterator[Callable[[float, str], None]]:
    """The same, with a function that is also told what is being done, which stands beside the bar."""
    with ExitStack() as stack:
        start = time.monotonic()
        bar: Callable[..., None] | None = None

        def show(share: float, stage: str) -> None:
            nonlocal bar
            if bar is None and time.monotonic() - start >= _PATIENCE_S and _watched():
                bar = _bar(what, stack)
            if bar is not None:
                bar(share, stage[:_MOST_STAGE])

        yield show


def _watched() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def _bar(what: str, stack: ExitStack) -> Callable[..., None]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    drawn = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=Console(file=sys.stderr),
        transient=True,
    )
    stack.enter_context(drawn)
    task = drawn.add_task(what, total=1.0)
    return lambda share, stage=what: drawn.update(task, completed=share, description=stage, refresh=True)


@contextmanager
def elapsed(what: str, lines: bool = False) -> Iterator[Callable[[str, float], None]]:
    """A function to call with what is done now and the seconds since the start, where no share is known.

    After two seconds they are on stderr, if that is a terminal; the line is gone at the end.

    Args:
        what: is done, all in all.
        lines: whether a stderr that is no terminal gets a line after two seconds, and one now and then from there on.
    """
    from zenplan.commands.shared.output import write

    shown, next_s = -1, _PATIENCE_S

    def show(stage: str, seconds: float) -> None:
        nonlocal shown, next_s
        if lines and seconds >= next_s and not _watched():
            next_s = seconds + _LINE_EVERY_S
            write(sys.stderr, f"{what}: {stage}, {seconds:.0f} s\n")
        if seconds >= _PATIENCE_S and int(seconds) != shown and _watched():
            shown = int(seconds)
            write(sys.stderr, f"\r\033[K{what[-40:]}: {stage}, {shown} s")
            sys.stderr.flush()

    try:
        yield show
    finally:
        if shown >= 0:
            write(sys.stderr, "\r\033[K")
