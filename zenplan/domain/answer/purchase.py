"""Buying hardware against renting it: what each costs a year, and from when on buying is cheaper."""

from __future__ import annotations

from dataclasses import dataclass

from zenplan.domain.market.hardware import Hardware
from zenplan.domain.market.offer import Offer
from zenplan.domain.provenance import Fact, Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Rent:
    """An offer that would do the same.

    Attributes:
        kind: what it is the cheapest of: a class of providers.
        machines: of it, for as many devices.
        usd_per_h: of all of them.
        usd_per_year: for the hours in which the hardware would work.
        even_utilisation: from which share of all hours on buying is cheaper; None where it never is.
        even_months: until the rent that was not paid has paid for the purchase; None where it never does.
        worth_usd: what may be paid for all of the hardware, at that utilisation, for both to cost the same.
    """

    kind: str
    offer: Offer
    machines: int
    usd_per_h: float
    usd_per_year: float
    even_utilisation: float | None
    even_months: float | None
    worth_usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """The same with another value of one input.

    Attributes:
        value: as it is shown.
        usd_per_year: of owning, all of the hardware.
        even_utilisation: against the cheapest rent; None where buying never is cheaper.
    """

    value: str
    usd_per_year: float
    even_utilisation: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumption:
    """An input, and what a lower and a higher value of it make.

    Attributes:
        input: its name, as its flag.
        value: what was taken.
        origin, why: where that is from.
        shifts: with a lower and a higher value.
    """

    input: str
    value: str
    origin: Origin
    why: str
    shifts: tuple[Shift, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """The answer.

    Attributes:
        hardware: that may be bought.
        devices: in all.
        price_given: whether somebody asks that price for it; else it is what it is worth against the cheapest rent.
        usd_per_year: of owning all of it.
        parts: of that, in the order in which they add up.
        rents: the cheapest of all first, then of each other class of providers.
        assumptions: every input.
    """

    hardware: Hardware
    devices: int
    price_given: bool
    usd_per_year: float
    parts: tuple[Fact, ...]
    rents: tuple[Rent, ...]
    assumptions: tuple[Assumption, ...]

    @property
    def price_usd(self) -> float:
        """Of all of it."""
        return self.hardware.price_usd * self.hardware.machines

    @property
    def best(self) -> Rent:
        """The cheapest rent."""
        return self.rents[0]

    @property
    def cheaper(self) -> str:
        """``buy`` or ``rent``, at that utilisation."""
        return "buy" if self.usd_per_year <= self.best.usd_per_year else "rent"
