"""Grid intensity by region, else by country; data centres; what making a device took; unknown where that is not known."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

import zenplan
from zenplan.adapters.prices.table import bundled_tables
from zenplan.adapters.tables import carbon
from zenplan.adapters.tables.carbon import making_of, site_of
from zenplan.adapters.tables.regions import Place
from zenplan.domain.market.emissions import Making, Site
from zenplan.errors import DataError
from zenplan.units import HOUR_S, KWH_J

DATA = Path(zenplan.__file__).parent / "data"


def rows(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def g_per_kwh(site: Site | None) -> float:
    assert site
    assert site.kg_per_j
    return site.kg_per_j * KWH_J * 1000


@pytest.mark.parametrize(
    ("provider", "region", "expected", "source"),
    [
        ("aws", "us-east-1", 396.25, "Electricity Maps"),
        ("aws", "us-west-2", 119.76, "Electricity Maps"),
        ("gcp", "us-central1", 412.72, "region-carbon-info"),
        ("gcp", "asia-northeast1", 452.85, "region-carbon-info"),
        # Of these no figure of their own is known: they have their country's.
        ("azure", "westus", 369.5, "codecarbon"),
        ("nebius", "eu-west1", 56.0, "codecarbon"),
    ],
)
def test_a_region_has_its_own_figure_else_that_of_its_country(
    provider: str, region: str, expected: float, source: str
) -> None:
    found = site_of(provider, region)
    assert g_per_kwh(found) == pytest.approx(expected, abs=0.1)
    assert found
    assert "20" in found.source
    assert source in found.source


@pytest.mark.parametrize(
    ("provider", "zone", "region"),
    [
        ("aws", "us-east-1a", "us-east-1"),
        ("gcp", "us-central1-f", "us-central1"),
        ("azure", "eastus-2", "eastus"),
    ],
)
def test_a_zone_is_in_its_region(provider: str, zone: str, region: str) -> None:
    assert site_of(provider, zone)
    assert site_of(provider, zone).pue == site_of(provider, region).pue
    assert g_per_kwh(site_of(provider, zone)) == g_per_kwh(site_of(provider, region))


@pytest.mark.parametrize(
    ("provider", "region"),
    [
        ("aws", "any"),
        ("aws", "mars-1"),
        ("aws", "mars-1a"),
        ("nobody", "us-east-1"),
        ("runpod", "any"),
        # A local zone is in another place than its region, often in another state.
        ("aws", "us-west-2-lax-1a"),
    ],
)
def test_an_unknown_place_is_none_and_not_the_world_average(provider: str, region: str) -> None:
    assert site_of(provider, region) is None


def test_a_place_without_figures_is_not_a_guess(monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = Place(country="ATA", g_co2e_per_kwh=None, grid="", pue=1.3)
    monkeypatch.setattr(carbon, "place_of", lambda provider, region: nowhere)
    assert site_of("aws", "antarctica-1") == Site(pue=1.3)


def test_every_region_with_a_price_has_a_grid() -> None:
    places = {(t.provider, o.region) for t in bundled_tables() for o in t.offers if o.region != "any"}
    assert len(places) == 39
    assert [place for place in places if site_of(*place) is None] == []
    assert all(g_per_kwh(site_of(*place)) > 0 for place in places)


def test_the_data_centre_of_a_region_is_known_where_it_is_published() -> None:
    oregon, france = site_of("aws", "us-west-2"), site_of("nebius", "eu-west1")
    assert oregon
    assert france
    assert (oregon.pue, france.pue) == (1.12, None)


def test_the_tables_are_plausible() -> None:
    countries = rows("carbon.csv")
    assert len({row["country"] for row in countries}) == len(countries) > 200
    assert all(len(row["country"]) == 3 and row["source"] and row["name"] for row in countries)
    assert all(0 < float(row["g_co2e_per_kwh"]) < 1400 for row in countries)
    assert {row["year"] for row in countries} <= {"2021", "2022", "2023"}


def test_every_figure_of_a_region_has_its_source() -> None:
    regions = rows("regions.csv")
    known = {row["country"]: float(row["g_co2e_per_kwh"]) for row in rows("carbon.csv")}
    assert len({(row["provider"], row["region"]) for row in regions}) == len(regions)
    assert {row["country"] for row in regions} <= set(known)
    for row in regions:
        assert bool(row["g_co2e_per_kwh"]) == bool(row["grid_source"]) == bool(row["year"]), row
        assert bool(row["pue"]) == bool(row["pue_source"]), row
        assert not row["pue"] or 1.0 < float(row["pue"]) < 2.0, row
        assert not row["year"] or 2023 <= int(row["year"]) <= 2026
        # Hydropower alone is a thirtieth of a country's average; nothing is four times as much.
        assert not row["g_co2e_per_kwh"] or 1 < float(row["g_co2e_per_kwh"]) < 4 * known[row["country"]], row
    assert sum(bool(row["g_co2e_per_kwh"]) for row in regions) == 95
    assert sum(bool(row["pue"]) for row in regions) == 44


# --- making


def test_a_device_is_made_with_its_share_of_a_machine() -> None:
    found = making_of("H100-SXM5-80GB")
    assert found
    assert found.kg == pytest.approx(1312 / 8 + 2500 / 8)
    # As BLOOM's account has it: 0.056 kg an hour for a server.
    assert 2500 / (found.life_s / HOUR_S) == pytest.approx(0.056, abs=0.0005)
    assert "HGX-H100-PCF" in found.source


@pytest.mark.parametrize("accelerator", ["", "RTX-4090", "MI300X", "TPU-v5e", "no such thing"])
def test_a_device_of_which_nobody_published_it_has_none(accelerator: str) -> None:
    assert making_of(accelerator) is None


def test_what_making_took_is_of_devices_that_are_in_the_catalogue_and_sourced() -> None:
    found = rows("embodied.csv")
    names = [row["accelerator"] for row in found]
    assert len(set(names)) == len(names)
    assert set(names) - {""} <= {row["name"] for row in rows("accelerators.csv")}
    assert all(row["what"] and "http" in row["source"] and 2020 <= int(row["year"]) <= 2026 for row in found)
    assert all(50 < float(row["kg_co2e"]) < 1000 for row in found)


# --- nouns


def test_a_figure_that_is_none_is_refused() -> None:
    with pytest.raises(DataError, match="kg_per_j"):
        Site(kg_per_j=0.0, source="nowhere")
    with pytest.raises(DataError, match="source"):
        Site(kg_per_j=1e-7)
    with pytest.raises(DataError, match="PUE"):
        Site(pue=0.9)
    with pytest.raises(DataError, match="kg"):
        Making(kg=0.0, life_s=1.0, source="nowhere")
