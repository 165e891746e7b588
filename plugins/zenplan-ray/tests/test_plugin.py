"""What needs no Ray: the plugin imports none, says what it trains on, and refuses in a line where Ray is missing."""

from __future__ import annotations

import importlib
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from zenplan import Engine
from zenplan.errors import FailureKind
from zenplan.testing import Lab, text_data
from zenplan.worker.protocol import Count, Error, Kind, Optimizer, Train

from zenplan_ray import Ray

PLUGIN = Path(__file__).parents[1]
# As in an environment without it.
WITHOUT = """
import importlib.util as util, runpy
found = util.find_spec
util.find_spec = lambda name, package=None: None if name == "ray" else found(name, package)
runpy.run_module("zenplan_ray", run_name="__main__")
"""


@dataclass(frozen=True)
class Without:
    name: str = "ray"
    extra: str = "zenplan-ray"

    def worker(self) -> Sequence[str]:
        return (sys.executable, "-c", WITHOUT)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(engine=Without(), folder=tmp_path, data=text_data(tmp_path / "data"), patience_s=60.0)


def test_the_entry_point_leads_to_the_hook() -> None:
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    plugin = importlib.import_module(project["entry-points"]["zenplan"]["ray"])
    (engine,) = plugin.zenplan_engines()
    assert isinstance(engine, Engine)
    assert engine.name == "ray"
    assert engine.extra == project["name"]


def test_what_a_distribution_needs_is_there() -> None:
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert "Apache License" in (PLUGIN / project["license-files"][0]).read_text(encoding="utf-8")
    assert (PLUGIN / project["readme"]).read_text(encoding="utf-8").startswith(f"# {project['name']}\n")
    # Of one release alone was it seen what it writes, and where.
    assert any(each.startswith("ray[train]>=") and "," in each for each in project["dependencies"])


def test_ray_starts_the_workers_each_with_a_device() -> None:
    several = Ray().several
    assert (several.workers, several.starts, several.devices, several.divides) == (True, True, False, False)


def test_the_plugin_imports_no_ray() -> None:
    code = "import sys, zenplan_ray; print([name for name in ('ray', 'keras', 'torch') if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PLUGIN / "src")
    assert found.stdout.strip() == "[]"


def test_where_ray_is_missing_a_line_says_so(lab: Lab) -> None:
    job = Train(
        what="the model",
        folder=str(lab.folder / "run"),
        data=lab.data,
        model=Kind(name="decoder"),
        optimizer=Optimizer(learning_rate=1e-3),
        threads=1,
        steps=1,
        batch=2,
        micro_batch=1,
        workers=2,
    )
    last = lab.done(job)[-1]
    assert isinstance(last, Error)
    assert "ray" in last.message
    assert "pip install" in last.hint
    assert not (lab.folder / "run").exists()


def test_it_counts_nothing(lab: Lab) -> None:
    last = lab.done(Count(what="the model", model=Kind(name="decoder"), data=lab.data))[-1]
    assert isinstance(last, Error)
    assert last.kind is FailureKind.UNSUPPORTED
