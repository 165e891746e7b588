"""The contracts of ``zenplan.testing``: zenplan's own items keep them, and what does not is seen."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from zenplan import DataError, Instance, Offer, Price, PriceTable, UsageError
from zenplan.adapters.clock import today
from zenplan.adapters.formats import exporters
from zenplan.adapters.tables.accelerators import read_accelerators
from zenplan.adapters.trackers.tensorboard import TensorBoard
from zenplan.adapters.workers.process import Limits, run_job
from zenplan.families.catalogue import FAMILIES
from zenplan.families.named import LazyFamily
from zenplan.testing import (
    AcceleratorsContract,
    ExporterContract,
    FakeEngine,
    LoopbackHttp,
    ProviderContract,
    Reply,
    Request,
    Server,
    TrackerContract,
    WorkloadContract,
    fake_device,
    taken,
)
from zenplan.worker.protocol import Blocks, Event, Measure, Peak, Rounds, Sampled, WantedPoint

OWN = LazyFamily(*next(iter(FAMILIES.items())))
FORMATS = {each.name: each for each in exporters()}


def cells(text: str) -> Sequence[Mapping[str, str]]:
    # A text that a spreadsheet would run has an apostrophe in front.
    return [{k: v.removeprefix("'") for k, v in row.items()} for row in csv.DictReader(io.StringIO(text))]


# --- zenplan's own


class TestJson(ExporterContract):
    exporter = FORMATS["json"]


class TestCsv(ExporterContract):
    exporter = FORMATS["csv"]
    parse = staticmethod(cells)


class TestMarkdown(ExporterContract):
    exporter = FORMATS["markdown"]


class TestTensorBoard(TrackerContract):
    tracker = TensorBoard()


class TestAccelerators(AcceleratorsContract):
    accelerators = read_accelerators()
    replaces = tuple(each.name for each in read_accelerators())

    def test_it_can_be_planned_with(self) -> None:
        """Of some that train no peak is published."""

    def test_figures_say_where_they_are_from(self) -> None:
        """The table has a source for each figure, by the names of its columns."""
        assert all(each.sources for each in self.accelerators)


class TestFamily(WorkloadContract):
    family = OWN

    def test_its_models_are_nobody_elses(self) -> None:
        """They are zenplan's own."""


# --- what does not keep them


def offer(
    usd_per_h: float = 20.0, as_of: date | None = date(2026, 5, 24), accelerator: str = "H100", **more: Any
) -> Offer:
    box = Instance(provider="shop", name="box", accelerator=accelerator, devices=8)
    return Offer(instance=box, region="any", on_demand=Price(usd_per_h=usd_per_h, as_of=as_of, source="s"), **more)


@dataclass
class Shop:
    offers: tuple[Offer, ...] = (offer(),)
    name: str = "shop"
    live: Callable[[Any], PriceTable] | None = None

    def bundled(self) -> PriceTable:
        return PriceTable(provider=self.name, offers=self.offers)

    def fetch(self, http: Any) -> PriceTable:
        if self.live is None:
            raise DataError("no live source")
        return self.live(http)


def checked(contract: type, **members: Any) -> Any:
    return type("TestIt", (contract,), members)()


DEAR = Price(usd_per_h=30.0, as_of=date(2026, 5, 24), source="s")
BAD_TABLES: Mapping[str, tuple[str, tuple[Offer, ...]]] = {
    "empty": ("test_the_bundled_table_needs_no_network", ()),
    "tomorrow": ("test_prices_have_a_day_and_a_source", (offer(as_of=today() + timedelta(days=1)),)),
    "undated": ("test_prices_have_a_day_and_a_source", (offer(as_of=None),)),
    "unknown": ("test_accelerators_are_known", (offer(accelerator="H1000"),)),
    "twice": ("test_zenplan_takes_all_of_the_bundled_table", (offer(), offer())),
    "a slip of units": ("test_prices_can_be", (offer(2000.0),)),
    "spot above": ("test_prices_can_be", (offer(spot=DEAR),)),
}


