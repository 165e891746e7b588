"""Models of finished runs in the forms that others read: written on TensorFlow, opened in another process, scored."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.worker.trained.test_scoring import finished, scored
from tests.worker.training.conftest import INSTALLED, Lab
from zenplan.adapters.workers.process import Limits, run_job
from zenplan.domain.training.forms import FORMS, HOLDS, INT8, KERAS, ONNX, SAVEDMODEL, file_name
from zenplan.worker.protocol import Artefact, Export, Exported, Kind, Score, Scored, Target, Trained

pytestmark = pytest.mark.skipif("tensorflow" not in INSTALLED, reason="exports are written on TensorFlow")
WITHOUT_ONNX = not (find_spec("tf2onnx") and find_spec("onnxruntime"))
# Exactly what a form promises; of the largest number that the model returns.
BOUND = 1e-5


def exported(model: Trained, artefact: Artefact) -> Exported:
    event = run_job(Export(what="run", model=model, artefact=artefact), "tensorflow", Limits(), lambda *told: None)
    assert isinstance(event, Exported)
    return event


def tried(lab: Lab, model: Trained, form: str, quantize: str = "") -> tuple[Exported, Scored | None]:
    """What was said of an export, and what it scores in another process; None where it was refused."""
    artefact = Artefact(form=form, path=str(lab.folder / file_name(form, quantize)), quantize=quantize)
    said = exported(model, artefact)
    if said.refused:
        return said, None
    _, found = scored(Score(what="run", model=model, artefacts=(artefact,), most=20, batch=7), "tensorflow")
    return said, found


def rows(lab: Lab) -> str:
    """Six steps of three numbers, and a class."""
    random = np.random.default_rng(2)
    x, y = random.normal(size=(60, 6, 3)).astype(np.float32), random.integers(0, 3, 60).astype(np.int32)
    cut = {"train": slice(40), "validation": slice(40, 50), "test": slice(50, None)}
    card = {"kind": "arrays", "inputs": ["x"], "target": "y", "classes": 3}
    return lab.data("rows", card, {f"{p}-{n}": v[s] for p, s in cut.items() for n, v in (("x", x), ("y", y))})


def ratings(lab: Lab) -> str:
    """Two inputs whose names are no names of variables."""
    random = np.random.default_rng(3)
    arrays = {
        "the user": random.integers(0, 20, 60).astype(np.int32),
        "item-id": random.integers(0, 30, 60).astype(np.int32),
        "stars": random.normal(size=60).astype(np.float32),
    }
    cut = {"train": slice(40), "validation": slice(40, 50), "test": slice(50, None)}
    card = {"kind": "arrays", "inputs": ["the user", "item-id"], "target": "stars"}
    return lab.data("ratings", card, {f"{p}-{n}": v[s] for p, s in cut.items() for n, v in arrays.items()})


def trained(lab: Lab, kind: str, backend: str) -> Trained:
    """A few steps of a small model of that kind."""
    small: dict[str, Any] = {"layers": 1, "width": 16, "heads": 2}
    given: dict[str, tuple[str, dict[str, Any]]] = {
        "decoder": (lab.text(), {**small, "length": 8}),
        "convnet": (lab.images(), {"width": 4, "stages": 1}),
        "vision-transformer": (lab.images(), small),
        "softmax-regression": (lab.images(), {}),
        "lstm": (rows(lab), {"width": 16}),
        "gru": (rows(lab), {"width": 16}),
        "recommender": (ratings(lab), {"width": 16}),
    }
    data, options = given[kind]
    model, _ = finished(lab, backend, data=data, model=Kind(name=kind, options=options), steps=4)
    return Trained(path=model.path, job=model.job, precision="fp32")


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["decoder", "convnet", "lstm", "recommender"])
def test_what_is_written_in_floats_is_the_model(lab: Lab, kind: str, form: str) -> None:
    if form == ONNX and WITHOUT_ONNX:
        pytest.skip("ONNX is not installed")
    said, found = tried(lab, trained(lab, kind, INSTALLED[0]), form)
    assert not said.refused
    assert found is not None
    assert found.difference is not None
    assert found.largest is not None
    assert found.difference <= BOUND * found.largest
    assert said.batch == (1 if (kind, form) == ("lstm", "litert") else None)
    assert Path(lab.folder / file_name(form)).exists()


@pytest.mark.slow
@pytest.mark.parametrize("quantize", ["int8", "int4"])
@pytest.mark.parametrize("form", FORMS)
def test_weights_in_fewer_bits(lab: Lab, form: str, quantize: str) -> None:
    """A model with attention too, which Keras cannot load again in int8."""
    if form == ONNX and WITHOUT_ONNX:
        pytest.skip("ONNX is not installed")
    if quantize not in HOLDS[form]:
        pytest.skip("the command refuses it")
    options = {"layers": 1, "width": 128, "heads": 2, "length": 8}
    model, _ = finished(lab, INSTALLED[0], data=lab.text(), model=Kind(name="decoder", options=options), steps=2)
    model = Trained(path=model.path, job=model.job, precision="fp32")
    said, found = tried(lab, model, form, quantize)
    assert not said.refused
    assert found is not None
    assert found.difference is not None
    assert found.largest is not None
    assert 1e-4 < found.difference / found.largest < (0.1 if quantize == "int8" else 0.5)
    taken = sum(each.stat().st_size for each in each_file(lab.folder / file_name(form, quantize)))
    if (form, quantize) == (KERAS, INT8):
        page = (Path(__file__).parents[3] / "docs" / "after.md").read_text(encoding="utf-8")
        code = page.partition("# the three lines that read keras-int8\n")[2].partition("```")[0]
        assert "load_weights" in code
        subprocess.run([sys.executable, "-c", code], check=True, cwd=lab.folder, timeout=120)
    if form != SAVEDMODEL:
        assert taken < 0.5 * Path(model.path).stat().st_size


def each_file(path: Path) -> list[Path]:
    return [each for each in (path, *path.rglob("*")) if each.is_file()]


MINE = """
import keras

