"""Rates of the Cloud Billing Catalog: what a core, a GiB of RAM, a GPU, a TPU chip, a GiB of local SSD costs in a region.

https://cloud.google.com/billing/v1/how-tos/catalog-api. A SKU says what it is in its description alone, as in 'A2 Instance
Core running in Americas'.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import quote

import msgspec
from zenplan import DataError, Http

_MOST_PAGES: Final = 200
# Local SSD is priced by the month, of which Google's price list has 730 hours.
_HOURS: Final = {"h": 1, "GiBy.h": 1, "GiBy.mo": 730}
_SPOT: Final = ("Spot Preemptible ", " attached to Spot Preemptible VMs")
# Ways to pay, and uses, that are not an hour on demand of a machine of one's own.
_OTHER_WAYS: Final = (
    "Commitment",
    "Reserved",
    "DWS",
    "Calendar",
    "Sole Tenancy",
    "Custom",
    "attached to",
    "Workstation",
    "vWS",
)

T = TypeVar("T")
# Description less its region, and whether it is of spot machines; by region what it costs.
ByLabel = Mapping[tuple[str, bool], Mapping[str, frozenset[float]]]


class _Money(msgspec.Struct, rename="camel"):
    currency_code: str
    units: str | int = 0
    nanos: int = 0


class _Rate(msgspec.Struct, rename="camel"):
    unit_price: _Money


class _Expression(msgspec.Struct, rename="camel"):
    usage_unit: str
    tiered_rates: list[_Rate]


class _Pricing(msgspec.Struct, rename="camel"):
    pricing_expression: _Expression


class _Category(msgspec.Struct, rename="camel"):
    resource_group: str
    usage_type: str


class _Sku(msgspec.Struct, rename="camel"):
    description: str
    category: _Category
    service_regions: list[str]
    pricing_info: list[_Pricing]


class _Page(msgspec.Struct, rename="camel"):
    skus: list[dict[str, Any]]
    next_page_token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What parts of machines cost, in dollars an hour.

    Attributes:
        left_out: accelerators that are in the list and in no table, a line each.
    """

    by_label: ByLabel
    left_out: tuple[str, ...]

    def usd_per_h(self, labels: Collection[str], region: str, spot: bool) -> float | None:
        """The rate of a part that goes by any of these labels; None where it has none.

        Raises DataError: it has two.
        """
        every = {usd for label in labels for usd in self.by_label.get((label, spot), {}).get(region, ())}
        if len(every) > 1:
            raise DataError(f"there are two prices of '{next(iter(labels))}'")
        return next(iter(every), None)


def read_rates(http: Http, address: str, key: str, labels: Collection[str]) -> Rates:
    """The rates of the SKUs with these labels.

    Raises DataError: a page or one of these SKUs has another shape, currency or unit, or none of them is there.
    """
    found: dict[tuple[str, bool], dict[str, set[float]]] = {}
    left_out: dict[str, None] = {}
    for raw in _skus(http, address, key):
        label, spot = _label(raw, address)
        if label not in labels:
            if _is_accelerator(raw, label):
                left_out[f"SKU '{label}': not in the table of accelerators of zenplan-gcp"] = None
            continue
        sku = _read(raw, _Sku, f"{address}: SKU '{label}'")
        if sku.category.usage_type in ("OnDemand", "Preemptible"):
            # Some SKUs of spot machines say so in their description, and are of the usage type OnDemand.
            by_region = found.setdefault((label, spot or sku.category.usage_type == "Preemptible"), {})
            for region in sku.service_regions:
                by_region.setdefault(region, set()).update(_usd_per_h(sku, f"{address}: SKU '{label}'"))
    if not found:
        raise DataError(f"{address}: no SKU of a machine with accelerators: the format has changed")
    frozen = {label: {place: frozenset(usd) for place, usd in regions.items()} for label, regions in found.items()}
    return Rates(by_label=frozen, left_out=tuple(left_out))


def _skus(http: Http, address: str, key: str) -> Iterator[dict[str, Any]]:
    tokens: set[str] = set()
    token = ""
    while True:
        # The key goes into a header: an address is shown in errors, and kept in logs.
        page = http.get_json(
            f"{address}?currencyCode=USD&pageSize=5000&pageToken={quote(token)}", {"X-Goog-Api-Key": key}
        )
        read = _read(page, _Page, address)
        yield from read.skus
        token = read.next_page_token
        if not token:
            return
        if token in tokens or len(tokens) == _MOST_PAGES:
            raise DataError(f"{address}: 'nextPageToken' leads in a circle, or beyond {_MOST_PAGES} pages")
        tokens.add(token)


def _label(raw: Mapping[str, Any], address: str) -> tuple[str, bool]:
    description = raw.get("description")
    if not isinstance(description, str):
        raise DataError(f"{address}: a SKU has no text 'description': the format has changed")
    label = re.sub(r"( running)? in .*", "", description)
    before, after = _SPOT
    bare = label.removeprefix(before).removesuffix(after)
    return bare, bare != label


def _is_accelerator(raw: Mapping[str, Any], label: str) -> bool:
    category = raw.get("category")
    return (
        isinstance(category, Mapping)
        and category.get("resourceGroup") in ("GPU", "TPU")
        and category.get("usageType") == "OnDemand"
        and not any(word in label for word in _OTHER_WAYS)
    )


def _usd_per_h(sku: _Sku, what: str) -> set[float]:
    """Its prices above zero: one, but for a SKU of several tiers."""
    found = set()
    # The newest is the last.
    for expression in [each.pricing_expression for each in sku.pricing_info][-1:]:
        if expression.usage_unit not in _HOURS:
            raise DataError(f"{what}: 'usageUnit' is '{expression.usage_unit[:20]}', not one of {', '.join(_HOURS)}")
        for money in (rate.unit_price for rate in expression.tiered_rates):
            if money.currency_code != "USD":
                raise DataError(f"{what}: 'currencyCode' is '{money.currency_code[:10]}', not USD")
            if not str(money.units).isdecimal() or money.nanos < 0:
                raise DataError(f"{what}: 'unitPrice' is no price: '{str(money.units)[:20]}'")
            found.add((int(money.units) + money.nanos / 1e9) / _HOURS[expression.usage_unit])
    return found - {0.0}


def _read(raw: Any, kind: type[T], what: str) -> T:
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        raise DataError(f"{what}: {error}: the format has changed") from None
