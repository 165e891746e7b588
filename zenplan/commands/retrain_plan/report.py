"""When to train again, as a report."""

from __future__ import annotations

from typing import Any

from zenplan import units
from zenplan.domain.answer.retraining import LINEAR, Days, RetrainPlan
from zenplan.domain.report import Column, Report, Table
from zenplan.units import DAY_S


def retrain_report(plan: RetrainPlan) -> Report:
    """The day, and what it follows from."""
    decay = plan.decay
    way = "rises" if decay.rises else "falls"
    rows = [
        (decay.metric, units.significant(decay.start, 4), f"of run {plan.run}, of {plan.trained_on}"),
        (f"it {way} by", _rate(plan), f"{decay.form}; {decay.origin}: {decay.why}"),
        ("a run costs", "not known" if plan.run_usd is None else units.usd(plan.run_usd), units.duration(plan.run_s)),
    ]
    if plan.interval is not None:
        why = f"least of runs and loss, a point (0.01) a day being worth {units.usd(plan.usd_per_point_day or 0.0)}"
        rows.append(("best interval", _days(plan.interval), why))
    if plan.run_usd_per_day is not None and plan.lost_usd_per_day is not None:
        together = units.usd(plan.run_usd_per_day + plan.lost_usd_per_day)
        split = f"{units.usd(plan.run_usd_per_day)} of runs, {units.usd(plan.lost_usd_per_day)} of what is lost"
        rows.append(("a day then costs", together, split))
    if plan.reached is not None and plan.limit is not None:
        rows.append((f"until {units.significant(plan.limit, 4)}", _days(plan.reached), "the limit that was given"))
    columns = (Column(name="what"), Column(name="value", numeric=True), Column(name="from"))
    return Report(
        make_document=lambda: _document(plan),
        make_records=lambda: [_document(plan)],
        verdict=_verdict(plan),
        tables=(Table(columns=columns, rows=tuple(rows)),),
        notes=plan.notes,
    )


def _document(plan: RetrainPlan) -> Any:
    from zenplan.commands.retrain_plan.document import retrain_document

    return retrain_document(plan)


def _verdict(plan: RetrainPlan) -> str:
    days = plan.days
    on = plan.day_of(days)
    if days is None or on is None:
        return "No run is called for."
    when = f"{on.day} {on:%B %Y}"
    by_value = plan.interval is not None and plan.interval.mid == days
    why = "which costs the least" if by_value else f"when {plan.decay.metric} is at its limit"
    late = f" That was {(plan.today - on).days:,} days ago." if on < plan.today else ""
    after = f"{units.duration(days * DAY_S)} after the last run" if days > 0.0 else "when the last run ended"
    return f"Train again by {when}, {after}, {why}.{late}"


def _rate(plan: RetrainPlan) -> str:
    decay = plan.decay
    low, mid, high = decay.ends
    if decay.form == LINEAR:
        shown = [units.significant(7.0 * each, 3) if each > 0.0 else "0" for each in (low, mid, high)]
        return f"{shown[1]} a week\n{units.span(shown[0], shown[2])}"
    shown = [units.percent(max(0.0, decay.lost(7.0, each) / decay.start)) for each in (low, mid, high)]
    return f"{shown[1]} a week" + (f"\n{units.span(shown[0], shown[2])}" if low != high else "")


def _days(days: Days) -> str:
    low, mid, high = (
        "never" if each is None else units.duration(each * DAY_S) for each in (days.low, days.mid, days.high)
    )
    return mid if low == high else f"{mid}\n{units.span(low, high)}"
