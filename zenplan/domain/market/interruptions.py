"""How often spot machines are taken away."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from zenplan.domain import checks
from zenplan.domain.range import Range


@dataclass(frozen=True, slots=True, kw_only=True)
class Interruptions:
    """Of machines of one kind.

    Attributes:
        per_node_s: chance in a second that one machine is taken.
        what: the figure that it was made of, for people.
        as_of: when that was seen; None where its source has no date.
        source: where.
    """

    per_node_s: Range
    what: str
    as_of: date | None
    source: str

    def __post_init__(self) -> None:
        checks.not_negative("interruptions", low=self.per_node_s.low, high=self.per_node_s.high)
        checks.named("interruptions", what=self.what, source=self.source)
