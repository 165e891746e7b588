"""What changed between two tables of the same provider."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from zenplan.domain.market.offer import Billing, Offer


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """An offer of both tables whose prices differ, on whatever days they were seen."""

    before: Offer
    after: Offer

    def ratio(self, billing: Billing) -> float | None:
        """The new price over the old one; None where one of them is not known."""
        before, after = self.before.price(billing), self.after.price(billing)
        return after.usd_per_h / before.usd_per_h if before and after and before.usd_per_h else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Offers that one of two tables has alone, and those whose price is another."""

    new: tuple[Offer, ...]
    gone: tuple[Offer, ...]
    changed: tuple[Changed, ...]


def changes(before: Iterable[Offer], after: Iterable[Offer]) -> Changes:
    """From the one to the other; an offer is the same by its provider, instance, region and tier."""
    old, new = ({_key(offer): offer for offer in offers} for offers in (before, after))
    return Changes(
        new=tuple(offer for key, offer in new.items() if key not in old),
        gone=tuple(offer for key, offer in old.items() if key not in new),
        changed=tuple(
            Changed(before=old[key], after=offer)
            for key, offer in new.items()
            if key in old and _prices(old[key]) != _prices(offer)
        ),
    )


def _key(offer: Offer) -> tuple[str, str, str, str]:
    return offer.instance.provider, offer.instance.name, offer.region, offer.tier


def _prices(offer: Offer) -> list[float | None]:
    return [price.usd_per_h if price else None for price in map(offer.price, Billing)]
