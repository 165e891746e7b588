"""AWS's plugin over real HTTP: answers of the documented shape, and of others."""

from __future__ import annotations

import csv
import importlib
import io
import itertools
import math
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, ClassVar

import pluggy
import pytest
from zenplan import DataError, Offer, PriceProvider, PriceTable, today
from zenplan.testing import ProviderContract, Reply

import zenplan_aws
from zenplan_aws import AWS

PLUGIN = Path(__file__).parents[1]
# As in the list of 2025-09-12, https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/AmazonEC2/20250912225308/index.csv.
COLUMNS = (
    """SKU,OfferTermCode,RateCode,TermType,PriceDescription,EffectiveDate,StartingRange,EndingRange,Unit,PricePerUnit,
Currency,RelatedTo,LeaseContractLength,PurchaseOption,OfferingClass,Product Family,serviceCode,Location,Location Type,
Instance Type,Current Generation,Instance Family,vCPU,Physical Processor,Clock Speed,Memory,Storage,
Network Performance,Processor Architecture,Storage Media,Volume Type,Max Volume Size,Max IOPS/volume,
Max IOPS Burst Performance,Max throughput/volume,Provisioned,Tenancy,EBS Optimized,Operating System,License Model,
Group,Group Description,Transfer Type,From Location,From Location Type,To Location,To Location Type,usageType,
operation,AvailabilityZone,CapacityStatus,ClassicNetworkingSupport,Dedicated EBS Throughput,ECU,Elastic Graphics Type,
Enhanced Networking Supported,From Region Code,GPU,GPU Memory,Instance,Instance Capacity - 10xlarge,
Instance Capacity - 12xlarge,Instance Capacity - 16xlarge,Instance Capacity - 18xlarge,Instance Capacity - 24xlarge,
Instance Capacity - 2xlarge,Instance Capacity - 32xlarge,Instance Capacity - 4xlarge,Instance Capacity - 8xlarge,
Instance Capacity - 9xlarge,Instance Capacity - large,Instance Capacity - medium,Instance Capacity - metal,
Instance Capacity - xlarge,instanceSKU,Intel AVX2 Available,Intel AVX Available,Intel Turbo Available,MarketOption,
Normalization Size Factor,Physical Cores,Pre Installed S/W,Processor Features,Product Type,Region Code,Resource Type,
serviceName,SnapshotArchiveFeeType,To Region Code,Volume API Name,VPCNetworkingSupport""".replace("\n", "")
).split(",")
P5 = {
    "SKU": "2223B6PCG6QAUYY6",
    "OfferTermCode": "JRTCKXETXF",
    "RateCode": "2223B6PCG6QAUYY6.JRTCKXETXF.6YS6EN2CT7",
    "TermType": "OnDemand",
    "PriceDescription": "$55.04 per On Demand Linux p5.48xlarge Instance Hour, before tax",
    "EffectiveDate": "2026-11-01",
    "StartingRange": "0",
    "EndingRange": "Inf",
    "Unit": "Hrs",
    "PricePerUnit": "55.0400000000",
    "Currency": "USD",
    "Product Family": "Compute Instance",
    "serviceCode": "AmazonEC2",
    "Location": "US East (N. Virginia)",
    "Location Type": "AWS Region",
    "Instance Type": "p5.48xlarge",
    "Current Generation": "Yes",
    "Instance Family": "GPU instance",
    "vCPU": "192",
    "Physical Processor": "AMD EPYC 7R13 Processor",
    "Memory": "2,048 GiB",
    "Storage": "8 x 3840 GB NVMe SSD",
    "Network Performance": "3200 Gigabit",
    "Processor Architecture": "64-bit",
    "Tenancy": "Shared",
    "Operating System": "Linux",
    "License Model": "No License required",
    "usageType": "BoxUsage:p5.48xlarge",
    "operation": "RunInstances",
    "AvailabilityZone": "NA",
    "CapacityStatus": "Used",
    "GPU": "8",
    "MarketOption": "OnDemand",
    "Normalization Size Factor": "384",
    "Pre Installed S/W": "NA",
    "Region Code": "us-east-1",
    "serviceName": "Amazon Elastic Compute Cloud",
}
G5 = P5 | {"Instance Type": "g5.xlarge", "PricePerUnit": "1.0060000000", "Network Performance": "Up to 10 Gigabit"}
# Each of these is another product than a Linux machine by the hour.
OTHERS: list[dict[str, str]] = [
    {"Operating System": "Windows", "PricePerUnit": "99"},
    {"Operating System": "RHEL", "PricePerUnit": "99"},
    {"Operating System": "Linux", "Pre Installed S/W": "SQL Web", "PricePerUnit": "99"},
    {"Tenancy": "Dedicated", "PricePerUnit": "99"},
    {"Tenancy": "Host", "PricePerUnit": "99"},
    {"CapacityStatus": "UnusedCapacityReservation", "PricePerUnit": "99"},
    {"CapacityStatus": "AllocatedCapacityReservation", "PricePerUnit": "99"},
    {"MarketOption": "CapacityBlock", "PricePerUnit": "99"},
    {"TermType": "Reserved", "LeaseContractLength": "3yr", "PurchaseOption": "No Upfront", "PricePerUnit": "20"},
    {"TermType": "Reserved", "Unit": "Quantity", "PriceDescription": "Upfront Fee", "PricePerUnit": "200000"},
    {"Location Type": "AWS Local Zone", "Region Code": "us-east-1-bos-1", "PricePerUnit": "99"},
    {"PricePerUnit": "0.0000000000"},
]
M5 = P5 | {"Instance Type": "m5.large", "Instance Family": "General purpose", "PricePerUnit": "0.0960000000"}


