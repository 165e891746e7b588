"""Prices fetched of plugins: what comes is used, what does not come costs nothing, and each is told."""

from __future__ import annotations

import csv
import json
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from zenplan.adapters.http.client import HttpClient, Limits, trusted
from zenplan.adapters.prices.kept import KeptTables
from zenplan.adapters.prices.place import VARIABLE
from zenplan.adapters.prices.table import bundled_providers, price_table
from zenplan.adapters.tables.accelerators import read_accelerators
from zenplan.commands.shared.refresh import Verdict, live_providers, refresh
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.market.offer import PriceTable
from zenplan.errors import DataError, NoLiveSource, UnknownName, ZenplanError
from zenplan.protocols import Http
from zenplan.testing.server import Reply, Server

TODAY = date(2026, 11, 29)
SHEETS = Catalogue(accelerators=tuple(read_accelerators()))
QUICK = Limits(tries=2, backoff_s=0.01)
H100 = "H100-SXM5-80GB"


def row(usd_per_h: float | None, region: str = "eu-1", **more: Any) -> dict[str, Any]:
    return {
        "instance": "big",
        "accelerator": H100,
        "devices": 8,
        "region": region,
        "on_demand_usd_per_h": usd_per_h,
        **more,
    }


@dataclass(frozen=True)
class Shop:
    """A provider whose page is rows of a price table."""

    name: str
    url: str = ""

    def bundled(self) -> PriceTable:
        old = row(20.0, on_demand_as_of="2026-05-24")
        return price_table(self.name, [old, {**old, "region": "eu-2"}], "a list")

    def fetch(self, http: Http) -> PriceTable:
        if not self.url:
            raise NoLiveSource(f"{self.name} has no live source")
        return price_table(self.name, http.get_json(self.url), "its page")


def fetched(folder: Path, *shops: Any, **more: Any) -> dict[str, Verdict]:
    """The verdicts by provider, of shops that have their bundled tables so far."""
    trust = trusted()
    more.setdefault("tables", {shop.name: shop.bundled() for shop in shops})
    verdicts = refresh(
        shops,
        more.pop("tables"),
        KeptTables(folder),
        SHEETS,
        network=lambda: HttpClient(QUICK, trust=trust),
        today=TODAY,
        **more,
    )
    return {verdict.provider: verdict for verdict in verdicts}


def test_what_changed_is_counted_and_what_came_is_kept(tmp_path: Path) -> None:
    rows = [row(21.0), row(22.0, "eu-3"), row(0.0, "eu-4")]
    with Server({"/shop": rows}) as server:
        verdict = fetched(tmp_path, Shop("shop", f"{server.url}/shop"))["shop"]
    assert (verdict.new, verdict.changed, verdict.gone) == (1, 1, 1)
    assert verdict.failure == ""
    assert len(verdict.set_aside) == 1
    kept = KeptTables(tmp_path).newest("shop")
    assert kept is not None
    assert kept.set_aside == verdict.set_aside
    assert kept.table == verdict.table
    assert [(o.region, o.on_demand and o.on_demand.usd_per_h) for o in kept.table.offers] == [
        ("eu-1", 21),
        ("eu-3", 22),
    ]
    assert kept.table.days == (TODAY, TODAY)


def test_one_that_fails_keeps_its_table(tmp_path: Path) -> None:
    pages = {"/good": [row(21.0)], "/html": "<html>", "/wrong": {"data": 1}, "/empty": [], "/free": [row(0.0)]}
    with Server(pages) as server:
        shops = [Shop(name.strip("/"), server.url + name) for name in (*pages, "/nowhere")]
        found = fetched(tmp_path, *shops[:1], *(s for s in shops[1:] if s.name != "wrong"))
    assert [name for name, verdict in found.items() if not verdict.failure] == ["good"]
    assert KeptTables(tmp_path).providers() == ("good",)
    for name in ("html", "empty", "free", "nowhere"):
        assert found[name].table == Shop(name).bundled()
    assert "web page" in found["html"].failure
    assert "no rows" in found["empty"].failure
    assert "404" in found["nowhere"].failure
    assert len(found["free"].set_aside) == 1


