"""Initial weights in a file: every engine begins with the very ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

# Writes the file in one process, takes it up in a model that was drawn with another seed, and says what that has then.
SCRIPT = """
import json, sys
import keras
import numpy as np
from pathlib import Path
from zenplan.worker.training.initial import begin, begin_with, keep_beginning
from zenplan.worker.training.kinds import model_of
from zenplan.worker.training.kinds.facts import Facts
from zenplan.worker.training.prepared import Prepared

facts = Facts.of(Prepared.read(sys.argv[1]))
for name in ("decoder", "gru", "lstm"):
    one, other = (model_of(name, {"width": 8, "length": 8}, facts) for _ in range(2))
    begin(one, 0)
    keep_beginning(one, Path(f"{name}.safetensors"))
    begin(other, 1)
    begin_with(other, f"{name}.safetensors")
    found = [keras.ops.convert_to_numpy(v) for v in other.trainable_variables]
    np.savez(f"{name}.npz", *found)
"""


def test_a_file_of_weights_has_all_of_them(lab: Any, one_backend: str) -> None:
    """Those of one axis, biases and scales, begin with what the layer begins them with."""
    environ = {**os.environ, "KERAS_BACKEND": one_backend, "TF_CPP_MIN_LOG_LEVEL": "3", "JAX_PLATFORMS": "cpu"}
    data = lab.text()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, data], env=environ, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for name in ("decoder", "gru", "lstm"):
        kept, taken = load_file(f"{name}.safetensors"), np.load(f"{name}.npz")
        assert len(kept) == len(taken.files)
        assert any(array.ndim == 1 for array in kept.values())
        for number, array in enumerate(kept[key] for key in sorted(kept)):
            assert np.array_equal(array, taken[f"arr_{number}"]), (name, number)
    # An LSTM begins by forgetting nothing: a bias that is neither all 0 nor all 1.
    assert any(a.ndim == 1 and 0 < a.sum() < a.size for a in load_file("lstm.safetensors").values())

    script = Path(__file__).parents[3] / "benchmarks" / "training_weights.py"
    told = json.dumps(["lstm", {"width": 8, "length": 8}, data, "again.safetensors"])
    subprocess.run([sys.executable, script, told], env=environ, check=True, capture_output=True, timeout=300)
    again, first = load_file("again.safetensors"), load_file("lstm.safetensors")
    assert again.keys() == first.keys()
    assert all(np.array_equal(again[key], first[key]) for key in first)