def line(row: dict[str, str], columns: list[str] = COLUMNS) -> str:
    """As AWS writes it: what is not empty in quotes."""
    return ",".join(f'"{row[column]}"' if row.get(column) else "" for column in columns) + "\n"


def price_list(*rows: dict[str, str], columns: list[str] = COLUMNS, published: str = "2026-11-02T18:42:01Z") -> bytes:
    head = (
        '"FormatVersion","v1.0"\n"Disclaimer","For information and subject to other terms"\n'
        f'"Publication Date","{published}"\n"Version","20261120184201"\n"OfferCode","AmazonEC2"\n'
    )
    named = ",".join(f'"{column}"' for column in columns) + "\n"
    return (head + named + "".join(line(row, columns) for row in rows)).encode()


def spot_feed(**prices: dict[str, str]) -> dict[str, Any]:
    """By region; the feed calls us-east-1 by another name."""
    return {
        "vers": 0.01,
        "config": {
            "rate": "perhr",
            "valueColumns": ["linux", "mswin"],
            "currencies": ["USD"],
            "regions": [
                {
                    "region": region.replace("_", "-"),
                    "footnotes": {"*": "notAvailableForCCorCGPU"},
                    "instanceTypes": [
                        {
                            "type": "generalCurrentGen",
                            "sizes": [
                                {
                                    "size": size,
                                    "valueColumns": [
                                        {"name": "mswin", "prices": {"USD": "999"}},
                                        {"name": "linux", "prices": {"USD": usd}},
                                    ],
                                }
                                for size, usd in sizes.items()
                            ],
                        }
                    ],
                }
                for region, sizes in prices.items()
            ],
        },
    }


SPOT = spot_feed(us_east={"p5.48xlarge": "16.5120", "g5.xlarge": "N/A*"}, eu_ireland={"g5.xlarge": "0.4"})
ADVICE = {
    "global_rate": "<10%",
    "instance_types": {"p5.48xlarge": {"cores": 192, "emr": True, "ram_gb": 2048}},
    "ranges": [
        {"index": 0, "label": "<5%", "dots": 0, "max": 5},
        {"index": 1, "label": "5-10%", "dots": 1, "max": 11},
        {"index": 2, "label": "10-15%", "dots": 2, "max": 16},
        {"index": 3, "label": "15-20%", "dots": 3, "max": 22},
        {"index": 4, "label": ">20%", "dots": 4, "max": 100},
    ],
    "spot_advisor": {
        "us-east-1": {"Linux": {"p5.48xlarge": {"s": 70, "r": 1}, "g5.xlarge": {"s": 60, "r": 4}}, "Windows": {}},
    },
}