def test_a_second_failure_leaves_what_the_first_fetch_brought(tmp_path: Path) -> None:
    with Server({"/shop": ([row(21.0)], "<html>")}) as server:
        shop = Shop("shop", f"{server.url}/shop")
        first = fetched(tmp_path, shop)["shop"]
        assert first.table is not None
        second = fetched(tmp_path, shop, tables={"shop": first.table})["shop"]
    assert second.failure
    assert second.table == first.table
    kept = KeptTables(tmp_path).newest("shop")
    assert kept is not None
    assert kept.table == first.table


def test_prices_are_beside_what_others_ask(tmp_path: Path) -> None:
    """Cents instead of dollars: ten times off what the same instance cost, or others ask for the accelerator."""
    with Server({"/shop": [row(2100.0), row(21.0, "eu-2"), row(2000.0, "eu-3", instance="new")]}) as server:
        shop = Shop("shop", f"{server.url}/shop")
        others = {name: Shop(name).bundled() for name in ("a", "b")}
        verdict = fetched(tmp_path, shop, tables={"shop": shop.bundled(), **others})["shop"]
    assert verdict.table is not None
    assert [offer.region for offer in verdict.table.offers] == ["eu-2"]
    assert all("ten times" in reason for reason in verdict.set_aside)


def test_ten_that_take_a_second_each_take_no_three(tmp_path: Path) -> None:
    def slow(_: Any) -> list[dict[str, Any]]:
        time.sleep(1.0)
        return [row(21.0)]

    told: list[tuple[float, str]] = []
    with Server({"": slow}) as server:
        shops = [Shop(f"shop{number}", f"{server.url}/{number}") for number in range(10)]
        start = time.monotonic()
        found = fetched(tmp_path, *shops, tell=lambda share, stage: told.append((share, stage)))
        assert time.monotonic() - start < 3
    assert [verdict.failure for verdict in found.values()] == [""] * 10
    assert list(found) == [shop.name for shop in shops]
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert "shop9" in told[0][1]


def test_one_that_never_answers_is_not_waited_for(tmp_path: Path) -> None:
    gone = threading.Event()

    class Hanging(Shop):
        def fetch(self, http: Http) -> PriceTable:
            gone.wait(10)
            raise DataError("too late")

    with Server({"/shop": [row(21.0)]}) as server:
        found = fetched(tmp_path, Hanging("slow"), Shop("shop", f"{server.url}/shop"), patience_s=0.5)
    gone.set()
    assert found["shop"].failure == ""
    assert "no answer within" in found["slow"].failure


def test_one_without_a_live_source_is_told_where_it_was_named(tmp_path: Path) -> None:
    with Server({"/shop": [row(21.0)]}) as server:
        shops = Shop("still"), Shop("shop", f"{server.url}/shop")
        assert list(fetched(tmp_path, *shops)) == ["shop"]
        assert "no live source" in fetched(tmp_path, *shops, named=True)["still"].failure
    with pytest.raises(DataError, match="live source"):
        fetched(tmp_path, Shop("still"))


def test_nobody_asks_while_somebody_refreshes(tmp_path: Path) -> None:
    with KeptTables(tmp_path).alone(), pytest.raises(ZenplanError, match="already"):
        fetched(tmp_path, Shop("shop", "http://127.0.0.1:9/"))


def test_where_nothing_can_be_written_the_table_is_the_one_before(tmp_path: Path) -> None:
    (tmp_path / "shop").write_text("in the way", encoding="utf-8")
    with Server({"/shop": [row(21.0)]}) as server:
        verdict = fetched(tmp_path, Shop("shop", f"{server.url}/shop"))["shop"]
    assert "cannot be" in verdict.failure
    assert verdict.table == Shop("shop").bundled()


def test_who_is_asked() -> None:
    own, theirs = bundled_providers(), Shop("shop")
    assert live_providers((theirs, *own)) == (theirs,)
    assert live_providers((theirs, *own), ["AWS"]) == tuple(each for each in own if each.name == "aws")
    with pytest.raises(UnknownName):
        live_providers((theirs, *own), ["shopp"])
    with pytest.raises(DataError, match="no installed plugin"):
        live_providers(own)


# --- the command


PLUGIN = """
    import os
    from zenplan import hookimpl, price_table
    class Shop:
        name = "shop"
        def bundled(self):
            old = {"instance": "big", "accelerator": "H100", "devices": 8, "on_demand_usd_per_h": 20.0,
                   "on_demand_as_of": "2026-05-24"}
            return price_table("shop", [old], "a list")
        def fetch(self, http):
            print("asked")
            key = {"Authorization": "Bearer " + os.environ["SHOP_KEY"]} if "SHOP_KEY" in os.environ else {}
            return price_table("shop", http.get_json(os.environ["SHOP_URL"], key), "its page")
    @hookimpl
    def zenplan_price_providers():
        return [Shop()]
    """


