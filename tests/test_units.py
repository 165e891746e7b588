import contextlib
import math
import re
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zenplan import units
from zenplan.errors import UsageError

LAZY = settings(max_examples=200, deadline=None, derandomize=True)
PARSERS = (units.parse_count, units.parse_bytes, units.parse_duration_s, units.parse_usd)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7e9", 7e9),
        ("1B", 1e9),
        ("350M", 350e6),
        ("1_000_000", 1e6),
        ("1,500", 1500),
        (" 2 k ", 2000),
        ("1.5T", 1.5e12),
        ("1g", 1e9),
        (".5M", 5e5),
        ("1e3K", 1e6),
        ("+3", 3),
        ("2P", 2e15),
        ("1,000,000", 1e6),
        ("12,345.5", 12_345.5),
        ("7 billion", 7e9),
        ("350 Million", 350e6),
        ("1_0000_0000", 1e8),
        ("5万", 5e4),
        ("1.5 亿", 1.5e8),
        ("300万", 3e6),
        ("2万亿", 2e12),
        ("5.", 5),
    ],
)
def test_counts(text: str, value: float) -> None:
    assert units.parse_count(text) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("text", ["20Gb", "1 Mb", "3Kb", "5Gib", "20Gbit", "8 gbits", "1Tbit", "100 bits"])
def test_sizes_in_bits_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="bits") as caught:
        units.parse_bytes(text, "--dataset-size")
    assert "bytes" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "value"),
    [("1TB", 1e12), ("500GiB", 500 * 2**30), ("2e9", 2e9), ("80 gb", 80e9), ("1KiB", 1024), ("5m", 5e6), ("1b", 1)],
)
def test_sizes(text: str, value: float) -> None:
    # A GB is 1e9 bytes, a GiB 2**30.
    assert units.parse_bytes(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7d", 604_800),
        ("36h", 129_600),
        ("90min", 5400),
        ("2w", 1_209_600),
        ("90m", 5400),
        ("30s", 30),
        ("1.5 H", 5400),
        ("1e3s", 1000),
        ("5d12h", 475_200),
        ("1w2d", 777_600),
        ("36h30min", 131_400),
        (" 1W 2d 3h 4min 5.5 s ", 788_645.5),
        ("1.5d.5h", 131_400),
        ("2 weeks", 1_209_600),
        ("36 hours", 129_600),
        ("10 days", 864_000),
        ("1 day 12 hours", 129_600),
        ("90 minutes", 5400),
        ("3 months", 3 * 365.25 / 12 * 86_400),
        ("1 year", 365.25 * 86_400),
    ],
)
def test_durations(text: str, value: float) -> None:
    assert units.parse_duration_s(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("5000", 5000), ("$5,000", 5000), ("5k", 5000), (" $0.42 ", 0.42), ("5k USD", 5000), ("USD 5000", 5000)),
        *(
            ("US$5k", 5000),
            ("5,000 dollars", 5000),
            ("5000$", 5000),
            ("5000usd", 5000),
            ("1.5 million US dollars", 1.5e6),
        ),
    ],
)
def test_dollars(text: str, value: float) -> None:
    assert units.parse_usd(text) == value


@pytest.mark.parametrize(
    "text",
    [
        *("€500", "500 EUR", "500eur", "£5k", "5k GBP", "¥1000", "500 CHF", "C$500", "HK$ 500", "A$5k", "500 CAD"),
        *("$500 CAD", "₹1000", "5000 euros", "500 pounds", "1 BTC", "20,5 €", "EUR 5.000,00", "500 ¢", "10 XYZ"),
    ],
)
def test_another_currency_is_never_dollars(text: str) -> None:
    with pytest.raises(UsageError, match="not in US dollars") as caught:
        units.parse_usd(text, "--budget")
    assert "dollars" in caught.value.hint


@pytest.mark.parametrize("parse", PARSERS)
@pytest.mark.parametrize(
    ("text", "point"),
    [
        *(("0,5", "0.5"), ("1,5", "1.5"), ("20,5", "20.5"), ("1,0000", "1.0000"), ("0,125", "0.125"), ("1e9,5", "")),
        *(
            ("1,,1", ""),
            ("1,23,456", ""),
            ("1,000,", ""),
            (",5", ""),
            ("1.000.000", ""),
            ("1.000,5", ""),
            ("1,000_000", ""),
        ),
        *(("12,34,567", ""), ("1234,567", "1234.567"), ("1,000,00", "")),
    ],
)
@pytest.mark.parametrize("unit", ["", "k", " k"])
def test_a_comma_that_parts_no_thousands_is_refused(
    parse: Callable[[str], float], text: str, point: str, unit: str
) -> None:
    with pytest.raises(UsageError, match="is not a number") as caught:
        parse(f"{text}{unit}")
    assert point in caught.value.hint
    assert caught.value.hint


