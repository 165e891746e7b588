"""The feeds behind AWS's public pages on spot: what a spot machine costs now, and how often one is taken away.

Both are read without an account. AWS documents neither; https://github.com/alexei-led/spotinfo, which reads them too, shows
their shape.
"""

from __future__ import annotations

import math
from datetime import date
from typing import Any, Final, TypeVar

import msgspec
from zenplan import DataError, Interruptions, Range

# Regions that the feed calls by names of its own.
_OLD_NAMES: Final = {
    "us-east": "us-east-1",
    "us-west": "us-west-1",
    "eu-ireland": "eu-west-1",
    "apac-sin": "ap-southeast-1",
    "apac-syd": "ap-southeast-2",
    "apac-tokyo": "ap-northeast-1",
}

# Region and instance type.
Place = tuple[str, str]
T = TypeVar("T")


class _Column(msgspec.Struct):
    name: str
    prices: dict[str, str]


class _Size(msgspec.Struct, rename="camel"):
    size: str
    value_columns: list[_Column]


class _Kind(msgspec.Struct):
    sizes: list[_Size]


class _Region(msgspec.Struct, rename="camel"):
    region: str
    instance_types: list[_Kind]


class _Config(msgspec.Struct):
    rate: str
    currencies: list[str]
    regions: list[_Region]


class _Feed(msgspec.Struct):
    config: _Config


class _Range(msgspec.Struct):
    index: int
    label: str


class _Told(msgspec.Struct):
    r: int


class _Systems(msgspec.Struct, rename={"linux": "Linux"}):
    linux: dict[str, _Told] = {}


class _Advice(msgspec.Struct):
    ranges: list[_Range]
    spot_advisor: dict[str, _Systems]


# Shares of spot machines that AWS took back within a month: the least, the middle and the most of each band that it has, by
# its label ('max' beside a label is another number). Of the last one the most is not known; nearly all is taken for it.
_BANDS: Final = {
    "<5%": (0.0, 0.025, 0.05),
    "5-10%": (0.05, 0.075, 0.10),
    "10-15%": (0.10, 0.125, 0.15),
    "15-20%": (0.15, 0.175, 0.20),
    ">20%": (0.20, 0.60, 0.99),
}
_MONTH_S: Final = 365 * 24 * 3600 / 12


def spot_prices(answer: Any) -> dict[Place, float]:
    """Dollars an hour of each Linux machine. Raises DataError: the feed has another shape, currency, or no price."""
    config = _read(answer, _Feed, "spot feed").config
    if "USD" not in config.currencies or config.rate != "perhr":
        raise DataError(
            f"spot feed: 'currencies' are {config.currencies} and 'rate' is '{config.rate}', not USD per hour"
        )
    found = {}
    for region in config.regions:
        place = _OLD_NAMES.get(region.region, region.region)
        for size in (size for kind in region.instance_types for size in kind.sizes):
            for column in size.value_columns:
                usd_per_h = _usd_per_h(column, size.size) if column.name == "linux" else None
                if usd_per_h:
                    found[place, size.size] = usd_per_h
    if not found:
        raise DataError("spot feed: it has no price of a Linux machine: the format has changed")
    return found


def interruptions(answer: Any, today: date, source: str) -> dict[Place, Interruptions]:
    """How often Linux machines are taken back, at a rate that stays the same. Raises DataError: the advice has another
    shape, or unknown bands.
    """
    advice = _read(answer, _Advice, "spot advice")
    unknown = [each.label for each in advice.ranges if each.label not in _BANDS]
    if unknown:
        raise DataError(f"spot advice: 'label' of a range is '{unknown[0][:20]}', which is no band that is known")
    by_index = {each.index: _rates(each.label, today, source) for each in advice.ranges}
    return {
        (region, instance): by_index[told.r]
        for region, systems in advice.spot_advisor.items()
        for instance, told in systems.linux.items()
        if told.r in by_index
    }


def _rates(label: str, today: date, source: str) -> Interruptions:
    """Of machines of which such a share is left after a month: exp(-rate * month)."""
    low, mid, high = (-math.log1p(-share) / _MONTH_S for share in _BANDS[label])
    what = f"AWS Spot Advisor: {label} of machines taken back in a month"
    return Interruptions(per_node_s=Range(low=low, mid=mid, high=high), what=what, as_of=today, source=source)


def _usd_per_h(column: _Column, instance: str) -> float | None:
    if "USD" not in column.prices:
        raise DataError(f"spot feed: 'prices' of {instance} are in {', '.join(column.prices) or 'nothing'}, not USD")
    cell = column.prices["USD"]
    # There is no spot of that type in that region.
    if cell in ("", "N/A", "N/A*"):
        return None
    try:
        usd_per_h = float(cell)
    except ValueError:
        usd_per_h = math.nan
    if not math.isfinite(usd_per_h):
        raise DataError(f"spot feed: 'USD' of {instance} is no price: '{cell[:20]}'")
    # -1 was another way to say that there is none.
    return usd_per_h if usd_per_h > 0 else None


def _read(answer: Any, kind: type[T], what: str) -> T:
    try:
        return msgspec.convert(answer, kind)
    except msgspec.ValidationError as error:
        raise DataError(f"{what}: {error}: the format has changed") from None