class Mine(keras.layers.Layer):
    def call(self, x):
        {call}

def build():
    tokens = keras.Input((8,), dtype="int32")
    x = keras.layers.Embedding(50, 16, name="table")(tokens)
    return keras.Model(tokens, keras.layers.Dense(50, name="head")(Mine(name="my_layer")(x)))
"""


@pytest.mark.slow
def test_a_layer_of_another_framework_is_named(lab: Lab) -> None:
    if "jax" not in INSTALLED:
        pytest.skip("its layer calls jax")
    (lab.folder / "mine.py").write_text(
        MINE.format(call="import jax.numpy as jnp; return jnp.sin(x)"), encoding="utf-8"
    )
    model, _ = finished(lab, "jax", data=lab.text(), model=Target(target="mine:build"), loss="next token", steps=2)
    said, _ = tried(lab, model, "savedmodel")
    assert said.layer == "my_layer"
    assert "TensorFlow" in said.refused


@pytest.mark.slow
@pytest.mark.parametrize("form", ["onnx", "litert"])
def test_a_layer_that_a_form_has_no_operation_for_is_named(lab: Lab, form: str) -> None:
    if form == ONNX and WITHOUT_ONNX:
        pytest.skip("ONNX is not installed")
    call = "return keras.ops.erfinv(keras.ops.tanh(x) * 0.5)"
    (lab.folder / "mine.py").write_text(MINE.format(call=call), encoding="utf-8")
    model, _ = finished(
        lab, INSTALLED[0], data=lab.text(), model=Target(target="mine:build"), loss="next token", steps=2
    )
    said, _ = tried(lab, model, form)
    assert (said.layer, "Erfinv" in said.refused) == ("my_layer", True)
    # What holds classes of others is built by their code.
    said, found = tried(lab, model, "keras", "int8")
    assert not said.refused
    assert found is not None


@pytest.mark.slow
def test_a_model_without_a_form_in_fewer_bits_is_refused(lab: Lab) -> None:
    model = trained(lab, "gru", INSTALLED[0])
    assert tried(lab, model, "keras", "int8")[0].layer == "gru0"
