"""Currency: another one than US dollars, at a rate that the user gives."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from zenplan.domain import checks

_SIGNS = {"EUR": "€", "GBP": "£", "JPY": "¥", "INR": "₹", "KRW": "₩", "USD": "$"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Currency:
    """A currency by its ISO 4217 code; ``per_usd`` of it are one dollar, as of a day (None: not said)."""

    code: str
    per_usd: float
    as_of: date | None = None

    def __post_init__(self) -> None:
        checks.named("currency", code=self.code)
        checks.positive(f"currency {self.code}", per_usd=self.per_usd)

    @property
    def sign(self) -> str:
        """What stands before an amount."""
        return _SIGNS.get(self.code, f"{self.code} ")
