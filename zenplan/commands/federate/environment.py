"""The environment that the engine of a federation is in, and the lines that make it."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from zenplan.adapters.workers.process import BACKENDS
from zenplan.version import __version__

# Its Python, where another than the usual one is meant; the plugin reads it.
VARIABLE: Final = "ZENPLAN_FLOWER_PYTHON"
ENGINE: Final = "flower"
_PLUGIN: Final = "zenplan-flower"
_PACKAGES: Final = ("flwr>=1.42,<1.43", "keras>=3.15", "numpy>=2.0", "msgspec>=0.20", "safetensors>=0.5")
# What zenplan needs there beside them, without the typer and rich of its command line.
_OF_ZENPLAN: Final = ("pluggy>=1.5", "platformdirs>=4.3")


def environment_folder() -> Path:
    """Where it is looked for."""
    import platformdirs

    return platformdirs.user_data_path("zenplan", appauthor=False) / ENGINE


def lines(backend: str = BACKENDS[0]) -> Iterator[str]:
    """Commands that make it, for a shell.

    Args:
        backend: that its clients train on.
    """
    folder = shlex.quote(str(environment_folder()))
    python = f"{folder}/bin/python"
    yield f"{shlex.quote(sys.executable)} -m venv {folder}"
    yield f"{python} -m pip install {' '.join(map(shlex.quote, (*_PACKAGES, *_OF_ZENPLAN, _of(backend))))}"
    # Without what they depend on: Flower wants an older typer and an older rich than zenplan's command line.
    yield f"{python} -m pip install --no-deps {_source('zenplan', __version__)} {_source(_PLUGIN, __version__)}"


def _of(backend: str) -> str:
    return "tensorflow-cpu" if backend == "tensorflow" else backend


def _source(name: str, release: str) -> str:
    """What installs the same as here: of a checkout its folder, else the release."""
    try:
        text = distribution(name).read_text("direct_url.json")
    except PackageNotFoundError:
        text = None
    url = json.loads(text).get("url", "") if text else ""
    if url.startswith("file:"):
        return shlex.quote(unquote(urlsplit(url).path))
    return f"{name}=={release}"
