"""How much carbon a kWh costs where a machine stands. An unknown place is None, never a world average."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from zenplan.domain import checks

_DATA = Path(__file__).parents[2] / "data"
_J_PER_KWH = 3.6e6
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
    country = _countries().get((provider, region))
    return _intensities().get(country) if country else None


@cache
def _countries() -> dict[tuple[str, str], str]:
    return {(row["provider"], row["region"]): row["country"] for row in _rows("regions.csv")}


@cache
def _intensities() -> dict[str, GridIntensity]:
    return {
        row["country"]: GridIntensity(
            kg_per_j=float(row["g_co2e_per_kwh"]) / _G_PER_KG / _J_PER_KWH,
            source=f"{row['name']} {row['year']}, {row['source']}",
        )
        for row in _rows("carbon.csv")
    }


def _rows(name: str) -> list[dict[str, str]]:
    text = (_DATA / name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
