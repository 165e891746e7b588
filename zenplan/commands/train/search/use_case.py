"""A search: what all its trials cost is said first; then they are run one after another, and the best is kept."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from zenplan import units
from zenplan.adapters.files.scratch import scratch
from zenplan.adapters.run_folder.folder import CHECKPOINTS, METRICS, MODEL, RESULT, STATUS
from zenplan.adapters.run_folder.lines import read_metrics
from zenplan.commands.train.ending import store
from zenplan.commands.train.flags import OPTIONS, Flags
from zenplan.commands.train.past import read_result, resumable
from zenplan.commands.train.screen import Screen
from zenplan.commands.train.search.table import Search
from zenplan.commands.train.session import Session
from zenplan.commands.train.stopping import ENDS, PREEMPTION, SIGINT, SIGTERM
from zenplan.domain.measured.training_run import FAILED, FINISHED, RunPrediction, RunResult
from zenplan.domain.range import Range
from zenplan.errors import NoFit, UsageError, ZenplanError
from zenplan.planning.watch.trials import Value, affordable, is_behind
from zenplan.units import HOUR_S

# What does not change how long a step takes: trials that differ in nothing else are predicted as one.
_FREE: Final = frozenset(
    {"learning_rate", "schedule", "final_share", "momentum", "weight_decay", "warmup_steps", "seed", "weights"}
)
# What ends the whole search, and not one trial of it.
_ENDS_ALL: Final = (SIGINT, SIGTERM, "terminated", PREEMPTION)
_AGAIN: Final = ("max_usd", *_ENDS_ALL, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One run of a search.

    Attributes:
        number: from 1.
        values: its settings.
        predicted: before it.
        folder: that it is in.
        result: what came out; None where it was not run.
        why: where it was not, or failed.
    """

    number: int
    values: Mapping[str, Value]
    predicted: RunPrediction
    folder: Path
    result: RunResult | None = None
    why: str = ""

    @property
    def loss(self) -> float | None:
        """Its lowest validation loss."""
        return self.result.best_loss if self.result and self.result.status.state != FAILED else None


