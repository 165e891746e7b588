"""Frozen weights in int8, adapters beside them: it learns, resumes exactly, and what is saved is what was trained."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from zenplan.testing import figures, losses
from zenplan.worker.protocol import Checkpointed, Ended, Error, File, Kind, Metric, Ready

STEPS = {"jax": 400, "torch": 50, "tensorflow": 100}
DECODER = {"layers": 1, "width": 16, "heads": 2, "length": 8, "dropout": 0.2}

# The loss of a saved model on the validation data, by nothing of zenplan but the reader of the data.
EVALUATED = """
import json, sys
import keras
import numpy as np
from zenplan.worker.training.prepared import Prepared

model = keras.saving.load_model(sys.argv[1], compile=False)
samples = Prepared.read(sys.argv[2]).samples("validation", 8)
x, y = samples.batch(np.arange(samples.count))
logits = keras.ops.convert_to_numpy(model(x, training=False))
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(y, logits)
print(json.dumps({"loss": float(loss), "kinds": sorted({str(v.dtype) for v in model.variables})}))
"""


def evaluated(path: str, data: str, backend: str) -> dict[str, Any]:
    environ = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", "JAX_PLATFORMS": "cpu"}
    argv = [sys.executable, "-c", EVALUATED, path, data]
    done = subprocess.run(argv, env=environ, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.slow
def test_killed_and_resumed_in_int8(lab: Any, backend: str) -> None:
    data, steps = lab.text(), STEPS[backend]
    job = {
        "model": Kind(name="decoder", options=DECODER),
        "lora_rank": 2,
        "quantize": "int8",
        "steps": steps,
        "evaluate_batches": 0,
        "evaluate_every": steps,
    }
    whole = lab.trained(lab.job("whole", data, **job), backend)
    assert isinstance(whole[-1], Ended), whole[-1]
    ready = next(e for e in whole if isinstance(e, Ready))
    assert 0 < ready.trainable < ready.parameters / 2
    curve = [loss for _, loss in sorted(losses(whole).items())]
    assert np.mean(curve[-15:]) < np.mean(curve[:15])

    cut = lab.job("cut", data, **job)
    with lab.started(cut, backend) as running:
        running.until(lambda e: isinstance(e, Checkpointed) and e.step >= steps // 4)
        running.process.kill()
        first = running.rest()
    again = lab.trained(msgspec.structs.replace(cut, resume=True), backend)
    assert next(e for e in again if isinstance(e, Ready)).exact
    assert losses(first, again) == losses(whole)
    assert figures(first, again) == figures(whole)

    one, other, begun = (lab.arrays(*each) for each in (("whole", steps), ("cut", steps), ("whole", steps - steps % 7)))
    assert all(np.array_equal(one[name], other[name]) for name in one)
    eight = [name for name, array in one.items() if array.dtype == np.int8]
    assert sum(one[name].size for name in eight) > 0.5 * sum(a.size for n, a in one.items() if n.startswith("model/"))
    # They are frozen; what is beside them is not.
    assert all(np.array_equal(one[name], begun[name]) for name in eight)

    found = evaluated(whole[-1].model, data, backend)
    last = [e.values["loss"] for e in whole if isinstance(e, Metric) and e.part == "validation"][-1]
    assert found["loss"] == pytest.approx(last, rel=1e-4)
    assert not any("int8" in kind for kind in found["kinds"])


@pytest.mark.slow
def test_a_trained_file_is_tuned_in_int8(lab: Any, one_backend: str) -> None:
    """It begins where the file ended, but for what int8 rounds."""
    data = lab.text()
    base = lab.trained(lab.job("base", data, steps=40, model=Kind(name="decoder", options=DECODER)), one_backend)
    figures_of = {}
    for name, more in (("floats", {}), ("int8", {"quantize": "int8"})):
        job = lab.job(name, data, steps=4, model=File(path=base[-1].model), lora_rank=1, **more)
        events = lab.trained(job, one_backend)
        assert isinstance(events[-1], Ended), events[-1]
        figures_of[name] = losses(events)[1]
    assert figures_of["int8"] == pytest.approx(figures_of["floats"], rel=0.02)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "changes", "said"),
    [
        ("gru", {"lora_rank": 2}, "gru"),
        ("decoder", {}, "lora-rank"),
        ("decoder", {"quantize": "int3", "lora_rank": 2}, "int8"),
    ],
)
def test_what_cannot_be_in_int8(kind: str, changes: dict[str, Any], said: str, lab: Any, one_backend: str) -> None:
    options = {"width": 32, "length": 8} if kind == "gru" else DECODER
    job = lab.job("run", lab.text(), model=Kind(name=kind, options=options), **{"quantize": "int8", **changes})
    (*_, last) = lab.trained(job, one_backend)
    assert isinstance(last, Error)
    assert said in f"{last.message} {last.hint}"
    assert "\n" not in last.message
    assert not list(Path(job.folder, "checkpoints").glob("step-*"))
