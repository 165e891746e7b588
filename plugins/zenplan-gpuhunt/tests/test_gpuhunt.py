"""The plugin around gpuhunt: the library itself, over HTTP, with catalogues as it publishes them and with others."""

from __future__ import annotations

import importlib
import time
import tomllib
from datetime import date
from pathlib import Path
from typing import Any, ClassVar

import pluggy
import pytest
from zenplan import DataError, Offer, PriceProvider, PriceTable, today
from zenplan.testing import ProviderContract, Reply

import zenplan_gpuhunt
from zenplan_gpuhunt import Cloud
from zenplan_gpuhunt.catalogue import Catalogue

PLUGIN = Path(__file__).parents[1]
# The columns of a catalogue, in order.
HEADER = (
    "instance_name,location,price,cpu,memory,gpu_count,gpu_name,gpu_memory,spot,disk_size,gpu_vendor,flags,cpu_arch,"
    "provider_data"
)
H100 = "1H100.80S.30V,FIN-01,2.29,30,120.0,1,H100,80.0,False,,nvidia,,x86,{}"
SPOT = H100.replace("2.29", "0.8").replace("False", "True")


class NoHttp:
    """gpuhunt uses the network itself."""

    def get_json(self, url: str, headers: Any = None, body: Any = None) -> Any:
        raise AssertionError(url)

    def stream(self, url: str, headers: Any = None) -> Any:
        raise AssertionError(url)


def fetched(name: str = "verda", timeout_s: float = 60.0) -> PriceTable:
    return Cloud(name=name, catalogue=Catalogue(timeout_s=timeout_s)).fetch(NoHttp())


def of(table: PriceTable, name: str) -> Offer | None:
    return next((offer for offer in table.offers if offer.instance.name == name), None)


def hooked() -> list[Cloud]:
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    plugin = importlib.import_module(project["entry-points"]["zenplan"]["gpuhunt"])
    manager = pluggy.PluginManager("zenplan")
    manager.register(plugin)
    return [p for found in manager.hook.zenplan_price_providers() for p in found]


def test_the_entry_point_leads_to_a_provider_for_each_cloud_that_has_no_other_plugin() -> None:
    providers = hooked()
    assert all(isinstance(provider, PriceProvider) for provider in providers)
    assert [provider.name for provider in providers] == ["cloudrift", "nebius", "oci", "verda"]
    assert [provider.carries for provider in providers] == [provider.name for provider in providers]
    assert [provider.bundled().provider for provider in providers] == ["cloudrift", "nebius", "oci", "verda"]
    assert [bool(provider.bundled().offers) for provider in providers] == [False, True, True, True]


def test_other_clouds_are_asked_for_by_name(monkeypatch) -> None:
    monkeypatch.setenv("ZENPLAN_GPUHUNT_CLOUDS", "aws, lambda")
    assert [provider.name for provider in hooked()] == ["aws", "lambda"]
    monkeypatch.setenv("ZENPLAN_GPUHUNT_CLOUDS", "lambdalabs")
    with pytest.raises(DataError, match="ZENPLAN_GPUHUNT_CLOUDS"):
        hooked()


def test_an_item_on_demand_and_its_spot_item_are_one_offer(publish, server) -> None:
    publish("verda", SPOT, H100)
    (offer,) = fetched().offers
    machine = offer.instance
    assert (machine.provider, machine.name, machine.accelerator, machine.devices) == (
        "verda",
        "1H100.80S.30V",
        "H100-SXM5-80GB",
        1,
    )
    assert (machine.vcpus, machine.ram_bytes, offer.region) == (30, 120e9, "FIN-01")
    for price, usd_per_h in ((offer.on_demand, 2.29), (offer.spot, 0.8)):
        assert price
        assert (price.usd_per_h, price.as_of) == (usd_per_h, date(2026, 11, 1))
        assert price.source == f"{server.url}/verda/20261101-1/catalog.zip"
    assert fetched().terms == Cloud(name="verda").bundled().terms


def test_a_version_that_is_no_day_is_of_today(publish) -> None:
    for version in ("v17", "20991231-1"):
        publish("verda", H100, version=version)
        (offer,) = fetched().offers
        assert offer.on_demand
        assert offer.on_demand.as_of == today()


def test_a_machine_of_zenplans_table_is_that_one(publish) -> None:
    name = "gpu-h100-sxm 8gpu-128vcpu-1600gb"
    publish("nebius", f"{name},eu-north1,23.6,128,1600.0,8,H100,80.0,False,,nvidia,,x86,{{}}")
    (offer,) = fetched("nebius").offers
    assert offer.instance in {each.instance for each in Cloud(name="nebius").bundled().offers}
    publish("nebius", f"{name},eu-north1,23.6,128,1600.0,4,H100,80.0,False,,nvidia,,x86,{{}}", H100)
    table = fetched("nebius")
    assert of(table, name.replace(" ", "_")) is None
    assert any("4 devices" in reason for reason in table.left_out)


@pytest.mark.parametrize(
    "row",
    [
        "x,FIN-01,2,30,120.0,1,R300,512.0,False,,nvidia,,x86,{}",
        "x,FIN-01,2,30,120.0,1,H100,96.0,False,,nvidia,,x86,{}",
        "x,FIN-01,2,30,120.0,1,RTX6000,24.0,False,,nvidia,,x86,{}",
        "x,FIN-01,2,30,120.0,1,H100,,False,,nvidia,,x86,{}",
    ],
)
def test_an_accelerator_that_is_not_certain_is_set_aside_once_and_never_guessed(publish, row) -> None:
    publish("verda", row, row.replace("FIN-01", "FIN-02"), H100)
    table = fetched()
    assert [offer.instance.name for offer in table.offers] == ["1H100.80S.30V"]
    assert len([reason for reason in table.left_out if "not in the table" in reason]) == 1