@pytest.mark.parametrize("parse", PARSERS)
@pytest.mark.parametrize(
    "text",
    [
        "1_000_",
        "_1",
        "1__0",
        "\uff11\uff10",
        "\u0663",
        "1\u00b2",
        "50%",
        "1/2",
        "NaN",
        "infinity",
        "1 000 000",
        "1'000",
    ],
)
def test_what_programs_or_other_scripts_write_is_refused(parse: Callable[[str], float], text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert caught.value.hint


@pytest.mark.parametrize("parse", PARSERS)
@pytest.mark.parametrize(
    "text", [" " * 3000, f"5{' ' * 3000}x", "1," * 3000, "5 " * 3000, f"{'1_' * 3000}x", "$" * 3000]
)
def test_a_long_text_is_refused_at_once(parse: Callable[[str], float], text: str) -> None:
    start = time.perf_counter()
    with pytest.raises(UsageError):
        parse(text)
    assert time.perf_counter() - start < 1.0


@LAZY
@given(value=st.integers(1, 10**14), decimals=st.integers(0, 999))
def test_a_number_is_read_as_python_writes_it(value: int, decimals: int) -> None:
    for text in (f"{value}", f"{value:,}", f"{value:_}"):
        assert units.parse_count(text) == value
        assert units.parse_usd(f"${text}.{decimals:03}") == pytest.approx(value + decimals / 1000, rel=1e-12)


@LAZY
@given(text=st.from_regex(r"[0-9]{1,4}([,._][0-9]{0,4}){1,3}", fullmatch=True))
def test_a_number_with_separators_is_read_in_one_way_or_not_at_all(text: str) -> None:
    """Whatever is read is what is left without commas in front of three digits, and a comma is nowhere else."""
    with contextlib.suppress(UsageError):
        value = units.parse_count(text)
        whole, _, decimals = text.partition(".")
        assert "," not in decimals
        assert value == float(text.replace(",", "").replace("_", ""))
        groups = whole.split(",")
        assert all(len(group) == 3 for group in groups[1:])
        assert len(groups) == 1 or (1 <= len(groups[0]) <= 3 and groups[0][0] != "0")


def test_hours_are_a_number_or_a_duration() -> None:
    given = {"2": 2.0, "0.5": 0.5, "2h": 2.0, "2 hours": 2.0, "90min": 1.5, "1d12h": 36.0, "3天": 72.0, "1,000": 1000.0}
    assert {text: units.parse_hours(text) for text in given} == given
    for text in ("", "0", "-1h", "2q", "2h1d", "h", "30h"):
        with pytest.raises(UsageError):
            units.parse_hours(text, "hours", 24.0)


def test_a_bare_number_is_no_duration() -> None:
    with pytest.raises(UsageError, match="duration needs a unit: '90'") as caught:
        units.parse_duration_s("90")
    assert "7d" in caught.value.hint


def test_a_part_without_a_unit_is_no_duration() -> None:
    with pytest.raises(UsageError, match="duration needs a unit: '12'") as caught:
        units.parse_duration_s("5d12")
    assert "5d12h" in caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "5d-12h",
        "-5d12h",
        "+5d12h",
        "5d+12h",
        "0d12h",
        "5d0h",
        "5x12h",
        "5d12x",
        "12h5d",
        "1d1d",
        "5m1min",
        "5d,12h",
        "5d and 12h",
        "1e3s2e2s",
        "5d12.h.",
        "d12h",
        "5dd12h",
        "9" * 308 + "w" + "9" * 308 + "d",
        "1d" * 5000,
    ],
)
def test_parts_that_are_no_duration_are_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        units.parse_duration_s(text)
    assert caught.value.hint


DURATIONS = [(units.WEEK_S, "w"), (units.DAY_S, "d"), (units.HOUR_S, "h"), (units.MINUTE_S, "min"), (1.0, "s")]


@LAZY
@given(counts=st.lists(st.integers(0, 999), min_size=5, max_size=5).filter(any))
def test_the_parts_of_a_duration_add_up(counts: list[int]) -> None:
    parts = [(n, size, name) for n, (size, name) in zip(counts, DURATIONS, strict=True) if n]
    text = "".join(f"{n}{name}" for n, _, name in parts)
    assert units.parse_duration_s(text) == sum(n * size for n, size, _ in parts)


