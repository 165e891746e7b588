"""Price tables in CSV: a user's own file, good and bad, and the provider made of a table."""

from __future__ import annotations

import contextlib
import math
import os
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenplan import units
from zenplan.adapters.files import csv_file
from zenplan.adapters.prices import table as price_table
from zenplan.adapters.prices.rows import Machines, exactly, offers_of
from zenplan.adapters.prices.table import (
    PRICES,
    REQUIRED,
    bundled_prices,
    bundled_providers,
    bundled_tables,
    folder_providers,
    read_price_csv,
    read_price_folder,
)
from zenplan.adapters.tables.accelerators import read_accelerators
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.market.offer import Offer, PriceTable
from zenplan.errors import DataError, InputFileError, UnknownName, UsageError
from zenplan.protocols import PriceProvider

KNOWN = ("H100-SXM5-80GB", "A100-SXM4-80GB", "T4")
ONLY_KNOWN = exactly(KNOWN)
COLUMNS = (*REQUIRED, "region", *PRICES)
HEADER = ",".join(COLUMNS)
TODAY = date(2026, 11, 23)
TERMS = "granularity_s,minimum_s,storage_usd_per_gb_month,egress_usd_per_gb,pue"
NETWORK = "network_gbit_per_s_per_device"
GOOD = "mycloud,big,H100-SXM5-80GB,8,eu-1,20.5,8.25"