def test_a_name_that_stands_for_two_forms_depends_on_the_cloud(publish) -> None:
    """An A100 of 80 GB is an SXM one at Verda; at CloudRift nothing says which."""
    row = "box,FIN-01,1.3,22,120.0,1,A100,80.0,False,,nvidia,,x86,{}"
    publish("verda", row)
    publish("cloudrift", row, "rtx,FIN-01,0.4,8,50.0,1,RTX4090,24.0,False,,nvidia,,x86,{}")
    (at_verda,) = fetched().offers
    (at_cloudrift,) = fetched("cloudrift").offers
    assert at_verda.instance.accelerator == "A100-SXM4-80GB"
    assert at_cloudrift.instance.accelerator == "RTX-4090"


def test_zones_of_google_are_regions(publish) -> None:
    rows = [f"a2-highgpu-1g,us-central1-{z},3.67,12,85.0,1,A100,40.0,False,,nvidia,,x86,{{}}" for z in "abc"]
    publish("gcp", *rows)
    (offer,) = fetched("gcp").offers
    assert (offer.instance.accelerator, offer.region) == ("A100-SXM4-40GB", "us-central1")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (H100.replace("2.29", "0.0"), ""),
        (H100.replace("2.29", "nan"), "no price"),
        (H100.replace("2.29", "-1"), "no price"),
        (H100.replace("2.29", "1e300"), "absurd"),
        (H100.replace("2.29", "cheap"), "1 rows of gpuhunt's catalogue could not be read"),
    ],
)
def test_a_price_that_is_none_is_dropped_or_set_aside(publish, row, reason) -> None:
    publish("verda", row, "1L40S.20V,FIN-01,1,20,60.0,1,L40S,48.0,False,,nvidia,,x86,{}")
    table = fetched()
    assert [offer.instance.name for offer in table.offers] == ["1L40S.20V"]
    assert any(reason in each for each in table.left_out) if reason else table.left_out == ()


def test_two_prices_of_one_machine_are_neither_and_a_spot_price_above_the_other_is_set_aside(publish) -> None:
    publish("verda", H100, H100.replace("2.29", "2.5"), SPOT)
    (offer,) = fetched().offers
    assert offer.on_demand is None
    assert offer.spot
    publish("verda", H100, SPOT.replace(",0.8,", ",3.1,"))
    table = fetched()
    assert [offer.spot for offer in table.offers] == [None]
    assert any("above" in reason for reason in table.left_out)


def test_a_catalogue_that_was_not_loaded_is_no_empty_table_and_the_others_answer(publish, server) -> None:
    publish("verda", H100)
    whole = server.pages["/nebius/20261101-1/catalog.zip"]
    for spoil in (
        {"/nebius/version": b"<html>"},
        {"/nebius/20261101-1/catalog.zip": whole[: len(whole) // 2]},
        {"/nebius/20261101-1/catalog.zip": b""},
    ):
        publish("nebius")
        server.pages |= spoil
        catalogue = Catalogue(timeout_s=60.0)
        with pytest.raises(DataError, match=r"could not load its catalogue of nebius: \w+"):
            Cloud(name="nebius", catalogue=catalogue).fetch(NoHttp())
        assert Cloud(name="verda", catalogue=catalogue).fetch(NoHttp()).offers
    server.pages.clear()
    with pytest.raises(DataError, match="could not load its catalogue of verda: HTTPError"):
        fetched()


def test_a_catalogue_whose_columns_changed_has_no_table(publish) -> None:
    publish("verda", H100, header=HEADER.replace("price", "usd"))
    with pytest.raises(DataError, match="verda has no price") as raised:
        fetched()
    assert "could not be read" in raised.value.hint


def test_a_server_that_never_answers_is_given_up(server) -> None:
    server.pages = {"": Reply(delay_s=60.0)}
    start = time.monotonic()
    with pytest.raises(DataError, match="no answer within 2 s"):
        fetched(timeout_s=2.0)
    assert time.monotonic() - start < 20


def test_the_catalogues_are_loaded_once_for_all_clouds(publish, server) -> None:
    publish("verda", H100)
    catalogue = Catalogue(timeout_s=60.0)
    for _ in range(2):
        Cloud(name="verda", catalogue=catalogue).fetch(NoHttp())
        with pytest.raises(DataError, match="no price"):
            Cloud(name="oci", catalogue=catalogue).fetch(NoHttp())
    assert [each.path for each in server.requests].count("/verda/version") == 1


def test_nothing_is_written_to_the_screen_and_no_password_is_told(publish, server, monkeypatch, capfd) -> None:
    publish("verda", H100)
    server.pages.pop("/aws/version")
    fetched()
    monkeypatch.setenv("GPUHUNT_CATALOG_URL", server.url.replace("//", "//reader:planted-secret@"))
    with pytest.raises(DataError) as raised:
        fetched()
    assert "planted-secret" not in str(raised.value) + raised.value.hint
    assert capfd.readouterr() == ("", "")


def test_every_accelerator_of_the_table_has_a_data_sheet() -> None:
    from zenplan import accelerators

    from zenplan_gpuhunt.offers import _accelerators

    known = {each.name for each in accelerators()}
    assert set(_accelerators().values()) <= known
    assert {provider for provider, _, _ in _accelerators()} <= {"", *zenplan_gpuhunt.CLOUDS}


class TestContract(ProviderContract):
    """Of the dated table; the live one needs no ``Http`` and is not there."""

    provider = Cloud(name="oci", catalogue=Catalogue(timeout_s=60.0))
    undated = True
    environment: ClassVar = {"GPUHUNT_CATALOG_URL": "http://127.0.0.1:9"}
