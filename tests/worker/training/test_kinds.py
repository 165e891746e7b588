"""Every kind of model, on every backend: it trains, alike on all of them, and what is saved loads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

# One process a backend: starting a framework takes longer than all these steps.
SCRIPT = """
import json, os, sys
import numpy as np
import keras
from queue import SimpleQueue
from threading import Event
from zenplan.documents import convert
from zenplan.worker.counting.keras_file import read_keras_config
from zenplan.worker.protocol import Events, Ended, Steps, Metric, Ready, Train
from zenplan.worker.training.prepared import Prepared
from zenplan.worker.training.run import train
from zenplan.worker.training.wishes import Wishes

class Kept(Events):
    def send(self, event):
        kept.append(event)

found = {}
for name, job in json.load(open(sys.argv[1])).items():
    kept = []
    job = convert(job, Train, name)
    train(job, Prepared.read(job.data), Wishes(SimpleQueue(), Event()), Kept(1))
    ready = next(e for e in kept if isinstance(e, Ready))
    path = kept[-1].model
    if name != "own":
        read_keras_config(path)
    saved = keras.saving.load_model(path, compile=False)
    data = Prepared.read(job.data)
    length = ready.tokens_per_sample or 0
    x, y = data.samples("validation", length).batch(np.arange(3))
    outputs = keras.ops.convert_to_numpy(saved(x))
    found[name] = {
        "losses": [loss for e in kept if isinstance(e, Steps) for loss in e.losses],
        "values": [e.values for e in kept if isinstance(e, Metric)],
        "parameters": ready.parameters, "trainable": ready.trainable,
        "outputs": float(np.abs(outputs).mean()), "finite": bool(np.isfinite(outputs).all()),
        "path": path,
    }
    print(name, file=sys.stderr, flush=True)
json.dump(found, open(sys.argv[2], "w"))
"""


BUILDERS = """
import keras
from keras import layers, ops

@keras.saving.register_keras_serializable("tests")
class Own(keras.Model):
    # Its call does not ask whether it is trained, and it is built by its data.
    def __init__(self, **options):
        super().__init__(**options)
        self.flat = layers.Reshape((12,))
        self.dense = layers.Dense(1, kernel_regularizer=keras.regularizers.L2(0.1), kernel_initializer="ones")
    def call(self, x):
        return self.dense(self.flat(x))

def own():
    model = Own()
    model.compile(loss=keras.losses.MeanAbsoluteError())
    return model