def write(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "prices.csv"
    path.write_text("\n".join((header, *rows)) + "\n", encoding="utf-8")
    return path


def read(folder: Path, *rows: str, header: str = HEADER) -> PriceTable:
    (table,) = read_price_csv(write(folder, *rows, header=header), KNOWN)
    return table


def only(table: PriceTable) -> Offer:
    (offer,) = table.offers
    return offer


TAKEN = "spot_taken_per_h_low,spot_taken_per_h,spot_taken_per_h_high,spot_taken_what,spot_taken_as_of,spot_taken_source"


def test_how_often_a_spot_machine_is_taken(tmp_path: Path) -> None:
    taken = only(
        read(tmp_path, f"{GOOD},0,0.001,0.01,a feed,2026-11-01,its page", header=f"{HEADER},{TAKEN}")
    ).interruptions
    assert taken
    per_h = taken.per_node_s * 3600
    assert (per_h.low, per_h.mid, per_h.high) == pytest.approx((0.0, 0.001, 0.01))
    assert (taken.what, taken.as_of, taken.source) == ("a feed", date(2026, 11, 1), "its page")
    assert only(read(tmp_path, f"{GOOD},,,,,,", header=f"{HEADER},{TAKEN}")).interruptions is None


@pytest.mark.parametrize(
    "cells",
    ["0.1,0.01,0.2,a,,b", "-1,0.01,0.2,a,,b", ",0.01,0.2,a,,b", "0,0.01,x,a,,b", "0,0.01,0.2,,,b", "0,0.01,inf,a,,b"],
)
def test_a_rate_of_interruptions_that_is_none_leaves_the_row_out(tmp_path: Path, cells: str) -> None:
    table = read(tmp_path, f"{GOOD},{cells}", f"{GOOD.replace('big', 'small')},,,,,,", header=f"{HEADER},{TAKEN}")
    assert [offer.instance.name for offer in table.offers] == ["small"]
    assert len(table.left_out) == 1


def test_a_row_for_a_term_binds_whoever_takes_it(tmp_path: Path) -> None:
    header = "provider,instance,accelerator,devices,on_demand_usd_per_h,spot_usd_per_h,tier,term_days\n"
    rows = "mine,big,H100-SXM5-80GB,8,20,,,\nmine,big,H100-SXM5-80GB,8,12,,reserved,365\n"
    bad = (
        "mine,big,H100-SXM5-80GB,8,12,,x,-1\nmine,big,H100-SXM5-80GB,8,12,,y,1e9\nmine,big,H100-SXM5-80GB,8,,9,z,365\n"
    )
    (tmp_path / "p.csv").write_text(header + rows + bad)
    (table,) = read_price_csv(tmp_path / "p.csv", KNOWN)
    free, bound = table.offers
    assert free.committed is None
    assert bound.committed is not None
    assert (bound.committed.what, bound.committed.term_s) == ("reserved", 365 * 86400.0)
    assert len(table.left_out) == 3
    assert all("term_days" in reason for reason in table.left_out)


def test_the_minimal_columns_are_enough(tmp_path: Path) -> None:
    table = read(tmp_path, GOOD)
    offer = only(table)
    assert (table.provider, table.left_out, table.terms) == ("mycloud", (), None)
    assert (offer.instance.name, offer.instance.devices, offer.region) == ("big", 8, "eu-1")
    assert offer.on_demand
    assert offer.spot
    assert (offer.on_demand.usd_per_h, offer.spot.usd_per_h) == (20.5, 8.25)
    assert (offer.on_demand.source, offer.on_demand.as_of) == ("prices.csv", None)
    assert offer.instance.network_bytes_per_s is None
    assert offer.instance.ram_bytes is None


def test_the_other_columns_are_read_in_any_order_and_case(tmp_path: Path) -> None:
    header = "Source, Tier ,vcpus,ram_gib,network_gbit_per_s_per_device,on_demand_as_of,colour," + HEADER.upper()
    offer = only(read(tmp_path, "the contract,secure,64,512,400,2026-10-01,blue," + GOOD, header=header))
    assert offer.on_demand
    assert offer.on_demand.as_of == date(2026, 10, 1)
    assert offer.on_demand.source == "the contract"
    assert offer.tier == "secure"
    assert offer.instance.vcpus == 64
    assert offer.instance.ram_bytes == 512 * units.GIB
    assert offer.instance.network_bytes_per_s == pytest.approx(50e9)


def test_an_empty_price_is_unknown_and_an_empty_region_is_any(tmp_path: Path) -> None:
    offer = only(read(tmp_path, "mycloud,big,T4,1,,,0.1"))
    assert offer.on_demand is None
    assert offer.region == "any"


def test_a_price_for_each_gpu_is_one_offer_for_one_device_where_sizes_are_unknown(tmp_path: Path) -> None:
    offer = only(read(tmp_path, "mycloud,t4,T4,1,any,0.3,,gpu", header=HEADER + ",sold_by"))
    assert (offer.instance.name, offer.instance.devices) == ("t4", 1)


def test_a_price_for_each_gpu_becomes_a_machine_of_each_size() -> None:
    machines = Machines(sizes={("p", ""): (1, 2), ("p", "T4"): (2, 8)}, networks={("p", "t4 x8"): 12.5e9})
    row = dict(zip(COLUMNS, ["p", "t4", "T4", "1", "any", "0.5", "0.25"], strict=True))
    row |= {"sold_by": "gpu", "vcpus": "4", "ram_gib": "16"}
    two, eight = offers_of(row, machines, ONLY_KNOWN, "here")
    assert (two.instance.name, two.instance.devices) == ("t4 x2", 2)
    assert (eight.instance.name, eight.instance.devices, eight.instance.vcpus) == ("t4 x8", 8, 32)
    assert eight.on_demand
    assert eight.spot
    assert (eight.on_demand.usd_per_h, eight.spot.usd_per_h) == (4.0, 2.0)
    assert (two.instance.network_bytes_per_s, eight.instance.network_bytes_per_s) == (None, 12.5e9)
    row["accelerator"] = "A100-SXM4-80GB"
    assert [o.instance.devices for o in offers_of(row, machines, ONLY_KNOWN, "here")] == [1, 2]


def test_one_table_for_each_provider_and_known_terms_come_along(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD, "aws,p5.48xlarge,H100-SXM5-80GB,8,us-east-1,40,")
    aws, mine = read_price_csv(path, KNOWN)
    assert (aws.provider, mine.provider) == ("aws", "mycloud")
    assert aws.terms
    assert aws.terms.minimum_s == 60
    assert only(aws).instance.network_bytes_per_s == pytest.approx(50e9)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("m,x,T4,1,any,-1,", "on_demand_usd_per_h must be above zero"),
        ("m,x,T4,1,any,0,", "leave it empty if unknown"),
        ("m,x,T4,1,any,nan,", "above zero and finite"),
        ("m,x,T4,1,any,inf,", "above zero and finite"),
        ("m,x,T4,1,any,0.3,free", "spot_usd_per_h is not a number: 'free'"),
        ("m,x,T4,1,any,50000,", "absurd"),
        ("m,x,T4,1,any,1,1e-9", "spot_usd_per_h of 1e-09 is absurdly low for 1 devices"),
        ("m,x,T4,1,any,,", "both empty"),
        ("m,x,T4,0,any,1,", "devices must be a whole number"),
        ("m,x,T4,1.5,any,1,", "devices must be a whole number"),
        ("m,x,T4,-8,any,1,", "devices must be a whole number"),
        ("m,x,T4,²,any,1,", "devices must be a whole number"),
        ("m,x,T4,20000,any,1,", "from 1 to 10000"),
        ("m,x,T4," + "9" * 5000 + ",any,1,", "from 1 to 10000"),
        ('m,x,T4,1,any,"1,5",', "is not a number: '1,5'"),
        ("m,x,H100-SXM-80GB,1,any,1,", "did you mean H100-SXM5-80GB"),
        ("m,x,,1,any,1,", "unknown accelerator ''"),
        ("m,,T4,1,any,1,", "name must be a name"),
        (",x,T4,1,any,1,", "provider must be a name"),
        ("mycloud,big,T4,1,eu-1,1,", "the same instance and region as line 2"),
        ("m,x,T4,1,any,1,,,surplus", "more cells than the header"),
        ("m,x,T4", "devices must be a whole number"),
    ],
)
def test_a_bad_row_is_left_out_with_its_line_and_the_others_answer(tmp_path: Path, row: str, reason: str) -> None:
    tables = read_price_csv(write(tmp_path, GOOD, row, "mycloud,small,T4,1,eu-1,0.4,"), KNOWN)
    names = [o.instance.name for t in tables for o in t.offers]
    (left_out,) = [text for t in tables for text in t.left_out]
    assert names == ["big", "small"]
    assert left_out.startswith("line 3: ")
    assert reason in left_out


