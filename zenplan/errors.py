"""The errors that zenplan raises on purpose, by exit code; a module with one of its own raises a kind of these.

ZenplanError            exit code 1   one line of what is wrong, one line of hint
├── UsageError          exit code 2   the command line, a setting or an input file is wrong
│   ├── UnknownName                   a name that is in no catalogue, with the nearest ones
│   └── InputFileError                a file given by the user cannot be used
├── DataError           exit code 1   a table or a plugin's item is not valid
│   └── NoLiveSource                  a provider whose prices are a table alone
├── Skipped             exit code 1   a row of a table of runs that cannot be predicted
└── NoFit               exit code 3   the answer is no: does not fit, over budget, too late
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any


class FailureKind(StrEnum):
    """What kept a piece of work from its end, as whoever noticed it knows: what is done next goes by this, never by words.

    One that is not known here, of a newer worker or a newer store, is ``OTHER``.
    """

    NONE = ""  # nothing did
    OUT_OF_MEMORY = "out_of_memory"  # an allocation failed, or a limit on memory was passed
    KILLED = "killed"  # by SIGKILL, by which systems end what takes too much memory
    CRASHED = "crashed"  # by another signal
    ENDED = "ended"  # the process left without a word
    TIMED_OUT = "timed_out"  # the time for it was over
    NO_COLLECTIVES = "no_collectives"  # another worker did not answer any more
    RAISED = "raised"  # an exception of the model's, the builder's or the framework's
    REFUSED = "refused"  # what was asked for is not possible
    UNSUPPORTED = "unsupported"  # this framework does not do it
    OTHER = "other"

    @classmethod
    def _missing_(cls, value: object) -> FailureKind:
        return cls.OTHER


class ZenplanError(Exception):
    """An error with a message of one line, a hint of one line, and an exit code.

    Attributes:
        kind: of a failure in a worker process.
        type: the name of the exception that was raised there; empty where none was.
    """

    exit_code = 1

    def __init__(
        self, message: str, hint: str = "", *, kind: FailureKind = FailureKind.REFUSED, type: str = ""
    ) -> None:
        self.message = printable(message)
        self.hint = printable(hint)
        self.kind, self.type = kind, type
        super().__init__(self.message)


def printable(text: str, instead: str = "\N{REPLACEMENT CHARACTER}") -> str:
    """The text on one line, without what a terminal would take for a command: a name may hold a line break.

    Args:
        text: of somebody else.
        instead: stands where a character that is not shown stood.
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else instead for c in text)


class UsageError(ZenplanError):
    """The user's input is wrong; nothing was computed."""

    exit_code = 2


class UnknownName(UsageError):
    """A name that no catalogue knows. The hint names the nearest ones, the command that lists all, and what else to give."""

    def __init__(self, kind: str, name: str, known: Iterable[str], listing: str = "", instead: str = "") -> None:
        names = sorted(set(known))
        near = nearest(name, names)
        if near:
            hint = f"did you mean {' or '.join(near)}?" + (f" '{listing}' lists all" if listing else "")
        elif listing:
            hint = f"'{listing}' lists them"
        else:
            hint = f"known: {', '.join(names[:12])}{', …' if len(names) > 12 else ''}"
        super().__init__(
            f"unknown {kind} '{name}'", f"{hint}{' ' if hint.endswith('?') else '; '}{instead}" if instead else hint
        )


class InputFileError(UsageError):
    """A file that the user named cannot be read or holds something else than was expected.

    The command was right, so it ends as with wrong data: every command, for every file that it is given.
    """

    exit_code = 1


class DataError(ZenplanError):
    """A row of a table, or an item that a plugin handed over, is not valid."""


class NoLiveSource(DataError):
    """A provider has no live source of prices: the table that ships with it is all there is."""


class Skipped(ZenplanError):
    """A row of a table of measured runs cannot be predicted; the others still are."""


class NoFit(ZenplanError):
    """The question was understood and the answer is no."""

    exit_code = 3


def nearest(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """Names close to ``name``, nearest first: by spelling without case or punctuation, then by the beginning of a part:
    ``4090`` is a part of ``RTX-4090``, ``m3`` none of ``V100-SXM3``."""

    def plain(text: str) -> str:
        return "".join(c for c in text.lower() if c.isalnum())

    by_plain: dict[str, str] = {}
    for each in known:
        by_plain.setdefault(plain(each), each)
    wanted = plain(name)
    close = difflib.get_close_matches(wanted, by_plain, n=count, cutoff=0.6)
    inside = [p for p, each in by_plain.items() if len(wanted) >= 2 and p not in close and _has_part(each, wanted)]
    return [by_plain[p] for p in (close + inside)[:count]]


def _has_part(name: str, wanted: str) -> bool:
    """Whether the letters and digits of a name are, from the beginning of a word or a number of it, those wanted."""
    starts = [m.start() for m in re.finditer(r"(?<![^\W_])[^\W_]|(?<=[^\W\d_])\d|(?<=\d)[^\W\d_]", name)]
    return any("".join(c for c in name[s:].lower() if c.isalnum()).startswith(wanted) for s in starts)


def shown(value: Any) -> str:
    """A value that somebody gave, in a few characters, on one line, whatever it is."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    # Python refuses to write whole numbers of more than 4,300 digits.
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 10**18:
        return "a number of more than 18 digits"
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
