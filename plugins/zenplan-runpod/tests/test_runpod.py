"""RunPod's plugin: what it offers, and that it is a plugin."""

from __future__ import annotations

import importlib
import json
import tomllib
from pathlib import Path
from typing import Any, ClassVar

import pluggy
import pytest
import zenplan
from zenplan import Billing, DataError, PriceProvider, PriceTable
from zenplan.testing import ProviderContract, Server, network

import zenplan_runpod
from zenplan_runpod import GPUS, RunPod

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
    assert len(table.offers) == 32 * 4
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


# --- live


H100: dict[str, Any] = {
    "id": "NVIDIA H100 80GB HBM3",
    "memoryInGb": 80,
    "securePrice": 2.99,
    "communityPrice": 2.69,
    "secureSpotPrice": 1.75,
    "communitySpotPrice": 0,
    "maxGpuCountSecureCloud": 8,
    "maxGpuCountCommunityCloud": 2,
}
RTX_4090 = H100 | {"id": "NVIDIA GeForce RTX 4090", "memoryInGb": 24, "securePrice": None, "communityPrice": 0.34}


def answer(*gpus: dict[str, Any]) -> dict[str, Any]:
    return {"data": {"gpuTypes": list(gpus)}}


def fetched(*gpus: dict[str, Any]) -> PriceTable:
    with Server({"/graphql": answer(*gpus)}) as server, network() as http:
        table = RunPod(address=f"{server.url}/graphql").fetch(http)
        (asked,) = server.requests
        assert (asked.method, "gpuTypes" in json.loads(asked.body)["query"]) == ("POST", True)
        return table


class TestContract(ProviderContract):
    provider = RunPod()
    pages: ClassVar[dict[str, Any]] = {"/graphql": answer(H100, RTX_4090)}
    undated = True


def test_pods_of_both_tiers_at_the_prices_of_now() -> None:
    table = fetched(H100, RTX_4090)
    assert table.left_out == ()
    prices = {(o.instance.name, o.tier): (o.on_demand, o.spot) for o in table.offers}
    found = {key: [p and p.usd_per_h for p in both] for key, both in prices.items()}
    assert found["h100-sxm x8", "secure"] == [pytest.approx(23.92), pytest.approx(14.0)]
    # No more than two of them are in one machine there, and nobody bids.
    assert found["h100-sxm x2", "community"] == [pytest.approx(5.38), None]
    assert ("h100-sxm x4", "community") not in found
    assert [key for key in found if key[0] == "rtx-4090"] == [("rtx-4090", "community")]
    (eight,) = (o for o in table.offers if (o.instance.name, o.tier) == ("h100-sxm x8", "secure"))
    assert eight.instance.ram_bytes == pytest.approx(8 * 125 * 2**30)
    assert table.terms == RunPod().bundled().terms


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"id": "NVIDIA H1000"}, "H1000"),
        ({"id": None}, "None"),
        ({"memoryInGb": 96}, "memory of 96"),
        ({"memoryInGb": None}, "memory of None"),
        ({"communityPrice": 0, "securePrice": None}, "above zero"),
        ({"communityPrice": "free", "securePrice": None}, "not a number"),
        ({"communityPrice": -1.0, "securePrice": None}, "above zero"),
        ({"communityPrice": 1e308, "securePrice": None}, "absurd"),
    ],
)
def test_what_cannot_be_is_left_out_with_its_reason(change: dict[str, Any], said: str) -> None:
    table = fetched(RTX_4090, H100 | change)
    assert {o.instance.accelerator for o in table.offers} == {"RTX-4090"}
    assert said in table.left_out[0]


def test_an_error_of_the_query_is_one() -> None:
    page = {"errors": [{"message": "Cannot query field"}], "data": None}
    with Server({"/graphql": page}) as server, network() as http, pytest.raises(DataError, match="error of the query"):
        RunPod(address=f"{server.url}/graphql").fetch(http)


def test_every_gpu_is_zenplans_and_every_dated_name_is_used() -> None:
    known = {name for name, _, _ in GPUS.values()}
    assert len(known) == len(GPUS)
    assert {o.instance.name.split(" ")[0] for o in RunPod().bundled().offers} - known == {"hgx-b300", "rtx-pro-6000"}
    accelerators = {sheet.name: sheet.memory_bytes for sheet in zenplan.accelerators()}
    for _, accelerator, memory_gb in GPUS.values():
        assert accelerators[accelerator] == pytest.approx(memory_gb * 1e9, rel=0.1)
