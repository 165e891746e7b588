"""Models whose weights are divided over two processes, against the same undivided. No framework is imported here."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from zenplan.adapters.workers.ranks import free_address

SIZE = 2
MODELS = ("twice", "own", "masked", "adapted", "tied", "halved")


@pytest.fixture(scope="module")
def ranks() -> Sequence[Mapping[str, Any]]:
    """What each found."""
    if not (find_spec("keras") and find_spec("torch")):
        pytest.skip("torch is not installed")
    port = free_address().rpartition(":")[2]
    command = [sys.executable, str(Path(__file__).with_name("sharded_ranks.py"))]
    started = [
        subprocess.Popen([*command, str(rank), str(SIZE), port], stdout=subprocess.PIPE, text=True)
        for rank in range(SIZE)
    ]
    said = [each.communicate(timeout=300)[0] for each in started]
    assert [each.returncode for each in started] == [0, 0]
    return [json.loads(each.splitlines()[-1]) for each in said]


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_a_divided_model_goes_the_way_of_the_whole_one(ranks: Sequence[Mapping[str, Any]], name: str) -> None:
    """With layers that are called twice, masks, frozen weights, numbers, losses of layers and weights that nothing uses."""
    for each in ranks:
        assert each[name]["apart"] < 1e-5
        assert each[name]["norms_apart"] < 1e-5
        assert each[name]["written"]
        assert each[name]["settled"] == 0.0
        assert each[name]["called"]


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_each_has_its_share_of_weights_and_optimizer_states(ranks: Sequence[Mapping[str, Any]], name: str) -> None:
    found = [each[name] for each in ranks]
    for have, of in (("have", "of"), ("slots", "slots_of")):
        assert sum(each[have] for each in found) == found[0][of] > 0
        assert max(each[have] for each in found) < 0.6 * found[0][of]
    assert sum(each["held"][1] for each in found) == found[0]["parameters"]
    assert all(each["held"][0] < each["parameters"] for each in found)


@pytest.mark.slow
def test_a_step_that_one_leaves_out_is_left_out_by_all(ranks: Sequence[Mapping[str, Any]]) -> None:
    for each in ranks:
        assert all(each["left out"])


@pytest.mark.slow
def test_what_goes_by_whole_weights_is_refused(ranks: Sequence[Mapping[str, Any]]) -> None:
    for each in ranks:
        assert "regularizer" in each["regular"]
        assert "/embeddings outside the call" in each["outside"]
