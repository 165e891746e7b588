"""Google Cloud's prices as they are now, as a zenplan plugin: machines with GPUs and TPUs, on demand and spot."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from zenplan import DataError, Http, PriceProvider, PriceTable, bundled_prices, hookimpl, today

# Compute Engine's price list in the Cloud Billing Catalog.
CATALOG: Final = "https://cloudbilling.googleapis.com/v1/services/6F81-5844-456A/skus"
KEY: Final = "GOOGLE_API_KEY"


@dataclass(frozen=True, slots=True, kw_only=True)
class GCP:
    """Google Cloud's machines with accelerators, in all regions that offer them.

    Attributes:
        catalog: address of the price list.
    """

    name: str = "gcp"
    catalog: str = CATALOG

    def bundled(self) -> PriceTable:
        """zenplan's own dated table."""
        return bundled_prices(self.name)

    def fetch(self, http: Http) -> PriceTable:
        """The prices of today; machines that are not put together here, as TPU v2 to v4, keep those of the dated table.

        Raises DataError: there is no key, or the price list is not there, not as documented, or not in USD.
        """
        from zenplan_gcp.catalog import read_rates
        from zenplan_gcp.machines import LABELS, Machines

        bundled = self.bundled()
        rates = read_rates(http, self.catalog, _key(), LABELS)
        machines = Machines(bundled.offers)
        offers, left_out = machines.offers(rates, self.catalog, today())
        kept = tuple(offer for offer in bundled.offers if offer.instance.name not in machines)
        return replace(bundled, offers=offers + kept, left_out=rates.left_out + left_out)


def _key() -> str:
    key = os.environ.get(KEY, "").strip()
    if not key:
        hint = f"set {KEY}: https://cloud.google.com/docs/authentication/api-keys"
        raise DataError("Google's price list needs an API key", hint)
    # One that is no header would be quoted in an error of the client's.
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise DataError(f"the API key in {KEY} has characters that no key has")
    return key


@hookimpl
def zenplan_price_providers() -> Iterable[PriceProvider]:
    """One provider, ``gcp``."""
    return (GCP(),)