def at(url: str, *regions: str) -> AWS:
    """The plugin, which asks that server."""
    spot = {"spot_prices": f"{url}/spot.json", "spot_advice": f"{url}/advice.json"}
    return AWS(regions=regions or ("us-east-1",), price_lists=f"{url}/ec2", **spot)


@pytest.fixture
def fetched(says, server, http):
    """What the plugin fetches where the list has these bytes, as a function."""

    def fetch(listed: bytes, spot: Any = SPOT, advice: Any = ADVICE) -> PriceTable:
        says("/ec2/us-east-1/index.csv", Reply(body=listed))
        says("/spot.json", Reply(body=spot))
        says("/advice.json", Reply(body=advice))
        return at(server.url).fetch(http)

    return fetch


def of(table: PriceTable, name: str, region: str = "us-east-1") -> Offer | None:
    return next((o for o in table.offers if (o.instance.name, o.region) == (name, region)), None)


def test_the_entry_point_leads_to_the_hook() -> None:
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    plugin = importlib.import_module(project["entry-points"]["zenplan"]["aws"])
    manager = pluggy.PluginManager("zenplan")
    manager.register(plugin)
    (provider,) = (p for found in manager.hook.zenplan_price_providers() for p in found)
    assert isinstance(provider, PriceProvider)
    assert provider.name == provider.bundled().provider == "aws"


def test_a_list_price_with_its_machine_its_day_and_its_address(server, fetched) -> None:
    offer = of(fetched(price_list(P5)), "p5.48xlarge")
    assert offer
    assert (offer.instance.accelerator, offer.instance.devices) == ("H100-SXM5-80GB", 8)
    assert offer.instance.network_bytes_per_s == pytest.approx(400e9 / 8)
    assert offer.on_demand
    assert offer.on_demand.usd_per_h == 55.04
    assert offer.on_demand.as_of == date(2026, 11, 2)
    assert offer.on_demand.source == f"{server.url}/ec2/us-east-1/index.csv"


def test_quotes_and_line_ends_are_those_of_any_csv(fetched) -> None:
    whole = price_list(P5, *(P5 | {"PricePerUnit": "9"} | other for other in OTHERS[:-1]), G5)
    bare = whole.replace(b'"2,048 GiB"', b"2048 GiB").replace(b"Hour, before", b"Hour before").replace(b'"', b"")
    assert fetched(whole).offers == fetched(bare).offers == fetched(whole.replace(b"\n", b"\r\n")).offers


def test_a_spot_price_is_of_today_and_of_linux(server, fetched) -> None:
    table = fetched(price_list(P5, G5))
    offer = of(table, "p5.48xlarge")
    assert offer
    assert offer.spot
    assert (offer.spot.usd_per_h, offer.spot.as_of) == (16.512, today())
    assert offer.spot.source == f"{server.url}/spot.json"
    without = of(table, "g5.xlarge")
    assert without
    assert without.spot is None


def test_terms_stay_and_regions_that_were_not_asked_for_keep_their_dated_list_prices(fetched) -> None:
    table, bundled = fetched(price_list(P5)), AWS().bundled()
    assert table.terms == bundled.terms
    here = [o for o in table.offers if o.region == "us-east-1"]
    assert [o.instance.name for o in here] == ["p5.48xlarge"]
    before, after = of(bundled, "g5.xlarge", "eu-west-1"), of(table, "g5.xlarge", "eu-west-1")
    assert before
    assert after
    assert after.on_demand == before.on_demand
    assert after.spot
    assert after.spot.usd_per_h == 0.4


@pytest.mark.parametrize("other", OTHERS, ids=lambda row: " ".join(row.values()))
def test_rows_of_other_products_are_dropped(fetched, other) -> None:
    for rows in ((P5, P5 | other), (P5 | other, P5)):
        offer = of(fetched(price_list(*rows, G5)), "p5.48xlarge")
        assert offer
        assert offer.on_demand
        assert offer.on_demand.usd_per_h == 55.04
    assert of(fetched(price_list(P5 | other, G5)), "p5.48xlarge") is None


def test_machines_without_accelerators_are_no_offers_and_no_remark(fetched) -> None:
    table = fetched(price_list(M5, P5))
    assert of(table, "m5.large") is None
    assert table.left_out == ()