@pytest.fixture
def shop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, called: Callable[..., Any]
) -> Iterator[tuple[Callable[..., Any], Server]]:
    """zenplan with the plugin of a shop, and the shop's server."""
    folder = tmp_path / "site"
    info = folder / "shop_prices-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "shop_prices.py").write_text(textwrap.dedent(PLUGIN), encoding="utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shop-prices\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[zenplan]\nshop = shop_prices\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("ZENPLAN_PLUGINS", "shop")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "prices"))
    with Server({"/shop": [row(21.0)]}) as server:
        monkeypatch.setenv("SHOP_URL", f"{server.url}/shop")
        yield called, server


def prices_of_shop(called: Callable[..., Any]) -> dict[str, Any]:
    ended = called("prices", "--provider", "shop", "--format", "json")
    assert ended.code == 0, ended.err
    (offer,) = json.loads(ended.out)["offers"]
    return dict(offer)


def test_an_answer_takes_what_was_fetched(shop: tuple[Callable[..., Any], Server]) -> None:
    called, server = shop
    assert prices_of_shop(called)["on_demand_usd_per_h"] == 20.0
    assert server.requests == []
    ended = called("prices", "refresh", "--format", "json")
    assert ended.code == 0, ended.err
    (verdict,) = json.loads(ended.out)["providers"]
    assert (verdict["provider"], verdict["fetched"], verdict["failure"]) == ("shop", True, "")
    offer = prices_of_shop(called)
    assert (offer["on_demand_usd_per_h"], offer["on_demand_as_of"]) == (21.0, TODAY.isoformat())
    assert offer["on_demand_source"] == "its page"
    assert len(server.requests) == 1
    estimate = ("estimate", "--params", "1e9", "--provider", "shop", "--format", "json")
    (quote, *_) = json.loads(called(*estimate).out)["quotes"]
    assert TODAY.isoformat() in json.dumps(quote)
    assert len(server.requests) == 1, "an estimate uses no network"


