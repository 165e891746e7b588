"""When to train again: what is known of a run and of its metric, and the interval that follows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from zenplan import units
from zenplan.adapters.clock import today
from zenplan.adapters.run_folder.metric_log import METRIC, read_metric_log
from zenplan.commands.runs.use_case import entry
from zenplan.commands.shared.options import read_flag
from zenplan.domain.answer.retraining import EXPONENTIAL, POINT, Decay, RetrainPlan
from zenplan.domain.measured.training_run import FINISHED, RunResult
from zenplan.domain.provenance import Origin
from zenplan.errors import DataError, InputFileError, NoFit, UnknownName, UsageError
from zenplan.planning.watch.retraining import best_interval, fitted, reached
from zenplan.units import DAY_S

# Metrics that are worse the higher they are, by the words that their names have.
_RISING: Final = ("loss", "error", "perplexity", "mae", "mse", "rmse", "psi", "drift")
# A day may have begun elsewhere that has not here.
_AHEAD_DAYS: Final = 1
_HINT: Final = "as in --decay 1%/week, or with a range: 0.5%:1%:2%/week"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """Of the metric, what is lost in so many days: low, middle and high."""

    shares: tuple[float, float, float]
    days: float

    def rates(self, rises: bool) -> tuple[float, ...]:
        """A day, in ln: the share is of what is left, or on top of what there is."""
        return tuple(math.log1p(s) / self.days if rises else -math.log1p(-s) / self.days for s in self.shares)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked of a run; at least one of the worth of a point and a limit."""

    decay: Shares | None
    drift: Path | None
    metric: str | None
    usd_per_point_day: float | None
    limit: float | None
    rises: bool | None
    run_usd: float | None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Asked:
        """From flags as texts. Raises UsageError: one cannot be used, or they do not go together."""
        if (given["decay"] is None) == (given["drift"] is None):
            raise UsageError("one of --decay and --drift says how fast it gets worse", _HINT)
        if given["min_metric"] is not None and given["max_metric"] is not None:
            raise UsageError("--min-metric and --max-metric contradict", "a metric is worse the lower, or the higher")
        drift = given["drift"]
        low, high = (read_flag(given, name, _number) for name in ("min_metric", "max_metric"))
        if given["usd_per_point_day"] is None and low is None and high is None:
            raise UsageError(
                "nothing says when it is too bad", "give --usd-per-point-day, --min-metric or --max-metric"
            )
        return cls(
            decay=None if given["decay"] is None else parse_decay(given["decay"]),
            drift=None if drift is None else Path(drift),
            metric=given["metric"],
            usd_per_point_day=read_flag(given, "usd_per_point_day", units.parse_usd),
            limit=low if high is None else high,
            rises=True if high is not None else False if low is not None else None,
            run_usd=read_flag(given, "run_usd", units.parse_usd),
        )


def _number(text: str, what: str) -> float:
    value = units.number_of(text.strip().removesuffix("%"))
    if value is None or not math.isfinite(value):
        raise UsageError(f"{what} must be a number, not '{text[:60]}'", f"as in: {what} 0.9")
    return value / 100.0 if text.strip().endswith("%") else value