def test_unknown_and_fractional_accelerators_are_set_aside_once_and_never_guessed(fetched) -> None:
    p9, g6f = P5 | {"Instance Type": "p5x.48xlarge"}, P5 | {"Instance Type": "g6f.large"}
    table = fetched(price_list(P5, p9, p9, g6f))
    assert of(table, "p5x.48xlarge") is None
    assert of(table, "g6f.large") is None
    assert len(table.left_out) == 2
    assert "p5x.48xlarge" in table.left_out[0]
    assert "fraction of one L4" in table.left_out[1]


def test_what_only_the_list_knows_of_a_machine(fetched) -> None:
    trn2 = P5 | {"Instance Type": "trn2.48xlarge", "Instance Family": "Machine Learning ASIC Instances"}
    offer = of(fetched(price_list(trn2)), "trn2.48xlarge")
    assert offer
    machine = offer.instance
    assert (machine.accelerator, machine.devices, machine.vcpus) == ("Trainium2", 16, 192)
    assert machine.ram_bytes == 2048 * 2**30
    assert machine.network_bytes_per_s == pytest.approx(3200e9 / 8 / 16)
    # Zenplan's table lacks this one, and the list tells only of a burst.
    trn2u = of(
        fetched(price_list(trn2 | {"Instance Type": "trn2u.48xlarge", "Network Performance": "Up to 10 Gigabit"})),
        "trn2u.48xlarge",
    )
    assert trn2u
    assert "trn2u.48xlarge" not in {each.instance.name for each in AWS().bundled().offers}
    assert (trn2u.instance.vcpus, trn2u.instance.network_bytes_per_s) == (192, None)


def test_what_the_table_knows_of_a_machine_goes_before_the_list(fetched) -> None:
    offer = of(
        fetched(price_list(P5 | {"vCPU": "1", "Memory": "1 GiB", "Network Performance": "1 Gigabit"})),
        P5["Instance Type"],
    )
    assert offer
    assert offer.instance in {each.instance for each in AWS().bundled().offers}


@pytest.mark.parametrize(
    "column", ["TermType", "PricePerUnit", "Currency", "Instance Type", "MarketOption", "Region Code"]
)
def test_a_column_that_is_missing_is_named(fetched, column) -> None:
    columns = [each if each != column else f"{column} (new)" for each in COLUMNS]
    with pytest.raises(DataError, match=f"us-east-1: no column '{column}'") as raised:
        fetched(price_list(P5, columns=columns))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ({"Currency": "CNY"}, "'Currency' of p5.48xlarge is 'CNY'"),
        ({"PricePerUnit": "fifty"}, "'PricePerUnit'"),
        ({"PricePerUnit": "NaN"}, "'PricePerUnit'"),
        ({"PricePerUnit": "-1"}, "'PricePerUnit'"),
    ],
)
def test_a_price_that_is_none_or_in_another_currency_is_refused(fetched, row, named) -> None:
    with pytest.raises(DataError, match=named):
        fetched(price_list(P5 | row))


def test_an_absurd_price_is_set_aside_and_the_others_answer(fetched) -> None:
    table = fetched(price_list(P5 | {"PricePerUnit": "1e300"}, G5))
    assert of(table, "p5.48xlarge") is None
    assert of(table, "g5.xlarge")
    assert any("absurd" in reason for reason in table.left_out)


def test_two_prices_of_one_machine_are_neither(fetched) -> None:
    table = fetched(price_list(P5, P5 | {"PricePerUnit": "54"}, G5))
    assert of(table, "p5.48xlarge") is None
    assert any("two prices" in reason for reason in table.left_out)


@pytest.mark.parametrize("cut", [2, 5, 200, 1000])
def test_a_list_that_was_cut_is_refused(says, server, http, fetched, cut) -> None:
    whole = price_list(P5, M5, G5)
    says("/ec2/us-east-1/index.csv", Reply(body=whole, truncated=True))
    with pytest.raises(DataError):
        at(server.url).fetch(http)
    # Where nothing tells that bytes are missing, the last row does.
    with pytest.raises(DataError, match="us-east-1"):
        fetched(whole[:-cut])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Sorry</html>\n",
        b'\xff\xfe"SKU"\n' * 3,
        b"x" * 2_000_000,
        price_list(M5 | {"Operating System": "BSD"}),
    ],
    ids=["empty", "html", "utf-16", "one line", "no Linux"],
)
def test_what_is_no_price_list_is_one_line(fetched, body) -> None:
    with pytest.raises(DataError, match="us-east-1") as raised:
        fetched(body)
    assert "\n" not in str(raised.value)


