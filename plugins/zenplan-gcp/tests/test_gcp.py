"""Google Cloud's plugin over real HTTP: price lists of the documented shape, and of others."""

from __future__ import annotations

import importlib
import tomllib
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pluggy
import pytest
from zenplan import DataError, Offer, PriceProvider, PriceTable, today
from zenplan.testing import ProviderContract, Reply

from zenplan_gcp import GCP

PLUGIN = Path(__file__).parents[1]
PATH = "/v1/services/6F81-5844-456A/skus"
KEY = "AIza-planted-0123456789-abcdefghijklmnop"
EVERYWHERE = ["us-central1", "us-east1", "us-west1", "europe-west4"]


def sku(
    description: str, group: str, usd: float, unit: str = "h", usage: str = "OnDemand", **more: Any
) -> dict[str, Any]:
    """As on https://cloud.google.com/billing/v1/how-tos/catalog-api."""
    units = int(usd)
    return {
        "name": "services/6F81-5844-456A/skus/02EE-77CE-ACCD",
        "skuId": "02EE-77CE-ACCD",
        "description": description,
        "category": {
            "serviceDisplayName": "Compute Engine",
            "resourceFamily": "Compute",
            "resourceGroup": group,
            "usageType": usage,
        },
        "serviceRegions": EVERYWHERE,
        "pricingInfo": [
            {
                "effectiveTime": "2026-11-29T10:00:00Z",
                "summary": "",
                "pricingExpression": {
                    "usageUnit": unit,
                    "displayQuantity": 1,
                    "tieredRates": [
                        {
                            "startUsageAmount": 0,
                            "unitPrice": {
                                "currencyCode": "USD",
                                "units": str(units),
                                "nanos": round((usd - units) * 1e9),
                            },
                        }
                    ],
                },
                "currencyConversionRate": 1,
            }
        ],
        "serviceProviderName": "Google",
    } | more


CORE = sku("A2 Instance Core running in Americas", "CPU", 0.031611)
RAM = sku("A2 Instance Ram running in Americas", "RAM", 0.004237, "GiBy.h")
A100 = sku("Nvidia Tesla A100 GPU running in Americas", "GPU", 2.933908)
SPOT = [
    sku("Spot Preemptible A2 Instance Core running in Americas", "CPU", 0.0158, usage="Preemptible"),
    sku("Spot Preemptible A2 Instance Ram running in Americas", "RAM", 0.0021, "GiBy.h", usage="Preemptible"),
    sku("Nvidia Tesla A100 GPU attached to Spot Preemptible VMs running in Americas", "GPU", 1.4, usage="Preemptible"),
]
A2 = [CORE, RAM, A100]
# A machine that has all parts, whatever else is missing.
L4 = [
    sku("G2 Instance Core running in Americas", "CPU", 0.02499),
    sku("G2 Instance Ram running in Americas", "RAM", 0.00293, "GiBy.h"),
    sku("Nvidia L4 GPU running in Americas", "GPU", 0.56004),
]
# Each of these is another way to have an A100, and none is an hour on demand.
OTHERS = [
    sku("Reserved Nvidia Tesla A100 GPU in Americas", "GPU", 0.0),
    sku("Reserved Nvidia Tesla A100 GPU in Americas in Calendar Mode", "GPU", 1.1),
    sku("Nvidia Tesla A100 GPU attached to DWS Defined Duration VMs running in Americas", "GPU", 1.2),
    sku("Commitment v1: Nvidia Tesla A100 GPU running in Americas for 1 Year", "GPU", 1.8, usage="Commit1Yr"),
    sku("Nvidia Tesla A100 GPU running in Americas", "GPU", 1.9, usage="Commit3Yr"),
    sku("A2 Custom Instance Core running in Americas", "CPU", 0.9),
    sku("A2 Sole Tenancy Instance Core running in Americas", "CPU", 0.9),
    sku("Nvidia Tesla A100 GPU running in Americas", "GPU", 0.0),
    sku("Licensing Fee for Windows Server 2022 Datacenter Edition (CPU cost)", "License", 0.046),
    sku("Network Vpn Internet Egress from Americas to Africa", "VPNInternetEgress", 0.11, "GiBy"),
]


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_API_KEY", KEY)


@pytest.fixture
def fetched(says, http):
    """What the plugin fetches where the price list has these SKUs, as a function."""

    def fetch(*skus: dict[str, Any]) -> PriceTable:
        body = {"skus": list(skus), "nextPageToken": ""}
        return GCP(catalog=says(PATH, Reply(body=body))).fetch(http)

    return fetch


