"""Stand-ins beside the workloads they are made of: ``python proxy_models.py truth|step|names MODEL ...`` prints JSON.

A model is a preset's name with its parameters, and ``@`` with the length of its sequences; ``{...}`` is a configuration.
"""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
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
from zenplan.worker.proxies.proxy import proxy_model

# What names of operators have meant.
WORDS = (
    "norm",
    "batch norm",
    "frozen norm",
    "relu",
    "activation and dropout",
    "residual sum",
    "add",
    "max pool",
    "mean of neighbours",
    "gate",
    "concatenation",
    "upsampling",
    "loss",
    "moving statistics",
    "1 × 7 convolution",
    "attention key-value",
    "router",
)


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
    return proxy_model(model.name, model.blocks)


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


def renamed(of: Workload) -> Workload:
    """The same with every operator and block called by a word that once meant something, or by none."""
    draw = np.random.default_rng(len(of.blocks))

    def name() -> str:
        return str(draw.choice(WORDS)) if draw.random() < 0.5 else draw.bytes(5).hex()

    blocks = tuple(
        replace(b, name=name(), operators=tuple(replace(o, name=name()) for o in b.operators)) for b in of.blocks
    )
    return replace(of, blocks=blocks)


def names(text: str) -> dict[str, Any]:
    """The layers of the stand-in, two repetitions of a block at most, under the model's names and under others."""
    of = workload(text)
    of = replace(of, blocks=tuple(replace(b, repeat=min(b.repeat, 2)) for b in of.blocks))
    with weightless(True):
        return {key: list(map(_layer, built(w).operations)) for key, w in (("own", of), ("other", renamed(of)))}


def _layer(of: Any) -> str:
    """Its class, its settings but names and seeds, and the shape that leaves it."""
    settings = of.get_config() if type(of).__module__.startswith("keras.src.layers") else {}
    plain = {k: v for k, v in settings.items() if isinstance(v, int | float | tuple) and k != "seed"}
    shapes = [tuple(t.shape) for t in keras.tree.flatten(of.output)]
    return f"{type(of).__name__} {plain} {shapes}"


if __name__ == "__main__":
    act = {"truth": truth, "step": step, "names": names}[sys.argv[1]]
    print(json.dumps({name: act(name) for name in sys.argv[2:]}))  # noqa: T201