def test_a_day_of_publication_that_is_none_is_named(fetched) -> None:
    with pytest.raises(DataError, match="'Publication Date'"):
        fetched(price_list(P5, published="soon"))


def test_a_list_that_is_dated_ahead_has_todays_date(fetched) -> None:
    offer = of(fetched(price_list(P5, published="2999-01-01T00:00:00Z")), "p5.48xlarge")
    assert offer
    assert offer.on_demand
    assert offer.on_demand.as_of == today()


@pytest.mark.parametrize(
    ("spot", "named"),
    [
        ({"config": {}}, "rate"),
        (spot_feed(), "no price"),
        ({"config": SPOT["config"] | {"currencies": ["EUR"]}}, "currencies"),
        (spot_feed(us_east={"p5.48xlarge": "cheap"}), "USD"),
        (b"<html>", "web page"),
    ],
)
def test_list_prices_answer_without_spot_prices_which_is_said(fetched, spot, named) -> None:
    table = fetched(price_list(P5), spot)
    offer = of(table, "p5.48xlarge")
    assert offer
    assert offer.on_demand
    assert offer.spot is None
    assert any("spot prices" in reason and named in reason for reason in table.left_out)


def test_a_spot_price_above_the_list_price_is_set_aside(fetched) -> None:
    table = fetched(price_list(P5), spot_feed(us_east={"p5.48xlarge": "56"}))
    offer = of(table, "p5.48xlarge")
    assert offer
    assert offer.spot is None
    assert any("above" in reason for reason in table.left_out)


def test_how_often_spot_machines_are_taken_back(server, fetched) -> None:
    offer = of(fetched(price_list(P5, G5)), "p5.48xlarge")
    assert offer
    taken = offer.interruptions
    assert taken
    # Of the machines of a band, its middle is left after a month at the middle rate.
    month_s = 365 * 24 * 3600 / 12
    left = [math.exp(-rate * month_s) for rate in (taken.per_node_s.low, taken.per_node_s.mid, taken.per_node_s.high)]
    assert left == pytest.approx([0.95, 0.925, 0.90])
    assert (taken.as_of, taken.source) == (today(), f"{server.url}/advice.json")
    assert "5-10%" in taken.what


def test_what_is_not_sold_as_spot_is_not_taken_back(fetched) -> None:
    offer = of(fetched(price_list(P5, G5)), "g5.xlarge")
    assert offer
    assert offer.spot is None
    assert offer.interruptions is None


@pytest.mark.parametrize(
    ("advice", "named"),
    [
        (ADVICE | {"ranges": [{"index": 0, "label": "often"}]}, "label"),
        ({"ranges": []}, "spot_advisor"),
        (ADVICE | {"spot_advisor": {"us-east-1": {"Linux": {"p5.48xlarge": {"s": 70}}}}}, "r"),
        (b"<html>", "web page"),
    ],
)
def test_prices_answer_without_advice_on_spot_which_is_said(fetched, advice, named) -> None:
    table = fetched(price_list(P5), advice=advice)
    offer = of(table, "p5.48xlarge")
    assert offer
    assert offer.spot
    assert offer.interruptions is None
    assert any("rates of interruption" in reason and named in reason for reason in table.left_out)


def test_which_regions_are_fetched(says, server, http, monkeypatch) -> None:
    for region in ("us-east-1", "us-east-2", "us-west-2", "eu-west-1"):
        says(f"/ec2/{region}/index.csv", Reply(body=price_list(P5 | {"Region Code": region})))
    says("/spot.json", Reply(body=SPOT))
    says("/advice.json", Reply(body=ADVICE))
    provider = replace(at(server.url), regions=())
    monkeypatch.delenv("ZENPLAN_AWS_REGIONS", raising=False)
    provider.fetch(http)
    assert [each.path.split("/")[2] for each in server.requests[:-2]] == list(zenplan_aws.DEFAULT_REGIONS)
    server.requests.clear()
    monkeypatch.setenv("ZENPLAN_AWS_REGIONS", "eu-west-1, us-east-1")
    provider.fetch(http)
    assert [each.path.split("/")[2] for each in server.requests[:-2]] == ["eu-west-1", "us-east-1"]
    monkeypatch.setenv("ZENPLAN_AWS_REGIONS", "../../etc")
    with pytest.raises(DataError, match="ZENPLAN_AWS_REGIONS"):
        provider.fetch(http)


