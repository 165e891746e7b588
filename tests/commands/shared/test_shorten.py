"""Names shortened so that they stay different."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenplan.commands.shared.shorten import shortened

LONG = "github.com/somebody/something/"


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["one", "two"], ["one", "two"]),
        ([f"{LONG}a", f"{LONG}b"], ["…ebody/something/a", "…ebody/something/b"]),
        ([f"one{LONG}c", f"two{LONG}c"], ["one…", "two…"]),
        ([f"{LONG}one/benchmarks/README.md", f"{LONG}two/benchmarks/README.md"], ["…one…", "…two…"]),
    ],
)
def test_names_that_differ_stay_different(names: list[str], shown: list[str]) -> None:
    found = shortened(names, 18)
    assert found == shown


@given(st.lists(st.text("ab/", max_size=30), max_size=8))
def test_no_name_is_too_long_and_one_name_stays_one(names: list[str]) -> None:
    found = shortened(names, 9)
    assert len(found) == len(names)
    assert all(len(name) <= 9 for name in found)
    pairs = set(zip(names, found, strict=True))
    assert len(pairs) == len(set(names))
    assert all(shown == name for name, shown in pairs if len(name) <= 9)


def test_names_that_differ_in_the_middle_of_many_are_shown_from_there() -> None:
    maker, page = "somebody/many-examples:", "/language-modeling/README.md"
    names = [
        f"{maker}one{page}",
        f"{maker}two{page}",
        "elsewhere/with/another/README.md",
        "a/third/place/of/figures.csv",
    ]
    assert shortened(names, 14)[:2] == ["…one/language…", "…two/language…"]
    assert len(set(shortened(names, 14))) == 4
