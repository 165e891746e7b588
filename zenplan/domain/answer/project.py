"""Project: what a founder pays beside one run: experiments, further runs, data, people who label them."""

from __future__ import annotations

from dataclasses import dataclass

from zenplan.domain.provenance import Origin
from zenplan.domain.range import Range


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """One line of the project's bill.

    Attributes:
        usd: None where it is not known.
        counted: in the total: what was given is, a range that was assumed is shown beside it.
    """

    name: str
    usd: Range | None
    counted: bool
    origin: Origin
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """What is spent on the runs in one month, at the middle of their bill: ``2026-12``."""

    month: str
    usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """The whole bill around the recommended plan.

    Attributes:
        costs: the runs first.
        total_usd: of the costs that are counted; None where the run has no price.
        wall_clock_s: of all runs that were given, one after another.
        months: in order.
    """

    costs: tuple[Cost, ...]
    total_usd: Range | None
    wall_clock_s: Range
    months: tuple[Month, ...]
