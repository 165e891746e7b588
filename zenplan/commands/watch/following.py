"""A run as it is followed: what was found at each look, put together as its own process would show it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from zenplan import units
from zenplan.commands.train.notices import AGAIN
from zenplan.commands.train.past import Starting
from zenplan.commands.train.screen import Screen, View, evaluated
from zenplan.commands.watch.sources import Lines, Look, NotLetIn, Source
from zenplan.domain.measured.training_run import KILLED, RUNNING, RunStatus
from zenplan.errors import ZenplanError, printable

# Steps that the speed is told by, and what was said before that is said again.
_MOST_STEPS: Final = 1000
_MOST_SAID: Final = 10
# Of a run on another machine: it writes every five seconds, and has not for so long.
GONE_S: Final = 120.0


@dataclass(slots=True)
class Followed:
    """A run that is followed.

    Attributes:
        source: it is looked at through; screen: it is shown on.
        clock: seconds that go on: those of the run's own machine are not compared with it.
    """

    source: Source
    screen: Screen
    clock: Callable[[], float] = time.monotonic
    _found: Look | None = None
    _walls: deque[float] = field(default_factory=lambda: deque(maxlen=_MOST_STEPS))
    _step: int = 0
    _loss: float | None = None
    _evaluated: Mapping[str, float] = field(default_factory=dict)
    _told: set[tuple[int, str]] = field(default_factory=set)
    _checkpoint: int = 0
    _alive_s: float = 0.0
    _failure: str = ""

    def look(self) -> None:
        """Look at it, and tell what is new.

        Raises:
            Starting: there is nothing to see yet. ZenplanError: it cannot be seen, nor could it before.
        """
        try:
            found = self.source.look()
        except (NotLetIn, Starting):
            raise
        except ZenplanError as error:
            if self._found is None:
                raise
            # Whether a process is at it was seen then, and is not now.
            self._found, self._failure = replace(self._found, at_it=None), error.message
            return
        before, self._found, self._failure = self._found, found, ""
        if before is None or before.status != found.status or found.metrics or found.notices:
            self._alive_s = self.clock()
        self._take(found.metrics, before is not None)
        self._tell(found, before is None)

    def _take(self, lines: Lines, tell: bool) -> None:
        for line in lines:
            step, part, values = line.get("step"), line.get("part"), line.get("values")
            if not isinstance(step, int) or isinstance(step, bool):
                continue
            if "part" not in line:
                self._step = step
                # JSON of an endpoint has null for what is no number.
                self._loss = _number(line.get("loss"), float("nan"))
                self._walls.append(_number(line.get("wall_s"), 0.0))
            elif isinstance(part, str) and isinstance(values, dict):
                figures = {printable(str(name)): _number(value, float("nan")) for name, value in values.items()}
                if part == "validation":
                    self._evaluated = figures
                if tell and (step, part) not in self._told:
                    self.screen.tell(*evaluated(step, printable(part), figures))
                self._told.add((step, part))

    def _tell(self, found: Look, first: bool) -> None:
        for line in _of_this_start(found.notices)[-_MOST_SAID:] if first else found.notices:
            said = _clean(line)
            event, text = str(said.pop("event", "notice")), str(said.pop("text", ""))
            # Of slow steps the alarm is the line for people.
            shown = "" if event == "drift" and _number(said.get("ratio"), 1.0) >= 1.0 else text
            self.screen.tell(event, shown, said if shown else {"text": text, **said})
        step = found.status.checkpoint
        if not first and step > self._checkpoint:
            self.screen.tell("checkpoint", "", {"step": step})
        self._checkpoint = step

    # --- how it stands

    @property
    def _now(self) -> Look:
        if self._found is None:
            raise ZenplanError(f"{self.source.name} was not looked at")
        return self._found

    @property
    def status(self) -> RunStatus:
        """As it was last seen."""
        return self._now.status

    @property
    def silent_s(self) -> float:
        """Since the last sign of life; 0 of a run that is over."""
        return 0.0 if self.status.state != RUNNING else self.clock() - self._alive_s

    @property
    def gone(self) -> str:
        """Why nobody is at a run that says it goes on; empty while somebody is, or may be."""
        now, status = self._now, self.status
        if status.state not in (RUNNING, KILLED):
            return ""
        where = f"run {status.id}{f' on {status.host}' if status.host else ''}"
        last = f"its last word is of step {status.step:,} of {status.steps:,}"
        if status.state == KILLED:
            return f"{where} was killed: no process is at it; {last}"
        if now.at_it is None and self.silent_s >= GONE_S:
            why = f" ({self._failure})" if self._failure else ""
            return f"no sign of life of {where} for {units.duration(self.silent_s, 2)}{why}; {last}"
        return ""

    @property
    def unsure(self) -> str:
        """Why it cannot be told yet whether somebody is at it; empty where that is seen."""
        now, status = self._now, self.status
        if status.state != RUNNING or now.at_it is not None:
            return ""
        return f"not seen from here: {status.host or 'another machine'} writes, if it still does"

    @property
    def loss(self) -> float | None:
        """Of the last step; not a number where it is none."""
        return self._loss

    def view(self) -> View:
        """As it is shown."""
        now, status = self._now, self.status
        going = status.state in (RUNNING, KILLED)
        step_s = sum(self._walls) / len(self._walls) if self._walls else None
        found = now.view or View.of(status, elapsed_s=status.spent.total_s, usd=status.usd)
        found = replace(
            found,
            id=status.id,
            state=status.state,
            workers=status.workers,
            devices=status.devices,
            stage=found.stage if status.state == RUNNING else status.state,
            step=(self._step or found.step) if going else status.step,
            steps=status.steps,
            checkpoint=status.checkpoint,
            step_s=found.step_s or step_s or None,
            loss=found.loss if self._loss is None else self._loss,
            evaluated=self._evaluated or found.evaluated,
            prediction=now.prediction,
        )
        if going:
            return found
        return replace(found, elapsed_s=status.spent.total_s, usd=status.usd, left_s=None, usd_end=None, drift="")


def _of_this_start(notices: Lines) -> Lines:
    """Without what was said before the run was gone on with, which the line that says so sums up."""
    begun = [number for number, line in enumerate(notices) if line.get("event") == AGAIN]
    return notices[begun[-1] :] if begun else notices


def _number(value: Any, none: float) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else none


def _clean(value: Mapping[str, Any]) -> dict[str, Any]:
    """The same, with nothing in its texts that a terminal would take for a command."""
    return dict(_cleaned(value))


def _cleaned(value: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, each in value.items():
        if isinstance(each, str):
            each = printable(each)
        elif isinstance(each, dict):
            each = _clean(each)
        yield printable(str(name)), each
