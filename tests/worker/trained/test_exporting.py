"""Models of finished runs in the forms that others read: written on TensorFlow, opened in another process, scored."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.worker.together import together
from tests.worker.trained.conftest import finished
from tests.worker.training.conftest import INSTALLED, Lab
from zenplan.adapters.workers.process import Limits, run_job
from zenplan.domain.training.forms import FORMS, HOLDS, INT8, KERAS, ONNX, SAVEDMODEL, file_name
from zenplan.worker.protocol import Artefact, Export, Exported, Kind, Score, Scored, Target, Trained

pytestmark = pytest.mark.skipif("tensorflow" not in INSTALLED, reason="exports are written on TensorFlow")
WITHOUT_ONNX = not (find_spec("tf2onnx") and find_spec("onnxruntime"))
# Exactly what a form promises; of the largest number that the model returns.
BOUND = 1e-5
FLOATS = ("decoder", "convnet", "lstm", "recommender")
FEWER = ("int8", "int4")

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

ERFINV = "return keras.ops.erfinv(keras.ops.tanh(x) * 0.5)"
# Forms that have no operation for it.
LACKING = ("onnx", "litert")


Tried = tuple[Exported, Scored | None]


def exported(model: Trained, artefact: Artefact) -> Exported:
    event = run_job(Export(what="run", model=model, artefact=artefact), "tensorflow", Limits(), lambda *told: None)
    assert isinstance(event, Exported)
    return event


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


def runs(lab: Lab) -> dict[str, dict[str, Any]]:
    """A few steps of small models."""
    small: dict[str, Any] = {"layers": 1, "width": 16, "heads": 2}
    given: dict[str, tuple[str, str, dict[str, Any]]] = {
        "decoder": ("decoder", lab.text(), {**small, "length": 8}),
        "wide": ("decoder", lab.text(), {**small, "width": 128, "length": 8}),
        "convnet": ("convnet", lab.images(), {"width": 4, "stages": 1}),
        "lstm": ("lstm", rows(lab), {"width": 16}),
        "gru": ("gru", rows(lab), {"width": 16}),
        "recommender": ("recommender", ratings(lab), {"width": 16}),
    }
    kinds = {
        name: {"data": data, "model": Kind(name=kind, options=options), "steps": 4}
        for name, (kind, data, options) in given.items()
    }
    (lab.folder / "mine.py").write_text(MINE.format(call=ERFINV), encoding="utf-8")
    target = {"data": lab.text(), "model": Target(target="mine:build"), "loss": "next token", "steps": 2}
    return {**kinds, "mine": target}


@pytest.fixture(scope="module")
def tried(shared: Lab) -> Callable[[str, str, str], Tried]:
    """What was said of an export of a model, and what it scores in another process; None where it was refused.

    All of them are written by one process, and scored by another.
    """
    models = {name: model for name, (model, _) in finished(shared, INSTALLED[0], runs(shared)).items()}
    forms = [form for form in FORMS if form != ONNX or not WITHOUT_ONNX]
    wanted = [
        *((name, form, "") for name in FLOATS for form in forms),
        *(("wide", form, bits) for form in forms for bits in FEWER if bits in HOLDS[form]),
        *(("mine", form, "") for form in LACKING if form in forms),
        ("mine", KERAS, INT8),
        ("gru", KERAS, INT8),
    ]
    artefacts = {each: Artefact(form=each[1], path=str(place(shared, *each)), quantize=each[2]) for each in wanted}
    for each in wanted:
        place(shared, *each).parent.mkdir(exist_ok=True)
    jobs = [Export(what="run", model=models[each[0]], artefact=artefacts[each]) for each in wanted]
    said: dict[tuple[str, str, str], Exported] = {}
    for each, events in zip(wanted, together(shared.folder, "tensorflow", jobs), strict=True):
        assert isinstance(events[-1], Exported), (each, events[-1])
        said[each] = events[-1]
    written = [each for each in wanted if not said[each].refused]
    scores = [Score(what="run", model=models[e[0]], artefacts=(artefacts[e],), most=20, batch=7) for e in written]
    found: dict[tuple[str, str, str], Scored] = {}
    for each, events in zip(written, together(shared.folder, "tensorflow", scores), strict=True):
        found[each] = [event for event in events if isinstance(event, Scored)][-1]
    return lambda *each: (said[each], found.get(each))


def place(lab: Lab, name: str, form: str, quantize: str) -> Path:
    """Where it is written."""
    return lab.folder / f"of-{name}" / file_name(form, quantize)


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", FLOATS)
def test_what_is_written_in_floats_is_the_model(shared: Lab, tried: Any, kind: str, form: str) -> None:
    if form == ONNX and WITHOUT_ONNX:
        pytest.skip("ONNX is not installed")
    said, found = tried(kind, form, "")
    assert not said.refused
    assert found is not None
    assert found.difference is not None
    assert found.largest is not None
    assert found.difference <= BOUND * found.largest
    assert said.batch == (1 if (kind, form) == ("lstm", "litert") else None)
    assert place(shared, kind, form, "").exists()


@pytest.mark.slow
@pytest.mark.parametrize("quantize", FEWER)
@pytest.mark.parametrize("form", FORMS)
def test_weights_in_fewer_bits(shared: Lab, tried: Any, form: str, quantize: str) -> None:
    """A model with attention too, which Keras cannot load again in int8."""
    if form == ONNX and WITHOUT_ONNX:
        pytest.skip("ONNX is not installed")
    if quantize not in HOLDS[form]:
        pytest.skip("the command refuses it")
    said, found = tried("wide", form, quantize)
    assert not said.refused
    assert found is not None
    assert found.difference is not None
    assert found.largest is not None
    assert 1e-4 < found.difference / found.largest < (0.1 if quantize == "int8" else 0.5)
    path = place(shared, "wide", form, quantize)
    if (form, quantize) == (KERAS, INT8):
        page = (Path(__file__).parents[3] / "docs" / "after.md").read_text(encoding="utf-8")
        code = page.partition("# the three lines that read keras-int8\n")[2].partition("```")[0]
        assert "load_weights" in code
        subprocess.run([sys.executable, "-c", code], check=True, cwd=path.parent, timeout=120)
    if form != SAVEDMODEL:
        model = shared.folder / f"{INSTALLED[0]}-wide" / "model" / "model.keras"
        assert sum(each.stat().st_size for each in each_file(path)) < 0.5 * model.stat().st_size


def each_file(path: Path) -> list[Path]:
    return [each for each in (path, *path.rglob("*")) if each.is_file()]


@pytest.mark.slow
def test_a_layer_of_another_framework_is_named(lab: Lab) -> None:
    if "jax" not in INSTALLED:
        pytest.skip("its layer calls jax")
    (lab.folder / "theirs.py").write_text(
        MINE.format(call="import jax.numpy as jnp; return jnp.sin(x)"), encoding="utf-8"
    )
    run = {"data": lab.text(), "model": Target(target="theirs:build"), "loss": "next token", "steps": 2}
    ((model, _),) = finished(lab, "jax", {"run": run}).values()
    said = exported(model, Artefact(form=SAVEDMODEL, path=str(lab.folder / "savedmodel")))
    assert said.layer == "my_layer"
    assert "TensorFlow" in said.refused


@pytest.mark.slow
@pytest.mark.parametrize("form", LACKING)
def test_a_layer_that_a_form_has_no_operation_for_is_named(tried: Any, form: str) -> None:
    if form == ONNX and WITHOUT_ONNX:
        pytest.skip("ONNX is not installed")
    said, _ = tried("mine", form, "")
    assert (said.layer, "Erfinv" in said.refused) == ("my_layer", True)


@pytest.mark.slow
def test_what_holds_classes_of_others_is_built_by_their_code(tried: Any) -> None:
    said, found = tried("mine", KERAS, INT8)
    assert not said.refused
    assert found is not None


@pytest.mark.slow
def test_a_model_without_a_form_in_fewer_bits_is_refused(tried: Any) -> None:
    said, _ = tried("gru", KERAS, INT8)
    assert said.layer == "gru0"
