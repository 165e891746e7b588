"""``zenplan calibrate --workers``: what its answer says of several workers, and of more than were measured."""

from __future__ import annotations

from collections.abc import Callable

from zenplan import units
from zenplan.domain.measured.calibrated import Calibrated
from zenplan.domain.measured.calibration import CPU
from zenplan.domain.measured.prediction import DataParallelStep
from zenplan.domain.range import Range
from zenplan.domain.report import Column, Table
from zenplan.planning.calibration.data_parallel import MOST_WORKERS


def span(value: Range, show: Callable[[float], str]) -> str:
    """A figure with its interval."""
    return f"{show(value.mid)} ({units.span(show(value.low), show(value.high))})"


def together_rows(each: Calibrated) -> list[tuple[str, str, str]]:
    """The step of several workers, below that of one."""
    found = each.together
    if found is None:
        return []
    rate = found.samples_per_s * each.tokens_per_sample
    reduced = f"{units.size(found.gradient_bytes)} of gradients, by itself"
    share = units.percent(found.efficient)
    return [
        (f"step of {found.workers} × {found.batch:,}", span(found.step.step_s, units.duration), found.step.method),
        (f"{each.unit} a second", span(rate, units.count), f"{found.workers} workers, {found.batch:,} samples each"),
        ("all-reduce", units.duration(found.reduce_s), reduced),
        *_speed_ups(found, each),
        ("efficient workers", *_efficient(found, share)),
    ]


def _speed_ups(found: DataParallelStep, each: Calibrated) -> list[tuple[str, str, str]]:
    """Beside one of the workers, measured as they were; and beside the step of one by itself, which was measured before
    them in a process that is joined to no other."""
    alone = units.count(found.batch / found.alone.step_s.mid * each.tokens_per_sample)
    of = f"of {found.workers}, beside one of them while the others wait: {alone} {each.unit} a second, wall time"
    rows = [("speed-up", units.significant(found.speed_up), of)]
    if each.samples_per_s is not None and each.samples_per_s.mid > 0.0:
        clock = "CPU time" if each.calibration.fingerprint.clock == CPU else "wall time"
        one = units.count(each.samples_per_s.mid * each.tokens_per_sample)
        ratio = found.samples_per_s.mid / each.samples_per_s.mid
        by_itself = f"whose step is above: {one} {each.unit} a second, {clock}, before the workers started"
        rows.append(("beside one by itself", units.significant(ratio), by_itself))
    return rows


def _efficient(found: DataParallelStep, share: str) -> tuple[str, str]:
    """The number at the low end: published runs scaled worse than predicted more often than better."""
    low, mid, high = (f"{int(n):,}" + (" or more" if n == MOST_WORKERS else "") for n in found.efficient_workers.ends)
    most = f"the most with {share} of the speed of one alone each, at the low end of their efficiency"
    return low, f"{most}; {mid} in the middle, {high} at the high end"


def together_tables(each: Calibrated) -> tuple[Table, ...]:
    """Collectives as they were measured, and the step of more workers; nothing where several were not asked for."""
    found = each.together
    return () if found is None else (_collectives(found), _scaling(found, each))


def _collectives(found: DataParallelStep) -> Table:
    columns = (
        Column(name="collective"),
        Column(name="latency", numeric=True),
        Column(name="bandwidth", numeric=True),
        Column(name="spread", numeric=True),
    )
    rows = tuple(
        (
            one.name.replace("_", "-"),
            units.duration(one.latency_s),
            "not seen" if one.bytes_per_s is None else f"{units.size(one.bytes_per_s)}/s",
            units.percent(one.spread),
        )
        for one in found.collectives
    )
    caption = (
        f"measured among {found.workers} workers: latency of an exchange between two; bandwidth of a worker, of the bytes "
        "that a ring sends; spread: of the sizes around that line"
    )
    return Table(columns=columns, rows=rows, caption=caption)


def _scaling(found: DataParallelStep, each: Calibrated) -> Table:
    columns = (
        Column(name="workers", numeric=True),
        Column(name="step"),
        Column(name="efficiency"),
        Column(name=f"{each.unit} a second", numeric=True),
        Column(name="collectives"),
    )
    rows = tuple(
        (
            f"{step.workers:,}",
            span(step.step_s, units.duration),
            span(step.efficiency, units.percent),
            units.count(step.workers * found.batch / step.step_s.mid * each.tokens_per_sample),
            "measured" if step.measured else "carried over",
        )
        for step in found.scaling
    )
    caption = (
        f"{found.batch:,} samples each; more workers than were measured have cores or a device of their own and are joined "
        "as these are: a network between machines is slower than what joins the workers of one"
    )
    return Table(columns=columns, rows=rows, caption=caption)