@dataclass(slots=True, kw_only=True)
class Trials:
    """A search that goes on.

    Attributes:
        search: that was asked for; flags: of the command; out: its folder.
        begin: a session of flags.
        shown: where a run is shown, while it goes on.
        began_s: when the command was started, by the monotonic clock.
        found: trials so far.
        reason: what ended all of it; empty while nothing did.
    """

    search: Search
    flags: Flags
    out: Path
    begin: Callable[[Flags], Session]
    shown: Callable[[], AbstractContextManager[Screen]]
    began_s: float
    found: list[Trial] = field(default_factory=list)
    reason: str = ""
    _before_usd: float = 0.0

    def predict(self) -> list[Trial]:
        """Every trial, with what is predicted of it. Raises NoFit: money is not enough for one."""
        known: dict[str, RunPrediction] = {}
        trials = []
        for number, values in enumerate(self.search.combinations(), start=1):
            key = repr(sorted((name, value) for name, value in values.items() if name not in _FREE))
            if key not in known:
                known[key] = self._predicted(values)
            folder = self.out / "trials" / f"{number:03d}"
            trials.append(Trial(number=number, values=values, predicted=known[key], folder=folder))
        return self._within(trials)

    def run(self, trials: Sequence[Trial]) -> None:
        """Run them, until something ends it."""
        for trial in trials:
            if self.reason or trial.why:
                self.found.append(replace(trial, why=trial.why or "not begun"))
                continue
            done = self._run(trial)
            self.found.append(done)
            status = done.result.status if done.result else None
            if status is not None and status.reason in (*_ENDS_ALL, "max_usd"):
                self.reason = status.reason
            self._keep_best()

    @property
    def best(self) -> Trial | None:
        """The trial with the lowest validation loss, of those that came to their end."""
        ended = [t for t in self.found if t.loss is not None and t.result and t.result.status.state == FINISHED]
        return min(ended, key=lambda trial: trial.loss or 0.0, default=None)

    @property
    def exit_code(self) -> int:
        """Of the command."""
        if self.reason:
            return ENDS[self.reason][1]
        return 0 if self.best is not None else 1

    # --- one trial

    def _run(self, trial: Trial) -> Trial:
        kept = _kept(trial.folder)
        if kept is not None:
            self._before_usd += kept.status.usd or 0.0
            return replace(trial, result=kept)
        try:
            session = self.begin(self._flags(trial))
            with self.shown() as screen:
                values = {"trial": trial.number, "values": dict(trial.values)}
                screen.tell("trial", f"trial {trial.number}: {told(trial.values)}", values)
                outcome = session.go(screen, self._judge(trial.number))
        except UsageError as error:
            # Settings that do not go together are no trial; the others may well be.
            return replace(trial, why=error.message)
        if outcome.result.status.state == FINISHED:
            store(outcome.supervisor, outcome.result)
        return replace(trial, result=outcome.result, why=outcome.error.message if outcome.error else "")

    def _flags(self, trial: Trial) -> Flags:
        usd = self._left_usd(trial)
        limit = {} if usd is None else {"max_usd": f"{max(usd, 1e-6):.6f}"}
        if (trial.folder / STATUS).exists():
            return Flags(given=limit, resume=str(trial.folder), output=self.flags.output)
        shutil.rmtree(trial.folder, ignore_errors=True)
        return replace(self._flags_of(trial.values, limit), out=trial.folder)

    def _flags_of(self, values: Mapping[str, Value], more: Mapping[str, str]) -> Flags:
        prefix = f"{OPTIONS}."
        given = {name: _text(value) for name, value in values.items() if not name.startswith(prefix)}
        options = [f"{n.removeprefix(prefix)}={_text(v)}" for n, v in values.items() if n.startswith(prefix)]
        return replace(self.flags, given={**self.flags.own, **given, **more}, options=(*self.flags.options, *options))

    def _judge(self, number: int) -> Callable[[int, float], bool]:
        """Whether a trial is behind those before it, by step and lowest loss."""
        if not self.search.early_stopping:
            return lambda step, loss: False
        others = [trial for trial in self.found if trial.loss is not None and trial.number != number]
        curves = [read_metrics(trial.folder / METRICS).curve("validation") for trial in others]
        return lambda step, loss: is_behind(step, loss, curves)

    # --- money

    def _predicted(self, values: Mapping[str, Value]) -> RunPrediction:
        session = self.begin(replace(self._flags_of(values, {}), out=None, dry_run=True))
        if "validation" not in session.asked.data.parts:
            raise UsageError("there is no validation data to choose the best trial by", "prepare some: --validation 5%")
        with scratch() as folder, self.shown() as screen:
            return session.dry(screen, folder / "run")

    def _within(self, trials: Sequence[Trial]) -> list[Trial]:
        most = self.search.max_usd
        if most is None:
            return list(trials)
        costs = [trial.predicted.usd.mid for trial in trials if trial.predicted.usd is not None]
        if len(costs) < len(trials):
            raise UsageError(
                "max_usd is a limit of dollars, and nothing says what an hour costs", "--usd-per-hour says it"
            )
        count = affordable(costs, most)
        if not count:
            one, allowed = units.usd_apart(costs[0], most)
            raise NoFit(
                f"one trial costs {one}, more than the {allowed} of max_usd",
                "a smaller model, or more money",
            )
        return [t if n < count else replace(t, why="its dollars are not there") for n, t in enumerate(trials)]

    def _left_usd(self, trial: Trial) -> float | None:
        """Dollars that are left, after what trials took and all that was between them."""
        if self.search.max_usd is None:
            return None
        hourly = trial.predicted.usd_per_h or 0.0
        spent = self._before_usd + hourly * (time.monotonic() - self.began_s) / HOUR_S
        return self.search.max_usd - spent

    def _keep_best(self) -> None:
        """Checkpoints and models of trials that are not the best are removed; their curves stay."""
        best = self.best
        for trial in self.found:
            over = trial.result is not None and trial.result.status.reason not in _AGAIN
            if best is not None and trial is not best and over:
                for name in (CHECKPOINTS, MODEL):
                    shutil.rmtree(trial.folder / name, ignore_errors=True)


def _kept(folder: Path) -> RunResult | None:
    """What came out of a trial that is over; None where it is to be run, or gone on with."""
    if not (folder / RESULT).exists():
        return None
    try:
        found = read_result(folder)
    except ZenplanError:
        return None
    again = found.status.reason in _AGAIN and resumable(found.status, folder)
    return None if again else found


def total(trials: Sequence[Trial], of: Callable[[RunPrediction], Range | None]) -> Range | None:
    """Of all trials that are to be run; None where it is not known of one. What they share, they are wrong by together."""
    known = [of(trial.predicted) for trial in trials if not trial.why]
    each = [found for found in known if found is not None]
    if len(each) < len(known) or not each:
        return None
    return Range.total(each)


def told(values: Mapping[str, Value]) -> str:
    """Settings for people."""
    return ", ".join(
        f"{name.removeprefix(f'{OPTIONS}.').replace('_', ' ')} {_text(value)}" for name, value in values.items()
    )


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
