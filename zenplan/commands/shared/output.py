"""The answer to stdout, the rest to stderr, as the terminal can take it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TextIO

from zenplan.errors import DataError, UnknownName, UsageError, ZenplanError

if TYPE_CHECKING:
    # Help and errors, which are written here too, need neither.
    from zenplan.domain.report import Report
    from zenplan.plugins import Plugins

# Set, and not 0: exit code 1 where something of a plugin was left out.
STRICT: Final = "ZENPLAN_STRICT"
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
        "₀": "0",
        "₁": "1",
        "¹": "^1",
        "³": "^3",
        "⁻": "^-",
        "ⁿ": "^n",
        "ᵀ": "^T",
        "σ": "sigma",
        "Φ": "Phi",
        "∫": "integral ",
        "↵": "",
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
    each, and why, to ``warn`` or else on stderr.

    Raises ZenplanError, at the end of a command that answered: something was, and that is not wanted.
    """
    from zenplan.plugins import load_plugins

    plugins = load_plugins()
    try:
        yield plugins
    finally:
        missing = [problem for problem in plugins.problems() if not problem.kept]
        for problem in missing:
            (warn or warned)(f"plugin {problem.plugin}: {problem.what}: {problem.reason}")
    if missing and warn is None and is_strict():
        names = ", ".join(dict.fromkeys(problem.plugin for problem in missing))
        raise ZenplanError(f"left out under --strict: something of {names}", "'zenplan plugins' lists what, and why")


def is_strict() -> bool:
    """Whether a command is to fail where something of a plugin was left out."""
    return os.environ.get(STRICT, "").strip() not in ("", "0")


@contextmanager
def strictly() -> Iterator[None]:
    """Every command in it is strict."""
    before = os.environ.get(STRICT)
    os.environ[STRICT] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[STRICT]
        else:
            os.environ[STRICT] = before


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
