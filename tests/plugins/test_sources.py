"""Where plugins come from: files of the user's, distributions made for some release; and whose name an item may have."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import zenplan
from zenplan.plugins import Plugins, load_plugins
from zenplan.plugins.sources import FILES

FILE = """
from zenplan import Accelerator, hookimpl
{more}
@hookimpl
def zenplan_accelerators():
    yield Accelerator(name="{name}", vendor="V", architecture="A", memory_bytes=1e9, memory_bytes_per_s=1e9, {fields})
"""
SHOP = """
from datetime import date
from zenplan import Instance, Offer, Price, PriceTable, hookimpl

class Shop:
    name = "{name}"
    {more}

    def bundled(self):
        box = Instance(provider=self.name, name="box", accelerator="h100", devices=8)
        price = Price(usd_per_h=20.0, as_of=date(2026, 5, 24), source="https://example.com")
        return PriceTable(provider=self.name, offers=(Offer(instance=box, region="any", on_demand=price),))

    def fetch(self, http):
        return self.bundled()

@hookimpl
def zenplan_price_providers():
    yield Shop()
"""


def written(path: Path, *, name: str = "Mine-1", more: str = "", fields: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(FILE.format(name=name, more=more, fields=fields), encoding="utf-8")
    return path


def loaded(*files: Path, consent: tuple[str, ...] = (), **environ: str) -> Plugins:
    chosen = {"ZENPLAN_PLUGINS": "", FILES: os.pathsep.join(map(str, files)), **environ}
    return load_plugins(chosen, consent=lambda: consent)


def told(plugins: Plugins) -> list[str]:
    plugins.infos()
    plugins.ask()
    return [f"{each.plugin}: {each.what}: {each.reason}" for each in plugins.problems() if not each.kept]


@pytest.fixture(autouse=True)
def _modules() -> Iterator[None]:
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith(("zenplan_plugin_", "dist_of_")):
            del sys.modules[name]


# --- files


def test_a_file_is_a_plugin(tmp_path: Path) -> None:
    plugins = loaded(written(tmp_path / "mine.py"))
    assert next(each.name for each in plugins.accelerators()) == "Mine-1"
    info = plugins.infos()[0]
    assert (info.name, info.distribution) == ("mine", str(tmp_path / "mine.py"))
    assert told(plugins) == []
    # A file that was named is blocked by its name all the same.
    blocked = loaded(tmp_path / "mine.py", ZENPLAN_BLOCK="mine")
    assert "Mine-1" not in [each.name for each in blocked.accelerators()]


def test_files_in_the_users_folder_are_plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    folder = tmp_path / "zenplan" / "plugins"
    written(folder / "one.py", name="One-1")
    written(folder / "two.py", name="Two-1")
    (folder / "notes.txt").write_text("no plugin", encoding="utf-8")

    def found(**environ: str) -> set[str]:
        return {each.name for each in load_plugins(environ).accelerators()} & {"One-1", "Two-1"}

    assert found() == {"One-1", "Two-1"}
    assert found(ZENPLAN_PLUGINS="two") == {"Two-1"}
    assert found(ZENPLAN_BLOCK="two") == {"One-1"}
    assert found(ZENPLAN_PLUGINS="") == set()


@pytest.mark.skipif(os.name != "posix", reason="of permissions")
def test_a_file_that_others_can_write_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    ran = tmp_path / "ran"
    more = f"open({str(ran)!r}, 'w').close()"
    file = written(tmp_path / "zenplan" / "plugins" / "open.py", more=more)
    file.chmod(0o666)
    (line,) = told(loaded(file))
    assert line.startswith("open: load: ")
    assert "can be written by everybody" in line
    (line,) = told(load_plugins({"ZENPLAN_PLUGINS": "open", "ZENPLAN_BLOCK": "builtin"}))
    assert "can be written by everybody" in line
    file.chmod(0o644)
    file.parent.chmod(0o777)
    (line,) = told(load_plugins({"ZENPLAN_PLUGINS": "open", "ZENPLAN_BLOCK": "builtin"}))
    assert "lies in a folder that can be written by everybody" in line
    assert not ran.exists()
    file.parent.chmod(0o755)
    assert told(load_plugins({"ZENPLAN_PLUGINS": "open", "ZENPLAN_BLOCK": "builtin"})) == []
    assert ran.exists()


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="of owners")
def test_a_file_of_another_user_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path / "theirs.py")
    monkeypatch.setattr(os, "getuid", lambda: 4711)
    if file.stat().st_uid == 0:
        try:
            os.chown(file, 4712, -1)
        except PermissionError:
            pytest.skip("nobody else's file can be made here")
    assert "belongs to another user" in told(loaded(file))[0]


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    (line,) = told(loaded(tmp_path / "nowhere.py"))
    assert line.startswith("nowhere: load: ")
    assert "cannot be read" in line


# --- made for another release


def distribution(folder: Path, requires: str) -> str:
    (folder / "dist_of_x.py").write_text(FILE.format(name="Dist-1", more="", fields=""), encoding="utf-8")
    info = folder / "dist_of_x-1.0.dist-info"
    info.mkdir()
    metadata = (
        f"Metadata-Version: 2.1\nName: dist-of-x\nVersion: 1.0\nRequires-Dist: numpy\nRequires-Dist: {requires}\n"
    )
    (info / "METADATA").write_text(metadata, encoding="utf-8")
    (info / "entry_points.txt").write_text("[zenplan]\nx = dist_of_x\n", encoding="utf-8")
    return "x"


MAJOR = int(zenplan.__version__.split(".")[0])


@pytest.mark.parametrize(
    ("requires", "is_met"),
    [
        (f"zenplan>={zenplan.__version__}", True),
        ("zenplan", True),
        (f"zenplan[train]<{MAJOR + 1}", True),
        (f"zenplan>={MAJOR + 1}", False),
        ("zenplan (>=99.1,<100)", False),
        ("ZenPlan==99", False),
        ("zenplan<0.0.1", False),
        ("zenplan-runpod>=99", True),
        ("zenplan>=99 ; extra == 'all'", True),
        ("zenplan>=", False),
    ],
)
def test_a_plugin_that_needs_another_release_is_left_out(
    requires: str, is_met: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    plugins = load_plugins({"ZENPLAN_PLUGINS": distribution(tmp_path, requires)})
    assert ("Dist-1" in [each.name for each in plugins.accelerators()]) is is_met
    lines = told(plugins)
    assert (lines == []) is is_met
    # What is left out is not even imported.
    assert ("dist_of_x" in sys.modules) is is_met
    if not is_met and requires[-1].isdigit():
        assert requires in lines[0]
        assert zenplan.__version__ in lines[0]


@pytest.mark.parametrize(("wanted", "is_met"), [("1", True), ("2", False), ("0", False), ("'1'", False)])
def test_a_plugin_of_another_api_is_left_out(wanted: str, is_met: bool, tmp_path: Path) -> None:
    assert zenplan.API == 1
    lines = told(loaded(written(tmp_path / "mine.py", more=f"zenplan_api = {wanted}")))
    assert (lines == []) is is_met
    assert is_met or f"zenplan.API {wanted}" in lines[0]


# --- whose name it is


@pytest.mark.parametrize(
    "fields", ["", "aliases=('H100',)", "aliases=('rtx 4090',)", "nvml_names=('NVIDIA H100 PCIe',)"]
)
def test_a_name_of_zenplans_own_needs_consent(fields: str, tmp_path: Path) -> None:
    file = written(tmp_path / "mine.py", name="Mine-1" if fields else "h100 sxm5 80gb", fields=fields)
    without, agreed = loaded(file), loaded(file, consent=("mine",))
    assert {each.vendor for each in without.accelerators()} & {"V"} == set()
    (line,) = told(without)
    assert 'may_replace = ["mine"] in zenplan.toml' in line
    assert agreed.accelerators()[0].vendor == "V"
    assert told(agreed) == []


def test_consent_stands_in_a_file_of_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    file = written(tmp_path / "mine.py", name="H100-SXM5-80GB")
    environ = {"ZENPLAN_PLUGINS": "", FILES: str(file)}
    assert load_plugins(environ).accelerators()[0].vendor != "V"
    (tmp_path / "zenplan.toml").write_text('may_replace = ["other", "mine"]\n', encoding="utf-8")
    assert load_plugins(environ).accelerators()[0].vendor == "V"


@pytest.mark.parametrize(
    ("file", "more", "is_declared"),
    [("shop", "", False), ("shop", "carries = 'gcp'", False), ("shop", "carries = 'aws'", True), ("aws", "", True)],
)
def test_a_provider_says_whose_table_it_carries(file: str, more: str, is_declared: bool, tmp_path: Path) -> None:
    path = tmp_path / f"{file}.py"
    path.write_text(SHOP.format(name="aws", more=more), encoding="utf-8")
    plugins = loaded(path)
    (provider,) = (each for each in plugins.price_providers() if each.name == "aws")
    table = plugins.bundled_table(provider)
    assert (len(table.offers) == 1) is is_declared
    assert ([each.what for each in plugins.problems() if each.kept] == ["price provider aws"]) is is_declared
    assert (told(plugins) == []) is is_declared
    if is_declared:
        # At each quote it is named; and an alias has become the accelerator's name.
        (offer,) = table.offers
        assert offer.on_demand
        assert offer.on_demand.source == f"https://example.com; carried by plugin {file} ({path})"
        assert offer.instance.accelerator == "H100-SXM5-80GB"


def test_a_provider_of_its_own_says_nothing_more(tmp_path: Path) -> None:
    path = tmp_path / "shop.py"
    path.write_text(SHOP.format(name="nobody-elses", more=""), encoding="utf-8")
    plugins = loaded(path)
    (offer,) = plugins.bundled_table(plugins.price_providers()[0]).offers
    assert offer.on_demand
    assert offer.on_demand.source == "https://example.com"


def test_what_is_fetched_is_held_to_the_same(tmp_path: Path) -> None:
    path = tmp_path / "shop.py"
    text = SHOP.format(name="shop", more="").replace("return self.bundled()", "return http(self.bundled())")
    path.write_text(text, encoding="utf-8")
    plugins = loaded(path)
    shop = plugins.price_providers()[0]

    def twice(table: zenplan.PriceTable) -> zenplan.PriceTable:
        return zenplan.PriceTable(provider="shop", offers=table.offers * 2)

    table = shop.fetch(twice)  # type: ignore[arg-type]  # the file calls it
    assert [offer.instance.accelerator for offer in table.offers] == ["H100-SXM5-80GB"]
    assert len(table.left_out) == 1
    assert "twice" in table.left_out[0]
    with pytest.raises(zenplan.DataError, match="of plugin shop"):
        shop.fetch(lambda table: 7)  # type: ignore[arg-type]
