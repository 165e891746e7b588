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
    """One input of an estimate: its name, its value as shown, its origin, and why it is what it is."""

    name: str
    value: str
    origin: Origin
    why: str = ""

    def __post_init__(self) -> None:
        checks.named("fact", name=self.name, value=self.value)
