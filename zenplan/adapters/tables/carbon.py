"""How much carbon a kWh costs where a machine stands. An unknown place is None, never a world average."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from zenplan.adapters.files.csv_file import DataRow, data_rows
from zenplan.adapters.tables.regions import country_of
from zenplan.domain import checks
from zenplan.units import KWH_J

_CARBON = ("country", "name", "g_co2e_per_kwh", "year", "source")
_G_PER_KG = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GridIntensity:
    """Greenhouse gas of the electricity of a place, in CO2 equivalent, and where the figure is from."""

    kg_per_j: float
    source: str

    def __post_init__(self) -> None:
        """Refuses a figure that is not above zero."""
        checks.positive("grid intensity", kg_per_j=self.kg_per_j)
        checks.named("grid intensity", source=self.source)


def grid_intensity(provider: str, region: str) -> GridIntensity | None:
    """The yearly average of the country in which the region lies; None where the country is not known."""
    country = country_of(provider, region)
    row = _intensities().get(country) if country else None
    return _intensity(row) if row else None


@cache
def _intensities() -> dict[str, DataRow]:
    return {row.cells["country"]: row for row in data_rows("carbon.csv", _CARBON)}


def _intensity(row: DataRow) -> GridIntensity:
    return GridIntensity(
        kg_per_j=row.number("g_co2e_per_kwh") / _G_PER_KG / KWH_J,
        source=f"{row.cells['name']} {row.cells['year']}, {row.cells['source']}",
    )
