"""Texts in one form, and what is dropped of them."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenplan.adapters.corpus.cleaning import Filters, normalised

PROSE = "The quick brown fox jumps over the lazy dog and runs into the dark forest.\nIt was never seen again."


@given(st.text(st.characters(codec=None)))
def test_a_normalised_text_is_stays_and_can_be_written(text: str) -> None:
    found = normalised(text)
    assert normalised(found) == found
    assert "\r" not in found
    assert unicodedata.is_normalized("NFC", found)
    found.encode("utf-8")


def test_one_form_of_letters_and_line_ends() -> None:
    assert normalised("a\r\nb\rc\n") == "a\nb\nc\n"
    assert normalised("e\u0301") == "\u00e9"
    assert normalised("half \ud83d a pair") == "half ? a pair"


@pytest.mark.parametrize(
    ("filters", "text", "why"),
    [
        (Filters(), "", "empty"),
        (Filters(), " \n\t", "empty"),
        (Filters(), "\x01\x02\x03 text", "control"),
        (Filters(), "\ufffd\ufffd text", "decoded"),
        (Filters(min_chars=10), "too short", "shorter than 10"),
        (Filters(max_chars=3), "long", "longer than 3"),
        (Filters(prose=True), "x = 1\ny = 2\n" * 20, "words of an unusual length"),
        (Filters(prose=True), "1234 5678 9012 words 3456", "few words with letters"),
        (Filters(prose=True), "some words again\n" * 9, "repeat"),
        (
            Filters(prose=True),
            "- one thing and many more of them\n- another thing with words\n- third thing of all",
            "list",
        ),
        (
            Filters(prose=True),
            "many words that all at once just end...\nmore words that come to the same end...\nmany other lines of words",
            "cut off",
        ),
    ],
)
def test_a_text_is_dropped_with_its_reason(filters: Filters, text: str, why: str) -> None:
    assert why in filters.why_not(text)


@pytest.mark.parametrize("filters", [Filters(), Filters(prose=True), Filters(min_chars=20, max_chars=200)])
def test_a_good_text_is_kept(filters: Filters) -> None:
    assert filters.why_not(PROSE) == ""


def test_code_is_no_prose_and_is_kept_where_prose_is_not_asked_for() -> None:
    code = "def f(x):\n    return x + 1\n"
    assert Filters().why_not(code) == ""