def parse_decay(text: str) -> Shares:
    """``1%/week``, or low, middle and high: ``0.5%:1%:2%/week``.

    Raises:
        UsageError: it is not written so.
    """
    shares, between, per = text.partition("/")
    if not between or not per.strip():
        raise UsageError(f"--decay has no time: '{text[:60]}'", _HINT)
    per = per.strip()
    days = units.parse_duration_s(per if per[0].isdigit() else f"1 {per}", "--decay") / DAY_S
    parts = [units.parse_share(each.strip(), "--decay") for each in shares.split(":")]
    if max(parts) >= 1.0:
        raise UsageError(f"--decay loses all of the metric: '{text[:60]}' is not below 100 %", _HINT)
    if len(parts) not in (1, 3) or sorted(parts) != parts:
        raise UsageError(f"--decay is neither one share nor low, middle and high: '{text[:60]}'", _HINT)
    return Shares(shares=(parts[0], parts[len(parts) // 2], parts[-1]), days=days)


def retrain_plan(run: str, asked: Asked) -> RetrainPlan:
    """When to train again what a run trained.

    Args:
        run: its id or folder.
        asked: how fast it gets worse, and what that is worth.

    Raises:
        UsageError: there is no such run, it is not finished, or something is not known of it.
        DataError: the metric does not get worse. NoFit: it was beyond its limit from the start.
    """
    found = entry(run).result
    status = found.status
    if status.state != FINISHED:
        raise UsageError(
            f"run {status.id} is not finished: {status.state}", "'zenplan runs list' shows how each stands"
        )
    notes: list[str] = []
    decay = _decay(found, asked, notes)
    if asked.limit is not None:
        _check_met(found, asked, decay)
    cost = asked.run_usd if asked.run_usd is not None else status.usd or None
    if asked.usd_per_point_day is not None and cost is None:
        raise UsageError(f"nobody knows what run {status.id} cost", "give --run-usd")
    interval = per_day = lost = None
    if asked.usd_per_point_day is not None and cost is not None:
        worth = asked.usd_per_point_day / POINT
        interval = best_interval(decay, cost, worth)
        if interval.mid is not None:
            per_day = cost / interval.mid
            lost = worth * decay.lost_until(interval.mid, decay.mid) / interval.mid
        else:
            notes.append("at that value training again never pays: all that is lost is less than a run")
    return RetrainPlan(
        run=status.id,
        trained_on=status.updated_at.date(),
        today=today(),
        decay=decay,
        run_usd=cost,
        run_s=status.spent.total_s,
        usd_per_point_day=asked.usd_per_point_day,
        interval=interval,
        run_usd_per_day=per_day,
        lost_usd_per_day=lost,
        limit=asked.limit,
        reached=None if asked.limit is None else reached(decay, asked.limit),
        notes=tuple(notes),
    )


def _decay(found: RunResult, asked: Asked, notes: list[str]) -> Decay:
    """As it was given of the run's own metric, or as the log of it has it."""
    if asked.drift is not None:
        return _measured(found, asked, asked.drift, notes)
    if asked.decay is None:
        raise UsageError("one of --decay and --drift says how fast it gets worse", _HINT)
    name, start = _metric(found, asked.metric)
    if start <= 0.0:
        raise UsageError(f"{name} of the run is {start:g}: a share of it says nothing", "give --drift FILE")
    rises = _rises(name) if asked.rises is None else asked.rises
    low, mid, high = asked.decay.rates(rises)
    return Decay(
        metric=name,
        start=start,
        rises=rises,
        form=EXPONENTIAL,
        low=low,
        mid=mid,
        high=high,
        origin=Origin.GIVEN,
        why="--decay, of the metric that the run came out with",
    )


def _measured(found: RunResult, asked: Asked, file: Path, notes: list[str]) -> Decay:
    ended, last = found.status.updated_at.date(), today() + timedelta(days=_AHEAD_DAYS)
    column, rows = read_metric_log(file)
    if ahead := [day for day, _ in rows if day > last]:
        raise InputFileError(
            f"{file}: {units.many(len(ahead), 'measurement')} dated after today, {today()}: {ahead[0]}",
            "a log has what was measured; leave out what was not yet",
        )
    since = [((day - ended).days + 0.0, value) for day, value in rows if day >= ended]
    if len(since) < len(rows):
        notes.append(f"{units.many(len(rows) - len(since), 'measurement')} from before the run are left out")
    name = asked.metric or column or _own_name(found, asked)
    try:
        return fitted(name, _rises(name) if asked.rises is None else asked.rises, since)
    except DataError as error:
        hint = "a metric that is worse the higher it is has a --max-metric, or 'loss' or 'error' in its --metric"
        raise InputFileError(f"{file}: {error.message}", hint) from error


def _own_name(found: RunResult, asked: Asked) -> str:
    """Of a log that has no name: the run's own metric, where that is worse in the direction that was asked for."""
    metrics = found.metrics.get("test") or found.metrics.get("validation")
    name = _metric(found, None)[0] if metrics else METRIC
    return name if asked.rises in (None, _rises(name)) else METRIC


def _check_met(found: RunResult, asked: Asked, decay: Decay) -> None:
    """Raises NoFit: the metric was beyond its limit when the run ended, by the run itself or else by its log."""
    metrics, limit = found.metrics.get("test") or found.metrics.get("validation") or {}, asked.limit or 0.0
    start = metrics.get(decay.metric, decay.start)
    if start > limit if decay.rises else start < limit:
        flag = "--max-metric" if decay.rises else "--min-metric"
        own = "" if decay.metric in metrics else ", by its log"
        raise NoFit(
            f"run {found.status.id} never met it: its {decay.metric} was {units.significant(start, 4)} at its end{own}, "
            f"and {flag} is {units.significant(limit, 4)}",
            f"training the same again does not meet it either: change the run, or the {flag}",
        )


def _rises(name: str) -> bool:
    return any(word in name.lower() for word in _RISING)


def _metric(found: RunResult, wanted: str | None) -> tuple[str, float]:
    """The metric of that name on the test data, else on the validation data; without a name, the first that is no loss."""
    metrics = found.metrics.get("test") or found.metrics.get("validation") or {}
    if wanted is not None:
        if wanted not in metrics:
            raise UnknownName("--metric", wanted, tuple(metrics))
        return wanted, metrics[wanted]
    if not metrics:
        raise UsageError(f"run {found.status.id} has no metric", "give --drift FILE")
    name = next((each for each in metrics if not _rises(each)), next(iter(metrics)))
    return name, metrics[name]
