"""``zenplan plugins new``: what it writes is a distribution that installs, passes its tests and keeps its contract."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.session import once
from zenplan.commands.plugins.new import KINDS, new, rendered
from zenplan.errors import UsageError
from zenplan.hookspecs import hookspec
from zenplan.version import __version__

ROOT = Path(__file__).parents[3]
# About a minute: runs that are killed and resumed.
SLOW = {"engine"}
INSTALLED = [kind for kind in KINDS if kind not in SLOW]


def each_kind() -> list[Any]:
    return [pytest.param(kind, marks=pytest.mark.slow) if kind in SLOW else kind for kind in KINDS]


def run(*argv: str, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ZENPLAN_P", "PYTEST_"))}
    return subprocess.run(argv, cwd=cwd, env={**kept, **more}, capture_output=True, text=True, timeout=500, check=False)


@pytest.mark.parametrize("kind", each_kind())
def test_its_tests_pass_at_once(kind: str, tmp_path: Path) -> None:
    new(kind, "my-own", tmp_path / "made")
    done = run(
        *(
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-W",
            "error",
            "--basetemp",
            str(tmp_path / "t"),
        ),
        cwd=tmp_path / "made",
        PYTHONPATH=str(ROOT),
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_a_whole_distribution(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "made"
    new(kind, "my-own", folder)
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == "zenplan-my-own"
    assert project["entry-points"]["zenplan"] == {"my-own": "zenplan_my_own"}
    release = ".".join(__version__.split(".")[:2])
    assert any(each.startswith("zenplan") and each.endswith(f">={release}") for each in project["dependencies"])
    for name in (
        "README.md",
        "LICENSE",
        "src/zenplan_my_own/__init__.py",
        "src/zenplan_my_own/py.typed",
        "tests/test_my_own.py",
    ):
        assert (folder / name).is_file(), name
    for file in folder.rglob("*"):
        assert "acme" not in file.name.lower()
        if file.is_file():
            text = file.read_text(encoding="utf-8")
            assert "acme" not in text.lower(), file
            if file.suffix == ".py":
                ast.parse(text)


def install(folder: Path) -> None:
    """One of each kind, beside each other in ``site``."""
    for kind in INSTALLED:
        new(kind, f"my-{kind}", folder / kind)
    pip = (sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--no-build-isolation")
    done = run(*pip, "--target", str(folder / "site"), *(str(folder / kind) for kind in INSTALLED), cwd=folder)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("kind", INSTALLED)
def test_it_installs_and_keeps_its_contract(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    site, name = once("installed", install) / "site", f"my-{kind}"
    assert (site / f"zenplan_my_{kind}" / "py.typed").is_file()
    paths = os.pathsep.join((str(site), str(ROOT)))
    program = (sys.executable, "-m", "zenplan", "plugins")
    listed = run(*program, "--strict", "--format", "json", cwd=tmp_path, PYTHONPATH=paths, ZENPLAN_PLUGINS=name)
    assert listed.returncode == 0, listed.stderr
    assert json.loads(listed.stdout)["plugins"][0]["distribution"] == f"zenplan-{name}"
    card = run(*program, "check", f"zenplan-{name}", "--format", "json", cwd=tmp_path, PYTHONPATH=paths)
    assert card.returncode == 0, card.stdout + card.stderr
    document = json.loads(card.stdout)
    assert document["passed"]
    assert len(document["checks"]) > 4


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("mycloud", "zenplan_mycloud"),
        ("My_Cloud", "zenplan_my_cloud"),
        ("zenplan-a.b", "zenplan_a_b"),
        ("x2", "zenplan_x2"),
    ],
)
def test_a_name_is_taken_as_a_package_index_takes_it(name: str, module: str, tmp_path: Path) -> None:
    new("format", name, tmp_path / "made")
    assert (tmp_path / "made" / "src" / module / "__init__.py").is_file()


@pytest.mark.parametrize("name", ["", "-", "1st", "a b", "a/b", "../x", "ä", "a" * 41, "a\n", "builtin", "json"])
def test_what_cannot_be_a_name_is_an_error(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as raised:
        new("format", name, tmp_path / "made")
    assert raised.value.hint
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path: Path, called: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = called("plugins", "new", "tracker", "mine")
    assert (ended.code, ended.err) == (0, "")
    file = Path("zenplan-mine") / "README.md"
    file.write_text("my own words", encoding="utf-8")
    ended = called("plugins", "new", "tracker", "mine")
    assert (ended.code, ended.out) == (2, "")
    assert "is there already" in ended.err
    assert file.read_text(encoding="utf-8") == "my own words"
    # An empty folder is as good as none; what cannot be written leaves nothing behind.
    Path("empty").mkdir()
    assert called("plugins", "new", "tracker", "mine", "--out", "empty").code == 0
    assert sorted(each.name for each in Path().iterdir()) == ["empty", "zenplan-mine"]
    Path("file").touch()
    assert called("plugins", "new", "tracker", "mine", "--out", "file").code == 2
    ended = called("plugins", "new", "tracker", "mine", "--out", "file/below")
    assert ended.code in (1, 2)
    assert "a fault" not in ended.err


def test_an_unknown_kind_has_the_nearest(called: Any) -> None:
    ended = called("plugins", "new", "providers", "mine")
    assert ended.code == 2
    assert "did you mean provider" in ended.err


def test_every_hook_has_a_kind() -> None:
    from zenplan import hookspecs

    assert hookspec
    text = "".join(text for kind in KINDS for _, text in rendered(kind, "mine"))
    assert [name for name in vars(hookspecs) if name.startswith("zenplan_") and f"def {name}(" not in text] == []
