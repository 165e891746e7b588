"""``python -m zenplan.testing.card NAME FILE``: the contracts of an installed plugin's items, held by pytest, each result
a line of JSON in the file as soon as it is known."""

from __future__ import annotations

import json
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TextIO

import pytest

from zenplan.plugins.loading import Plugins, load_plugins
from zenplan.testing.accelerators import AcceleratorsContract
from zenplan.testing.engines import EngineContract
from zenplan.testing.exporters import ExporterContract
from zenplan.testing.launchers import LauncherContract
from zenplan.testing.providers import ProviderContract, strangers
from zenplan.testing.trackers import TrackerContract
from zenplan.testing.workloads import WorkloadContract

# A hook, its contract, and the attribute that has the item.
CONTRACTS: Final[Mapping[str, tuple[type, str]]] = {
    "zenplan_price_providers": (ProviderContract, "provider"),
    "zenplan_workloads": (WorkloadContract, "family"),
    "zenplan_engines": (EngineContract, "engine"),
    "zenplan_exporters": (ExporterContract, "exporter"),
    "zenplan_trackers": (TrackerContract, "tracker"),
    "zenplan_launchers": (LauncherContract, "launcher"),
}
_MOST_LETTERS: Final = 500


class Loading:
    """What zenplan says of the plugin itself."""

    plugins: Plugins
    plugin: str

    def test_nothing_of_it_is_left_out(self) -> None:
        """It is loaded, and zenplan takes all that its hooks return."""
        self.plugins.ask()
        (info,) = (info for info in self.plugins.infos() if info.name == self.plugin)
        assert not info.failures, "; ".join(f"{each.what}: {each.reason}" for each in info.failures)
        assert sum(info.items.values()), "its hooks return nothing"


def classes(name: str) -> dict[str, type]:
    """The classes of tests for the plugin of that name: one for itself, one for each of its items."""
    plugins = load_plugins()
    found: dict[str, type] = {"Test load": type("TestLoading", (Loading,), {"plugins": plugins, "plugin": name})}
    for hook, items in plugins.of(name).items():
        if hook == "zenplan_accelerators" and items:
            found["Test accelerators"] = type("TestAccelerators", (AcceleratorsContract,), {"accelerators": items})
        elif hook in CONTRACTS:
            contract, attribute = CONTRACTS[hook]
            for item in items:
                mine = item._item
                members = {**_known(hook, mine), **getattr(mine, "contract", {}), attribute: mine}
                found[f"Test {attribute} {item.name}"] = type("TestItem", (contract,), members)
    return found


def _known(hook: str, item: Any) -> dict[str, Any]:
    """That an accelerator has no data sheet is no fault of the table's: 'zenplan prices' lists it."""
    return {"unknown": strangers(item.bundled())} if hook == "zenplan_price_providers" else {}


class _Written:
    """A plugin of pytest that writes what comes out."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._say(begins=_words(nodeid))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        # Of a test that passes its call counts; of another, whatever went wrong.
        if report.when == "call" or report.outcome != "passed":
            self._say(
                check=_words(report.nodeid), outcome=report.outcome, reason=_reason(report), wall_s=report.duration
            )

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._say(
                check=["load", "its items are found"], outcome="failed", reason=_last(report.longrepr), wall_s=0.0
            )

    def _say(self, **fields: Any) -> None:
        self._out.write(json.dumps(fields) + "\n")
        self._out.flush()


def _words(nodeid: str) -> list[str]:
    """Item and check, as people read them: ``provider shop``, ``prices can be``."""
    _, _, rest = nodeid.partition("::")
    item, _, test = rest.partition("::")
    return [item.removeprefix("Test "), test.removeprefix("test_").replace("_", " ")]


def _reason(report: pytest.TestReport) -> str:
    if report.outcome == "passed":
        return ""
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")[:_MOST_LETTERS]
    crash = getattr(report.longrepr, "reprcrash", None)
    return _line(crash.message) if crash else _last(report.longrepr)


def _last(text: object) -> str:
    return _line(next((line for line in reversed(str(text).splitlines()) if line.strip()), ""))


def _line(text: str) -> str:
    """What pytest says of an assertion, in one line."""
    lines: Iterator[str] = (line.strip() for line in text.splitlines() if line.strip())
    first = next(lines, "")
    said = re.sub(r"^AssertionError: ", "", first)
    more = next(lines, "") if said.endswith(":") else ""
    return f"{said} {more}".strip()[:_MOST_LETTERS]


_MODULE: Final = """
from zenplan.testing.card import classes
globals().update(classes({name!r}))
"""


def main(argv: Sequence[str]) -> None:
    """Run them all."""
    name, out = argv
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, Path(out).open("w", encoding="utf-8") as file:
        module = Path(folder) / "test_plugin.py"
        module.write_text(_MODULE.format(name=name), encoding="utf-8")
        options = [
            "-p",
            "no:terminal",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:xdist",
            "--rootdir",
            folder,
            "-c",
            "/dev/null",
        ]
        pytest.main([*options, "--import-mode=importlib", str(module)], plugins=[_Written(file)])
        file.write(json.dumps({"ended_s": time.monotonic() - start}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
