"""The answer to stdout, the rest to stderr, as the terminal can take it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TextIO

from zenplan.domain.report import Report
from zenplan.errors import UnknownName
from zenplan.plugins import Plugins

# What a terminal without these characters shows in their place.
_PLAIN = str.maketrans({"×": "x", "·": ".", "–": "-", "…": "...", "µ": "u", "≤": "<=", "≥": ">=", "∞": "inf",
                        "─": "-", "━": "-", "√": "sqrt", "Σ": "sum ", "δ": "delta", "τ": "tau", "λ": "lambda",
                        "−": "-", "⌈": "ceil(", "⌉": ")", "°": "", "÷": "/", "→": "->"})  # fmt: skip


def write(stream: TextIO, text: str) -> None:
    """Write ``text``; where the stream cannot encode a character, a plain one in its place."""
    encoding = stream.encoding or "ascii"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.translate(_PLAIN).encode(encoding, "replace").decode(encoding)
    stream.write(text)


def say(report: Report, name: str, plugins: Plugins) -> None:
    """The report on stdout in the named format."""
    exporter = next((e for e in plugins.exporters() if e.name == name), None)
    if exporter is None:
        raise UnknownName("format", name, (e.name for e in plugins.exporters()))
    if name == "table" and sys.stdout.isatty() and "NO_COLOR" not in os.environ:
        from zenplan.adapters.exporters import table

        write(sys.stdout, table(report, colour=True))
        return
    outcome = plugins.ask(exporter, f"format {name}", lambda: exporter.export(report))
    if outcome.value is None:
        raise UnknownName("working format", name, (e.name for e in plugins.exporters() if e.name != name))
    write(sys.stdout, outcome.value)


def warn_of(plugins: Plugins) -> None:
    """One line on stderr for each plugin that was left out, and why."""
    for problem in plugins.problems():
        if not problem.kept:
            write(sys.stderr, f"warning: plugin {problem.plugin}: {problem.what}: {problem.reason}\n")


def complain(message: str, hint: str = "") -> None:
    """An error: one line, and one line of hint."""
    lines: Sequence[str] = (f"error: {message}", *((f"hint: {hint}",) if hint else ()))
    for line in lines:
        write(sys.stderr, " ".join(line.split()) + "\n")
