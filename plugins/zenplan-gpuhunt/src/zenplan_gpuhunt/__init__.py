"""Prices of several clouds as they are now, as a zenplan plugin around the library gpuhunt.

gpuhunt reads a catalogue that its makers publish every hour; it uses the network itself, and none of the ``Http`` that
zenplan gives.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from zenplan import DataError, Http, PriceProvider, PriceTable, bundled_prices, hookimpl, today

if TYPE_CHECKING:
    from zenplan_gpuhunt.catalogue import Catalogue

# Names clouds, as in verda,lambda.
VARIABLE: Final = "ZENPLAN_GPUHUNT_CLOUDS"
# zenplan's name of a cloud, and gpuhunt's.
CLOUDS: Final[Mapping[str, str]] = {
    "aws": "aws",
    "azure": "azure",
    "cloudrift": "cloudrift",
    "gcp": "gcp",
    "lambda": "lambdalabs",
    "nebius": "nebius",
    "oci": "oci",
    "runpod": "runpod",
    "verda": "verda",
}
# Those that have no plugin of their own.
DEFAULT: Final = ("cloudrift", "nebius", "oci", "verda")
# zenplan's own tables have none of these.
_WITHOUT_TABLE: Final = {"cloudrift"}


def _shared() -> Catalogue:
    from zenplan_gpuhunt.catalogue import SHARED

    return SHARED


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """One cloud of gpuhunt's catalogue.

    Attributes:
        name: zenplan's name of it.
        catalogue: where its prices come from; None: the one that all clouds share.
    """

    name: str
    catalogue: Catalogue | None = field(default=None, repr=False)

    @property
    def carries(self) -> str:
        """Whose table of zenplan's this one takes the place of."""
        return self.name

    def bundled(self) -> PriceTable:
        """zenplan's own dated table; an empty one of a cloud that has none."""
        return PriceTable(provider=self.name, offers=()) if self.name in _WITHOUT_TABLE else bundled_prices(self.name)

    def fetch(self, http: Http) -> PriceTable:
        """The prices of gpuhunt's newest catalogue of this cloud.

        Raises DataError: it could not be loaded, or has no price that can be used.
        """
        from zenplan_gpuhunt.offers import offers_of

        bundled = self.bundled()
        catalogue = self.catalogue or _shared()
        known = {offer.instance.name: offer.instance for offer in bundled.offers}
        offers, left_out = offers_of(self.name, catalogue.of(CLOUDS[self.name]), known, today())
        if not offers:
            raise DataError(
                f"gpuhunt's catalogue of {self.name} has no price that can be used", "; ".join(left_out[:1])
            )
        return replace(bundled, offers=offers, left_out=left_out)


@hookimpl
def zenplan_price_providers() -> Iterable[PriceProvider]:
    """A provider for each cloud in ``ZENPLAN_GPUHUNT_CLOUDS``, else for ``DEFAULT``."""
    asked = os.environ.get(VARIABLE, "").strip()
    names = tuple(dict.fromkeys(name.strip() for name in asked.split(","))) if asked else DEFAULT
    unknown = [name for name in names if name not in CLOUDS]
    if unknown:
        raise DataError(f"{VARIABLE}: '{unknown[0][:30]}' is none of {', '.join(CLOUDS)}")
    return [Cloud(name=name) for name in names]