@pytest.mark.parametrize(
    ("column", "cell", "reason"),
    [
        ("sold_by", "kilo", "sold_by is 'kilo'"),
        ("sold_by", "gpu", "for 1 device, not 8"),
        ("on_demand_as_of", "May 2026", "not a date"),
        ("vcpus", "many", "vcpus is not a number"),
        ("vcpus", "1e308", "beyond any machine"),
        ("ram_gib", "1e308", "ram_bytes must be above zero and finite"),
        ("ram_gib", "0", "ram_gib must be above zero"),
    ],
)
def test_a_bad_optional_cell_leaves_the_row_out(tmp_path: Path, column: str, cell: str, reason: str) -> None:
    path = write(tmp_path, f"{GOOD},{cell}", "mycloud,small,T4,1,eu-1,0.4,,", header=f"{HEADER},{column}")
    (table,) = read_price_csv(path, KNOWN)
    assert only(table).instance.name == "small"
    assert reason in table.left_out[0]


def test_the_line_of_a_row_counts_blank_lines_and_quoted_breaks(tmp_path: Path) -> None:
    table = read(tmp_path, "", GOOD, "", '"mycloud","a ""quoted"" name",T4,0,any,1,')
    assert table.left_out[0].startswith("line 5: ")


def test_a_file_without_a_valid_row_is_an_error_with_the_first_reason(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match="no valid row among 2; line 2: on_demand_usd_per_h") as caught:
        read_price_csv(write(tmp_path, "m,x,T4,1,any,-1,", "m,x,T4,0,any,1,"), KNOWN)
    assert caught.value.exit_code == 1
    assert caught.value.hint


@pytest.mark.parametrize("missing", REQUIRED)
def test_a_missing_column_is_named(tmp_path: Path, missing: str) -> None:
    header = ",".join(c for c in COLUMNS if c != missing)
    with pytest.raises(InputFileError, match=f"has no column {missing}"):
        read_price_csv(write(tmp_path, "a,b,c,d,e,f", header=header), KNOWN)


