"""Classes of providers, and what is had on demand of each."""

from __future__ import annotations

from datetime import date

from zenplan.adapters.files.csv_file import data_rows
from zenplan.adapters.tables.accelerators import read_accelerators
from zenplan.adapters.tables.market import on_demand_limit, provider_class
from zenplan.domain.market.provider import ProviderClass
from zenplan.domain.provenance import Origin

PROVIDERS = list(data_rows("providers.csv", ("provider", "class", "source", "status", "date")))
LIMITS = list(data_rows("availability.csv", ("provider_class", "accelerators", "devices", "source", "status", "date")))


def test_each_provider_has_one_class_with_its_source() -> None:
    names = [row.cells["provider"] for row in PROVIDERS]
    assert len(set(names)) == len(names)
    for row in PROVIDERS:
        assert provider_class(row.cells["provider"]) == row.cells["class"]
        assert row.cells["source"]
        date.fromisoformat(row.cells["date"])
    assert provider_class("nobody") is ProviderClass.UNKNOWN


def test_each_class_has_a_limit_for_every_accelerator() -> None:
    names = {a.name for a in read_accelerators()}
    for kind in ProviderClass:
        assert all(1 <= on_demand_limit(kind, name).devices <= 1024 for name in (*names, "another"))
    for row in LIMITS:
        listed = [name for name in row.cells["accelerators"].split(";") if name]
        assert set(listed) <= names, row.line
        assert len(set(listed)) == len(listed), row.line


def test_what_is_assumed_says_so() -> None:
    for row in LIMITS:
        kind = ProviderClass(row.cells["provider_class"])
        limit = on_demand_limit(kind, row.cells["accelerators"].split(";")[0])
        assert (limit.origin is Origin.ASSUMED) == (row.cells["status"] == "assumed")
        assert limit.source == row.cells["source"]


def test_a_flagship_is_no_easier_to_get_than_what_came_before() -> None:
    for kind in ProviderClass:
        assert on_demand_limit(kind, "B200-SXM-180GB").devices <= on_demand_limit(kind, "A100-SXM4-80GB").devices


def test_what_is_known_of_a_provider_is_beside_the_limit_of_its_class() -> None:
    columns = ("provider", "quota", "quota_status", "least_days", "source", "page", "status", "date")
    for row in data_rows("reservations.csv", columns):
        name = row.cells["provider"]
        plain = on_demand_limit(provider_class(name), "H100-SXM5-80GB")
        own = on_demand_limit(provider_class(name), "H100-SXM5-80GB", name)
        assert (own.devices, own.origin, own.source) == (plain.devices, plain.origin, plain.source)
        assert own.quota
        assert (own.quota_origin is Origin.PUBLISHED) == (row.cells["quota_status"] == "read")
        assert row.cells["page"].startswith("https://")
        date.fromisoformat(row.cells["date"])
    assert on_demand_limit(ProviderClass.CLOUD, "H100-SXM5-80GB", "nobody").quota == ""
