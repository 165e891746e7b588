"""A few hundred damaged configurations and files; ``benchmarks/fuzz.py`` draws as many as one likes."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.mark.skipif(sys.platform == "win32", reason="it is stopped by an alarm, and reads the memory of the process")
def test_what_is_damaged_is_read_or_refused_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    seen, faults = importlib.import_module("fuzz").fuzz(400, 7)
    assert faults == {}
    assert sum(seen.values()) == 400
    assert {name.partition(": ")[2] for name in seen} == {"read", "refused"}
