"""Fetched tables on disk: what was put down comes back, whole, and no broken or newer file stands in the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from zenplan.adapters.files import whole_file
from zenplan.adapters.prices import kept as module
from zenplan.adapters.prices.kept import MOST_KEPT, KeptTables
from zenplan.adapters.prices.place import VARIABLE, price_cache
from zenplan.adapters.prices.table import bundled_tables, read_price_csv
from zenplan.adapters.prices.written import COLUMNS, price_csv
from zenplan.domain.market.committed import Committed
from zenplan.domain.market.interruptions import Interruptions
from zenplan.domain.market.offer import Instance, Offer, Price, PriceTable, Terms
from zenplan.domain.market.provider import ProviderClass
from zenplan.domain.range import Range
from zenplan.errors import ZenplanError

DAY = date(2026, 11, 28)


def a_table(usd_per_h: float = 2.0, provider: str = "shop", name: str = "big") -> PriceTable:
    box = Instance(
        provider=provider,
        name=name,
        accelerator="H100-SXM5-80GB",
        devices=8,
        vcpus=64,
        ram_bytes=2**40,
        network_bytes_per_s=5e10,
    )
    price = Price(usd_per_h=usd_per_h, as_of=DAY, source='a "list", of prices')
    spot = replace(price, usd_per_h=usd_per_h / 3, source="an auction")
    terms = Terms(provider=provider, granularity_s=60.0, minimum_s=3600.0, egress_usd_per_byte=1e-10, source="its page")
    offers = (
        Offer(instance=box, region="eu-1", tier="secure", on_demand=price, spot=spot),
        Offer(instance=replace(box, vcpus=None, ram_bytes=None, network_bytes_per_s=None), region="any", spot=spot),
    )
    return PriceTable(provider=provider, offers=offers, terms=terms, kind=ProviderClass.CLOUD)


@pytest.fixture
def warnings() -> list[str]:
    return []


@pytest.fixture
def kept(tmp_path: Path, warnings: list[str]) -> KeptTables:
    return KeptTables(tmp_path / "prices", warnings.append)


def files(kept: KeptTables) -> list[Path]:
    assert kept.folder is not None
    return sorted(kept.folder.glob("*/*.csv"))


def test_a_price_that_binds_comes_back_bound(kept: KeptTables) -> None:
    table = a_table()
    assert table.terms is not None
    bound = Committed(what="reservation 1 year", term_s=365 * 86400.0)
    reserved = replace(table.offers[0], tier=bound.what, spot=None, terms=replace(table.terms, committed=bound))
    kept.keep(replace(table, offers=(*table.offers, reserved)))
    found = kept.newest("shop")
    assert found is not None
    assert found.table.offers == (*table.offers, reserved)
    assert found.table.terms == table.terms


def test_what_is_kept_comes_back(kept: KeptTables) -> None:
    assert (kept.providers(), kept.newest("shop")) == ((), None)
    put = kept.keep(a_table(), ("small: it has no price",))
    found = kept.newest("shop")
    assert found is not None
    assert found.table == put == replace(a_table(), fetched_at=put.fetched_at)
    assert found.set_aside == ("small: it has no price",)
    assert kept.providers() == ("shop",)


def test_how_often_spot_machines_are_taken_comes_back(kept: KeptTables) -> None:
    taken = Interruptions(
        per_node_s=Range(low=0.0, mid=1e-8, high=3e-8), what="5 % a month", as_of=DAY, source="a page"
    )
    table = a_table()
    kept.keep(replace(table, offers=(replace(table.offers[0], interruptions=taken), table.offers[1])))
    found = kept.newest("shop")
    assert found is not None
    first, second = found.table.offers
    assert second.interruptions is None
    assert first.interruptions is not None
    rates = first.interruptions.per_node_s
    assert (rates.low, rates.mid, rates.high) == pytest.approx((0.0, 1e-8, 3e-8))
    assert replace(first.interruptions, per_node_s=taken.per_node_s) == taken


def test_every_bundled_table_comes_back(kept: KeptTables) -> None:
    for table in bundled_tables():
        put = kept.keep(table)
        found = kept.newest(table.provider)
        assert found is not None
        assert price_csv(found.table.offers) == price_csv(put.offers)
        assert (found.table.terms, len(found.table.offers)) == (put.terms, len(put.offers))
    assert set(kept.providers()) == {table.provider for table in bundled_tables()}


def test_the_newest_is_first_and_the_oldest_go(kept: KeptTables) -> None:
    for number in range(1, MOST_KEPT + 3):
        kept.keep(a_table(float(number)))
    prices = [each.table.offers[0].on_demand for each in kept.all_of("shop")]
    assert [price and price.usd_per_h for price in prices] == [float(n) for n in range(MOST_KEPT + 2, 2, -1)]


@pytest.mark.parametrize("name", ["a/b", "..", ".", "a b", "Ω", "..\\up", "%2e"])
def test_no_name_leads_out_of_the_folder(name: str, kept: KeptTables, tmp_path: Path) -> None:
    kept.keep(a_table(provider=name))
    assert kept.providers() == (name,)
    assert kept.newest(name)
    assert [path.parent.parent for path in tmp_path.rglob("*.csv")] == [kept.folder]


@pytest.mark.parametrize(
    "spoilt",
    [
        b"",
        b"\xff\xfe\x00",
        b"{}",
        b"[]\n",
        b'{"schema": 1}\n',
        b'{"schema": "zenplan.price-table/1"}\nprovider\n',
        b"provider,instance\nshop,big\n",
        None,
    ],
)
def test_a_spoilt_file_is_told_and_the_one_before_used(
    spoilt: bytes | None, kept: KeptTables, warnings: list[str]
) -> None:
    kept.keep(a_table(1.0))
    kept.keep(a_table(2.0))
    last = files(kept)[-1]
    last.write_bytes(last.read_bytes()[:300] if spoilt is None else spoilt)
    found = kept.newest("shop")
    assert found is not None
    assert found.table.offers[0].on_demand == a_table(1.0).offers[0].on_demand
    (said,) = warnings
    assert str(last) in said
    assert "\n" not in said


def test_the_table_of_another_is_none(kept: KeptTables, warnings: list[str]) -> None:
    kept.keep(a_table(provider="shop"))
    kept.keep(a_table(provider="other"))
    theirs, ours = files(kept)
    ours.write_bytes(theirs.read_bytes())
    assert kept.newest("shop") is None
    assert len(warnings) == 1


def test_a_newer_format_is_left_alone_and_said(
    kept: KeptTables, warnings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as later:
        later.setattr(module, "FORMAT", 2)
        kept.keep(a_table(1.0))
    (newer,) = files(kept)
    content = newer.read_bytes()
    assert kept.newest("shop") is None
    assert "a newer zenplan wrote it" in warnings[0]
    for number in range(MOST_KEPT + 5):
        kept.keep(a_table(2.0 + number))
    assert newer.read_bytes() == content


def test_fields_of_terms_that_a_newer_zenplan_knows_are_left_out(kept: KeptTables, warnings: list[str]) -> None:
    kept.keep(a_table())
    (file,) = files(kept)
    first, _, rest = file.read_text(encoding="utf-8").partition("\n")
    head = json.loads(first)
    head["terms"]["deposit_usd"] = 1.0
    file.write_text(f"{json.dumps(head)}\n{rest}", encoding="utf-8")
    found = kept.newest("shop")
    assert found is not None
    assert (found.table.terms, warnings) == (a_table().terms, [])


def test_only_one_refreshes_at_a_time(kept: KeptTables) -> None:
    with kept.alone():
        with pytest.raises(ZenplanError, match="already") as caught, KeptTables(kept.folder).alone():
            pass
        assert caught.value.hint
    with kept.alone():
        pass


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    for folder in (tmp_path / "file", tmp_path / "file" / "below", None):
        with pytest.raises(ZenplanError), KeptTables(folder).alone():
            pass
        assert KeptTables(folder).providers() == ()
        assert KeptTables(folder).newest("shop") is None


def test_a_full_disk_leaves_the_old_table(kept: KeptTables, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.keep(a_table(1.0))

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(whole_file.os, "fsync", full)
    with pytest.raises(ZenplanError, match="No space left"):
        kept.keep(a_table(2.0))
    assert [each.table.offers[0].on_demand for each in kept.all_of("shop")] == [a_table(1.0).offers[0].on_demand]
    assert len(list(kept.folder.rglob("*"))) == 2  # type: ignore[union-attr]  # the folder of the fixture


_ENDLESS = textwrap.dedent("""
    import sys
    from pathlib import Path
    sys.path.insert(0, {tests!r})
    from test_kept import KeptTables, a_table
    kept = KeptTables(Path({folder!r}))
    from dataclasses import replace
    table = a_table(2.0)
    many = replace(table, offers=tuple(replace(table.offers[0], region=f"r{{n}}") for n in range(2000)))
    print("begun", flush=True)
    with kept.alone():
        while True:
            kept.keep(many)
