"""Stand-ins beside the workloads they are made of: ``python proxy_models.py truth|step MODEL ...`` prints JSON.

A model is a preset's name with its parameters, and ``@`` with the length of its sequences; ``{...}`` is a configuration.
"""

from __future__ import annotations

import json
import math
import sys
from typing import Any

import keras
import numpy as np

import zenplan
from zenplan import documents
from zenplan.commands.shared import tables as inputs
from zenplan.domain.model.operators import Attention
from zenplan.domain.model.workload import Workload, gradients
from zenplan.plugins import load_plugins
from zenplan.worker.counting.load import weightless
from zenplan.worker.protocol import Blocks
from zenplan.worker.proxies.proxy import standin_model


def workload(text: str) -> Workload:
    """The workload of a preset's name or of a configuration."""
    name, _, length = text.rpartition("@") if "@" in text else (text, "", "")
    asked: dict[str, Any] = {"config": json.loads(name)} if name.startswith("{") else {"model": name}
    if length:
        asked["seq_len"] = int(length)
    return inputs.lowered(load_plugins({}).workloads(), asked)


def built(of: Workload) -> keras.Model:
    """Its stand-in, through JSON as a worker gets it."""
    model = documents.decode(documents.encode(Blocks(name=of.name, blocks=of.blocks)), Blocks, "blocks")
    return standin_model(model.name, model.blocks)


def flop(of: Workload) -> float:
    """Training FLOP of a sample with the scores that a causal mask or a window takes away, which Keras computes."""
    return sum(
        (o.full_flop if isinstance(o, Attention) else o.flop) * b.repeat * (1 + gradients(o))
        for b in of.blocks
        for o in b.operators
    )


def truth(text: str) -> dict[str, Any]:
    """Parameters and FLOP of the stand-in over those of the workload, and what could not be counted."""
    of = workload(text)
    with weightless(True):
        model = built(of)
        count = zenplan.count_flop(model)
    parameters = sum(math.prod(v.shape) for v in model.trainable_variables)
    return {
        "parameters": parameters / of.trainable_parameters,
        "flop": count.training_flop / flop(of),
        "unknown": [layer.name for layer in count.layers if layer.method == "unknown"],
    }


def step(text: str) -> dict[str, Any]:
    """What two training steps answer, and how many of the weights the first one moved."""
    model = built(workload(text))
    classes = model.output.shape[-1]
    several = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    # Every weight with a gradient is moved by the same length, however small the gradient is.
    model.compile(keras.optimizers.Adam(1e-3, epsilon=1e-30), several if classes > 1 else "mean_squared_error")
    numbers = np.random.default_rng(0)
    given = [
        numbers.integers(0, 8, (2, *i.shape[1:]))
        if "int" in i.dtype
        else numbers.standard_normal((2, *i.shape[1:]), "float32")
        for i in model.inputs
    ]
    x = given if len(given) > 1 else given[0]
    y = numbers.integers(0, classes, (2, *model.output.shape[1:-1]))
    before = [np.array(v) for v in map(keras.ops.convert_to_numpy, model.trainable_variables)]
    losses = [float(model.train_on_batch(x, y)) for _ in range(2)]
    after = map(keras.ops.convert_to_numpy, model.trainable_variables)
    moved = sum(bool(np.any(a != b)) for a, b in zip(before, after, strict=True))
    return {"losses": losses, "moved": moved / len(before)}


if __name__ == "__main__":
    act = {"truth": truth, "step": step}[sys.argv[1]]
    print(json.dumps({name: act(name) for name in sys.argv[2:]}))  # noqa: T201
