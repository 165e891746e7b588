"""Acme keeps the contract of a price provider, over real HTTP on loopback."""

from __future__ import annotations

from zenplan_acme import Acme

from zenplan.testing import LoopbackHttp, ProviderContract, Server

ITEM = {"machine": "h100-8", "gpu": "H100", "gpus": 8, "region": "eu-1", "updated": "2026-05-20"}
FIRST = {
    "items": [{**ITEM, "usd_per_hour": 23.6, "spot_usd_per_hour": 11.2}],
    "next": "https://api.example.com/v1/prices?page=2",
}
SECOND = {"items": [{**ITEM, "region": "us-1", "usd_per_hour": 22.4, "spot_usd_per_hour": None}], "next": None}
PAGES = {"/v1/prices": FIRST, "/v1/prices?page=2": SECOND}


class TestAcme(ProviderContract):
    provider = Acme()
    pages = PAGES


def test_every_page_is_read() -> None:
    with Server(PAGES) as server:
        table = Acme().fetch(LoopbackHttp(server=server))
    assert [offer.region for offer in table.offers] == ["eu-1", "us-1"]
    assert [request.path for request in server.requests] == ["/v1/prices", "/v1/prices?page=2"]
