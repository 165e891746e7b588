"""Credits: dollars that a provider has given, which pay for what is used until a day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from zenplan.domain import checks


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """An amount at one provider.

    Attributes:
        usd: what is left of it.
        until: the last day on which it pays; None where it does not expire.
        source: who says so.
    """

    provider: str
    usd: float
    until: date | None = None
    source: str

    def __post_init__(self) -> None:
        checks.named("credit", provider=self.provider, source=self.source)
        checks.positive("credit", usd=self.usd)
