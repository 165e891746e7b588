"""Grid intensity: by the country of the region, and unknown where that is not known."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

import zenplan
from zenplan.adapters.prices.table import bundled_tables
from zenplan.adapters.tables.carbon import GridIntensity, grid_intensity
from zenplan.errors import DataError

DATA = Path(zenplan.__file__).parent / "data"


@pytest.mark.parametrize(
    ("provider", "region", "g_per_kwh"),
    [
        ("aws", "us-east-1", 369.5),
        ("aws", "eu-north-1", 40.7),
        ("azure", "uksouth", 237.6),
        ("gcp", "asia-northeast1", 485.4),
        ("nebius", "eu-west1", 56.0),
    ],
)
def test_a_region_has_the_figure_of_its_country(provider: str, region: str, g_per_kwh: float) -> None:
    found = grid_intensity(provider, region)
    assert found
    assert found.kg_per_j * 3.6e6 * 1000 == pytest.approx(g_per_kwh, abs=0.1)
    assert "20" in found.source
    assert "codecarbon" in found.source


@pytest.mark.parametrize(
    ("provider", "region"), [("aws", "any"), ("aws", "mars-1"), ("nobody", "us-east-1"), ("runpod", "any")]
)
def test_an_unknown_place_is_none_and_not_the_world_average(provider: str, region: str) -> None:
    assert grid_intensity(provider, region) is None


def test_every_region_with_a_price_has_a_country_with_a_figure() -> None:
    places = {(t.provider, o.region) for t in bundled_tables() for o in t.offers if o.region != "any"}
    assert len(places) == 29
    assert [place for place in places if grid_intensity(*place) is None] == []


def test_the_table_is_plausible() -> None:
    with (DATA / "carbon.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({row["country"] for row in rows}) == len(rows) > 200
    assert all(len(row["country"]) == 3 and row["source"] and row["name"] for row in rows)
    assert all(0 < float(row["g_co2e_per_kwh"]) < 1400 for row in rows)
    assert {row["year"] for row in rows} <= {"2021", "2022", "2023"}


def test_a_figure_of_zero_is_not_a_figure() -> None:
    with pytest.raises(DataError, match="kg_per_j"):
        GridIntensity(kg_per_j=0.0, source="nowhere")
