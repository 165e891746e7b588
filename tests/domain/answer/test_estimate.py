from dataclasses import fields
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenplan.domain.answer.answer import day_of_end
from zenplan.domain.answer.estimate import Bill, MemoryUse, Part, RunTime, StepTime
from zenplan.domain.market.offer import Billing
from zenplan.domain.provenance import Origin
from zenplan.domain.range import Range
from zenplan.errors import DataError

RANGE = Range(low=1, mid=2, high=4)


def test_a_range_is_in_order() -> None:
    for low, mid, high in ((2, 1, 3), (1, 3, 2), (float("nan"), 1, 2)):
        with pytest.raises(DataError, match="does not hold"):
            Range(low=low, mid=mid, high=high)
    Range(low=1, mid=1, high=1)
    Range(low=1, mid=2, high=float("inf"))


@given(factor=st.floats(0, 1e6), more=st.floats(-1e6, 1e6))
def test_a_range_scaled_and_shifted_stays_one(factor: float, more: float) -> None:
    assert RANGE * factor == Range(low=factor, mid=2 * factor, high=4 * factor)
    assert RANGE + more == Range(low=1 + more, mid=2 + more, high=4 + more)


def test_parts_add_up() -> None:
    step = StepTime(**{f.name: float(2**i) for i, f in enumerate(fields(StepTime))})
    assert step.total_s == 2 ** len(fields(StepTime)) - 1
    assert list(step.parts()) == [f.name for f in fields(StepTime)]
    memory = MemoryUse(**{f.name: float(2**i) for i, f in enumerate(fields(MemoryUse))})
    assert memory.total_bytes == 2 ** len(fields(MemoryUse)) - 1


def part(low: float, mid: float, high: float) -> Part:
    return Part(name="disks", low_usd=low, mid_usd=mid, high_usd=high, origin=Origin.ASSUMED, why="made up")


def bill(*beside: Part, credits: Part | None = None) -> Bill:
    run = RunTime(
        steady_s=RANGE,
        work_s=RANGE,
        wall_clock_s=RANGE,
        goodput=1.0,
        checkpoint_interval_s=1,
        checkpoint_write_s=1,
        checkpoint_bytes=1,
        interruptions=0,
    )
    return Bill(billing=Billing.SPOT, run=run, billed_h=1, compute_usd=RANGE, beside=beside, credits=credits)


@pytest.mark.parametrize(
    ("at", "hours", "days"),
    [
        (0.0, 0.0, 0),
        (0.0, 12.1, 0),
        (0.0, 24.0, 0),
        (0.0, 25.0, 1),
        (14.95, 11.2, 1),
        (14.95, 9.0, 0),
        (23.9, 0.2, 1),
        (12.0, 240.0, 10),
    ],
)
def test_a_run_is_over_on_the_day_that_it_is_when_it_ends(at: float, hours: float, days: int) -> None:
    start = date(2026, 12, 30)
    assert day_of_end(start, hours * 3600.0, at * 3600.0) == start + timedelta(days=days)
    assert day_of_end(start, 1e300) is None


def test_a_bill_adds_its_parts_case_by_case() -> None:
    assert bill().total_usd == RANGE
    both = bill(part(0, 1, 3), part(10, 10, 10)).total_usd
    assert both == Range(low=RANGE.low + 10, mid=RANGE.mid + 11, high=RANGE.high + 13)


def test_credits_are_taken_off_and_nothing_is_below_nothing() -> None:
    found = bill(part(1, 1, 1), credits=part(-0.5, -0.5, -0.5))
    assert found.gross_usd == RANGE + 1.0
    assert found.total_usd == RANGE + 0.5
    whole = bill(credits=part(-RANGE.low, -RANGE.mid, -RANGE.high * (1 + 1e-15)))
    assert whole.total_usd == Range(low=0.0, mid=0.0, high=0.0)
