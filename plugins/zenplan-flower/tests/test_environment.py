"""The environment is found, or what is missing of it is said in a line; the plugin itself imports no Flower."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from zenplan import UsageError

from zenplan_flower import Flower
from zenplan_flower.environment import VARIABLE


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    return tmp_path


def made(folder: Path, *programs: str) -> Path:
    folder.mkdir(parents=True)
    for name in programs:
        (folder / name).touch(mode=0o755)
    return folder / "python"


def test_the_usual_folder_and_another(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = made(home / "zenplan" / "flower" / "bin", "python", "flower-superlink")
    assert Flower().worker()[0] == str(usual)
    other = made(home / "other", "python", "flower-superlink")
    monkeypatch.setenv(VARIABLE, str(other))
    assert Flower().worker() == (str(other), "-P", "-m", "zenplan_flower")


@pytest.mark.parametrize("programs", [(), ("python",), ("flower-superlink",)])
def test_what_is_missing_is_said_in_a_line(
    home: Path, monkeypatch: pytest.MonkeyPatch, programs: tuple[str, ...]
) -> None:
    monkeypatch.setenv(VARIABLE, str(made(home / "other", *programs)))
    with pytest.raises(UsageError) as caught:
        Flower().worker()
    assert "\n" not in caught.value.message
    assert "--how" in caught.value.hint


def test_the_plugin_imports_no_flower() -> None:
    code = (
        "import sys, zenplan_flower, zenplan_flower.environment; print('flwr' in sys.modules, 'keras' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=source())
    assert found.stdout.split() == ["False", "False"]


def source() -> Path:
    return Path(__file__).parents[1] / "src"
