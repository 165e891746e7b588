"""The namespaces of ``benchmarks/shaped_links.py``: links of the rate that was asked for, and nothing left behind."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "shaped_links.py"


@pytest.fixture(scope="module")
def shaped_links() -> ModuleType:
    spec = importlib.util.spec_from_file_location("shaped_links", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Where a dataclass looks for the module that it is in.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def used(shaped_links: ModuleType, seen: list[str]) -> None:
    """Links that are looked at; then something fails."""
    with shaped_links.joined(2) as links:
        links.shape(300)
        seen += links.names
        assert [each["GLOO_SOCKET_IFNAME"] for each in links.environments(1)] == seen
        assert set(seen) <= set(said("ip", "netns", "list").split())
        assert "rate 300Mbit" in said("tc", "-n", seen[1], "qdisc", "show", "dev", seen[1])
        raise RuntimeError("what may happen")


def test_links_have_their_rate_and_are_gone_whatever_happens(shaped_links: ModuleType) -> None:
    seen: list[str] = []
    try:
        with pytest.raises(RuntimeError, match="what may happen"):
            used(shaped_links, seen)
    except shaped_links.NoNamespaces as error:
        pytest.skip(str(error))
    assert not set(seen) & set(said("ip", "netns", "list").split())
    assert not [name for name in seen if f"{name.replace('zn', 'zv')}@" in said("ip", "-o", "link")]


def test_without_the_programs_it_says_so(shaped_links: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(shaped_links.NoNamespaces, match="no program ip"), shaped_links.joined(2):
        pass