""")


def test_a_killed_refresh_leaves_whole_tables(tmp_path: Path, warnings: list[str]) -> None:
    folder = tmp_path / "prices"
    kept = KeptTables(folder, warnings.append)
    kept.keep(a_table(1.0))
    code = _ENDLESS.format(tests=str(Path(__file__).parent), folder=str(folder))
    for wait_s in (0.0, 0.013, 0.04, 0.09):
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
            assert process.stdout
            process.stdout.readline()
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(wait_s)
            os.kill(process.pid, signal.SIGKILL)
        assert all(len(each.table.offers) in (2, 2000) for each in kept.all_of("shop"))
        assert kept.newest("shop")
    assert warnings == []
    # The lock went with the process, and what it left half written goes with the next table.
    with kept.alone():
        kept.keep(a_table(3.0))
    assert [path.name for path in (folder / "shop").iterdir() if path.suffix != ".csv"] == []


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert price_cache() == tmp_path
    monkeypatch.setenv(VARIABLE, " ")
    assert price_cache() is None
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert price_cache() == tmp_path / "cache" / "zenplan" / "prices"


def test_the_text_of_a_table_is_a_price_file(tmp_path: Path) -> None:
    """What is exported can be given with --prices."""
    file = tmp_path / "prices.csv"
    for table in bundled_tables():
        file.write_text(price_csv(table.offers), encoding="utf-8")
        (found,) = read_price_csv(file, lambda name: name)
        assert found.left_out == ()
        assert price_csv(found.offers) == file.read_text(encoding="utf-8")
    assert file.read_text(encoding="utf-8").splitlines()[0] == ",".join(COLUMNS)