"""


def sequences(lab: Any) -> str:
    random = np.random.default_rng(2)
    x = random.normal(size=(60, 6, 2)).astype(np.float32)
    y = x[:, :, 0].sum(axis=1).astype(np.float32)
    arrays = {"train-x": x[:40], "train-y": y[:40], "validation-x": x[40:], "validation-y": y[40:]}
    return str(lab.data("sequences", {"kind": "arrays", "inputs": ["x"], "target": "y", "classes": None}, arrays))


def texts(lab: Any) -> str:
    random = np.random.default_rng(3)
    x = random.integers(1, 11, (60, 7)).astype(np.int32)
    y = (x[:, 0] > 5).astype(np.int32)
    x[:, 5:] = 0
    arrays = {"train-x": x[:40], "train-y": y[:40], "validation-x": x[40:], "validation-y": y[40:]}
    return str(lab.data("texts", {"kind": "arrays", "inputs": ["x"], "target": "y", "classes": 2}, arrays))


def ratings(lab: Any) -> str:
    random = np.random.default_rng(4)
    user, item = random.integers(0, 9, 60).astype(np.int32), random.integers(0, 12, 60).astype(np.int32)
    y = (3 + user % 3 - item % 2).astype(np.float32)
    each = {"user": user, "item": item, "y": y}
    arrays = {
        f"{p}-{n}": a[s] for p, s in (("train", slice(40)), ("validation", slice(40, 60))) for n, a in each.items()
    }
    return str(
        lab.data("ratings", {"kind": "arrays", "inputs": ["user", "item"], "target": "y", "classes": None}, arrays)
    )


def jobs(lab: Any, folder: str) -> dict[str, Any]:
    """By name: each kind, small, without dropout."""
    small = {"layers": 1, "width": 8, "heads": 2}
    text, images, rows, words, rated = lab.text(), lab.images(), sequences(lab), texts(lab), ratings(lab)
    kinds: dict[str, tuple[str, str, dict[str, Any]]] = {
        "decoder": ("decoder", text, {**small, "length": 8}),
        "text-classifier": ("text-classifier", words, {**small, "dropout": 0.0}),
        "convnet": ("convnet", images, {"width": 4}),
        "vision-transformer": ("vision-transformer", images, small),
        "lstm": ("lstm", rows, {"width": 6}),
        "gru of tokens": ("gru", text, {"width": 6, "length": 8}),
        "recommender": ("recommender", rated, {"width": 4, "hidden": 5}),
        "softmax-regression": ("softmax-regression", images, {}),
    }
    others = {
        "accumulated": lab.job(
            f"{folder}/accumulated",
            text,
            model={"kind": "kind", "name": "decoder", "options": kinds["decoder"][2]},
            steps=12,
            micro_batch=2,
            evaluate_every=0,
        ),
        "fp16": lab.job(
            f"{folder}/fp16",
            text,
            model={"kind": "kind", "name": "gru", "options": {"width": 6, "length": 8}},
            steps=12,
            micro_batch=8,
            precision="fp16",
            evaluate_every=0,
        ),
        "own": lab.job(
            f"{folder}/own",
            rows,
            model={"kind": "target", "target": "builders:own"},
            steps=12,
            micro_batch=8,
            evaluate_every=0,
        ),
    }
    return others | {
        name: lab.job(
            f"{folder}/{name}",
            data,
            model={"kind": "kind", "name": kind, "options": options},
            steps=12,
            micro_batch=8,
            evaluate_every=0,
            checkpoint_every=0,
        )
        for name, (kind, data, options) in kinds.items()
    }


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, dict[str, Any]], dict[str, Any]]:
    """What came of jobs, in one process of a backend."""
    from zenplan.documents import encode

    def done(backend: str, wanted: dict[str, Any]) -> dict[str, Any]:
        folder = tmp_path_factory.mktemp(backend)
        (folder / "jobs.json").write_text(json.dumps({n: json.loads(encode(j)) for n, j in wanted.items()}))
        (folder / "builders.py").write_text(BUILDERS)
        environ = {
            **os.environ,
            "KERAS_BACKEND": backend,
            "KERAS_HOME": str(folder),
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "CUDA_VISIBLE_DEVICES": "",
            "JAX_PLATFORMS": "cpu",
        }
        finished = subprocess.run(
            [sys.executable, "-c", SCRIPT, "jobs.json", "found.json"],
            env=environ,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=1800,
        )
        assert finished.returncode == 0, finished.stderr[-3000:]
        return dict(json.loads((folder / "found.json").read_text()))

    return done


@pytest.mark.slow
def test_every_kind_trains_alike_on_every_backend(lab: Any, run: Any, backends: list[str]) -> None:
    """From the same weights, drawn in NumPy, on the same batches: without dropout the curves agree."""
    found = {backend: run(backend, jobs(lab, backend)) for backend in backends}
    first = found[backends[0]]
    # A batch in parts is the batch.
    assert np.allclose(first["accumulated"]["losses"], first["decoder"]["losses"], rtol=1e-3)
    for name, one in first.items():
        assert len(one["losses"]) == 12, name
        assert sum(one["losses"][-3:]) < sum(one["losses"][:3]), name
        for backend in backends:
            other = found[backend][name]
            assert other["finite"], (name, backend)
            assert other["parameters"] == one["parameters"], (name, backend)
            # Sums in another order, made larger by each step that is taken from them.
            exact = 1e-4 if name != "fp16" else 1e-2
            assert np.allclose(other["losses"][:3], one["losses"][:3], rtol=exact), (name, backend)
            assert np.allclose(other["losses"], one["losses"], rtol=0.02), (name, backend)
            for mine, theirs in zip(other["values"], one["values"], strict=True):
                assert mine["loss"] == pytest.approx(theirs["loss"], rel=0.02), (name, backend)
            assert other["outputs"] == pytest.approx(one["outputs"], rel=0.05), (name, backend)


@pytest.mark.slow
def test_adapters_train_alone_and_a_file_is_trained_on(lab: Any, run: Any, backend: str) -> None:
    """LoRA on a trained file: fewer numbers are trained, and the others stay."""
    base = {"base": lab.job(f"{backend}/base", lab.text(), steps=5, micro_batch=8, evaluate_every=0)}
    path = run(backend, base)["base"]["path"]
    model = {"kind": "file", "path": path}
    wanted = {
        "lora": lab.job(
            f"{backend}/lora", lab.text(), steps=8, micro_batch=8, model=model, lora_rank=1, precision="bf16"
        ),
        "tuned": lab.job(f"{backend}/tuned", lab.text(), steps=8, micro_batch=8, model=model),
    }
    found = run(backend, wanted)
    assert 0 < found["lora"]["trainable"] < found["tuned"]["trainable"] / 4
    assert found["lora"]["finite"]
    assert Path(found["tuned"]["path"]).name == "model.keras"
    # Both begin where the file ended.
    assert found["lora"]["losses"][0] == pytest.approx(found["tuned"]["losses"][0], rel=0.1)
