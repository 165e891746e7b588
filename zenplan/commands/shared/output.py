"""The answer to stdout, the rest to stderr, as the terminal can take it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from zenplan.errors import DataError, UnknownName, UsageError

if TYPE_CHECKING:
    # Help and errors, which are written here too, need neither.
    from zenplan.domain.report import Report
    from zenplan.plugins import Plugins

# What a terminal without these characters shows in their place.
_PLAIN = str.maketrans(
    {
        "×": "x",
        "·": ".",
        "–": "-",
        "…": "...",
        "µ": "u",
        "≤": "<=",
        "≥": ">=",
        "∞": "inf",
        "─": "-",
        "━": "-",
        "±": "+-",
        "€": "EUR ",
        "£": "GBP ",
        "¥": "JPY ",
        "₹": "INR ",
        "₩": "KRW ",
        "√": "sqrt",
        "ε": "epsilon",
        "₁": "1",
        "Σ": "sum ",
        "δ": "delta",
        "τ": "tau",
        "λ": "lambda",
        "−": "-",
        "⌈": "ceil(",
        "⌉": ")",
        "°": "",
        "÷": "/",
        "→": "->",
        "²": "^2",
        "α": "alpha",
        "π": "pi",
        "—": "-",
        "\u0304": "_mean",
    }
)


def write(stream: TextIO | None, text: str) -> None:
    """Write ``text``; where the stream cannot encode a character, a plain one in its place.

    A stream that was closed before the program started is None, and takes nothing.
    """
    if stream is None:
        return
    encoding = stream.encoding or "ascii"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        # The sign of the yuan ends in that of the yen.
        text = text.replace("CN¥", "CNY ").translate(_PLAIN).encode(encoding, "replace").decode(encoding)
    stream.write(text)


def say(report: Report, name: str, plugins: Plugins) -> None:
    """The report on stdout in the named format."""
    exporter = next((e for e in plugins.exporters() if e.name == name), None)
    if not plugins.exporters():
        raise UsageError("no plugin gives a format to answer in", "ZENPLAN_BLOCK must not have builtin in it")
    if exporter is None:
        raise UnknownName("format", name, (e.name for e in plugins.exporters()))
    if name == "table" and colourful(sys.stdout):
        from zenplan.adapters.formats import table

        write(sys.stdout, table(report, colour=True))
        return
    try:
        text = exporter.export(report)
    except DataError as error:
        others = sorted(e.name for e in plugins.exporters() if e.name != name)
        raise DataError(error.message, f"other formats: {', '.join(others)}" if others else "") from error
    write(sys.stdout, text)


def colourful(stream: TextIO) -> bool:
    """Whether to write ANSI styles there (https://no-color.org, https://force-color.org)."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (stream.isatty() and os.environ.get("TERM") != "dumb")


@contextmanager
def loaded_plugins(warn: Callable[[str], None] | None = None) -> Iterator[Plugins]:
    """The plugins, for one command. What was left out of them is said at its end, also where it fails: one line for
    each, and why, to ``warn`` or else on stderr."""
    from zenplan.plugins import load_plugins

    plugins = load_plugins()
    try:
        yield plugins
    finally:
        for problem in plugins.problems():
            if not problem.kept:
                (warn or warned)(f"plugin {problem.plugin}: {problem.what}: {problem.reason}")


def warned(text: str) -> None:
    """A warning: one line on stderr."""
    write(sys.stderr, f"warning: {text}\n")


def complain(message: str, hint: str = "") -> None:
    """An error: one line, and one line of hint."""
    lines: Sequence[str] = (f"error: {message}", *((f"hint: {hint}",) if hint else ()))
    try:
        for line in lines:
            write(sys.stderr, " ".join(line.split()) + "\n")
    except OSError:
        # Nowhere to say it; the exit code still does.
        hush(sys.stderr)


def hush(stream: TextIO) -> None:
    """Send the rest of a stream nowhere: what is left in its buffer would fail again when Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
