"""Currency: another one than US dollars, at a rate that the user or their price book gives."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from zenplan.domain import checks

_SIGNS = {"EUR": "€", "GBP": "£", "JPY": "¥", "INR": "₹", "KRW": "₩", "USD": "$"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Currency:
    """A currency at a rate.

    Attributes:
        code: ISO 4217.
        per_usd: so much of it is one dollar.
        as_of: the day of that rate; None where it was not said.
        source: who says so.
    """

    code: str
    per_usd: float
    as_of: date | None = None
    source: str = "as given"

    def __post_init__(self) -> None:
        checks.named("currency", code=self.code, source=self.source)
        checks.positive(f"currency {self.code}", per_usd=self.per_usd)

    @property
    def sign(self) -> str:
        """What stands before an amount."""
        return _SIGNS.get(self.code, f"{self.code} ")


def is_code(text: str) -> bool:
    """Whether it is written as ISO 4217 writes codes, in any case: three letters."""
    return len(text) == 3 and text.isascii() and text.isalpha()
