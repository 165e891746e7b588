"""``zenplan count`` beside counts of others: forward and training FLOP of each model, on each backend that is installed.

    python benchmarks/count.py [MODEL ...]
    python benchmarks/count.py --applications

The second counts every model of ``keras.applications`` and compares its parameters with Keras's own sum.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from typing import Any

BACKENDS = ("jax", "torch", "tensorflow")


def main() -> None:
    """One process a backend, since Keras cannot change it; then the table."""
    if "ZENPLAN_COUNT" in os.environ:
        print(json.dumps(one_backend(sys.argv[1:])))
    elif "--applications" in sys.argv:
        print("| model | parameters | forward GFLOP | training GFLOP | activations M |\n|---|---:|---:|---:|---:|")
        print("\n".join(f"| {row} |" for row in applications()))
    else:
        print("| model | backend | forward MFLOP | others' | ratio | training MFLOP | others' | ratio |")
        print("|---|---|---:|---:|---:|---:|---:|---:|")
        for backend in filter(importlib.util.find_spec, BACKENDS):
            for row in json.loads(started(backend, *sys.argv[1:])):
                print(table_row(backend, row))


def started(backend: str, *names: str) -> str:
    """What a process with this backend prints."""
    environment = {**os.environ, "KERAS_BACKEND": backend, "ZENPLAN_COUNT": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, __file__, *names], env=environment, check=True, stdout=subprocess.PIPE)
    return done.stdout.decode().splitlines()[-1]


def one_backend(names: list[str]) -> list[dict[str, Any]]:
    """Counts of each model: zenplan's, and those of another where the backend has one."""
    import keras
    from count_models import MODELS
    from independent_counts import count

    from zenplan.worker.counting.count import count_model

    rows = []
    for name in names or MODELS:
        with keras.StatelessScope(initialize_variables=False):
            model = MODELS[name]()
            ours = count_model(model)
        others = count(name, model)
        rows.append(
            {
                "model": name,
                "forward": ours.forward_flop,
                "training": ours.training_flop,
                "others": others,
                "parameters": ours.parameters,
                "trainable": ours.trainable_parameters,
                "keras": model.count_params(),
                "workload": ours.workload().parameters,
                "activations": ours.activation_elements,
                "methods": sorted({layer.method for layer in ours.layers}),
                "notes": ours.notes,
            }
        )
    return rows


def table_row(backend: str, row: dict[str, Any]) -> str:
    """A row of the table."""
    cells = [row["model"], backend]
    for ours, other in zip((row["forward"], row["training"]), row["others"], strict=True):
        cells += [f"{ours / 1e6:.3f}", f"{other / 1e6:.3f}" if other else "", f"{ours / other:.4f}" if other else ""]
    return f"| {' | '.join(cells)} |"


def applications() -> list[str]:
    """Each architecture of ``keras.applications``: what is counted, and whether its parameters are Keras's own."""
    import keras

    from zenplan.worker.counting.count import count_model

    rows = []
    for name, build in sorted(vars(keras.applications).items()):
        if not callable(build):
            continue
        if name == "NASNetMobile" and keras.config.backend() == "torch":
            rows.append(f"{name} | not on torch, says Keras | | | ")
            continue
        with keras.StatelessScope(initialize_variables=False):
            model = build(weights=None)
            # Some leave the size of the image open: then that of most.
            shape = [n or 224 for n in model.inputs[0].shape[1:]]
            counted = count_model(model, input_shapes=[shape])
        if counted.parameters != model.count_params() or counted.notes or counted.unknown:
            raise SystemExit(f"{name}: {counted.parameters} is not {model.count_params()}; {counted.notes}")
        rows.append(
            f"{name} | {counted.parameters:.0f} | {counted.forward_flop / 1e9:.3f} | "
            f"{counted.training_flop / 1e9:.3f} | {counted.activation_elements / 1e6:.2f}"
        )
    return rows


if __name__ == "__main__":
    main()
