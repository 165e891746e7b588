"""``zenplan federate`` over Flower's network, in the environment that ZENPLAN_FLOWER_PYTHON names; skipped without it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from zenplan_flower.environment import VARIABLE

SOURCE = Path(__file__).parents[1] / "src"
FLOWER = os.environ.get(VARIABLE, "")
REQUEST = """
[data]
data = "data"
[step]
batch = 16
[train]
model = "softmax-regression"
learning_rate = 0.5
threads = 1
seed = 1
"""


@pytest.mark.slow
@pytest.mark.skipif(not FLOWER, reason=f"{VARIABLE} names no environment with Flower")
def test_a_client_with_bad_numbers_is_left_out_of_the_average_of_the_others(
    tmp_path: Path, rows: Callable[..., str]
) -> None:
    rows(broken=1)
    (tmp_path / "run.toml").write_text(REQUEST, encoding="utf-8")
    home = {f"XDG_{name}_HOME": str(tmp_path / name.lower()) for name in ("DATA", "CONFIG", "CACHE")}
    # The plugin as a file, so that it need not be installed beside zenplan.
    plugin = tmp_path / "plugin.py"
    plugin.write_text(f"import sys\nsys.path.insert(0, {str(SOURCE)!r})\nfrom zenplan_flower import zenplan_engines\n")
    flags = ("--clients", "3", "--rounds", "2", "--local-epochs", "3", "--out", "run", "--format", "json")
    done = subprocess.run(
        [sys.executable, "-m", "zenplan", "federate", "run.toml", *flags],
        env={**os.environ, **home, VARIABLE: FLOWER, "ZENPLAN_PLUGINS": "", "ZENPLAN_PLUGIN_FILES": str(plugin)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "run" / "federation.json").read_text(encoding="utf-8"))
    assert found["rounds"] == 2
    assert sorted((each["averaged"], each["left_out"]) for each in found["clients"]) == [(0, 2), (2, 0), (2, 0)]
    assert found["metrics"]["test"]["accuracy"] > 0.85
    # Each round at least the weights went to two clients and came back.
    assert min(found["up_bytes"], found["down_bytes"]) > 2 * 2 * found["weights_bytes"]
    assert (tmp_path / "run" / "model" / "model.keras").stat().st_size
    assert "TLS" in found["how"]
