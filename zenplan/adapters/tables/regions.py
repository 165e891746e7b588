"""Where a provider's region lies: its country, its grid and its data centre."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Final

from zenplan.adapters.files.csv_file import DataRow, data_rows

_REGIONS: Final = ("provider", "region", "country", "g_co2e_per_kwh", "year", "grid_source", "pue", "pue_source")
# What a zone has behind the name of its region: us-east-1a, us-central1-a, eastus-2.
_ZONE: Final = re.compile(r"(?<=\d)[a-z]$|-[a-z]$|-[1-3]$")
# The European Union since 2020, in ISO 3166 codes.
_EU: Final = frozenset(
    (
        *("AUT", "BEL", "BGR", "CYP", "CZE", "DEU", "DNK", "ESP", "EST"),
        *("FIN", "FRA", "GRC", "HRV", "HUN", "IRL", "ITA", "LTU", "LUX"),
        *("LVA", "MLT", "NLD", "POL", "PRT", "ROU", "SVK", "SVN", "SWE"),
    )
)
# With the others of the single market, Switzerland and the United Kingdom: whoever says Europe need not mean the Union.
_EUROPE: Final = _EU | {"CHE", "GBR", "ISL", "LIE", "NOR"}
_GROUPS: Final = {"EU": _EU, "EUROPEAN UNION": _EU, "EUROPE": _EUROPE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What is known of a region.

    Attributes:
        country: in three letters, ISO 3166.
        g_co2e_per_kwh: of its own grid, a yearly average; None where only its country's is known.
        grid: year and source of that figure.
        pue: published by the provider for this region.
    """

    country: str
    g_co2e_per_kwh: float | None
    grid: str
    pue: float | None


def place_of(provider: str, region: str) -> Place | None:
    """The region of that name, or that of which it is a zone; None where neither is known."""
    places = _places()
    return places.get((provider, region)) or places.get((provider, without_zone(region)))


def country_of(provider: str, region: str) -> str | None:
    """The country of a region or zone, in three letters; None where it is not known."""
    place = place_of(provider, region)
    return place.country if place else None


def without_zone(text: str) -> str:
    """The region's name, if the text is the name of one of its zones; else the text, or what is no region's name."""
    return _ZONE.sub("", text)


def countries_of(place: str) -> frozenset[str]:
    """The countries of ``EU`` or ``Europe``, or the one of that code in which a region lies; empty where a text is no such
    place."""
    code = place.upper()
    if code in _GROUPS:
        return _GROUPS[code]
    return frozenset({code} & {known.country for known in _places().values()})


@cache
def _places() -> dict[tuple[str, str], Place]:
    return {(row.cells["provider"], row.cells["region"]): _place(row) for row in data_rows("regions.csv", _REGIONS)}


def _place(row: DataRow) -> Place:
    return Place(
        country=row.cells["country"],
        g_co2e_per_kwh=row.number_or_none("g_co2e_per_kwh"),
        grid=f"{row.cells['year']}, {row.cells['grid_source']}",
        pue=row.number_or_none("pue"),
    )
