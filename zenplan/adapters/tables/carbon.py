"""How much carbon a kWh costs where a machine stands, and how much making the machine did.

An unknown place is None, never a world average; an unknown device is None, never that of another.
"""

from __future__ import annotations

from functools import cache

from zenplan.adapters.files.csv_file import DataRow, data_rows
from zenplan.adapters.tables.regions import Place, place_of
from zenplan.domain.market.emissions import Making, Site
from zenplan.units import DAY_S, KWH_J

_CARBON = ("country", "name", "g_co2e_per_kwh", "year", "source")
_EMBODIED = ("accelerator", "kg_co2e", "life_years", "used_share", "what", "source", "year")
_G_PER_KG = 1000.0
_YEAR_S = 365.25 * DAY_S
# The row of a device's share of the machine around it.
_HOST = ""


def site_of(provider: str, region: str) -> Site | None:
    """The yearly average of the region's own grid, else of its country, and its data centre; None where neither is
    known.
    """
    place = place_of(provider, region)
    if place is None:
        return None
    found = _of_region(place, region) or _of_country(place)
    kg_per_j, source = found or (None, "")
    return Site(kg_per_j=kg_per_j, source=source, pue=place.pue)


@cache
def making_of(accelerator: str) -> Making | None:
    """What making a device and its share of a machine emitted; None where nobody published the device's."""
    rows = _embodied()
    device, host = rows.get(accelerator), rows[_HOST]
    if device is None or accelerator == _HOST:
        return None
    return Making(
        kg=device.number("kg_co2e") + host.number("kg_co2e"),
        life_s=host.number("life_years") * host.number("used_share") * _YEAR_S,
        source=f"{device.cells['source']}; host and life: {host.cells['source']}",
    )


def _of_region(place: Place, region: str) -> tuple[float, str] | None:
    return (_kg_per_j(place.g_co2e_per_kwh), f"{region} {place.grid}") if place.g_co2e_per_kwh else None


def _of_country(place: Place) -> tuple[float, str] | None:
    row = _countries().get(place.country)
    if row is None:
        return None
    return _kg_per_j(row.number("g_co2e_per_kwh")), f"{row.cells['name']} {row.cells['year']}, {row.cells['source']}"


def _kg_per_j(g_per_kwh: float) -> float:
    return g_per_kwh / _G_PER_KG / KWH_J


@cache
def _countries() -> dict[str, DataRow]:
    return {row.cells["country"]: row for row in data_rows("carbon.csv", _CARBON)}


@cache
def _embodied() -> dict[str, DataRow]:
    return {row.cells["accelerator"]: row for row in data_rows("embodied.csv", _EMBODIED)}
