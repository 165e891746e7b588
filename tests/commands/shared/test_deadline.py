"""Deadlines as people write them: what is read, what may be meant in two ways, and what is no deadline."""

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zenplan.commands.shared.deadline import parse_deadline_s
from zenplan.errors import UsageError
from zenplan.units import DAY_S

TODAY = date(2026, 11, 29)
LAZY = settings(max_examples=200, deadline=None, derandomize=True)


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("7d", 7),
        ("36h", 1.5),
        ("5d12h", 5.5),
        ("2 weeks", 14),
        ("in 2 weeks", 14),
        ("within 10 days", 10),
        ("3 months", 3 * 365.25 / 12),
        ("1 year", 365.25),
        ("5m", 5 / 1440),
        ("2周", 14),
    ],
)
def test_a_time_from_now(text: str, days: float) -> None:
    assert parse_deadline_s(text, "--deadline", TODAY) == pytest.approx(days * DAY_S)


@pytest.mark.parametrize(
    "text",
    [
        "2027-03-01",
        "2027/3/1",
        "by 2027-03-01",
        "1 March",
        "1st of March",
        "March 1",
        "Mar 1st",
        "by 1 March 2027",
        "March 1, 2027",
        "until 1 Mar. 2027",
        "1.3.2027",
        " 01.03.2027 ",
        "1.3.",
    ],
)
def test_a_day_of_the_calendar(text: str) -> None:
    assert parse_deadline_s(text, "--deadline", TODAY) == ((date(2027, 3, 1) - TODAY).days + 1) * DAY_S


@pytest.mark.parametrize("text", ["2026-11-29", "29 November", "by 29.11."])
def test_a_day_counts_from_now_to_its_end(text: str) -> None:
    # At 15:00 nine hours are left of the day, and of the next 24 more.
    assert parse_deadline_s(text, "--deadline", TODAY, 15 * 3600.0) == 9 * 3600.0
    assert parse_deadline_s("2026-11-30", "--deadline", TODAY, 15 * 3600.0) == 33 * 3600.0
    assert parse_deadline_s("7d", "--deadline", TODAY, 15 * 3600.0) == 7 * DAY_S


def test_a_day_that_can_be_read_in_one_way_only() -> None:
    assert parse_deadline_s("13/04/2027", "--deadline", TODAY) == parse_deadline_s("13 April 2027", "x", TODAY)
    assert parse_deadline_s("4/13", "--deadline", TODAY) == parse_deadline_s("13 April", "x", TODAY)
    assert parse_deadline_s("29 February", "--deadline", TODAY) == ((date(2028, 2, 29) - TODAY).days + 1) * DAY_S


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("end of January", date(2027, 1, 31)),
        ("by the end of February", date(2027, 2, 28)),
        ("end of Feb 2028", date(2028, 2, 29)),
        ("end of November", date(2026, 11, 30)),
    ],
)
def test_the_last_day_of_a_month(text: str, day: date) -> None:
    assert parse_deadline_s(text, "--deadline", TODAY) == ((day - TODAY).days + 1) * DAY_S


@pytest.mark.parametrize("text", ["03/04", "3/4/2027", "03-04-2027", "by 12/1"])
def test_a_day_that_may_be_one_of_two_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="two ways") as caught:
        parse_deadline_s(text, "--deadline", TODAY)
    assert caught.value.hint.count("20") >= 2


@pytest.mark.parametrize("text", ["2026-11-28", "1 March 2026", "2020-01-01"])
def test_a_day_that_is_over_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="today") as caught:
        parse_deadline_s(text, "--deadline", TODAY)
    assert caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "soon",
            "by",
            "March",
            "March 2027",
            "31 February",
            "30/2/2027",
            "32 March",
            "2027-13-01",
            "1 Ma",
            "1.3.27",
        ),
        *("by 7", "7", "20270301", "0 March", "-1 March", "1 March 2027 or so", "2027-03", "\u0661 March", "by 7x"),
    ],
)
def test_what_is_no_deadline_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_deadline_s(text, "--deadline", TODAY)
    assert caught.value.message.startswith("--deadline")
    assert caught.value.hint


@LAZY
@given(days=st.integers(1, 300), year=st.booleans())
def test_a_written_day_is_read_back(days: int, year: bool) -> None:
    day = TODAY + timedelta(days=days)
    end = f" {day.year}" if year else ""
    for text in (
        day.isoformat(),
        f"{day.day} {day:%B}{end}",
        f"{day:%b} {day.day}{end}",
        f"by {day.day} {day:%b}{end}",
    ):
        assert parse_deadline_s(text, "--deadline", TODAY) == (days + 1) * DAY_S


@LAZY
@given(text=st.one_of(st.text(max_size=20), st.from_regex(r"(by |in )?[0-9]{1,4}[-/. ][0-9]{0,2}[-/. ]?[0-9]{0,4}")))
def test_any_text_is_ahead_or_a_usage_error(text: str) -> None:
    found, hint = 1.0, "read"
    try:
        found = parse_deadline_s(text, "--deadline", TODAY)
    except UsageError as error:
        hint = error.hint
    assert found > 0
    assert hint