def test_a_server_that_is_busy_is_asked_again(says, server, http) -> None:
    busy = Reply(body=b"slow down", status=429, headers={"Retry-After": "0"})
    says("/ec2/us-east-1/index.csv", busy, busy, Reply(body=price_list(P5)))
    says("/spot.json", busy, Reply(body=SPOT))
    says("/advice.json", busy, Reply(body=ADVICE))
    table = at(server.url).fetch(http)
    offer = of(table, "p5.48xlarge")
    assert offer
    assert offer.on_demand
    assert offer.spot
    assert len(server.requests) == 7


def test_a_region_without_a_list_fails_and_names_no_half_of_a_table(server, http) -> None:
    with pytest.raises(DataError, match="404"):
        AWS(regions=("us-east-9",), price_lists=server.url).fetch(http)


def test_every_machine_of_the_bundled_table_is_known() -> None:
    """The bundled table and the plugin's own names disagree in nothing."""
    from zenplan_aws.machines import _MORE

    for offer in AWS().bundled().offers:
        accelerator, devices = _MORE.get(offer.instance.name, (offer.instance.accelerator, offer.instance.devices))
        assert (offer.instance.accelerator, offer.instance.devices) == (accelerator, devices)


LISTS = "/offers/v1.0/aws/AmazonEC2/current"


class TestContract(ProviderContract):
    provider = AWS()
    pages: ClassVar = {
        f"{LISTS}/us-east-1/index.csv": price_list(P5, M5, G5),
        "/spot.json": SPOT,
        "/spot-advisor-data.json": ADVICE,
    }
    environment: ClassVar = {"ZENPLAN_AWS_REGIONS": "us-east-1"}


def large_list(size_bytes: int) -> Iterator[bytes]:
    """A list of that size: one row in eighteen is of the plain product, as in AWS's, where reserved terms are the most."""
    yield price_list(P5, G5)
    terms = [{"TermType": "Reserved", "OfferTermCode": f"R{i}", "LeaseContractLength": "3yr"} for i in range(16)]
    block = "".join(
        line(M5 | {"SKU": f"{i:016d}"} | term) for i in range(40) for term in ({}, {"Tenancy": "Dedicated"}, *terms)
    )
    piece = block.encode()
    for _ in itertools.repeat(None, size_bytes // len(piece)):
        yield piece


MEASURE = """
import re, sys, time
from pathlib import Path
sys.path[:0] = {paths!r}
from zenplan.adapters.http.client import HttpClient
from zenplan_aws import AWS
start = time.perf_counter()
with HttpClient() as http:
    there = {{"spot_prices": {url!r} + "/spot.json", "spot_advice": {url!r} + "/advice.json"}}
    table = AWS(regions=("us-east-1",), price_lists={url!r}, **there).fetch(http)
took_s = time.perf_counter() - start
names = [o.instance.name for o in table.offers if o.region == "us-east-1"]
# Not getrusage: that counts what the process which started this one had.
peak_kib = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
print(peak_kib / 1024, took_s, *names)
"""


@pytest.mark.slow
def test_a_list_of_300_mb_is_read_in_150_mb(says, server) -> None:
    says("/us-east-1/index.csv", Reply(body=b"".join(large_list(300_000_000))))
    says("/spot.json", Reply(body=SPOT))
    says("/advice.json", Reply(body=ADVICE))
    code = MEASURE.format(paths=[str(PLUGIN / "src")], url=server.url)
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    peak_mib, _, *names = told.stdout.split()
    assert names == ["p5.48xlarge", "g5.xlarge"]
    assert float(peak_mib) < 150


def test_the_rows_of_these_tests_are_csv() -> None:
    (row,) = csv.DictReader(io.StringIO(price_list(P5).decode().split("\n", 5)[5]))
    assert {name: cell for name, cell in row.items() if cell} == P5
