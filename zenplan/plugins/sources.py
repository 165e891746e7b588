"""Where plugins come from: the entry points of what is installed, and a journal of what went wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from zenplan.domain.plugin import Problem
from zenplan.plugins import guard

GROUP: Final = "zenplan"

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A plugin before it is loaded.

    Attributes:
        name: of the entry point.
        load: imports it and returns it.
        timeout_s: how long a call into it may take; None for zenplan's own.
    """

    name: str
    distribution: str = ""
    version: str = ""
    load: Callable[[], object]
    timeout_s: float | None = None

    @property
    def owner(self) -> str:
        """The plugin with its distribution, as people are told: ``runpod (zenplan-runpod 0.1.0)``."""
        release = f"{self.distribution} {self.version}".strip()
        return f"{self.name} ({release})" if release else self.name


class Journal:
    """Calls into plugins, and keeps what went wrong.

    Args:
        trace: is given a line about each call; None where nobody wants to know.
    """

    def __init__(self, trace: Callable[[str], None] | None = None) -> None:
        self.problems: list[Problem] = []
        self._trace = trace
        self._given_up: set[str] = set()

    def attempt(self, source: Source, what: str, work: Callable[[], T]) -> guard.Outcome[T]:
        """The outcome of a call into that plugin. One that once gave no answer is not called again."""
        if source.owner in self._given_up:
            outcome: guard.Outcome[T] = guard.Outcome(value=None, reason="not asked: it gave no answer before")
        else:
            outcome = guard.attempt(work, source.timeout_s)
            failed = " failed" if outcome.reason else ""
            self.note(f"{source.owner}: {what}{failed}", outcome.elapsed_s)
        if outcome.given_up:
            self._given_up.add(source.owner)
        if outcome.reason:
            self.add(source, what, outcome.reason)
        return outcome

    def add(self, source: Source, what: str, reason: str, kept: str = "") -> None:
        """Keep that problem, once."""
        problem = Problem(plugin=source.owner, what=what, reason=reason, kept=kept)
        if problem not in self.problems:
            self.problems.append(problem)

    def note(self, what: str, elapsed_s: float) -> None:
        """Trace how long something took."""
        if self._trace:
            self._trace(f"zenplan plugins: {what} {elapsed_s * 1e3:.1f} ms")


def installed(journal: Journal, timeout_s: float) -> list[Source]:
    """The entry points of zenplan's group, by distribution and name. None of them is loaded."""
    from importlib.metadata import distributions, entry_points

    outcome = guard.attempt(lambda: tuple(entry_points(group=GROUP)), None)
    journal.note("entry points", outcome.elapsed_s)
    points: Iterable[Any] = outcome.value or ()
    if outcome.reason:
        # One broken distribution spoils the list of all: ask each on its own, which is slower.
        points = [point for each in distributions() for point in _entry_points(journal, each)]
    # A distribution that is on the path twice has each of its entry points twice.
    found = {(s.distribution, s.name, p.value): s for p in points for s in (_source(p, timeout_s),)}
    return [found[key] for key in sorted(found)]


def _entry_points(journal: Journal, distribution: Any) -> list[Any]:
    name = guard.attempt(lambda: guard.one_line(distribution.name), None).value or "a distribution"
    outcome = journal.attempt(Source(name=name, load=lambda: None), "entry points", lambda: distribution.entry_points)
    return [point for point in outcome.value or () if point.group == GROUP]


def _source(point: Any, timeout_s: float) -> Source:
    # A distribution whose METADATA cannot be read has no name; its plugin may work all the same.
    name, version = (
        guard.attempt(partial(_text, point.dist, field), None).value or "" for field in ("name", "version")
    )
    return Source(name=point.name, distribution=name, version=version, load=point.load, timeout_s=timeout_s)


def _text(owner: object, field: str) -> str:
    return guard.one_line(getattr(owner, field) or "")