@pytest.mark.parametrize("what", BAD_TABLES)
def test_a_bad_table_is_seen(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    test, offers = BAD_TABLES[what]
    needs = {"monkeypatch": monkeypatch} if test.endswith("network") else {}
    getattr(checked(ProviderContract, provider=Shop()), test)(**needs)
    with pytest.raises(AssertionError):
        getattr(checked(ProviderContract, provider=Shop(offers)), test)(**needs)


@pytest.mark.parametrize("name", ["My Cloud", "-x", "ABC"])
def test_a_name_that_cannot_be_typed_is_seen(name: str) -> None:
    with pytest.raises(AssertionError):
        checked(ProviderContract, provider=Shop(name=name)).test_it_is_a_provider()


BAD_SOURCES: Mapping[str, Callable[[Any], PriceTable]] = {
    "an empty table": lambda http: PriceTable(provider="shop", offers=()),
    "an old table": lambda http: Shop().bundled(),
    "another exception": lambda http: http.get_json("http://x/")["items"],
}


@pytest.mark.parametrize("what", BAD_SOURCES)
def test_a_source_that_hides_what_went_wrong_is_seen(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = checked(ProviderContract, provider=Shop(live=BAD_SOURCES[what]))
    # The one raises KeyError, the others make a table of it.
    with pytest.raises((KeyError, pytest.fail.Exception)):
        bad.test_a_source_that_is_not_well_is_one_error("another schema", monkeypatch)
    checked(ProviderContract, provider=Shop()).test_a_source_that_is_not_well_is_one_error(
        "another schema", monkeypatch
    )


def test_a_live_table_of_other_machines_is_seen() -> None:
    four = replace(offer(), instance=replace(offer().instance, devices=4))
    contract = checked(ProviderContract, provider=Shop())
    contract.test_the_live_table_is_of_the_same_kind(PriceTable(provider="shop", offers=(offer(22.0),)))
    for offers in ((four,), (), (offer(accelerator="A100-SXM4-80GB"),), (offer(as_of=None),)):
        with pytest.raises(AssertionError):
            contract.test_the_live_table_is_of_the_same_kind(PriceTable(provider="shop", offers=offers))


@pytest.mark.parametrize(
    ("test", "change"),
    [
        ("test_figures_are_in_base_units", {"memory_bytes": 80.0}),
        ("test_figures_are_in_base_units", {"peak_flop_per_s": {"bf16": 989.0}}),
        ("test_it_can_be_planned_with", {"peak_flop_per_s": {}}),
        ("test_names_are_nobody_elses", {"aliases": ("h100",)}),
        ("test_figures_say_where_they_are_from", {"sources": {}}),
    ],
)
def test_a_bad_data_sheet_is_seen(test: str, change: Mapping[str, Any]) -> None:
    sheet = replace(read_accelerators()[0], name="Mine-1", aliases=(), nvml_names=())
    with pytest.raises(AssertionError):
        getattr(checked(AcceleratorsContract, accelerators=(replace(sheet, **change),)), test)()


ANSWERS = iter(range(1000))
BAD_FORMATS: Mapping[str, Callable[[Any], Any]] = {
    "no newline": lambda report: "no newline",
    "bytes": lambda report: b"bytes\n",
    "another each time": lambda report: f"{next(ANSWERS)}\n",
    "a command of the terminal": lambda report: "\x1b[31mred\n",
    "half a character": lambda report: "\ud800\n",
}


@pytest.mark.parametrize("what", BAD_FORMATS)
def test_a_bad_format_is_seen(what: str) -> None:
    bad = type("Format", (), {"name": "bad", "export": staticmethod(BAD_FORMATS[what])})()
    with pytest.raises((AssertionError, UnicodeEncodeError)):
        checked(ExporterContract, exporter=bad).test_a_report_becomes_a_text("plain")


class _Family:
    """A family of one model; ``change`` is what is wrong with it."""

    name = "mine"

    def __init__(self, change: Callable[[Any, Mapping[str, Any]], Any]) -> None:
        self.change = change

    def presets(self) -> Sequence[str]:
        return ("mine-1b",)

    def lower(self, options: Mapping[str, Any]) -> Any:
        if options.get("model") != "mine-1b":
            raise UsageError("there is no such model")
        return self.change(OWN.lower({"model": next(iter(OWN.presets()))}), options)


def test_a_bad_family_is_seen() -> None:
    def same(workload: Any, options: Mapping[str, Any]) -> Any:
        if options.keys() - {"model"}:
            raise UsageError("it has no options")
        return workload

    good = checked(WorkloadContract, family=_Family(same))
    good.test_zenplan_takes_each_model()
    good.test_what_it_does_not_know_is_an_error_of_the_user()
    # Options that nobody knows are taken; a count that is not the published one; no growth.
    with pytest.raises(pytest.fail.Exception):
        checked(WorkloadContract, family=_Family(lambda w, o: w)).test_what_it_does_not_know_is_an_error_of_the_user()
    with pytest.raises(AssertionError):
        checked(
            WorkloadContract, family=_Family(same), published={"mine-1b": 1e12}
        ).test_parameters_are_the_published_ones()
    with pytest.raises(AssertionError):
        checked(WorkloadContract, family=_Family(lambda w, o: w), grows={"size": (1, 2)}).test_more_takes_more()
    with pytest.raises(DataError):
        checked(WorkloadContract, family=_Family(lambda w, o: 7)).test_zenplan_takes_each_model()


def test_a_tracker_without_its_members_is_seen(tmp_path: Path) -> None:
    bad = type("Tracker", (), {"name": "bad", "start": lambda self, run: object()})()
    with pytest.raises(AssertionError, match="no log and finish"):
        checked(TrackerContract, tracker=bad).test_it_takes_any_figure(tmp_path)


def test_what_is_taken_is_what_commands_would_have() -> None:
    found = taken("zenplan_price_providers", Shop(), Shop(name="aws"), 7)
    assert [each.name for each in found.items] == ["shop", "aws"]
    assert len(found.problems) == 1
    assert "item 3 is left out" in found.problems[0]


# --- the server


@pytest.fixture
def server() -> Iterator[Server]:
    def echo(request: Request) -> Any:
        return {"method": request.method, "said": request.body.decode(), "key": request.headers.get("x-key")}

    pages: dict[str, Any] = {
        "/list": [1, 2],
        "/paged": {"page": 1},
        "/paged?page=2": {"page": 2},
        "/busy": (Reply(status=429, headers={"Retry-After": "1"}), {"fine": True}),
        "/echo": echo,
        "/half": Reply(body={"x": "y" * 100_000}, truncated=True),
        "/late": Reply(body={}, delay_s=5.0),
        "/html": "<html>",
    }
    with Server(pages) as found:
        yield found


def test_the_server_answers_over_http(server: Server) -> None:
    http = LoopbackHttp(server=server, timeout_s=0.5)
    assert http.get_json("https://api.example.com/list") == [1, 2]
    assert [http.get_json(f"https://x/paged{q}")["page"] for q in ("", "?page=2", "?page=3")] == [1, 2, 1]
    with pytest.raises(DataError, match="429"):
        http.get_json("https://x/busy")
    assert http.get_json("https://x/busy") == http.get_json("https://x/busy") == {"fine": True}
    said = http.get_json("https://x/echo", {"X-Key": "k"}, {"a": 1})
    assert said == {"method": "POST", "said": '{"a": 1}', "key": "k"}
    for path in ("/half", "/late", "/html", "/nowhere"):
        with pytest.raises(DataError):
            http.get_json(f"https://x{path}")
    with http.stream("https://x/list") as pieces:
        assert b"".join(pieces) == b"[1, 2]"
    assert server.requests[0].path == "/list"


# --- what is not there


def test_a_fake_device_is_described_as_a_real_one() -> None:
    device = fake_device("NVIDIA A100-SXM4-80GB", memory_bytes=80 << 30, power_limit_w=400.0, index=2)
    assert (device.index, device.name.value, device.power_limit_w.value) == (2, "NVIDIA A100-SXM4-80GB", 400.0)
    assert device.memory_free_bytes.value == 80 << 30
    assert "not supported" in device.temperature_c.reason
    assert device.problem == ""


def test_a_fake_engine_has_the_law_it_says() -> None:
    engine = FakeEngine(fixed_s=0.5, sample_s=0.25, sample_bytes=10.0)
    model = Blocks(name="m", blocks=OWN.lower({"model": next(iter(OWN.presets()))}).blocks)
    points = tuple(WantedPoint(key=str(batch), batch=batch, model=model) for batch in (1, 4))
    job = Measure(
        what="m", precision="fp32", threads=1, device="cpu", points=points, rounds=Rounds(least=2, most=3, seconds=1.0)
    )
    heard: list[Event] = []
    run_job(job, engine.name, Limits(time_s=60.0), lambda *_: None, heard.append, command=engine.worker())
    sampled = [(each.key, each.wall_s) for each in heard if isinstance(each, Sampled)]
    assert sampled == [("1", engine.step_s(1)), ("4", engine.step_s(4))] * 3 == [("1", 0.75), ("4", 1.5)] * 3
    assert {each.key: each.bytes for each in heard if isinstance(each, Peak)} == {"1": 10.0, "4": 40.0}
