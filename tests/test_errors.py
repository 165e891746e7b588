import inspect

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zenplan import errors
from zenplan.errors import DataError, InputFileError, NoFit, Skipped, UnknownName, UsageError, ZenplanError, nearest

GPUS = ("A100-SXM4-80GB", "H100-SXM5-80GB", "H200-SXM-141GB", "RTX-4090", "V100-SXM2-16GB")


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (ZenplanError, 1),
        (DataError, 1),
        (Skipped, 1),
        (UsageError, 2),
        (UnknownName, 2),
        (InputFileError, 1),
        (NoFit, 3),
    ],
)
def test_exit_codes(kind: type[ZenplanError], code: int) -> None:
    assert kind.exit_code == code
    assert issubclass(kind, ZenplanError)


def test_every_error_stands_in_the_tree_at_the_top() -> None:
    kinds = [k for _, k in inspect.getmembers(errors, inspect.isclass) if issubclass(k, Exception)]
    assert len(kinds) == 8
    assert errors.__doc__ is not None
    for kind in kinds:
        assert kind.__name__ in errors.__doc__


def test_an_error_has_a_message_and_a_hint() -> None:
    error = UsageError("wrong", "do this")
    assert (str(error), error.message, error.hint) == ("wrong", "wrong", "do this")
    assert NoFit("no").hint == ""


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("rtx 4090", "RTX-4090"),
        ("RTX4090", "RTX-4090"),
        ("h100sxm5", "H100-SXM5-80GB"),
        ("h200", "H200-SXM-141GB"),
        ("A100-SXM-80GB", "A100-SXM4-80GB"),
    ],
)
def test_the_nearest_name_comes_first(typed: str, first: str) -> None:
    assert nearest(typed, GPUS)[0] == first


def test_nothing_near_is_nothing() -> None:
    assert nearest("tpu", GPUS) == []
    assert nearest("h", GPUS) == []
    # What stands in the middle of a word is no part of a name.
    assert nearest("m3", ("V100-SXM3-32GB", "H100-SXM5-80GB")) == []
    assert nearest("m3", ("V100-M3-32GB",)) == ["V100-M3-32GB"]
    assert nearest("h100", ()) == []


@settings(max_examples=100, deadline=None, derandomize=True)
@given(typed=st.text(max_size=20), known=st.lists(st.text(min_size=1, max_size=10), max_size=10))
def test_only_known_names_are_suggested(typed: str, known: list[str]) -> None:
    found = nearest(typed, known)
    assert len(found) <= 3
    assert set(found) <= set(known)
    if any(c.isalnum() for c in typed):
        assert typed not in known or nearest(typed, known)


def test_an_unknown_name_asks_whether_another_was_meant() -> None:
    error = UnknownName("accelerator", "h200", GPUS, listing="zenplan accelerators")
    assert error.message == "unknown accelerator 'h200'"
    assert error.hint == "did you mean H200-SXM-141GB? 'zenplan accelerators' lists all"
    assert UnknownName("accelerator", "h200", GPUS).hint == "did you mean H200-SXM-141GB?"


def test_an_unknown_name_far_from_all_says_where_they_are() -> None:
    assert UnknownName("gpu", "zzz", GPUS, listing="zenplan accelerators").hint == "'zenplan accelerators' lists them"
    assert UnknownName("gpu", "zzz", ("a", "b")).hint == "known: a, b"
    assert (
        UnknownName("gpu", "h200", GPUS, "list", "or else").hint
        == "did you mean H200-SXM-141GB? 'list' lists all; or else"
    )
    assert UnknownName("gpu", "zzz", map(str, range(100, 130))).hint.endswith(", …")


def test_what_a_terminal_would_take_for_a_command_is_shown_as_a_sign() -> None:
    assert errors.printable("Größe 7") == "Größe 7"
    assert errors.printable("a\x1b[31m\nb") == "a\N{REPLACEMENT CHARACTER}[31m\N{REPLACEMENT CHARACTER}b"
    assert errors.printable("a\tb", " ") == "a b"
