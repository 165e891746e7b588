"""Where a provider's region lies, by country."""

from __future__ import annotations

from functools import cache
from typing import Final

from zenplan.adapters.files.csv_file import data_rows

_REGIONS: Final = ("provider", "region", "country")
# The European Union since 2020, in ISO 3166 codes.
_EU: Final = frozenset(
    (
        *("AUT", "BEL", "BGR", "CYP", "CZE", "DEU", "DNK", "ESP", "EST"),
        *("FIN", "FRA", "GRC", "HRV", "HUN", "IRL", "ITA", "LTU", "LUX"),
        *("LVA", "MLT", "NLD", "POL", "PRT", "ROU", "SVK", "SVN", "SWE"),
    )
)


def country_of(provider: str, region: str) -> str | None:
    """The country of a region, in three letters; None where it is not known."""
    return _countries().get((provider, region))


def countries_of(place: str) -> frozenset[str]:
    """The countries of ``EU``, or the one of that code in which a region lies; empty where a text is no such place."""
    code = place.upper()
    if code == "EU":
        return _EU
    return frozenset({code} & set(_countries().values()))


@cache
def _countries() -> dict[tuple[str, str], str]:
    rows = (row.cells for row in data_rows("regions.csv", _REGIONS))
    return {(cells["provider"], cells["region"]): cells["country"] for cells in rows}
