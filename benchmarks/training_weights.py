"""Initial weights of a model, drawn in NumPy and written to a file; a process of its own, for it imports Keras.

KERAS_BACKEND=jax python benchmarks/training_weights.py '["decoder", {"layers": 2}, "prepared", "weights.safetensors"]'
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from zenplan.worker.training.initial import begin, keep_beginning
from zenplan.worker.training.kinds import model_of
from zenplan.worker.training.kinds.facts import Facts
from zenplan.worker.training.prepared import Prepared


def write(kind: str, options: dict[str, Any], data: str, out: str) -> None:
    """Draw them for a kind of model on that data, as ``zenplan train --weights`` reads them."""
    model = model_of(kind, options, Facts.of(Prepared.read(data)))
    begin(model, 0)
    keep_beginning(model, Path(out))


if __name__ == "__main__":
    write(*json.loads(sys.argv[1]))
