"""The sweep's own models, counted and stepped: ``python sample_models.py`` prints JSON."""

from __future__ import annotations

import json
from typing import Any

import keras
import numpy as np

import zenplan
from zenplan.worker.proxies import samples

MODELS = {
    "decoder": lambda: samples.transformer(depth=1, width=32, heads=4, ff_width=64, seq_len=8, vocab=50),
    "encoder": lambda: samples.transformer(
        depth=1, width=32, heads=4, ff_width=64, seq_len=8, vocab=50, gated=True, norm="rms", causal=False
    ),
    "basic": lambda: samples.convnet(depth=1, width=4, image_size=16, classes=10),
    "bottleneck": lambda: samples.convnet(depth=1, width=4, image_size=16, classes=10, kind="bottleneck"),
    "plain": lambda: samples.convnet(depth=1, width=4, image_size=128, classes=10, kind="plain"),
    "lstm": lambda: samples.recurrent(depth=2, width=8, seq_len=4, features=6, classes=5),
    "gru": lambda: samples.recurrent(depth=2, width=8, seq_len=4, features=6, cell="gru", classes=5),
    "product": lambda: samples.product(rows=8, inner=16, columns=32, repeat=3),
    "convolution": lambda: samples.convolution(image_size=8, inputs=4, outputs=6, window=3, stride=2, repeat=2),
    "attention": lambda: samples.attention(heads=2, head_dim=4, seq_len=8, repeat=3),
    "stream": lambda: samples.stream(elements=4096, repeat=2),
}


def row(name: str) -> dict[str, Any]:
    """What is counted of a model, and how much of it two training steps move."""
    model = MODELS[name]()
    count = zenplan.count_flop(model)
    model.compile(
        keras.optimizers.Adam(1e-3, epsilon=1e-30), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    numbers = np.random.default_rng(0)
    shape = (2, *model.input.shape[1:])
    whole = "int" in model.input.dtype
    x = numbers.integers(0, 8, shape) if whole else numbers.standard_normal(shape, "float32")
    y = numbers.integers(0, 4, (2, *model.output.shape[1:-1]))
    before = [np.array(keras.ops.convert_to_numpy(v)) for v in model.trainable_variables]
    losses = [float(model.train_on_batch(x, y)) for _ in range(2)]
    after = [keras.ops.convert_to_numpy(v) for v in model.trainable_variables]
    return {
        "flop": count.training_flop,
        "unknown": [layer.name for layer in count.layers if layer.method == "unknown"],
        "parameters": model.count_params(),
        "losses": losses,
        "moved": sum(bool(np.any(a != b)) for a, b in zip(before, after, strict=True)) / len(before),
    }


if __name__ == "__main__":
    print(json.dumps({name: row(name) for name in MODELS}))  # noqa: T201
