"""The counters of ``benchmarks/structure.py``, on a package of five files that is written here."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "structure.py"
FILES = {
    "zenplan/__init__.py": '"""The package."""\n',
    "zenplan/units.py": '"""Units."""\nLONG = {  # fmt: skip\n    "not": "counted"}\n',
    "zenplan/domain/__init__.py": "",
    "zenplan/domain/fit/interval.py": "from zenplan.units import LONG\n",
    "zenplan/domain/range.py": "def f():\n    from .fit import interval\n    from zenplan.domain.fit.interval import LONG\n",
    "zenplan/domain/report.py": (
        "from zenplan import domain, units\nimport zenplan.domain.range\nKEYS = {'not': 'in a function'}\n"
        "def document(x):\n    y = {'one': 1, 'two': {'three': 3}, x: 4}\n    y['four'] = y['not written']\n    return y\n"
        "def g():\n" + "    pass\n" * 50
    ),
}


@pytest.fixture(scope="module")
def structure() -> ModuleType:
    spec = importlib.util.spec_from_file_location("structure", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_figure_is_what_was_written(structure: ModuleType) -> None:
    assert structure.figures(FILES) == {
        "files": "6",
        "lines": "66",
        "lines of a file: median, longest": "2, 58",
        "functions over 50 lines": "1",
        # units is imported by two files, range by one, interval by one, the package of the domain by one.
        "files with one importer": "3",
        "skips of the formatter": "1 in 1 files",
        "JSON fields written by hand": "4 in 1 files",
        "mutants": "not measured",
        "arrows between places": "1",
        # range to fit, report to range, report to the package.
        "arrows inside domain": "3",
    }


def test_mutants_are_read_where_they_were_measured(structure: ModuleType) -> None:
    table = "# 4 drawn\nmodule,outcome\na,killed\nb,killed\nc,equivalent\nd,survived\n"
    assert structure.mutants(table) == "50% killed, 25% equivalent, of 4"
    assert (
        structure.mutants("module,other\na,b\n") == structure.mutants(None) == structure.mutants("") == "not measured"
    )


def test_two_trees_stand_side_by_side(structure: ModuleType) -> None:
    shown = structure.table({"old": {"files": "1", "gone": "2"}, "now": {"files": "3", "new": "4"}})
    assert shown.splitlines() == [
        "| | old | now |",
        "|---|---:|---:|",
        "| files | 1 | 3 |",
        "| gone | 2 | – |",
        "| new | – | 4 |",
    ]