def of(table: PriceTable, name: str, region: str = "us-central1") -> Offer | None:
    return next((o for o in table.offers if (o.instance.name, o.region) == (name, region)), None)


def usd_per_h(table: PriceTable, name: str, region: str = "us-central1") -> float:
    offer = of(table, name, region)
    assert offer
    assert offer.on_demand
    return offer.on_demand.usd_per_h


def test_the_entry_point_leads_to_the_hook() -> None:
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    plugin = importlib.import_module(project["entry-points"]["zenplan"]["gcp"])
    manager = pluggy.PluginManager("zenplan")
    manager.register(plugin)
    (provider,) = (p for found in manager.hook.zenplan_price_providers() for p in found)
    assert isinstance(provider, PriceProvider)
    assert provider.name == provider.bundled().provider == "gcp"


def test_a_machine_is_its_cores_its_ram_and_its_gpus(server, fetched) -> None:
    table = fetched(*A2, *SPOT)
    offer = of(table, "a2-highgpu-1g")
    assert offer
    assert (offer.instance.accelerator, offer.instance.devices) == ("A100-SXM4-40GB", 1)
    assert offer.on_demand
    # https://cloud.google.com/compute/vm-instance-pricing: $3.673385.
    assert offer.on_demand.usd_per_h == pytest.approx(3.673385, rel=1e-5)
    assert (offer.on_demand.as_of, offer.on_demand.source) == (today(), server.url + PATH)
    assert offer.spot
    assert offer.spot.usd_per_h == pytest.approx(12 * 0.0158 + 85 * 0.0021 + 1.4)
    assert usd_per_h(table, "a2-highgpu-8g") == pytest.approx(8 * 3.673385, rel=1e-5)


def test_local_ssd_that_comes_with_a_machine_is_billed(fetched) -> None:
    parts = [
        sku("A3 Instance Core running in Americas", "CPU", 0.0293),
        sku("A3 Instance Ram running in Americas", "RAM", 0.0025, "GiBy.h"),
        sku("Nvidia H100 80GB GPU running in Americas", "GPU", 9.796551),
    ]
    ssd = sku("SSD backed Local Storage in Iowa", "LocalSSD", 0.08, "GiBy.mo")
    table = fetched(*parts, ssd)
    assert usd_per_h(table, "a3-highgpu-8g") == pytest.approx(
        208 * 0.0293 + 1872 * 0.0025 + 8 * 9.796551 + 6000 * 0.08 / 730
    )
    without = fetched(*parts, *L4)
    assert of(without, "a3-highgpu-8g") is None
    assert any("SSD backed Local Storage" in reason for reason in without.left_out)


def test_a_machine_and_a_chip_with_all_in_prices(fetched) -> None:
    table = fetched(
        sku("A4 Nvidia B200 (1 gpu slice) running in Americas", "GPU", 16.11),
        sku("Spot Preemptible A4 Nvidia B200 (1 gpu slice) running in Americas", "GPU", 4.9542),
        sku("TpuV6e running in Americas", "TPU", 2.7),
        sku("TpuV6e attached to Spot Preemptible VMs running in Americas", "TPU", 1.2, usage="Preemptible"),
    )
    b200 = of(table, "a4-highgpu-8g")
    assert b200
    assert b200.on_demand
    assert b200.spot
    assert (b200.on_demand.usd_per_h, b200.spot.usd_per_h) == pytest.approx((8 * 16.11, 8 * 4.9542))
    chip, slice_ = of(table, "tpu-v6e", "us-east1"), of(table, "tpu-v6e x16", "us-east1")
    assert chip
    assert slice_
    assert chip.on_demand
    assert slice_.on_demand
    assert slice_.spot
    assert chip.on_demand.usd_per_h == pytest.approx(2.7)
    assert (slice_.on_demand.usd_per_h, slice_.spot.usd_per_h) == pytest.approx((16 * 2.7, 16 * 1.2))


def test_a_gpu_that_goes_by_two_names_has_one_price(fetched) -> None:
    parts = [
        sku("A3Plus Instance Core running in Americas", "CPU", 0.0269),
        sku("A3Plus Instance Ram running in Americas", "RAM", 0.0023, "GiBy.h"),
        sku("SSD backed Local Storage", "LocalSSD", 0.08, "GiBy.mo"),
    ]
    names = ("Nvidia H100 80GB Mega GPU", "Nvidia H100 Mega 80GB GPU", "Nvidia H100 80GB Plus GPU")
    once = {usd_per_h(fetched(*parts, sku(f"{n} running in Americas", "GPU", 10.3)), "a3-megagpu-8g") for n in names}
    assert len(once) == 1
    both = [sku(f"{n} running in Americas", "GPU", usd) for n, usd in zip(names, (10.3, 4.8, 10.3), strict=True)]
    table = fetched(*parts, *both, *L4)
    assert of(table, "a3-megagpu-8g") is None
    assert any("two prices" in reason for reason in table.left_out)


