"""AWS's prices as they are now, as a zenplan plugin: EC2 machines with accelerators, on demand and spot."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from zenplan import DataError, Http, Offer, Price, PriceProvider, PriceTable, bundled_prices, hookimpl, today

if TYPE_CHECKING:
    from zenplan_aws.machines import Machines
    from zenplan_aws.price_list import PriceList

PRICE_LISTS: Final = "https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/AmazonEC2/current"
SPOT_PRICES: Final = "https://website.spot.ec2.aws.a2z.com/spot.json"
SPOT_ADVICE: Final = "https://spot-bid-advisor.s3.amazonaws.com/spot-advisor-data.json"
# Names regions, as in us-east-1,eu-west-1. A region's list is some hundreds of megabytes.
VARIABLE: Final = "ZENPLAN_AWS_REGIONS"
# Where AWS offers its newest accelerators first.
DEFAULT_REGIONS: Final = ("us-east-1", "us-east-2", "us-west-2")


@dataclass(frozen=True, slots=True, kw_only=True)
class AWS:
    """EC2's machines with accelerators.

    Attributes:
        regions: whose price lists are fetched; empty: those in ``ZENPLAN_AWS_REGIONS``, else ``DEFAULT_REGIONS``.
        price_lists, spot_prices, spot_advice: addresses.
    """

    name: str = "aws"
    regions: tuple[str, ...] = ()
    price_lists: str = PRICE_LISTS
    spot_prices: str = SPOT_PRICES
    spot_advice: str = SPOT_ADVICE

    def bundled(self) -> PriceTable:
        """zenplan's own dated table."""
        return bundled_prices(self.name)

    def fetch(self, http: Http) -> PriceTable:
        """The regions' list prices and the spot prices of now; other regions keep the list prices of the dated table.

        Raises DataError: a price list is not there or not as documented. Without spot prices the list prices answer,
        and ``left_out`` says so.
        """
        from zenplan_aws.machines import Machines
        from zenplan_aws.price_list import read_price_list

        bundled = self.bundled()
        machines = Machines({offer.instance.name: offer.instance for offer in bundled.offers})
        regions = self.regions or _asked(os.environ)
        left_out: dict[str, None] = {}
        offers = []
        for region in regions:
            address = f"{self.price_lists}/{region}/index.csv"
            with http.stream(address) as chunks:
                listed = read_price_list(chunks, machines, f"price list of {region}")
            offers += _offers(listed, machines, address, left_out)
        offers += [offer for offer in bundled.offers if offer.region not in regions]
        for what, add in (("spot prices", self._with_spot), ("rates of interruption", self._with_interruptions)):
            try:
                offers = add(offers, http, left_out)
            except DataError as error:
                left_out[f"all {what}: {error.message}"] = None
        return replace(bundled, offers=tuple(offers), left_out=tuple(left_out))

    def _with_spot(self, offers: list[Offer], http: Http, left_out: dict[str, None]) -> list[Offer]:
        from zenplan_aws.spot import spot_prices

        prices = spot_prices(http.get_json(self.spot_prices))
        seen = today()
        found = []
        for offer in offers:
            place = offer.region, offer.instance.name
            spot = Price(usd_per_h=prices[place], as_of=seen, source=self.spot_prices) if place in prices else None
            if spot and offer.on_demand and spot.usd_per_h > offer.on_demand.usd_per_h:
                left_out[f"{place[1]} in {place[0]}: its spot price is above the one on demand"] = None
                spot = None
            # One that is offered as spot alone, and is not any more, is no offer.
            if spot or offer.on_demand:
                found.append(replace(offer, spot=spot))
        return found

    def _with_interruptions(self, offers: list[Offer], http: Http, left_out: dict[str, None]) -> list[Offer]:
        from zenplan_aws.spot import interruptions

        rates = interruptions(http.get_json(self.spot_advice), today(), self.spot_advice)
        return [replace(o, interruptions=rates.get((o.region, o.instance.name)) if o.spot else None) for o in offers]


def _offers(listed: PriceList, machines: Machines, source: str, left_out: dict[str, None]) -> list[Offer]:
    """The offers of a region's list. Those of no use go to ``left_out``, each reason once."""
    # A list that is dated where the day has begun already.
    published = min(listed.published, today())
    found: dict[str, Offer] = {}
    twice = set()
    for each in listed.prices:
        name = each.listed.name
        try:
            price = Price(usd_per_h=each.usd_per_h, as_of=published, source=source)
            offer = Offer(instance=machines.of(each.listed), region=each.region, on_demand=price)
        except DataError as error:
            left_out[error.message] = None
            continue
        if found.setdefault(name, offer) != offer:
            left_out[f"{name} in {each.region}: the list has two prices of it"] = None
            twice.add(name)
    return [offer for name, offer in found.items() if name not in twice]


def _asked(environ: Mapping[str, str]) -> tuple[str, ...]:
    asked = environ.get(VARIABLE, "").strip()
    names = tuple(dict.fromkeys(name.strip() for name in asked.split(","))) if asked else DEFAULT_REGIONS
    for name in names:
        if not re.fullmatch(r"[a-z]{2}(-[a-z]+)+-\d+", name):
            raise DataError(f"{VARIABLE}: '{name[:30]}' is no region", "write them as in us-east-1,eu-west-1")
    return names


@hookimpl
def zenplan_price_providers() -> Iterable[PriceProvider]:
    """One provider, ``aws``."""
    return (AWS(),)
