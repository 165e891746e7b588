"""Every error zenplan raises on purpose.

ZenplanError            exit code 1   one line of what is wrong, one line of hint
├── UsageError          exit code 2   the command line, a setting or an input file is wrong
│   ├── UnknownName                   a name that is in no catalogue, with the nearest ones
│   └── InputFileError                a file given by the user cannot be used
├── DataError           exit code 1   a table or a plugin's item is not valid
├── Skipped             exit code 1   a row of a table of runs that cannot be predicted
└── NoFit               exit code 3   the answer is no: does not fit, over budget, too late
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ZenplanError(Exception):
    """An error with a message of one line, a hint of one line, and an exit code."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        self.message = _one_line(message)
        self.hint = _one_line(hint)
        super().__init__(self.message)


def _one_line(text: str) -> str:
    """The text without what a terminal would not show as a character: a name may hold a line break."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


class UsageError(ZenplanError):
    """The user's input is wrong; nothing was computed."""

    exit_code = 2


class UnknownName(UsageError):
    """A name that no catalogue knows. The hint names the nearest ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str], listing: str = "") -> None:
        names = sorted(set(known))
        near = nearest(name, names)
        if near:
            hint = f"did you mean {' or '.join(near)}?"
        elif listing:
            hint = f"'{listing}' lists them"
        else:
            hint = f"known: {', '.join(names[:12])}{', …' if len(names) > 12 else ''}"
        super().__init__(f"unknown {kind} '{name}'", hint)


class InputFileError(UsageError):
    """A file that the user named cannot be read or holds something else than was expected."""


class DataError(ZenplanError):
    """A row of a table, or an item that a plugin handed over, is not valid."""


class Skipped(ZenplanError):
    """A row of a table of measured runs cannot be predicted; the others still are."""


class NoFit(ZenplanError):
    """The question was understood and the answer is no."""

    exit_code = 3


def nearest(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """Names close to ``name``, nearest first: by spelling without case or punctuation, then by part."""

    def plain(text: str) -> str:
        return "".join(c for c in text.lower() if c.isalnum())

    by_plain: dict[str, str] = {}
    for each in known:
        by_plain.setdefault(plain(each), each)
    wanted = plain(name)
    close = difflib.get_close_matches(wanted, by_plain, n=count, cutoff=0.6)
    inside = [p for p in by_plain if len(wanted) >= 2 and wanted in p and p not in close]
    return [by_plain[p] for p in (close + inside)[:count]]