@pytest.mark.parametrize("other", OTHERS, ids=lambda row: f"{row['description']} {row['category']['usageType']}")
def test_other_ways_to_pay_are_dropped(fetched, other) -> None:
    for skus in ((*A2, other), (other, *A2)):
        table = fetched(*skus)
        assert usd_per_h(table, "a2-highgpu-1g") == pytest.approx(3.673385, rel=1e-5)
        assert not any("not in the table" in reason for reason in table.left_out)


def test_a_part_without_a_price_is_a_machine_without_one(fetched) -> None:
    for missing in A2:
        table = fetched(*(each for each in A2 if each is not missing), *L4)
        assert of(table, "a2-highgpu-1g") is None
        assert any("a2-highgpu-1g in us-central1: no price of" in reason for reason in table.left_out)
    for missing in SPOT:
        offer = of(fetched(*A2, *(each for each in SPOT if each is not missing)), "a2-highgpu-1g")
        assert offer
        assert offer.spot is None


def test_regions_that_do_not_offer_a_machine_are_not_priced(fetched) -> None:
    """A rate of cores and GPUs is listed in regions that have none of the machines."""
    table = fetched(*(each | {"serviceRegions": [*EVERYWHERE, "asia-northeast2", "africa-south1"]} for each in A2))
    regions = {o.region for o in table.offers if o.instance.name == "a2-megagpu-16g"}
    assert regions == {"us-central1", "europe-west4"}
    assert not {o.region for o in table.offers} & {"asia-northeast2", "africa-south1"}


def test_what_is_not_put_together_here_keeps_its_dated_price(fetched) -> None:
    table, bundled = fetched(*A2), GCP().bundled()
    assert [o for o in table.offers if o.instance.accelerator == "TPU-v4"] == [
        o for o in bundled.offers if o.instance.accelerator == "TPU-v4"
    ]
    assert table.terms == bundled.terms


def test_an_unknown_accelerator_is_set_aside_once_and_never_guessed(fetched) -> None:
    new = sku("A5 Nvidia R200 (1 gpu slice) running in Americas", "GPU", 30.0)
    table = fetched(*A2, new, new)
    assert [r for r in table.left_out if "R200" in r] == [
        "SKU 'A5 Nvidia R200 (1 gpu slice)': not in the table of accelerators of zenplan-gcp"
    ]


def test_a_spot_price_above_the_other_is_set_aside(fetched) -> None:
    table = fetched(
        *A2, *SPOT[:2], sku("Nvidia Tesla A100 GPU attached to Spot Preemptible VMs running in Iowa", "GPU", 5.0)
    )
    offer = of(table, "a2-highgpu-1g")
    assert offer
    assert offer.spot is None
    assert any("above" in reason for reason in table.left_out)


def test_all_pages_are_read_and_never_in_a_circle(says, server, http) -> None:
    def page(token: str, *skus: dict[str, Any]) -> Any:
        return Reply(body={"skus": list(skus), "nextPageToken": token})

    address = says(PATH, page("a/b=", CORE), page("c", RAM), page("", A100))
    assert of(GCP(catalog=address).fetch(http), "a2-highgpu-1g")
    asked = [parse_qs(urlsplit(each.path).query) for each in server.requests]
    assert [query.get("pageToken", [""])[0] for query in asked] == ["", "a/b=", "c"]
    assert asked[0]["pageSize"] == ["5000"]
    with pytest.raises(DataError, match="circle"):
        GCP(catalog=says(PATH, page("a", *A2))).fetch(http)


def test_a_server_that_is_busy_is_asked_again_and_another_host_never_sees_the_key(says, server, http) -> None:
    busy = Reply(body=b"slow down", status=429, headers={"Retry-After": "0"})
    address = says(PATH, busy, Reply(body={"skus": A2}))
    assert of(GCP(catalog=address).fetch(http), "a2-highgpu-1g")
    elsewhere = Reply(
        body=b"", status=302, headers={"Location": server.url.replace("127.0.0.1", "localhost") + "/skus"}
    )
    server.requests.clear()
    says("/skus", Reply(body={"skus": A2}))
    with pytest.raises(DataError):
        GCP(catalog=says(PATH, elsewhere)).fetch(http)
    assert [each.path.partition("?")[0] for each in server.requests] == [PATH]


