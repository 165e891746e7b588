"""RunPod's plugin: what it offers, and that it is a plugin."""

from __future__ import annotations

import importlib
import tomllib
from pathlib import Path

import pluggy
import pytest
from zenplan import Billing, DataError, PriceProvider

import zenplan_runpod

PLUGIN = Path(__file__).parents[1]


@pytest.fixture
def provider() -> PriceProvider:
    (only,) = zenplan_runpod.zenplan_price_providers()
    return only


def test_it_is_a_price_provider_of_its_name(provider: PriceProvider) -> None:
    assert isinstance(provider, PriceProvider)
    assert provider.name == provider.bundled().provider == "runpod"


def test_the_entry_point_leads_to_the_hook() -> None:
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    plugin = importlib.import_module(project["entry-points"]["zenplan"]["runpod"])
    manager = pluggy.PluginManager("zenplan")
    manager.register(plugin)
    assert [p.name for found in manager.hook.zenplan_price_providers() for p in found] == ["runpod"]


def test_every_gpu_comes_in_pods_of_1_2_4_and_8(provider: PriceProvider) -> None:
    table = provider.bundled()
    assert table.left_out == ()
    assert len(table.offers) == 28 * 4
    assert {o.instance.devices for o in table.offers} == {1, 2, 4, 8}


def test_the_price_of_a_pod_is_in_proportion(provider: PriceProvider) -> None:
    pods = {(o.instance.name, o.tier): o for o in provider.bundled().offers}
    one, eight = pods["h100-sxm", "community"], pods["h100-sxm x8", "community"]
    assert one.instance.accelerator == eight.instance.accelerator == "H100-SXM5-80GB"
    assert one.on_demand
    assert eight.on_demand
    assert one.on_demand.usd_per_h == pytest.approx(2.69)
    assert eight.on_demand.usd_per_h == pytest.approx(8 * 2.69)
    assert eight.instance.ram_bytes == pytest.approx(8 * 125 * 2**30)


def test_both_tiers_and_the_dearer_is_secure(provider: PriceProvider) -> None:
    prices: dict[str, dict[str, float]] = {}
    for offer in provider.bundled().offers:
        price = offer.price(Billing.ON_DEMAND)
        assert price is not None
        prices.setdefault(offer.instance.name, {})[offer.tier] = price.usd_per_h
    both = [p for p in prices.values() if len(p) == 2]
    assert {tier for p in prices.values() for tier in p} == {"community", "secure"}
    assert both
    assert all(p["secure"] >= p["community"] for p in both)


def test_every_price_has_a_source_and_a_date(provider: PriceProvider) -> None:
    for offer in provider.bundled().offers:
        price = offer.on_demand
        assert price is not None
        assert price.source
        assert price.as_of is not None


def test_pods_are_never_clustered(provider: PriceProvider) -> None:
    assert all(o.instance.network_bytes_per_s is None for o in provider.bundled().offers)


def test_terms(provider: PriceProvider) -> None:
    terms = provider.bundled().terms
    assert terms is not None
    assert (terms.granularity_s, terms.egress_usd_per_byte) == (1.0, 0.0)


def test_no_live_client_yet(provider: PriceProvider) -> None:
    class NoHttp:
        def get_json(self, url, headers=None, body=None):  # pragma: no cover - must not be called
            raise AssertionError(url)

    with pytest.raises(DataError, match="no live client yet"):
        provider.fetch(NoHttp())