def test_without_a_column_of_prices_both_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match="has no column on_demand_usd_per_h or spot_usd_per_h") as caught:
        read_price_csv(write(tmp_path, "m,x,T4,1", header=",".join(REQUIRED)), KNOWN)
    assert "devices and on_demand_usd_per_h or spot_usd_per_h" in caught.value.hint


@pytest.mark.parametrize("column", PRICES)
def test_one_column_of_prices_is_enough_and_the_region_is_any(tmp_path: Path, column: str) -> None:
    offer = only(read(tmp_path, "m,x,T4,1,0.5", header=",".join((*REQUIRED, column))))
    assert offer.region == "any"
    assert (offer.on_demand is None, offer.spot is None) == (column != PRICES[0], column != PRICES[1])


@pytest.mark.parametrize("alias", ["H100", "h100-sxm", "H100-SXM5-80GB", "a100-80gb", "4090"])
def test_an_alias_of_an_accelerator_is_its_name(tmp_path: Path, alias: str) -> None:
    sheets = Catalogue(accelerators=read_accelerators())
    path = write(tmp_path, f"m,x,{alias},8,,20,", "m,y,H1000,8,,20,", "m,z,,8,,20,")
    (table,) = read_price_csv(path, lambda name: sheets.by_name(name).name)
    assert only(table).instance.accelerator == sheets.by_name(alias).name
    unknown, empty = table.left_out
    assert unknown.startswith("line 3: unknown accelerator 'H1000'; did you mean ")
    assert empty.startswith("line 4: unknown accelerator ''; ")


def test_an_alias_counts_for_the_sizes_of_machines() -> None:
    def canonical(name: str) -> str:
        if name != "card":
            raise UnknownName("accelerator", name, ("card",))
        return "T4"

    row = {"provider": "p", "instance": "t4", "accelerator": "card", "devices": "1", "sold_by": "gpu"}
    offers = offers_of(row | {PRICES[0]: "1"}, Machines(sizes={("p", "T4"): (1, 4)}), canonical, "here")
    assert [(o.instance.devices, o.instance.accelerator) for o in offers] == [(1, "T4"), (4, "T4")]


def test_the_day_of_its_table_takes_nothing_else_from_an_offer(tmp_path: Path) -> None:
    rates = "spot_taken_per_h_low,spot_taken_per_h,spot_taken_per_h_high,spot_taken_what,spot_taken_source"
    cells = "0.01,0.02,0.04,seen,here"
    rows = (f"m,dated,T4,1,,1,0.5,2026-11-20,{cells}", f"m,undated,T4,1,,1,0.5,,{cells}")
    dated, undated = read(tmp_path, *rows, header=f"{HEADER},on_demand_as_of,{rates}").offers
    assert undated.on_demand is not None
    assert undated.on_demand.table_as_of == date(2026, 11, 20)
    assert undated.interruptions == dated.interruptions is not None


