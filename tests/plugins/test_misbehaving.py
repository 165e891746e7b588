"""A kit of plugins that misbehave, each a file in ``misbehaving/`` whose first lines say how, and what is said of it:
zenplan and a good plugin answer beside each of them, and beside all of them at once."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from zenplan.commands.main import run as run_here
from zenplan.commands.shared.output import STRICT
from zenplan.domain.measured.tracked_run import TrackedRun
from zenplan.domain.report import Report
from zenplan.errors import ZenplanError
from zenplan.plugins import Plugins, load_plugins
from zenplan.plugins.guard import Aside
from zenplan.plugins.sources import FILES

KIT = Path(__file__).parent / "misbehaving"
NAMES = sorted(file.stem for file in KIT.glob("*.py"))
GOOD = """
from zenplan import Accelerator, hookimpl

@hookimpl
def zenplan_accelerators():
    yield Accelerator(
        name="Good-1", vendor="V", architecture="A", memory_bytes=64e9, memory_bytes_per_s=2e12,
        peak_flop_per_s={"bf16": 4e14},
    )
"""
# What nothing is said of: it does no harm.
HARMLESS = {"derives_its_own", "prints", "tracker_hangs"}


def said(name: str) -> str:
    """What zenplan says of it, as the file has it."""
    text = ast.get_docstring(ast.parse((KIT / f"{name}.py").read_text(encoding="utf-8")))
    assert text is not None
    return text.partition("Said:")[2].strip()


@pytest.fixture
def good(tmp_path: Path) -> Path:
    file = tmp_path / "good.py"
    file.write_text(GOOD, encoding="utf-8")
    return file


@pytest.fixture(autouse=True)
def _modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = set(sys.modules)
    # A plugin that never answers leaves a stdout of its own behind.
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("zenplan_plugin_"):
            del sys.modules[name]


def asked(*files: Path) -> Plugins:
    """The plugins, everything of them asked for."""
    environ = {"ZENPLAN_PLUGINS": "", FILES: os.pathsep.join(map(str, files))}
    plugins = load_plugins(environ, timeout_s=1.0, consent=tuple)
    plugins.infos()
    plugins.ask()
    report = Report(make_document=dict, make_records=tuple, tables=())
    for exporter in plugins.exporters():
        if exporter.name not in ("html", "json"):
            with suppress(ZenplanError):
                exporter.export(report)
    return plugins


def test_the_kit_has_what_it_should() -> None:
    assert len(NAMES) >= 20
    assert {name for name in NAMES if not said(name)} == HARMLESS


@pytest.mark.parametrize("name", NAMES)
def test_it_is_named_with_its_reason_and_the_others_answer(name: str, good: Path) -> None:
    bad = KIT / f"{name}.py"
    folder = Path.cwd()
    plugins = asked(bad, good)
    told = [(each.plugin, f"{each.what}: {each.reason}") for each in plugins.problems() if not each.kept]
    assert {plugin.partition(" ")[0] for plugin, _ in told} == ({name} if said(name) else set())
    assert said(name) in "\n".join(line for _, line in told)
    assert all(line.isprintable() and len(line) < 500 for _, line in told)
    names = [each.name for each in plugins.accelerators()]
    assert "Good-1" in names
    assert names.count("H100-SXM5-80GB") == 1
    assert Path.cwd() == folder
    # Everything of zenplan's own is there, whatever it did.
    assert {"aws", "gcp"} <= {each.name for each in plugins.price_providers()}
    (own,) = (family for family in plugins.workloads() if "gpt2-124m" in family.presets())
    assert own.lower({"model": "gpt2-124m"}).parameters == pytest.approx(124e6, rel=0.01)


def test_a_tracker_that_hangs_is_given_up() -> None:
    plugins = asked(KIT / "tracker_hangs.py")
    (tracker,) = (each for each in plugins.trackers() if each.name == "tracker-hangs")
    aside = Aside("a tracker", 10)
    followed = tracker.start(TrackedRun(id="abcd2345", name="run", backend="jax", folder="/nowhere"))
    aside.call(lambda: followed.log(1, {"loss": 1.0}))
    time.sleep(0.2)
    assert "no answer" in aside.failure(0.1)
    start = time.monotonic()
    aside.close(30.0)
    assert time.monotonic() - start < 5.0


def test_what_is_harmless_is_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    plugins = asked(KIT / "derives_its_own.py", KIT / "prints.py")
    (sheet,) = (each for each in plugins.accelerators() if each.name == "Derived-1")
    assert sheet.capacity_bytes == 64e9
    assert sheet == sheet
    assert capsys.readouterr() == ("", "hello from a hook\n")


def test_no_thread_of_theirs_keeps_the_program() -> None:
    asked(KIT / "hangs.py")
    left = [each for each in threading.enumerate() if each.name == "zenplan-plugin"]
    assert left
    assert all(each.daemon for each in left)


# --- all at once, in whole processes


def run(*argv: str, files: list[Path], home: Path) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ZENPLAN_PLUG", "XDG_"))}
    flags = [flag for file in files for flag in ("--plugin", str(file))]
    return subprocess.run(
        [sys.executable, "-m", "zenplan", *argv, *flags],
        env={**kept, "ZENPLAN_PLUGINS": "", "HOME": str(home)},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        "estimate --params 1e9 --gpu H100 --format json",
        "estimate --params 1e9 --gpu good-1 --usd-per-hour 2 --format json",
        "prices --format json",
        "accelerators show good-1 --format json",
        "workloads --format json",
        "plugins --format json",
    ],
)
def test_every_command_answers_beside_all_of_them(command: str, good: Path, tmp_path: Path) -> None:
    files = [*(KIT / f"{name}.py" for name in NAMES), good]
    ended = run(*command.split(), files=files, home=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["schema"].startswith("zenplan.")
    assert "a fault in zenplan" not in ended.stderr
    assert "Traceback" not in ended.stderr
    if command.startswith("plugins"):
        failed = {plugin["name"] for plugin in json.loads(ended.stdout)["plugins"] if plugin["failures"]}
        # A report in its format was not asked for.
        assert failed == set(NAMES) - HARMLESS - {"exports_bytes"}


@pytest.mark.slow
def test_strict_is_no_where_anything_was_left_out(good: Path, tmp_path: Path) -> None:
    assert run("plugins", "--strict", files=[good], home=tmp_path).returncode == 0
    assert run("plugins", "--strict", files=[KIT / "half_devices.py", good], home=tmp_path).returncode == 1
    assert run("plugins", files=[KIT / "half_devices.py", good], home=tmp_path).returncode == 0


@pytest.mark.parametrize(
    "command", ["accelerators", "prices --gpu H100", "estimate --params 1e9 --gpu H100", "plugins"]
)
def test_any_command_is_strict_where_that_is_asked(
    command: str, good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("ZENPLAN_PLUGINS", "")
    monkeypatch.chdir(tmp_path)
    asked_for = (*command.split(), "--format", "json")
    plain, bad = ("--plugin", str(good)), ("--plugin", str(KIT / "raises_at_import.py"))
    assert run_here(("--strict", *asked_for, *plain)) == 0
    assert run_here((*asked_for, *plain, *bad)) == 0
    capsys.readouterr()
    assert run_here(("--strict", *asked_for, *plain, *bad)) == 1
    out, err = capsys.readouterr()
    # It answers all the same, and the bad one is named with its reason.
    assert json.loads(out)["schema"].startswith("zenplan.")
    assert "raises_at_import" in (out if command == "plugins" else err)
    assert STRICT not in os.environ
    monkeypatch.setenv(STRICT, "1")
    assert run_here((*asked_for, *plain, *bad)) == 1
    monkeypatch.setenv(STRICT, "0")
    assert run_here((*asked_for, *plain, *bad)) == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["exports_bytes", "lowers_nonsense", "complains_without_a_word"])
def test_one_that_is_asked_for_is_named_in_the_error(name: str, tmp_path: Path) -> None:
    argv = {
        "exports_bytes": ("accelerators", "--format", "exports-bytes"),
        "lowers_nonsense": ("estimate", "--model", "nonsense-1b"),
        "complains_without_a_word": ("estimate", "--model", "wordless-1b"),
    }[name]
    ended = run(*argv, files=[KIT / f"{name}.py"], home=tmp_path)
    assert (ended.returncode, ended.stdout) == (1, "")
    (error,) = (line for line in ended.stderr.splitlines() if line.startswith("error: "))
    assert f"of plugin {name} (" in error
    assert said(name).rpartition("(): ")[2] in error
    assert ended.stderr.splitlines()[-1].startswith("hint: ") or ended.stderr.splitlines()[-2].startswith("hint: ")
