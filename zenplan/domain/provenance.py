"""Where a number comes from. Nothing is shown without it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from zenplan.domain import checks


class Origin(StrEnum):
    """The kinds of evidence, strongest first."""

    GIVEN = "given"  # by the user
    MEASURED = "measured"  # on this machine
    DATA_SHEET = "data sheet"
    PUBLISHED = "published"  # in the source named
    DERIVED = "derived"  # computed from others of this list
    ASSUMED = "assumed"  # by us


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One input of an estimate, for people: nothing is computed from it.

    Attributes:
        name: what it is.
        value: as shown.
        origin: where the value comes from.
        why: it is that; empty where nothing is to be said.
    """

    name: str
    value: str
    origin: Origin
    why: str = ""

    def __post_init__(self) -> None:
        checks.named("fact", name=self.name, value=self.value)