@pytest.mark.parametrize("column", ["on_demand_as_of", "spot_as_of"])
def test_a_price_of_a_day_to_come_leaves_the_row_out(tmp_path: Path, column: str) -> None:
    rows = ("m,today,T4,1,,1,1,2026-11-23", "m,tomorrow,T4,1,,1,1,2026-11-24", "m,undated,T4,1,,1,1,")
    path = write(tmp_path, *rows, header=f"{HEADER},{column}")
    (table,) = read_price_csv(path, KNOWN, TODAY)
    assert [o.instance.name for o in table.offers] == ["today", "undated"]
    assert table.left_out == ("line 3: a price as of 2026-11-24 is dated in the future; today is 2026-11-23",)
    assert read_price_csv(path, KNOWN)[0].left_out == ()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"\xff\xfe\x00binary", "not text in UTF-8"),
        (HEADER.encode() + b"\na\x00b\n", "binary file"),
        (HEADER.encode() + b"\n", "no rows"),
        (HEADER.encode() + b'\n"open,quote\n', "not a CSV file"),
        (b"just some words\nand more\n", "has no column provider"),
    ],
)
def test_a_file_that_is_no_price_table(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "prices.csv"
    path.write_bytes(content)
    with pytest.raises(InputFileError, match=message) as caught:
        read_price_csv(path, KNOWN)
    assert caught.value.hint


def test_a_byte_order_mark_does_not_hide_the_first_column(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_bytes(b"\xef\xbb\xbf" + f"{HEADER}\r\n{GOOD}\r\n".encode())
    (table,) = read_price_csv(path, KNOWN)
    assert only(table).instance.name == "big"


def test_no_file_a_folder_and_too_big(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputFileError, match="does not exist"):
        read_price_csv(tmp_path / "none.csv", KNOWN)
    with pytest.raises(InputFileError, match="is a directory"):
        read_price_csv(tmp_path, KNOWN)
    monkeypatch.setattr(csv_file, "MAX_BYTES", 10)
    with pytest.raises(InputFileError, match="may have no more than"):
        read_price_csv(write(tmp_path, GOOD), KNOWN)


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    path = write(tmp_path, GOOD)
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(InputFileError, match="cannot be read: Permission denied"):
        read_price_csv(path, KNOWN)


@given(st.text(max_size=200))
def test_no_text_makes_it_fail_in_any_other_way(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("any") / "prices.csv"
    path.write_text(f"{HEADER}\n{text}", encoding="utf-8", errors="ignore", newline="")
    with contextlib.suppress(UsageError):
        assert any(t.offers for t in read_price_csv(path, KNOWN))


READ = (*COLUMNS, "sold_by", "tier", "vcpus", "ram_gib", "network_gbit_per_s_per_device", "on_demand_as_of")
CELLS = st.one_of(
    st.text(max_size=9),
    st.floats().map(str),
    st.integers(-10, 10**30).map(str),
    st.sampled_from(["", "gpu", "instance", "T4", "2026-02-30", "1e308", "1e-320", "-0", "0x10", "1_0"]),
)


@given(st.fixed_dictionaries(dict.fromkeys(READ, CELLS)))
def test_no_row_becomes_an_offer_with_an_impossible_price(cells: dict[str, str]) -> None:
    try:
        offers = offers_of(cells | {"accelerator": "T4"}, Machines(sizes={("", ""): (8,)}), ONLY_KNOWN, "here")
    except DataError:
        return
    for offer in offers:
        for price in (offer.on_demand, offer.spot):
            assert price is None or (math.isfinite(price.usd_per_h) and price.usd_per_h > 0)


def test_a_plugin_finds_the_bundled_table_of_its_provider_with_its_terms_and_networks() -> None:
    table = bundled_prices("aws")
    assert table in bundled_tables()
    assert table.terms
    assert any(offer.instance.network_bytes_per_s for offer in table.offers)
    with pytest.raises(DataError, match="no table of nobody"):
        bundled_prices("nobody")


def test_providers_of_the_bundled_tables_load_lazily_and_have_no_live_source() -> None:
    read_price_folder.cache_clear()
    providers = {p.name: p for p in bundled_providers()}
    assert read_price_folder.cache_info().currsize == 0
    assert list(providers) == [t.provider for t in bundled_tables()]
    aws = providers["aws"]
    assert isinstance(aws, PriceProvider)
    assert aws.bundled().provider == "aws"
    with pytest.raises(DataError, match="no live source for the prices of aws"):
        aws.fetch(http=None)  # type: ignore[arg-type]


def test_a_plugins_folder_needs_only_prices(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    (provider,) = folder_providers(tmp_path)
    table = provider.bundled()
    assert (table.provider, table.terms) == ("mycloud", None)
    assert only(table).on_demand


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "terms.csv",
            f"provider,source,{TERMS}\nm,here,second,,,,\n",
            "terms.csv, line 2, column granularity_s: 'second' is not a number",
        ),
        ("machine_sizes.csv", "provider,accelerator,sizes\nm,,1-8\n", "machine_sizes.csv, line 2, column sizes"),
        ("instances.csv", f"provider,instance,{NETWORK}\nm,x,fast\n", "instances.csv, line 2, column network"),
    ],
)
def test_a_bad_row_beside_the_prices_is_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    write(tmp_path, GOOD)
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_price_folder(tmp_path)


def test_the_documented_columns_are_the_required_ones() -> None:
    assert price_table.__doc__
    assert "``REQUIRED``" in price_table.__doc__
    assert "``PRICES``" in price_table.__doc__
