"""An installed plugin held to the contracts of its hooks, in a process of its own: whatever it does, the card is printed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from zenplan.adapters.files.scratch import scratch
from zenplan.errors import UnknownName, UsageError
from zenplan.plugins import BUILTIN, PluginInfo, load_plugins

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
_LOAD: Final = "load"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One test of a contract.

    Attributes:
        item: ``load``, or what is tested: ``provider mycloud``.
        what: it is that is tested, in words.
        outcome: ``passed``, ``failed`` or ``skipped``.
        reason: in one line; empty where it passed.
    """

    item: str
    what: str
    outcome: str
    reason: str = ""
    wall_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What came out."""

    plugin: PluginInfo
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether something was tested, and nothing failed."""
        outcomes = {check.outcome for check in self.checks}
        return PASSED in outcomes and FAILED not in outcomes


def check(name: str, time_s: float) -> Card:
    """The report card of the plugin of that name, or of that distribution.

    Raises:
        UsageError: pytest is not installed, or there is no such plugin.
    """
    if find_spec("pytest") is None:
        raise UsageError("pytest is not installed, which runs the checks", "pip install pytest")
    infos = [info for info in load_plugins().infos() if info.name != BUILTIN]
    found = next((info for info in infos if name in (info.name, info.distribution)), None)
    if found is None:
        raise UnknownName("plugin", name, (info.name for info in infos), "zenplan plugins")
    with scratch() as folder:
        out = folder / "card"
        ended = _run(found.name, out, time_s)
        return Card(plugin=found, checks=_read(out, ended))


def _run(name: str, out: Path, time_s: float) -> str:
    """Run the checks of that plugin; why they did not come to their end, empty where they did."""
    command = [sys.executable, "-P", "-m", "zenplan.testing.card", name, str(out)]
    process = subprocess.Popen(  # noqa: S603 - our own program
        command,
        # A folder of sources that Python was told of is not the current one.
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "ZENPLAN_PLUGINS": name},
        cwd=out.parent,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        code = process.wait(time_s)
    except subprocess.TimeoutExpired:
        return f"it was not done within {time_s:g} s"
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return f"it ended the process with {code}" if code else "it ended the process"


def _read(out: Path, ended: str) -> tuple[Check, ...]:
    """The checks that were written down; where they break off, the one that was begun has failed."""
    lines = out.read_text(encoding="utf-8").splitlines() if out.exists() else []
    records: list[dict[str, Any]] = [json.loads(line) for line in lines]
    checks: dict[tuple[str, str], Check] = {}
    begun = (_LOAD, "it can be loaded")
    for record in records:
        if "begins" in record:
            begun = (record["begins"][0], record["begins"][1])
        elif "check" in record:
            item, what = record["check"]
            # What goes wrong after a test that passed comes second.
            checks[item, what] = Check(
                item=item, what=what, outcome=record["outcome"], reason=record["reason"], wall_s=record["wall_s"]
            )
    if not any("ended_s" in record for record in records):
        checks[begun] = Check(item=begun[0], what=begun[1], outcome=FAILED, reason=ended)
    return tuple(checks.values())