def test_an_older_table_does_not_stand_in_for_a_newer_one(
    shop: tuple[Callable[..., Any], Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plugin that was updated since has newer prices."""
    called, _ = shop
    monkeypatch.setenv("ZENPLAN_TODAY", "2026-05-01")
    assert called("prices", "refresh").code == 0
    monkeypatch.setenv("ZENPLAN_TODAY", "2026-11-29")
    assert prices_of_shop(called)["on_demand_usd_per_h"] == 20.0


def test_a_failure_is_told_and_exits_with_one(shop: tuple[Callable[..., Any], Server]) -> None:
    called, server = shop
    assert called("prices", "refresh").code == 0
    server.pages["/shop"] = "<html>"
    ended = called("prices", "refresh")
    assert ended.code == 1
    assert "web page" in ended.out
    assert "fault in zenplan" not in ended.out + ended.err
    assert prices_of_shop(called)["on_demand_usd_per_h"] == 21.0


def test_strict_is_about_any(shop: tuple[Callable[..., Any], Server]) -> None:
    called, _ = shop
    assert called("prices", "refresh", "shop", "aws").code == 0
    assert called("prices", "refresh", "shop", "aws", "--strict").code == 1
    assert called("prices", "refresh", "aws").code == 1


def test_fresh_fetches_first_and_not_twice_an_hour(shop: tuple[Callable[..., Any], Server]) -> None:
    called, server = shop
    fresh = ("prices", "--provider", "shop", "--fresh", "--format", "json")
    for _ in range(2):
        ended = called(*fresh)
        assert (ended.code, [o["on_demand_usd_per_h"] for o in json.loads(ended.out)["offers"]]) == (0, [21.0])
        assert len(server.requests) == 1


def test_a_setting_is_as_good_as_the_flag(
    shop: tuple[Callable[..., Any], Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    called, server = shop
    monkeypatch.setenv("ZENPLAN_FRESH", "true")
    assert called("estimate", "--params", "1e9", "--provider", "shop").code == 0
    assert len(server.requests) == 1


def test_an_answer_comes_where_nothing_can_be_fetched(shop: tuple[Callable[..., Any], Server]) -> None:
    called, server = shop
    server.pages["/shop"] = "<html>"
    ended = called("estimate", "--params", "1e9", "--provider", "shop", "--fresh")
    assert ended.code == 0
    (warning,) = ended.err.splitlines()[1:]
    assert warning.startswith("warning: prices of shop are not fetched: ")


def test_options_of_the_list_are_none_of_its_words(shop: tuple[Callable[..., Any], Server]) -> None:
    called, server = shop
    ended = called("prices", "--gpu", "H100", "refresh")
    assert ended.code == 2
    assert "--gpu" in ended.err
    assert server.requests == []
    assert json.loads(called("prices", "--format", "json", "refresh").out)["schema"].startswith(
        "zenplan.prices-refresh/"
    )


def test_without_the_library_it_says_what_to_install(
    shop: tuple[Callable[..., Any], Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    called, _ = shop
    import sys

    # The package itself stays: imported again, it would be another one for whoever comes after.
    monkeypatch.delitem(sys.modules, "zenplan.adapters.http.client", raising=False)
    monkeypatch.setitem(sys.modules, "httpx", None)
    ended = called("prices", "refresh")
    assert ended.code == 2
    assert "zenplan[prices]" in ended.err
    assert called("prices", "--provider", "shop").code == 0


# --- tables beside each other


def test_diff_history_and_doctor(shop: tuple[Callable[..., Any], Server], monkeypatch: pytest.MonkeyPatch) -> None:
    called, server = shop

    def document(*argv: str) -> Any:
        ended = called("prices", *argv, "--format", "json")
        assert ended.code == 0, ended.err
        return json.loads(ended.out)

    assert called("prices", "diff").code == 1, "nothing was fetched yet"
    server.pages["/shop"] = ([row(21.0)], [row(22.0), row(9.0, "eu-2", accelerator="nothing-known"), row(23.0, "eu-3")])
    monkeypatch.setenv("ZENPLAN_TODAY", "2026-11-20")
    called("prices", "refresh")
    (first,) = document("diff")["tables"]
    assert (first["provider"], "bundled" in first["before"], "fetched" in first["after"]) == ("shop", True, True)
    monkeypatch.setenv("ZENPLAN_TODAY", "2026-11-29")
    called("prices", "refresh")
    by_change = {offer["change"]: offer for offer in document("diff")["offers"]}
    assert by_change.keys() == {"changed", "new"}
    assert (by_change["changed"]["on_demand_usd_per_h_before"], by_change["changed"]["on_demand_usd_per_h"]) == (21, 22)
    # On that day the table was the one that ships, whose machine has no region.
    assert [o["on_demand_usd_per_h"] for o in document("diff", "2026-06-01")["offers"] if o["change"] == "gone"] == [
        None
    ]
    assert called("prices", "diff", "2026-01-01").code == 1
    spells = [(s["region"], s["first"], s["on_demand_usd_per_h"]) for s in document("history", "SHOP/Big")["prices"]]
    assert spells == [
        ("any", "2026-05-24", 20),
        ("eu-1", "2026-11-20", 21),
        ("eu-1", "2026-11-29", 22),
        ("eu-3", "2026-11-29", 23),
    ]
    ended = called("prices", "history", "bigg")
    assert (ended.code, "big" in ended.err) == (2, True)
    found = [f for f in document("doctor")["findings"] if f["provider"] == "shop"]
    assert [(f["kind"], "nothing-known" in f["what"]) for f in found] == [("set_aside", True)]


def test_what_is_exported_can_be_imported(
    shop: tuple[Callable[..., Any], Server], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    called, server = shop
    file = str(tmp_path / "shop.csv")
    called("prices", "refresh")
    ended = called("prices", "export", file, "--provider", "shop")
    assert (ended.code, "1 offer" in ended.out) == (0, True)
    assert called("prices", "export", "-", "--provider", "shop").out == Path(file).read_text(encoding="utf-8")
    # Somebody else, without a network.
    monkeypatch.setenv(VARIABLE, str(tmp_path / "elsewhere"))
    assert prices_of_shop(called)["on_demand_usd_per_h"] == 20.0
    ended = called("prices", "import", file)
    assert (ended.code, ended.out) == (0, "shop: 1 offers, 0 left out\n")
    assert prices_of_shop(called)["on_demand_usd_per_h"] == 21.0
    (same,) = json.loads(called("prices", "diff", file, "--format", "json").out)["tables"]
    assert same["before"] == "shop.csv"
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("content", "code"),
    [("", 1), ("provider,instance\n", 1), ("<html>", 1), (None, 1)],
)
def test_what_cannot_be_imported(
    content: str | None, code: int, shop: tuple[Callable[..., Any], Server], tmp_path: Path
) -> None:
    called, _ = shop
    file = tmp_path / "prices.csv"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    ended = called("prices", "import", str(file))
    assert ended.code == code
    assert ended.err.startswith("error: ")
    assert "fault in zenplan" not in ended.err


def test_prices_of_somebody_whom_no_plugin_knows_can_be_imported(
    shop: tuple[Callable[..., Any], Server], tmp_path: Path
) -> None:
    called, _ = shop
    file = tmp_path / "prices.csv"
    text = (
        "provider,instance,accelerator,devices,on_demand_usd_per_h,on_demand_as_of\nnobody,n1,H100,1,2.5,2026-11-01\n"
    )
    file.write_text(text, encoding="utf-8")
    assert called("prices", "import", str(file)).code == 0
    (offer,) = json.loads(called("prices", "--provider", "nobody", "--format", "json").out)["offers"]
    assert (offer["accelerator"], offer["on_demand_usd_per_h"]) == (H100, 2.5)


def test_a_newer_cache_is_left_alone_and_said(shop: tuple[Callable[..., Any], Server], tmp_path: Path) -> None:
    called, _ = shop
    called("prices", "refresh")
    (file,) = (tmp_path / "prices" / "shop").glob("*.csv")
    newer = file.read_text(encoding="utf-8").replace("price-table/1", "price-table/2")
    file.write_text(newer, encoding="utf-8")
    ended = called("prices", "--provider", "shop", "--format", "json")
    assert json.loads(ended.out)["offers"][0]["on_demand_usd_per_h"] == 20.0
    (said,) = ended.err.splitlines()
    assert "a newer zenplan wrote it" in said
    assert file.read_text(encoding="utf-8") == newer


# --- keys


def test_a_key_is_shown_to_its_server_alone(
    shop: tuple[Callable[..., Any], Server], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whatever is written or printed is looked through, where all goes well and where it does not."""
    called, server = shop
    key = "secret_planted_0123456789"
    monkeypatch.setenv("SHOP_KEY", key)
    monkeypatch.setenv("ZENPLAN_TRACE_PLUGINS", "1")
    good, echo = [row(21.0)], {"error": f"no such key: {key}"}
    replies = [
        Reply(body=good, headers={"ETag": '"1"', "Cache-Control": "max-age=3600"}),
        Reply(body=echo, status=401),
        Reply(body=echo),
        Reply(body=f"<html>{key}"),
        Reply(body=good, status=302, headers={"Location": f"https://example.com/{key}?key={key}"}),
        Reply(body=good, truncated=True),
        Reply(body=echo, status=429, headers={"Retry-After": "9999"}),
    ]
    said = ""
    for reply in replies:
        server.pages["/shop"] = reply
        for argv in (("refresh",), ("refresh", "--format", "json"), ("doctor",), ("--fresh", "--format", "csv")):
            ended = called("prices", *argv)
            said += ended.out + ended.err
    said += called("prices", "export", str(tmp_path / "out.csv")).out
    assert {request.headers["authorization"] for request in server.requests} == {f"Bearer {key}"}
    assert key not in said
    written = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert any(file.suffix == ".csv" for file in written)
    assert [file for file in written if key.encode() in file.read_bytes()] == []


@pytest.mark.parametrize("name", ["Google Cloud", "google-cloud", "GCP"])
def test_providers_are_called_as_people_do(called: Callable[..., Any], name: str) -> None:
    for argv in (("history", "a3-highgpu-8g", "--provider", name), ("export", "now.csv", "--provider", name)):
        assert called("prices", *argv).code == 0, argv
    rows = csv.DictReader(Path("now.csv").read_text(encoding="utf-8").splitlines())
    assert {row["provider"] for row in rows} == {"gcp"}
    # Nobody who can be asked, and not an unknown name.
    ended = called("prices", "refresh", name)
    assert "unknown provider" not in ended.err
