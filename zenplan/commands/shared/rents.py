"""Machines that are rented by the hour and bind nobody, and how far their prices are to be counted on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final

from zenplan.domain.market.offer import OLD_WITHIN, Offer, Price, PriceTable
from zenplan.units import DAY_S

# A contract of at least so long is no rent by the hour.
_BOUND_S: Final = 7 * DAY_S


def rents(tables: Sequence[PriceTable]) -> Iterator[tuple[Offer, Price, PriceTable]]:
    """Offers with an on-demand price that bind to no term and are of no given number, that price, and whose they are."""
    for table in tables:
        for offer in table.offers:
            terms = offer.terms or table.terms
            long = terms is not None and terms.minimum_s > _BOUND_S
            if offer.on_demand and offer.machines is None and offer.committed is None and not long:
                yield offer, offer.on_demand, table


def is_doubtful(offer: Offer | None, today: date) -> bool:
    """Whether its price is old, or its machine a guess."""
    if offer is None or offer.on_demand is None:
        return False
    return bool(offer.guess) or offer.on_demand.is_old(today)


def lead(usd: float, offer: Offer | None, today: date) -> float:
    """What dollars of an offer count where the least come first: ``OLD_WITHIN`` times as much where they are doubtful."""
    return usd * (OLD_WITHIN if is_doubtful(offer, today) else 1.0)
