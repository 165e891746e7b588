"""Documents: nouns go out under their own names, what is not finite is null or refused, and the schema says which."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Annotated, Any

import msgspec
import numpy as np
import pytest
from jsonschema import Draft202012Validator
from msgspec import Meta

from zenplan.documents import Document, convert, decode, file_of, fill, plain, published, schema
from zenplan.domain.range import Range
from zenplan.errors import DataError


class Between(Document):
    """From, to."""

    low: Annotated[float, Meta(ge=0, description="Low end, in seconds.")]
    high: Annotated[float | None, Meta(description="High end, in seconds; null where there is none.")]


class Outer(Document, tag_field="schema", tag="zenplan.outer/3"):
    """Answer of nobody.

    What a test
    asks for.
    """

    took: Annotated[Between, Meta(description="A time.")]
    many: Annotated[tuple[Between, ...], Meta(description="Times.")]
    more: Annotated[int | msgspec.UnsetType, Meta(description="Only sometimes.")] = msgspec.UNSET


@dataclass(frozen=True)
class Noun:
    took: Any
    other: int = 5


def outer(low: float, high: float | None = 2.0) -> Outer:
    return Outer(took=Between(low=low, high=high), many=(Between(low=1, high=1.5),))


def test_a_noun_goes_out_under_its_own_names_but_for_what_is_given() -> None:
    found = fill(Between, Range(low=1, mid=2, high=3), high=4.0)
    assert plain(found) == {"low": 1, "high": 4.0}
    assert type(plain(found)["low"]) is int


@pytest.mark.parametrize("own", [{}, {"many": (), "nobody": 1}])
def test_what_neither_has_is_an_error(own: dict[str, Any]) -> None:
    with pytest.raises((AttributeError, TypeError)):
        fill(Outer, Noun(took=Between(low=1, high=2)), **own)


def test_a_document_has_its_schema_first_and_only_json_types() -> None:
    found = published(outer(1.0))
    assert list(found) == ["schema", "took", "many"]
    assert found == json.loads(json.dumps(found))
    assert found["schema"] == "zenplan.outer/3"


@pytest.mark.parametrize("figure", [math.inf, -math.inf, math.nan])
def test_what_is_not_finite_is_null_where_that_is_allowed(figure: float) -> None:
    assert published(outer(1.0, figure))["took"] == {"low": 1.0, "high": None}


@pytest.mark.parametrize("figure", [math.inf, -math.inf, math.nan])
def test_what_is_not_finite_is_refused_elsewhere_and_the_error_says_where(figure: float) -> None:
    with pytest.raises(DataError, match=r"Outer.* not finite.*\$\.took\.low"):
        published(outer(figure))


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (np.float64(0.1), 0.1),
        (MappingProxyType({"a": (1, 2)}), {"a": (1, 2)}),
        (date(2026, 12, 1), "2026-12-01"),
    ],
)
def test_what_json_does_not_know_goes_out_as_what_it_is_like(value: Any, written: Any) -> None:
    assert plain(value) == written
    assert type(plain(value)) is type(written)


def test_a_schema_has_address_title_description_and_what_must_be_there() -> None:
    made = schema(Outer)
    Draft202012Validator.check_schema(made)
    assert made["$id"].endswith("/schemas/outer-3.json")
    assert made["$id"].endswith(file_of("zenplan.outer/3"))
    assert (made["title"], made["description"]) == ("Answer of nobody", "What a test asks for.")
    assert made["required"] == ["schema", "took", "many"]
    assert made["additionalProperties"] is False
    check = Draft202012Validator(made)
    assert check.is_valid(published(outer(1.0)))
    assert check.is_valid(published(outer(1.0, math.inf)))
    assert not check.is_valid(published(outer(-1.0)))


@pytest.mark.parametrize("text", ["", "[", "{}", '{"low": "x", "high": null}', '{"low": -1, "high": 2}', "[" * 100_000])
def test_what_is_no_such_document_is_told_with_a_hint(text: str) -> None:
    with pytest.raises(DataError, match=r"^the plan: ") as found:
        decode(text, Between, "the plan")
    assert found.value.hint
    with pytest.raises(DataError, match=r"^the plan: ") as found:
        convert({"low": text}, Between, "the plan")
    assert found.value.hint
