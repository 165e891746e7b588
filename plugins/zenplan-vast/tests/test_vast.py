"""Vast.ai's plugin over real HTTP: answers of the documented shape, and of others."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
import zenplan
from zenplan import DataError, PriceTable
from zenplan.testing import ProviderContract, Reply, Server, network

from zenplan_vast import GPUS, KEY_FILES, MOST_OFFERS, RELIABILITY, VARIABLE, Vast

PATH = "/api/v0/bundles/"
KEY = "secret_planted_0123456789"


def offer(price: Any, gpus: int = 1, name: str = "H100 SXM", memory: Any = 81559, **more: Any) -> dict[str, Any]:
    """As on https://docs.vast.ai/api-reference/search/search-offers."""
    return {
        "id": 1,
        "gpu_name": name,
        "num_gpus": gpus,
        "gpu_ram": memory,
        "dph_base": price,
        "dph_total": price,
        "min_bid": None,
        "reliability": 0.99,
        "verification": "verified",
        "rentable": True,
        "geolocation": "Sweden, SE",
        **more,
    }


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in (VARIABLE, "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def page(*offers: dict[str, Any]) -> Callable[[Any], Any]:
    """Answers each question with the offers of so many GPUs."""

    def answer(request: Any) -> Any:
        wanted = json.loads(request.body)["num_gpus"]["eq"]
        return {"offers": [each for each in offers if each["num_gpus"] in (wanted, "wrong")]}

    return answer


def fetched(*offers: dict[str, Any]) -> PriceTable:
    with Server({PATH: page(*offers)}) as server, network() as http:
        return Vast(address=server.url + PATH).fetch(http)


THREE = [offer(usd) for usd in (1.2, 1.6, 9.0)]
EIGHT = [offer(8 * usd, 8, min_bid=8 * usd / 2) for usd in (1.4, 1.8, 2.0, 2.2)]


class TestContract(ProviderContract):
    provider = Vast()
    pages: ClassVar[dict[str, Any]] = {PATH: page(*THREE, *EIGHT)}
    undated = True


def prices(table: PriceTable) -> dict[str, tuple[float | None, float | None]]:
    return {
        o.instance.name: (o.on_demand.usd_per_h if o.on_demand else None, o.spot.usd_per_h if o.spot else None)
        for o in table.offers
    }


def test_the_middle_of_the_market_and_never_its_cheapest() -> None:
    table = fetched(*THREE, *EIGHT)
    assert prices(table) == {"h100-sxm": (1.6, None), "h100-sxm x8": (15.2, 7.6)}
    assert {o.instance.accelerator for o in table.offers} == {"H100-SXM5-80GB"}
    source = table.offers[0].on_demand.source if table.offers[0].on_demand else ""
    assert "median of 3 offers" in source
    assert "95%" in source


def test_only_verified_and_reliable_hosts_are_asked_for() -> None:
    with Server({PATH: page(*THREE)}) as server, network() as http:
        Vast(address=server.url + PATH).fetch(http)
        asked = [json.loads(request.body) for request in server.requests]
    assert [each["num_gpus"]["eq"] for each in asked] == [1, 2, 4, 8]
    assert all(each["verified"] == {"eq": True} and each["rentable"] == {"eq": True} for each in asked)
    assert all(each["reliability"] == {"gte": RELIABILITY} and each["limit"] == MOST_OFFERS for each in asked)


def test_one_name_of_two_memories_is_two_accelerators() -> None:
    both = [offer(1.0, 1, "A100 SXM4", memory) for memory in (40960, 81920) for _ in range(3)]
    assert {o.instance.accelerator for o in fetched(*both).offers} == {"A100-SXM4-40GB", "A100-SXM4-80GB"}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (offer(1.0, 1, "H1000"), "H1000"),
        (offer(1.0, 1, "Tesla V100", 16160), "Tesla V100"),
        (offer(1.0, memory=98304), "another product"),
        (offer(1.0, memory=None), "another product"),
        (offer(0.0), "no price"),
        (offer(-1.0), "no price"),
        (offer("1.0"), "no price"),
        (offer(1e308), "no price"),
        (offer(1.0, gpus="wrong"), "not asked for"),  # type: ignore[arg-type]  # what a server may answer
    ],
)
def test_what_cannot_be_is_left_out_with_its_reason(wrong: dict[str, Any], said: str) -> None:
    table = fetched(*THREE, *[wrong] * 3)
    assert prices(table) == {"h100-sxm": (1.6, None)}
    assert said in table.left_out[0]
    assert "3 offers" in table.left_out[0]


def test_two_offers_have_no_middle() -> None:
    table = fetched(*THREE, *EIGHT[:2])
    assert prices(table) == {"h100-sxm": (1.6, None)}
    assert "2 offers" in table.left_out[0]


def test_a_full_answer_is_told() -> None:
    table = fetched(*[offer(1.5)] * MOST_OFFERS)
    assert "more than 3,000" in table.left_out[0]


def test_no_offers_are_an_error_and_no_empty_table() -> None:
    with pytest.raises(DataError, match="no offers"):
        fetched()


@pytest.mark.parametrize("place", [VARIABLE, *KEY_FILES])
def test_a_key_is_shown_to_vast_where_there_is_one(place: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if place == VARIABLE:
        monkeypatch.setenv(VARIABLE, KEY)
    else:
        file = home / place[2:] if place.startswith("~/") else home / ".config" / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{KEY}\n", encoding="utf-8")
    denied = Reply(body={"msg": f"{KEY} is not known"}, status=401)
    with Server({PATH: denied}) as server, network() as http:
        with pytest.raises(DataError) as caught:
            Vast(address=server.url + PATH).fetch(http)
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in caught.value.message + caught.value.hint


def test_every_gpu_is_zenplans() -> None:
    sheets = {sheet.name: sheet.memory_bytes for sheet in zenplan.accelerators()}
    for kinds in GPUS.values():
        for _, accelerator, memory_gb in kinds:
            assert sheets[accelerator] == pytest.approx(memory_gb * 1e9, rel=0.1)
    dated = {o.instance.name.split(" ")[0]: o.instance.accelerator for o in Vast().bundled().offers}
    live = {name: accelerator for kinds in GPUS.values() for name, accelerator, _ in kinds}
    assert {
        name: accelerator for name, accelerator in dated.items() if live.get(name, accelerator) != accelerator
    } == {}


def test_the_entry_point_says_whose_prices_it_carries() -> None:
    """Without that, zenplan's own table of that name would need the user's consent to be replaced."""
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["zenplan"] == {Vast().name: "zenplan_vast"}
