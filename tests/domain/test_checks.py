"""Where a noun is not what its declared types say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
import pytest

from zenplan.domain.checks import not_negative, positive, unlike
from zenplan.errors import DataError


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True, kw_only=True)
class Part:
    size: float
    count: int = 1
    colour: Colour = Colour.RED


@dataclass(frozen=True, kw_only=True)
class Other:
    name: str = "other"


@dataclass(frozen=True, kw_only=True)
class Whole:
    parts: tuple[Part | Other, ...] = ()
    named: Mapping[str, Part | None] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)
    ready: bool = False
    pairs: tuple[tuple[str, Whole], ...] = ()


@pytest.mark.parametrize(
    "noun",
    [
        Whole(),
        Whole(parts=(Part(size=1), Other()), named={"a": Part(size=np.float32(2.0), count=np.int64(3)), "b": None}),
        Whole(more={"a": 1, "b": object()}, ready=True),
        Whole(pairs=(("a", Whole()), ("b", Whole(pairs=(("c", Whole()),))))),
    ],
)
def test_what_is_as_declared(noun: Whole) -> None:
    assert unlike(noun, Whole) == ""


@pytest.mark.parametrize(
    ("noun", "reason"),
    [
        (7, "it returned a int, not Whole"),
        (Whole(pairs=((1, Whole()),)), "pairs[0][0]: a int, not str"),
        (Whole(pairs=(("a", Part(size=1)),)), "pairs[0][1]: a Part, not Whole"),
        (Whole(pairs=(("a",),)), "pairs[0] has 1 parts, not 2"),
        (Whole(parts=[Part(size=1)]), "parts: a list, not tuple"),
        (Whole(parts=(Part(size=1), 7)), "parts[1]: a int, not Part or Other"),
        (Whole(parts=(Part(size="1"),)), "parts[0].size: a str, not float"),
        (Whole(parts=(Part(size=True),)), "parts[0].size: a bool, not float"),
        (Whole(parts=(Part(size=float("inf")),)), "parts[0].size is inf"),
        (Whole(parts=(Part(size=1, count=1.0),)), "parts[0].count: a float, not int"),
        (Whole(parts=(Part(size=1, count=False),)), "parts[0].count: a bool, not int"),
        (Whole(parts=(Part(size=1, colour="red"),)), "parts[0].colour: a str, not Colour"),
        (Whole(parts=(Other(name=None),)), "parts[0].name: a NoneType, not str"),
        (Whole(named={"a": Other()}), "named['a']: a Other, not Part"),
        (Whole(named={7: None}), "named[7]: a int, not str"),
        (Whole(named=()), "named: a tuple, not Mapping"),
        (Whole(ready=1), "ready: a int, not bool"),
    ],
)
def test_what_is_not_is_named_with_its_place(noun: Any, reason: str) -> None:
    assert unlike(noun, Whole) == reason


def test_a_number_that_is_none_is_named_by_its_field() -> None:
    for check in (positive, not_negative):
        with pytest.raises(DataError, match="price: usd_per_h must be a number, not '15'"):
            check("price", usd_per_h="15")
