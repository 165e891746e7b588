"""``zenplan count`` as a user runs it."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from zenplan.commands.shared import progress

SCHEMA = Path(__file__).parents[3] / "zenplan" / "data" / "schemas" / "count-1.json"
BACKEND = next((b for b in ("jax", "torch", "tensorflow") if find_spec("keras") and find_spec(b)), "")
needs_keras = pytest.mark.skipif(not BACKEND, reason="Keras and a backend are not installed")

MODELS = """
import time
import keras
from keras import layers

def net():
    x = keras.Input((16, 16, 3))
    stem = keras.Sequential([layers.Conv2D(8, 3, name="conv"), layers.ReLU(name="relu")], name="stem")
    y = layers.Flatten(name="flat")(stem(x))
    return keras.Model(x, layers.Dense(10, name="head")(y), name="net")

class Raw(layers.Layer):
    def call(self, x):
        raise RuntimeError("only with real tensors")
    def compute_output_shape(self, shape):
        return shape

def raw():
    x = keras.Input((4,))
    return keras.Model(x, layers.Dense(2, name="head")(Raw(name="raw")(layers.Dense(4, name="first")(x))), name="partly")

def sleeps():
    open("started", "w").close()
    time.sleep(600)
"""


@pytest.fixture
def project(zenplan: Any) -> Any:
    """zenplan in a folder with models."""
    (zenplan.cwd / "models.py").write_text(MODELS, encoding="utf-8")
    return zenplan


@needs_keras
def test_the_tree_the_totals_and_the_kinds(project: Any) -> None:
    ended = project("count", "models:net", "--batch", "64")
    assert (ended.code, ended.err) == (0, "")
    assert max(map(len, ended.lines)) <= 80
    flop = 2 * 14 * 14 * 27 * 8 + 2 * 14 * 14 * 8 * 10
    text = ended.out
    assert ended.lines[0] == "net: 15.9K parameters, input 16×16×3"
    assert [line.split()[0] for line in ended.lines[3:8]] == ["stem", "conv", "relu", "flat", "head"]
    assert f"{flop:.3e}" in text
    assert f"{64 * flop:.3e}" in text
    assert "15,914" in text
    assert [name for name in ("convolution", "product", "stream") if name in text] == [
        "convolution",
        "product",
        "stream",
    ]
    folded = project("count", "models:net", "--depth", "1").out
    assert "  conv" not in folded
    assert f"{flop:.3e}" in folded


@needs_keras
def test_json_csv_and_markdown(project: Any) -> None:
    document = json.loads(project("count", "models:net", "--format", "json").out)
    validator = Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
    assert [e.message for e in validator.iter_errors(document)] == []
    assert document["parameters"] == 27 * 8 + 8 + 14 * 14 * 8 * 10 + 10
    assert document["backend"] == BACKEND
    assert [layer["path"] for layer in document["layers"] if layer["forward_flop"]] == [["stem", "conv"], ["head"]]
    rows = list(csv.DictReader(io.StringIO(project("count", "models:net", "--format", "csv").out)))
    assert sum(float(row["parameters"]) for row in rows) == document["parameters"]
    assert project("count", "models:net", "--format", "markdown").out.startswith("### net: 15.9K parameters")


@needs_keras
def test_an_unknown_layer_is_said_after_the_rest_is_counted(project: Any) -> None:
    ended = project("count", "models:raw")
    assert ended.code == 1
    assert "raw (Raw) [unknown]" in ended.out
    assert "head (Dense)" in ended.out
    assert ended.err.splitlines() == [
        "error: unknown cost: raw (Raw)",
        "hint: tell it with zenplan.register_layer; the rest is counted",
    ]
    document = json.loads(project("count", "models:raw", "--format", "json").out)
    assert document["unknown"] == ["raw"]
    assert document["forward_flop"] == 2 * (4 * 4 + 4 * 2)


@needs_keras
@pytest.mark.parametrize(
    ("number", "code", "said"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_ctrl_c_and_sigterm_end_both_processes(number: int, code: int, said: str, project: Any) -> None:
    environ = project.environment()
    running = subprocess.Popen(
        [*project.module, "count", "models:sleeps"],
        cwd=project.cwd,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        end = time.monotonic() + 60
        while not (project.cwd / "started").exists():
            assert time.monotonic() < end, "it did not start"
            time.sleep(0.05)
        running.send_signal(number)
        out, err = running.communicate(timeout=20)
    finally:
        running.kill()
        running.wait()
        # Or they stay open, and a test after this one fails.
        running.stdout.close()
        running.stderr.close()
    assert (running.returncode, out, err) == (code, "", f"error: {said}\n")
    assert list(Path(project.tmp).iterdir()) == []


_API = """
import sys
import zenplan
from zenplan.domain.model.operators import MatMul, Split
assert "keras" not in sys.modules
from models import Raw, net, raw

