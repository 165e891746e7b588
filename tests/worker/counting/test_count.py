"""``count_model`` on real Keras models, on every backend that is installed, each in a process of its own."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.session import told_once

HERE, BENCHMARKS = Path(__file__).parent, Path(__file__).parents[3] / "benchmarks"
BACKENDS = [
    pytest.param(name, marks=pytest.mark.skipif(not importlib.util.find_spec(name), reason=f"{name} is missing"))
    for name in ("jax", "torch", "tensorflow")
]
pytestmark = pytest.mark.skipif(not importlib.util.find_spec("keras"), reason="keras is missing")

SMALL = (
    "mlp",
    "transformer",
    "lstm_stack",
    "bidirectional_gru",
    "stacked_cells",
    "unet",
    "subclassed",
    "siamese",
    "frozen",
    "conv_lstm",
    "attention_layers",
    "mixed_precision",
)
LARGE = ("ResNet50", "EfficientNetB0", "ConvNeXtTiny")


def answer(script: Path, backend: str, *names: str, **environment: str) -> Any:
    """What a script prints as its last line, in the whole session once."""
    told = told_once("-".join((script.stem, backend, *names)), lambda: asked(script, backend, *names, **environment))
    return json.loads(told)


def asked(script: Path, backend: str, *names: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, str(script), *names],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()[-1]


@cache
def compared(backend: str, *names: str) -> dict[str, dict[str, Any]]:
    """zenplan's count of each model beside another's."""
    rows = answer(BENCHMARKS / "count.py", backend, *names, ZENPLAN_COUNT="1")
    return {row["model"]: row for row in rows}


@cache
def odd(backend: str) -> dict[str, Any]:
    """Models that are hard to count."""
    found: dict[str, Any] = answer(HERE / "odd_models.py", backend)
    return found


def assert_agrees(row: dict[str, Any], within: float) -> None:
    for ours, other in zip((row["forward"], row["training"]), row["others"], strict=True):
        assert other is None or ours == pytest.approx(other, rel=within), row["model"]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.slow
def test_the_count_is_that_of_others(backend: str) -> None:
    rows = compared(backend, *SMALL)
    for row in rows.values():
        assert_agrees(row, within=1e-9)
    checked = sum(other is not None for row in rows.values() for other in row["others"])
    assert checked == {"jax": 24, "torch": 15, "tensorflow": 0}[backend]


def test_the_count_of_large_models_is_that_of_a_jaxpr() -> None:
    pytest.importorskip("jaxlib.version", reason="jax is missing")
    for row in compared("jax", *LARGE).values():
        assert None not in row["others"]
        assert_agrees(row, within=0.001)  # a gradient at the edges of a map, where the jaxpr has zeros


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.slow
def test_every_weight_is_counted_once(backend: str) -> None:
    for row in compared(backend, *SMALL).values():
        assert row["parameters"] == row["keras"] == row["workload"], row["model"]
    for name, row in odd(backend).items():
        if "error" not in row:
            assert row["parameters"] == row["keras"] == row["workload"], name


@pytest.mark.parametrize("backend", BACKENDS)
def test_all_is_known_of_models_of_keras_own_layers(backend: str) -> None:
    methods = {name: row["methods"] for name, row in compared(backend, *SMALL).items()}
    assert methods.pop("subclassed") == ["rule", "traced"]
    assert set(map(tuple, methods.values())) == {("rule",)}


@pytest.mark.parametrize("backend", BACKENDS)
def test_code_of_the_backend_is_traced_and_said_to_be(backend: str) -> None:
    layer = odd(backend)["raw"]["layers"]["raw"]
    assert (layer["flop"], layer["parameters"]) == (2 * 7 * 3 * 5, 15)
    assert (layer["method"], layer["note"]) == ("traced", "counted from the backend's trace")
    assert odd(backend)["raw"]["training"] == 2 * 168 + 3 * 210 + 3 * 140
    # What a layer of Keras's within it has is counted with it, weights too.
    around = odd(backend)["raw_around"]
    assert around["forward"] == 2 * 4 * 3 + 2 * 3 * 4 + 2 * 4
    assert [layer["method"] for layer in around["layers"].values()] == ["rule", "traced"]
    assert odd(backend)["raw_lambda"]["forward"] == 2 * 7 * 4 * 9


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_trace_knows_convolutions_loops_and_attention(backend: str) -> None:
    assert odd(backend)["raw_convolution"]["forward"] == 2 * 3 * 3 * (3 * 3 * 2) * 6
    assert odd(backend)["raw_loop"]["forward"] == 5 * 2 * 4 * 4
    assert odd(backend)["raw_attention"]["forward"] == 2 * 6 * 6 * 2 * (8 + 8)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_layer_that_nobody_can_run_is_named_and_the_rest_is_counted(backend: str) -> None:
    row = odd(backend)["broken"]
    assert row["layers"]["broken"]["method"] == "unknown"
    assert row["layers"]["broken"]["note"] == "RuntimeError: only on Thursdays"
    assert row["forward"] == 2 * 7 * 4 * 4 + 2 * 7 * 4 * 2
    wrong = odd(backend)["own_wrong"]["layers"]["own_wrong"]
    assert wrong["method"] == "unknown"
    assert "which is no operator" in wrong["note"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_model_that_cannot_be_called_is_unknown_with_what_was_seen_of_it(backend: str) -> None:
    row = odd(backend)["hopeless"]
    assert row["layers"][""]["method"] == "unknown"
    assert "nothing goes on from here" in row["layers"][""]["note"]
    assert row["forward"] == 2 * 4 * 3


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_loop_is_followed_as_often_as_it_runs(backend: str) -> None:
    looping = odd(backend)["looping"]
    assert looping["forward"] == 7 * 2 * 4 * 4
    assert "Recurrent" in looping["layers"]["looping"]["operators"]
    cell = odd(backend)["my_cell"]
    assert cell["forward"] == 7 * (2 * 4 * 6 + 2 * 6 * 6)
    assert cell["layers"]["rnn/my_cell/onward"]["operators"] == ["Recurrent"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_cell_of_keras_own_is_counted_by_its_rule(backend: str) -> None:
    cell = odd(backend)["cell"]["layers"]["loop/cell"]
    assert (cell["method"], cell["operators"]) == ("rule", ["MatMul", "Recurrent"])
    assert cell["flop"] == 7 * 2 * (4 + 5) * 20


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_frozen_recurrence_before_which_nothing_learns_has_no_backward_pass(backend: str) -> None:
    row = odd(backend)["frozen_recurrence"]
    assert row["forward"] == 7 * 2 * (4 + 5) * 20 + 2 * 5 * 2
    assert row["training"] == row["forward"] + 2 * 5 * 2  # the gradient of the dense layer's weight
    assert row["activations"] == 5


@pytest.mark.parametrize("backend", BACKENDS)
def test_parts_of_a_tensor_are_kept_each(backend: str) -> None:
    # The input of the dense layer; one part, and the other turned.
    assert odd(backend)["sliced"]["activations"] == 7 * 4 + 7 * 4 + 7 * 4


@pytest.mark.parametrize("backend", BACKENDS)
def test_which_branch_of_a_choice_is_counted_is_said(backend: str) -> None:
    note = odd(backend)["choosing"]["layers"]["choosing"]["note"]
    assert note == "of a choice, the branch with the most FLOP is counted"


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_registered_function_counts_its_layer(backend: str) -> None:
    layer = odd(backend)["own"]["layers"]["own"]
    assert (layer["method"], layer["flop"], layer["operators"]) == (
        "registered",
        2 * 7 * 4 * 7,
        ["MatMul", "Elementwise"],
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_a_layer_does_besides_computing_does_no_harm(backend: str) -> None:
    row = odd(backend)["noisy"]
    assert row["layers"]["noisy"]["method"] == "traced"
    assert row["forward"] == 2 * 7 * 4 * 4 + 2 * 7 * 4 * 2
    assert odd(backend)["my_dense"]["forward"] == 2 * 7 * 4 * 5
    # Besides, once: an iteration of two products, one for the norm, and a sum over the outputs.
    assert odd(backend)["spectral"]["forward"] == 2 * 7 * 4 * 6 + 3 * 2 * 4 * 6 + 2 * 6


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_gradient_stops_where_it_is_stopped_and_a_view_is_kept_once(backend: str) -> None:
    stopped = odd(backend)["stopped"]
    assert stopped["training"] == 2 * 7 * (2 * 4 * 4 + 2 * 4 * 2)  # of weights, and of no input
    assert odd(backend)["viewed"]["activations"] == 7 * 4 + 7 * 4


@pytest.mark.parametrize("backend", BACKENDS)
def test_tied_weights_low_rank_ones_and_layers_never_called(backend: str) -> None:
    tied = odd(backend)["tied"]
    assert tied["forward"] == 2 * 6 * 8 * 8 + 2 * 6 * 8 * 50
    assert tied["layers"]["reversible_embedding"]["calls"] == 2
    assert tied["parameters"] == 50 * 8 + 8 * 8 + 8
    lora = odd(backend)["lora"]
    assert lora["trainable"] == 2 * (20 + 30) + 30 + 30 * 4 + 4
    several = odd(backend)["several"]
    assert several["forward"] == 2 * 6 * 3 + 2 * 8 * 4
    assert [x["note"] for x in several["layers"].values() if not x["calls"]] == ["never called"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_inputs_by_name_and_shapes_that_are_not_known(backend: str) -> None:
    named = odd(backend)["named_inputs"]
    assert named["input"] == "ids 4, x 6"
    assert named["forward"] == 2 * 6 * 5 + 2 * 17 * 2
    assert "is open" in odd(backend)["open"]["error"]
    assert "never built" in odd(backend)["unbuilt"]["error"]
    fixed = odd(backend)["fixed_batch"]
    assert fixed["forward"] == 7 * (2 * 4 * 20 + 2 * 5 * 20) + 2 * 35 * 2
    assert odd(backend)["open_given"]["forward"] == 2 * 11 * 3 * 2
    assert odd(backend)["open_given_wrong"]["error"].endswith("is ?×3, not 11×4")
    assert odd(backend)["no_model"]["error"] == "Dense is no Keras model"


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_shape_that_the_user_leaves_open_within_a_model_is_closed(backend: str) -> None:
    between = odd(backend)["open_between"]
    assert [layer["method"] for layer in between["layers"].values()] == ["rule", "rule", "rule"]
    assert between["forward"] == 2 * 6 * (3 * 5 + 5 * 2)


def test_the_count_is_the_same_on_every_backend() -> None:
    installed = [str(p.values[0]) for p in BACKENDS if importlib.util.find_spec(str(p.values[0]))]
    if len(installed) < 2:
        pytest.skip("there is one backend")
    # What a backend traced are its own products: five of a loop may be one, five times as large.
    first, *others = (
        {
            name: {k: row.get(k) for k in ("forward", "training", "parameters")} if name.startswith("raw_") else row
            for name, row in odd(backend).items()
        }
        for backend in installed
    )
    assert all(other == first for other in others)
