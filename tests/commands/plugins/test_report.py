from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from zenplan.commands.plugins.report import plugins_report
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.report import Report
from zenplan.hookspecs import hookimpl
from zenplan.plugins.loading import Plugins, Source, load_plugins

DOCUMENT_KEYS = {"schema", "plugins", "failures", "duplicates"}


def report_of(plugins: Plugins) -> Report:
    infos = plugins.infos()
    return plugins_report(infos, plugins.problems())


def sheet(name: str) -> Accelerator:
    return Accelerator(name=name, vendor="V", architecture="A", memory_bytes=1e9, memory_bytes_per_s=1e9)


def plugin(**hooks: Callable[[], Any]) -> object:
    return type("Plugin", (), {name: staticmethod(hookimpl(function)) for name, function in hooks.items()})()


def fail() -> object:
    raise ImportError("no such thing")


@pytest.fixture
def report() -> Report:
    first = plugin(
        zenplan_accelerators=lambda: [sheet("X1"), sheet("X2")], zenplan_engines=lambda: [1], zenplan_engins=lambda: [2]
    )
    second = plugin(zenplan_accelerators=lambda: [sheet("X2"), sheet("X3")])
    sources = (
        Source(name="first", distribution="dist-first", version="1.0", load=lambda: first),
        Source(name="second", load=lambda: second),
        Source(name="third", distribution="dist-third", version="3", load=fail),
    )
    return report_of(Plugins(sources))


def test_each_plugin_with_its_hooks_items_and_failures(report: Report) -> None:
    assert report.document["schema"] == "zenplan.plugins/1"
    assert set(report.document) == DOCUMENT_KEYS
    first, second, third = report.document["plugins"]
    assert (first["name"], first["version"], first["distribution"]) == ("first", "1.0", "dist-first")
    assert first["hooks"] == ["zenplan_accelerators", "zenplan_engines"]
    assert first["items"] == {"zenplan_accelerators": 2, "zenplan_engines": 0}
    assert [each["what"] for each in first["failures"]] == ["zenplan_engins", "zenplan_engines"]
    assert (second["version"], second["distribution"], second["failures"]) == (None, None, [])
    assert second["items"] == {"zenplan_accelerators": 1}
    assert third["hooks"] == []
    assert third["failures"] == [{"what": "load", "reason": "ImportError: no such thing"}]


def test_failures_and_duplicates_are_kept_apart(report: Report) -> None:
    owners = [each["plugin"] for each in report.document["failures"]]
    assert owners == ["first (dist-first 1.0)", "third (dist-third 3)", "first (dist-first 1.0)"]
    assert report.document["duplicates"] == [
        {"what": "accelerator X2", "kept": "first (dist-first 1.0)", "left_out": "second"}
    ]


def test_it_is_of_json_types_and_its_records_have_the_same_keys(report: Report) -> None:
    assert json.loads(json.dumps(report.document)) == report.document
    assert len({tuple(record) for record in report.records}) == 1
    assert [record["kind"] for record in report.records] == ["hook"] * 3 + ["failure"] * 3 + ["duplicate"]
    assert [record["items"] for record in report.records] == [2, 0, 1, None, None, None, None]


def test_what_people_read(report: Report) -> None:
    plugins, failures, taken = report.tables
    assert plugins.rows == (
        ("first", "1.0", "dist-first", "accelerators 2, engines 0", "2"),
        ("second", "–", "–", "accelerators 1", "0"),
        ("third", "3", "dist-third", "–", "1"),
    )
    assert failures.rows[1] == ("third (dist-third 3)", "load", "ImportError: no such thing")
    assert taken.rows == (("accelerator X2", "first (dist-first 1.0)", "second"),)


def test_without_trouble_there_is_one_table() -> None:
    report = report_of(load_plugins({"ZENPLAN_PLUGINS": ""}))
    (table,) = report.tables
    assert [row[0] for row in table.rows] == ["builtin"]
    assert report.document["failures"] == report.document["duplicates"] == []


def test_no_plugin_at_all() -> None:
    report = report_of(load_plugins({"ZENPLAN_PLUGINS": "", "ZENPLAN_BLOCK": "builtin"}))
    assert report.document == {"schema": "zenplan.plugins/1", "plugins": [], "failures": [], "duplicates": []}
    assert report.records == ()