@LAZY
@given(text=st.from_regex(r"([-+]?[\d.,_]{0,4}\s?(w|d|h|min|m|s|e|x)?){1,6}", fullmatch=True))
def test_any_parts_are_a_positive_duration_or_a_usage_error(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert 0 < units.parse_duration_s(text) < math.inf


@pytest.mark.parametrize("parse", PARSERS)
@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "x",
        "nan",
        "inf",
        "-1d",
        "0d",
        "0",
        "-5",
        "1e999",
        "1e-999",
        "1 2",
        "1dd",
        "e5",
        "1e",
        "--",
        "0x10",
        "1z",
        "∞",
        "1.2.3",
    ],
)
def test_what_is_no_positive_quantity_is_refused(parse: Callable[[str], float], text: str) -> None:
    with pytest.raises(UsageError):
        parse(text)


@pytest.mark.parametrize("parse", PARSERS)
@LAZY
@given(
    text=st.one_of(
        st.text(max_size=30), st.from_regex(r"[-+$]?[\d.,_]{0,6}(e-?\d{1,4})?[a-zA-Zµ]{0,3}", fullmatch=True)
    )
)
def test_any_text_is_a_positive_number_or_a_usage_error(parse: Callable[[str], float], text: str) -> None:
    refused = None
    try:
        value = parse(text)
    except UsageError as error:
        value, refused = 1.0, error
    assert value > 0
    assert math.isfinite(value)
    assert refused is None or (refused.message and refused.hint)


def test_a_whole_number_is_a_count_without_a_rest() -> None:
    assert [units.parse_whole(text, "--batch", 1e9) for text in ("4096", "4K", "1.5K")] == [4096, 4000, 1500]
    with pytest.raises(UsageError, match=r"--batch must be a whole number, not '1\.5'") as error:
        units.parse_whole("1.5", "--batch", 1e9, example=32)
    assert error.value.hint == "write it as in: 32"
    with pytest.raises(UsageError, match="beyond what zenplan plans for"):
        units.parse_whole("2G", "--batch", 1e9)


def test_a_count_may_have_an_upper_end() -> None:
    assert units.parse_count("1T", most=1e12) == 1e12
    with pytest.raises(UsageError, match="--params of 2T is beyond") as caught:
        units.parse_count("2T", "--params", most=1e12)
    assert "1.00T" in caught.value.hint


# Three significant digits: half a unit of the last of them.
ROUNDING = 0.0051


@LAZY
@given(value=st.floats(0.01, 1e24))
def test_a_shown_count_is_read_back(value: float) -> None:
    assert units.parse_count(units.count(value)) == pytest.approx(value, rel=ROUNDING)


@LAZY
@given(value=st.floats(1, 1e21))
def test_a_shown_size_is_read_back(value: float) -> None:
    assert units.parse_bytes(units.size(value)) == pytest.approx(value, rel=ROUNDING)


@LAZY
@given(value=st.floats(1, 0.999 * units.YEAR_S))
def test_a_shown_duration_is_read_back(value: float) -> None:
    assert units.parse_duration_s(units.duration(value)) == pytest.approx(value, rel=ROUNDING)


@LAZY
@given(value=st.floats(1, 1e13))
def test_shown_dollars_are_read_back(value: float) -> None:
    assert units.parse_usd(units.usd(value)) == pytest.approx(value, rel=ROUNDING)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (1.24e9, "1.24B"),
        (350e6, "350M"),
        (512, "512"),
        (999.9, "1,000"),
        (999_900, "1.00M"),
        (1e15, "1.00P"),
        (0.5, "0.500"),
        (1000, "1.00K"),
    ],
)
def test_counts_for_people(value: float, shown: str) -> None:
    assert units.count(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(18e9, "18.0 GB"), (999.6e6, "1.00 GB"), (1.5e15, "1.50 PB"), (1234, "1.23 kB"), (7, "7.00 B"), (0, "0 B")],
)
def test_sizes_for_people(value: float, shown: str) -> None:
    assert units.size(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (850e-6, "850 µs"),
        (12.5e-3, "12.5 ms"),
        (3.2, "3.20 s"),
        (59.99, "1.00 min"),
        (840, "14.0 min"),
        (6.1 * 3600, "6.10 h"),
        (36 * 3600, "36.0 h"),
        (12.4 * 86400, "12.4 d"),
        (1.2 * 365.25 * 86400, "1.20 y"),
        (0, "0 s"),
        (2e-9, "0.00200 µs"),
        (math.inf, "∞ y"),
    ],
)
def test_durations_for_people(value: float, shown: str) -> None:
    assert units.duration(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.42, "$0.42"),
        (12.3, "$12.30"),
        (1234.4, "$1,234"),
        (1.234e6, "$1.23M"),
        (999_600, "$1.00M"),
        (2.5e9, "$2.50B"),
        (0.0, "$0"),
        (0.0042, "$0.0042"),
        (3e-9, "<$0.000001"),
    ],
)
def test_dollars_for_people(value: float, shown: str) -> None:
    assert units.usd(value) == shown