counted = zenplan.count_flop(net())
print(int(counted.forward_flop), int(counted.training_flop), int(counted.parameters))

@zenplan.register_layer(Raw)
def operators(layer, input_shapes):
    ((width,),) = input_shapes
    yield MatMul(name="raw", rows=1, inner=width, columns=width, split=Split.NONE)

counted = zenplan.count_flop(raw())
print(int(counted.forward_flop), len(counted.unknown), [x.method for x in counted.layers if x.path == ("raw",)])
"""


@needs_keras
def test_the_functions_for_python(project: Any) -> None:
    environ = {**project.environment(), "KERAS_BACKEND": BACKEND, "PYTHONPATH": str(project.cwd)}
    ended = project(environ=environ, program=(*project.module[:1], "-c", _API))
    conv, head = 2 * 14 * 14 * 27 * 8, 2 * 14 * 14 * 8 * 10
    lines = [f"{conv + head} {2 * conv + 3 * head} 15914", f"{2 * (16 + 16 + 8)} 0 ['registered']"]
    assert ended.lines == lines, ended.err


def test_time_passes_on_a_terminal_only(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with progress.elapsed("m:f") as tell:
        tell("build", 5.0)
    assert capsys.readouterr().err == ""
    with progress.elapsed("m:f", lines=True) as tell:
        for seconds in (0.5, 2.1, 3.5, 20.0):
            tell("build", seconds)
    assert capsys.readouterr().err.splitlines() == ["m:f: build, 2 s", "m:f: build, 20 s"]
    monkeypatch.setattr(progress, "_watched", lambda: True)
    with progress.elapsed("m:f") as tell:
        for seconds in (0.5, 1.9, 2.1, 2.2, 3.5):
            tell("build", seconds)
    lines = capsys.readouterr().err.split("\r\033[K")
    assert lines == ["", "m:f: build, 2 s", "m:f: build, 3 s", ""]


# --- what is wrong before a worker starts


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("bad.py:build",), "'bad.py:build' is a path, not a module"),
        (("model.h5",), "model model.h5: the HDF5 format may run code, and is not read"),
        (("none.keras",), "model none.keras does not exist"),
        (("model",), "'model' names no model"),
        (("a b:c",), "'a b:c' names no model"),
        ((":build",), "':build' names no model"),
        (("-",), "'-' names no model"),
        ((".",), "model . is a directory"),
        (("m:f", "--backend", "numpy"), "unknown backend 'numpy'"),
        (("m:f", "--input-shape", "4,x"), "input shape must be sizes with commas between them, not '4,x'"),
        (("m:f", "--input-shape", "0"), "input shape must be sizes with commas between them, not '0'"),
        (("m:f", "--batch", "1.5"), "--batch must be a whole number, not '1.5'"),
        (("m:f", "--depth", "0"), "--depth must be above zero and finite, not '0'"),
        (("m:f", "--timeout", "5"), "timeout needs a unit: '5'"),
        (("m:f", "--memory", "8 elephants"), "memory knows no unit 'elephants': '8 elephants'"),
        (("m:f", "--precision", "int3"), "precision must be one of"),
    ],
)
def test_bad_input_is_one_line(argv: tuple[str, ...], message: str, called: Callable[..., Any]) -> None:
    ended = called("count", *argv)
    assert ended.code == (1 if message.startswith("model ") else 2)
    assert ended.out == ""
    error, hint = ended.err.splitlines()
    assert error.startswith(f"error: {message}")
    assert hint.startswith("hint: ")


def test_a_hostile_file_is_refused_before_keras_is_loaded(zenplan: Any) -> None:
    """In a process in which Keras cannot be imported at all."""
    import zipfile

    lambda_layer = {"module": "keras.layers", "class_name": "Lambda", "config": {"name": "trap"}}
    config = {"module": "keras", "class_name": "Sequential", "config": {"name": "net", "layers": [lambda_layer]}}
    with zipfile.ZipFile(zenplan.cwd / "net.keras", "w") as archive:
        archive.writestr("config.json", json.dumps(config))
    (zenplan.cwd / "keras.py").write_text("open('ran', 'w')\n", encoding="utf-8")
    ended = zenplan("count", "net.keras")
    assert ended.code == 1
    assert ended.err.startswith("error: model net.keras is refused: layer 'trap': Lambda runs code that is in the file")
    assert not os.path.lexists(zenplan.cwd / "ran")
