"""Prices of Vast.ai's market, as a zenplan plugin: what the middle of its offers asks, never the cheapest."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, Final

from zenplan import DataError, Http, PriceProvider, PriceTable, bundled_prices, hookimpl, price_table

ADDRESS: Final = "https://console.vast.ai/api/v0/bundles/"
VARIABLE: Final = "VAST_API_KEY"
# Where Vast's own command line looks for it.
KEY_FILES: Final = ("vastai/vast_api_key", "~/.vast_api_key")
# Hosts that were up for less of the time are not looked at.
RELIABILITY: Final = 0.95
SIZES: Final = (1, 2, 4, 8)
# Vast answers with 64 unless it is asked for more.
MOST_OFFERS: Final = 3000
# Fewer offers have no middle.
FEWEST_OFFERS: Final = 3
# Vast's name of a GPU to those that it may be, by memory: name in the dated table, accelerator of zenplan, GB. "Tesla V100"
# is not there: it may be any of three.
GPUS: Final[Mapping[str, tuple[tuple[str, str, float], ...]]] = {
    "A10": (("a10", "A10", 24),),
    "A40": (("a40", "A40", 48),),
    "A100 PCIE": (("a100-pcie-40gb", "A100-PCIE-40GB", 40), ("a100-pcie-80gb", "A100-PCIE-80GB", 80)),
    "A100 SXM4": (("a100-sxm-40gb", "A100-SXM4-40GB", 40), ("a100-sxm-80gb", "A100-SXM4-80GB", 80)),
    "B200": (("b200", "B200-SXM-180GB", 180),),
    "H100 NVL": (("h100-nvl", "H100-NVL-94GB", 94),),
    "H100 PCIE": (("h100-pcie", "H100-PCIE-80GB", 80),),
    "H100 SXM": (("h100-sxm", "H100-SXM5-80GB", 80),),
    "H200": (("h200", "H200-SXM-141GB", 141),),
    "H200 NVL": (("h200-nvl", "H200-NVL-141GB", 141),),
    "L4": (("l4", "L4", 24),),
    "L40": (("l40", "L40", 48),),
    "L40S": (("l40s", "L40S", 48),),
    "RTX 3060": (("rtx-3060", "RTX-3060", 12),),
    "RTX 3070": (("rtx-3070", "RTX-3070", 8),),
    "RTX 3080": (("rtx-3080", "RTX-3080", 10),),
    "RTX 3090": (("rtx-3090", "RTX-3090", 24),),
    "RTX 4090": (("rtx-4090", "RTX-4090", 24),),
    "RTX 5070": (("rtx-5070", "RTX-5070", 12),),
    "RTX 5090": (("rtx-5090", "RTX-5090", 32),),
    "RTX A6000": (("rtx-a6000", "RTX-A6000", 48),),
    "RTX 6000Ada": (("rtx-6000-ada", "RTX-6000-Ada", 48),),
}
# Drivers and error correction keep up to a tenth of it.
_SAME_MEMORY: Final = 0.1
_MIB_IN_GB: Final = 1024
_CHANGED: Final = "its interface may have changed: look for a newer plugin"


@dataclass(frozen=True, slots=True)
class Vast:
    """Vast.ai's market of single machines.

    Attributes:
        address: where its offers are searched.
    """

    name: str = "vast-ai"
    address: str = ADDRESS

    def bundled(self) -> PriceTable:
        """zenplan's own dated table."""
        return bundled_prices(self.name)

    def fetch(self, http: Http) -> PriceTable:
        """The median of what verified and reliable hosts ask now, by GPU and how many of them. Raises DataError."""
        key = _key(os.environ, Path.home())
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        left_out: list[str] = []
        rows: list[dict[str, Any]] = []
        for size in SIZES:
            offers = _offers(http.get_json(self.address, headers, _question(size)))
            if len(offers) >= MOST_OFFERS:
                left_out.append(
                    f"machines of {size}: more than {MOST_OFFERS:,} offers; the middle is of those ranked first"
                )
            rows += _rows(offers, size, left_out)
        if not rows:
            raise DataError(
                f"Vast.ai has no offers that can be used; {left_out[0]}" if left_out else "Vast.ai has no offers"
            )
        table = price_table(self.name, rows, self.address)
        return replace(table, left_out=(*left_out, *table.left_out))


