"""A price book: what is agreed with providers, and what one owns, beside the tables of prices."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from zenplan.domain import checks
from zenplan.domain.market.credit import Credit
from zenplan.domain.market.hardware import Hardware
from zenplan.domain.market.offer import Billing, Offer


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """Offers of one provider: all of them, or those of an instance, an accelerator, a region, a tier.

    Attributes:
        provider: as its table calls itself.
        instance, accelerator, region, tier: None for any.
    """

    provider: str
    instance: str | None = None
    accelerator: str | None = None
    region: str | None = None
    tier: str | None = None

    def __post_init__(self) -> None:
        checks.named("offers", provider=self.provider)

    def matches(self, offer: Offer) -> bool:
        """Whether it is one of them, whoever's table it is in; one that binds to a term only where its tier is named."""
        if offer.committed is not None and self.tier is None:
            return False
        pairs = (
            (self.instance, offer.instance.name),
            (self.accelerator, offer.instance.accelerator),
            (self.region, offer.region),
            (self.tier, offer.tier),
        )
        return all(wanted in (None, found) for wanted, found in pairs)

    def __str__(self) -> str:
        named = (self.provider, self.instance, self.accelerator, self.region, self.tier)
        return " ".join(each for each in named if each)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """What an hour of a machine costs by agreement, in place of the list.

    Attributes:
        which: the offers that it holds for.
        on_demand_usd, spot_usd: of the whole machine; None where the list holds.
        per_device: they are of one device of it.
        devices: of a machine that no table has.
        network_bytes_per_s: of such a machine, for each device.
        as_of: the day of the agreement; None where none is said.
        source: who says so, and in which currency.
    """

    which: Which
    on_demand_usd: float | None = None
    spot_usd: float | None = None
    per_device: bool = False
    devices: int | None = None
    network_bytes_per_s: float | None = None
    as_of: date | None = None
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Discount:
    """A share off the list.

    Attributes:
        which: the offers that it holds for.
        share: of the price, 0 to 1.
        billing: the kind of price; None for both.
        since, until: its first and last day; None for no such end.
        term_s: whoever takes it pays for so long; None where nobody has to.
    """

    which: Which
    share: float
    billing: Billing | None = None
    since: date | None = None
    until: date | None = None
    term_s: float | None = None
    source: str


class Kind(StrEnum):
    """What kind of commitment."""

    RESERVATION = "reservation"
    SAVINGS_PLAN = "savings plan"
    CAPACITY_BLOCK = "capacity block"


@dataclass(frozen=True, slots=True, kw_only=True)
class Commitment:
    """Machines that are paid for whether they are used or not.

    Attributes:
        kind: reservations and savings plans are for a term, capacity blocks from one day to another.
        which: the machines.
        machines: how many; None where a sum of dollars an hour says it.
        term_s: how long.
        upfront_usd: of all machines, once.
        usd_per_h: of one machine, beside that; None where a share off the list says it.
        share: off the on-demand price, of a savings plan.
        committed_usd_per_h: of a savings plan: what is paid an hour in any case.
        since: when it began or begins; None where it is still to be bought.
    """

    kind: Kind
    which: Which
    machines: int | None
    term_s: float
    upfront_usd: float = 0.0
    usd_per_h: float | None = None
    share: float | None = None
    committed_usd_per_h: float | None = None
    since: date | None = None
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceBook:
    """All that a file says; amounts are in dollars.

    Attributes:
        name: of the file, as quotes say where a price is from.
        hardware: with the bandwidth between its machines for each device, None where that is not known.
    """

    name: str
    rates: tuple[Rate, ...] = ()
    discounts: tuple[Discount, ...] = ()
    commitments: tuple[Commitment, ...] = ()
    credits: tuple[Credit, ...] = ()
    hardware: tuple[tuple[Hardware, float | None], ...] = ()