@pytest.mark.parametrize(
    ("path", "named"),
    [
        (("description",), "description"),
        (("category",), "category"),
        (("category", "usageType"), "usageType"),
        (("category", "resourceGroup"), "resourceGroup"),
        (("serviceRegions",), "serviceRegions"),
        (("pricingInfo",), "pricingInfo"),
        (("pricingInfo", 0, "pricingExpression"), "pricingExpression"),
        (("pricingInfo", 0, "pricingExpression", "usageUnit"), "usageUnit"),
        (("pricingInfo", 0, "pricingExpression", "tieredRates"), "tieredRates"),
        (("pricingInfo", 0, "pricingExpression", "tieredRates", 0, "unitPrice"), "unitPrice"),
        (("pricingInfo", 0, "pricingExpression", "tieredRates", 0, "unitPrice", "currencyCode"), "currencyCode"),
    ],
)
def test_a_field_that_is_missing_is_named(fetched, path, named) -> None:
    changed = sku("Nvidia Tesla A100 GPU running in Americas", "GPU", 2.9)
    owner: Any = changed
    for step in path[:-1]:
        owner = owner[step]
    del owner[path[-1]]
    with pytest.raises(DataError, match=named) as raised:
        fetched(CORE, RAM, changed)
    assert "\n" not in str(raised.value)


def changed(**money: Any) -> dict[str, Any]:
    row = sku("Nvidia Tesla A100 GPU running in Americas", "GPU", 2.9)
    row["pricingInfo"][0]["pricingExpression"]["tieredRates"][0]["unitPrice"] |= money
    return row


@pytest.mark.parametrize(
    ("row", "named"),
    [
        (changed(currencyCode="EUR"), "'currencyCode' is 'EUR'"),
        (changed(units="-1"), "'unitPrice'"),
        (changed(units="1e9"), "'unitPrice'"),
        (changed(nanos="many"), "nanos"),
        (sku("A2 Instance Ram running in Americas", "RAM", 0.004, "GBy.h"), "'usageUnit'"),
    ],
)
def test_a_price_in_another_currency_or_unit_or_that_is_none_is_refused(fetched, row, named) -> None:
    with pytest.raises(DataError, match=named):
        fetched(*A2, row)


def test_zeros_that_are_left_out_are_zeros(fetched) -> None:
    row = sku("Nvidia Tesla A100 GPU running in Americas", "GPU", 3.0)
    del row["pricingInfo"][0]["pricingExpression"]["tieredRates"][0]["unitPrice"]["nanos"]
    assert usd_per_h(fetched(CORE, RAM, row), "a2-highgpu-1g") == pytest.approx(0.739477 + 3)


def test_answers_that_are_no_price_list(says, http, fetched) -> None:
    with pytest.raises(DataError, match="no SKU of a machine"):
        fetched(OTHERS[-1])
    for bad in (
        Reply(body={"items": []}),
        Reply(body=b"<html>"),
        Reply(body=b"[]"),
        Reply(body={"skus": A2}, truncated=True),
    ):
        with pytest.raises(DataError):
            GCP(catalog=says(PATH, bad)).fetch(http)


def test_without_a_key_nothing_is_asked(server, http, monkeypatch) -> None:
    monkeypatch.delenv("GOOGLE_API_KEY")
    with pytest.raises(DataError, match="API key") as raised:
        GCP(catalog=server.url).fetch(http)
    assert "GOOGLE_API_KEY" in raised.value.hint
    assert server.requests == []


def test_the_key_goes_into_a_header_and_nowhere_else(says, server, http, fetched, monkeypatch) -> None:
    table = fetched(*A2)
    (asked,) = server.requests
    assert asked.headers["x-goog-api-key"] == KEY
    assert KEY not in asked.path
    assert KEY not in repr(table) + repr(GCP())
    for bad in (Reply(body=b"no", status=403), Reply(body=f"<html>{KEY}".encode()), Reply(body={"skus": [{}]})):
        with pytest.raises(DataError) as raised:
            GCP(catalog=says(PATH, bad)).fetch(http)
        assert KEY not in str(raised.value) + raised.value.hint
    monkeypatch.setenv("GOOGLE_API_KEY", KEY + "\nX-Evil: 1")
    with pytest.raises(DataError) as raised:
        GCP(catalog=server.url).fetch(http)
    assert KEY not in str(raised.value)


class TestContract(ProviderContract):
    provider = GCP()
    pages: ClassVar = {PATH: {"skus": [*A2, *SPOT, *L4]}}
    environment: ClassVar = {"GOOGLE_API_KEY": KEY}