@LAZY
@given(value=st.floats(1e-300, 1e13))
def test_only_nothing_is_shown_as_nothing(value: float) -> None:
    for sign in ("$", "CHF "):
        assert re.search("[1-9]", units.money(value, sign))


def test_the_rest_for_people() -> None:
    assert units.flop(1.2e20) == "1.20e+20 FLOP"
    assert units.flop_per_s(989.4e12) == "989 TFLOP/s"
    assert units.percent(0.4) == "40 %"
    assert units.percent(0.054) == "5.4 %"
    assert units.significant(math.nan) == "nan"
    assert units.significant(-math.inf) == "-inf"


def test_a_range_says_a_common_unit_once() -> None:
    assert units.span("3.1 h", "4.2 h") == "3.1–4.2 h"
    assert units.span("59 min", "1.2 h") == "59 min–1.2 h"
    assert units.span("$10", "$20") == "$10–20"
    assert units.span("1.2", "3") == "1.2–3"
    assert units.span("10.0 min", "10.0 min") == "10.0 min"
    assert units.span("CHF 10", "CHF 20") == "CHF 10–20"
    assert units.span("CHF 10", "CHF 10") == "CHF 10"
    assert units.span("<$0.000001", "$0.01") == "<$0.000001–$0.01"


@pytest.mark.parametrize(
    ("text", "value"), [("7e9", 7e9), (" -0.5 ", -0.5), ("inf", math.inf), ("7B", None), ("", None)]
)
def test_numbers_as_programs_write_them(text: str, value: float | None) -> None:
    assert units.number_of(text) == value


def test_an_amount_is_finite_and_above_zero() -> None:
    assert [units.is_amount(v) for v in (1e-320, 1e308, 0.0, -1.0, math.inf, math.nan)] == [True, True] + [False] * 4


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("100", 100),
        ("0", None),
        ("101", None),
        ("-1", None),
        ("1.0", None),
        ("\u0663", None),
        ("²", None),
        ("", None),
        # More digits than Python converts.
        ("9" * 5000, None),
    ],
)
def test_plain_digits_up_to_a_most(text: str, value: int | None) -> None:
    assert units.digits_of(text, 100) == value


@pytest.mark.parametrize("parse", [units.parse_count, units.parse_usd])
def test_next_to_nothing_is_no_amount(parse: Callable[[str], float]) -> None:
    assert parse("1e-12") == 1e-12
    with pytest.raises(UsageError, match="5e-324 is less than zenplan plans for"):
        parse("5e-324")


@given(st.lists(st.floats(1e-3, 1e9), min_size=1, max_size=4))
def test_dollars_side_by_side_are_told_apart_where_they_differ(amounts: list[float]) -> None:
    shown = units.usd_apart(*amounts)
    assert len(shown) == len(amounts)
    for one, a in zip(amounts, shown, strict=True):
        for two, b in zip(amounts, shown, strict=True):
            if one == two:
                assert a == b
            elif max(one, two) < 100 and max(one, two) > 1.02 * min(one, two):
                assert a != b, (one, two)


def test_as_few_digits_are_shown_as_tell_dollars_apart() -> None:
    assert units.usd_apart(0.0161, 0.0239) == ("$0.016", "$0.024")
    assert units.usd_apart(0.5, 1.0) == ("$0.50", "$1.00")
    assert units.usd_apart(3.0, 3.0) == ("$3.00", "$3.00")
    assert units.usd_apart(1234.0, 12.0) == ("$1,234", "$12.00")


def test_a_count_has_its_plural() -> None:
    assert [units.many(n, "row") for n in (0, 1, 2, 1000)] == ["0 rows", "1 row", "2 rows", "1,000 rows"]


@pytest.mark.parametrize("text", ["0", "0.0", "$0", "0 USD", "0%"])
def test_what_there_may_be_none_of_can_be_zero(text: str) -> None:
    assert units.or_zero(units.parse_usd)(text, "--price") == 0


def test_what_there_may_be_none_of_is_parsed_as_ever_where_there_is_some() -> None:
    assert units.or_zero(units.parse_share)("5%", "--resale") == 0.05
    with pytest.raises(UsageError):
        units.or_zero(units.parse_share)("-5%", "--resale")
