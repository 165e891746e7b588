"""One of several dataclasses in a field, as JSON and back; what is wrong is said with its place."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal

import msgspec
import pytest

from zenplan import documents
from zenplan.domain import checks
from zenplan.errors import DataError


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    size: float
    colour: Colour = Colour.RED

    def __post_init__(self) -> None:
        checks.positive("leaf", size=self.size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fruit:
    size: float
    seeds: tuple[int, ...] = ()
    kind: Literal["apple", "pear"] = "apple"


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    name: str
    ends: tuple[Leaf | Fruit, ...]
    best: Leaf | Fruit | None = None
    by_name: dict[str, Annotated[Leaf | Fruit, msgspec.Meta(description="one")]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pot:
    name: str


class Tree(msgspec.Struct, frozen=True, kw_only=True, tag_field="plant", tag="tree"):
    branches: tuple[Branch, ...]
    pot: Pot | None = None


class Stone(msgspec.Struct, frozen=True, kw_only=True, tag_field="plant", tag="stone"):
    weight: float = 1.0


LEAF, FRUIT = Leaf(size=2), Fruit(size=2.5, seeds=(1, 2), kind="pear")
BRANCH = Branch(name="b", ends=(LEAF, FRUIT, LEAF), best=FRUIT, by_name={"one": LEAF})
TREE = Tree(branches=(BRANCH, Branch(name="c", ends=())), pot=Pot(name="p"))


def test_each_comes_back_as_its_class_and_whole_numbers_stay_whole() -> None:
    found = documents.decode(documents.encode(TREE), Tree, "the tree")
    assert found == TREE
    assert isinstance(found.branches[0].ends[0].size, int)
    assert isinstance(found.branches[0].ends[1].size, float)
    assert found.branches[0].ends[0].colour is Colour.RED


def test_the_class_is_written_where_it_must_be_told_and_nowhere_else() -> None:
    written = documents.plain(TREE)
    assert (written["plant"], written["pot"]) == ("tree", {"name": "p"})
    assert list(written["branches"][0]) == ["name", "ends", "best", "by_name"]
    assert [end["type"] for end in written["branches"][0]["ends"]] == ["Leaf", "Fruit", "Leaf"]
    assert documents.plain(LEAF) == {"size": 2, "colour": "red"}


def test_what_is_left_out_is_the_constructors_default() -> None:
    text = '{"name": "b", "ends": [{"type": "Fruit", "size": 1}], "more": 4}'
    assert documents.decode(text, Branch, "it") == Branch(name="b", ends=(Fruit(size=1),))


def test_a_union_of_structs_that_hold_them_is_read_by_their_tag() -> None:
    either: Any = Tree | Stone
    assert documents.decode(documents.encode(TREE), either, "it") == TREE
    assert documents.decode('{"plant": "stone"}', either, "it") == Stone()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        ({"type": "Stone"}, r"it: Invalid value 'Stone' - at `\$.ends\[0\].type`"),
        ({"type": 4}, r"Expected `str` - at `\$.ends\[0\].type`"),
        ({"size": "2"}, r"Expected `int \| float`, got `str` - at `\$.ends\[0\].size`"),
        ({"size": True}, r"Expected `int \| float`, got `bool` - at `\$.ends\[0\].size`"),
        ({"size": -1}, r"it: leaf: size must be above zero and finite, not -1 - at `\$.ends\[0\]`"),
        ({"size": 10**400}, r"at `\$.ends\[0\].size`"),
        ({"colour": "blue"}, r"Invalid enum value 'blue' - at `\$.ends\[0\].colour`"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(spoil: dict[str, Any], said: str) -> None:
    document = documents.plain(BRANCH)
    document["ends"][0].update(spoil)
    with pytest.raises(DataError, match=said):
        documents.decode(json.dumps(document), Branch, "it")
    with pytest.raises(DataError):
        documents.convert(document, Branch, "it")


def test_texts_of_others_are_made_printable_and_ours_are_left_as_they_are() -> None:
    text = documents.encode(Tree(branches=(Branch(name="a\x1b[2J", ends=()),), pot=Pot(name="\n")))
    ours = documents.decode(text, Tree, "it")
    theirs = documents.decode(text, Tree, "it", foreign=True)
    assert (ours.branches[0].name, ours.pot) == ("a\x1b[2J", Pot(name="\n"))
    assert (theirs.branches[0].name, theirs.pot) == (
        "a\N{REPLACEMENT CHARACTER}[2J",
        Pot(name="\N{REPLACEMENT CHARACTER}"),
    )