def _question(size: int) -> dict[str, Any]:
    """Which offers: as Vast's own library asks, and of reliable hosts."""
    return {
        "verified": {"eq": True},
        "external": {"eq": False},
        "rentable": {"eq": True},
        "rented": {"eq": False},
        "reliability": {"gte": RELIABILITY},
        "gpu_name": {"in": sorted(GPUS)},
        "num_gpus": {"eq": size},
        "type": "on-demand",
        "order": [["score", "desc"]],
        "limit": MOST_OFFERS,
    }


def _offers(answer: Any) -> list[Mapping[str, Any]]:
    """The offers of an answer. Raises DataError: it has none."""
    found = answer.get("offers") if isinstance(answer, dict) else None
    if not isinstance(found, list) or not all(isinstance(offer, dict) for offer in found):
        raise DataError("Vast.ai's answer has no offers", _CHANGED)
    return found


def _rows(offers: Iterable[Mapping[str, Any]], size: int, left_out: list[str]) -> Iterator[dict[str, Any]]:
    """A row for each accelerator that enough offers have."""
    prices: defaultdict[tuple[str, str], list[tuple[float, float | None]]] = defaultdict(list)
    wrong: Counter[str] = Counter()
    for offer in offers:
        try:
            place, price = _read(offer, size)
        except DataError as error:
            wrong[error.message] += 1
        else:
            prices[place].append(price)
    left_out += [f"machines of {size}: {count:,} offers: {reason}" for reason, count in wrong.items()]
    for (name, accelerator), found in sorted(prices.items()):
        if len(found) < FEWEST_OFFERS:
            left_out.append(f"{name} x{size}: {len(found)} offers have no middle")
            continue
        bids = [bid for _, bid in found if bid is not None]
        yield {
            "instance": name + (f" x{size}" if size > 1 else ""),
            "accelerator": accelerator,
            "devices": size,
            "on_demand_usd_per_h": round(median(price for price, _ in found), 4),
            "spot_usd_per_h": round(median(bids), 4) if len(bids) >= FEWEST_OFFERS else None,
            "source": f"{ADDRESS}: median of {len(found)} offers of verified hosts, up {RELIABILITY:.0%} of the time",
        }


def _read(offer: Mapping[str, Any], size: int) -> tuple[tuple[str, str], tuple[float, float | None]]:
    """Its name and accelerator; its price and the least bid, in dollars an hour of the whole. Raises DataError."""
    if offer.get("num_gpus") != size:
        raise DataError(f"{str(offer.get('num_gpus'))[:20]} GPUs, which was not asked for")
    name, memory = str(offer.get("gpu_name")), _amount(offer.get("gpu_ram"))
    kinds = GPUS.get(name, ())
    if not kinds:
        raise DataError(f"{name[:40]}: no accelerator of zenplan's has that name")
    known = next((k for k in kinds if memory and abs(memory / _MIB_IN_GB / k[2] - 1) <= _SAME_MEMORY), None)
    if known is None:
        raise DataError(f"{name}: memory of {str(offer.get('gpu_ram'))[:20]} MiB is another product's")
    # The GPUs alone, where it says so: disk is the renter's choice.
    price = _amount(offer.get("dph_base", offer.get("dph_total")))
    if price is None:
        raise DataError(f"{name}: no price")
    return known[:2], (price, _amount(offer.get("min_bid")))


def _amount(value: Any) -> float | None:
    """A number above zero that can be one; None where it is none."""
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e6
    return float(value) if good else None


def _key(environ: Mapping[str, str], home: Path) -> str:
    """The user's key; empty where there is none: offers have been answered without one."""
    if key := environ.get(VARIABLE, "").strip():
        return key
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    for file in (config / KEY_FILES[0], home / KEY_FILES[1].removeprefix("~/")):
        try:
            if key := file.read_text(encoding="utf-8").strip():
                return key
        except (OSError, ValueError):
            continue
    return ""


@hookimpl
def zenplan_price_providers() -> Iterable[PriceProvider]:
    """One provider, ``vast-ai``."""
    return (Vast(),)
