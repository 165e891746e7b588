"""Candidates of the general sweep, counted: writes ``zenplan/data/sweep.json``.

Shapes for a processor's core, and the same wider, with more samples, for GPUs: which of them are run is chosen on the
device, by how fast it is (``planning.calibration.design``). Run it where Keras is installed:
``python benchmarks/sweep_points.py``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

from zenplan import count_flop
from zenplan.adapters.tables.sweep import SCHEMA
from zenplan.planning.calibration.features import features_of
from zenplan.worker.proxies import samples

TABLE = Path(__file__).parents[1] / "zenplan" / "data" / "sweep.json"

# (depth, width, heads, ff_width, seq_len, vocab), batch
TRANSFORMERS = (
    ((1, 128, 4, 512, 512, 512), 4),
    ((2, 128, 2, 512, 128, 1024), 8),
    ((6, 128, 4, 512, 64, 512), 8),
    ((10, 128, 2, 512, 96, 512), 4),
    ((2, 192, 3, 768, 256, 512), 2),
    ((8, 192, 6, 768, 64, 1024), 4),
    ((2, 256, 4, 1024, 64, 2048), 8),
    ((4, 256, 8, 1024, 128, 512), 4),
    ((1, 384, 6, 1536, 128, 1024), 8),
    ((2, 384, 6, 1536, 32, 4096), 8),
    ((2, 512, 8, 2048, 32, 1024), 8),
    ((3, 320, 5, 1280, 64, 8192), 4),
    ((12, 96, 3, 384, 128, 512), 4),
    ((1, 768, 12, 3072, 32, 1024), 4),
)
GATED = (((2, 256, 4, 704, 96, 2048), 8), ((4, 192, 3, 512, 128, 1024), 4), ((6, 128, 2, 384, 64, 1024), 8))
# (depth, width, image_size), kind, batch
CONVNETS = (
    ((1, 16, 32), "basic", 16),
    ((2, 32, 32), "basic", 8),
    ((4, 16, 24), "basic", 16),
    ((2, 24, 48), "basic", 4),
    ((1, 64, 16), "basic", 16),
    ((3, 16, 32), "bottleneck", 16),
    ((2, 32, 24), "bottleneck", 8),
    ((2, 32, 32), "plain", 8),
    ((1, 48, 48), "plain", 4),
    ((3, 16, 64), "plain", 4),
    ((2, 24, 48), "depthwise", 8),
    ((3, 16, 64), "depthwise", 8),
    ((1, 32, 96), "depthwise", 4),
    ((4, 16, 32), "depthwise", 16),
)
# (depth, width, seq_len), cell, batch
RECURRENT = (
    ((1, 128, 64), "lstm", 16),
    ((2, 96, 40), "lstm", 16),
    ((3, 64, 64), "lstm", 8),
    ((1, 256, 32), "lstm", 8),
    ((2, 320, 16), "lstm", 32),
    ((1, 64, 128), "lstm", 32),
    ((2, 192, 32), "gru", 16),
    ((4, 64, 96), "gru", 8),
    ((1, 256, 48), "gru", 8),
    ((1, 128, 96), "gru", 32),
    ((3, 128, 32), "gru", 4),
)
# (rows, inner, columns, repeat)
PRODUCTS = ((512, 256, 1024, 8), (1024, 512, 512, 4), (256, 1024, 1024, 4), (2048, 128, 512, 4), (64, 2048, 2048, 2))
# (image_size, inputs, outputs, window, stride, repeat)
CONVOLUTIONS = ((32, 32, 32, 3, 1, 6), (16, 128, 128, 3, 1, 4), (56, 64, 64, 1, 1, 6), (48, 16, 16, 5, 1, 4))
# (heads, head_dim, seq_len, repeat)
ATTENTIONS = ((4, 64, 256, 4), (8, 32, 128, 6), (2, 64, 1024, 2))
# (elements, repeat)
STREAMS = ((100_000, 12), (1_000_000, 8))
# How many times wider a GPU's candidates are, and how many times as many samples they have.
SCALES = ((1, 1), (4, 4), (8, 16))


def candidates() -> Iterator[tuple[str, str, dict[str, Any], int]]:
    """Family, builder, arguments, batch."""
    for (wide, many), (shape, batch) in product(SCALES, TRANSFORMERS + GATED):
        depth, width, heads, ff, seq_len, vocab = shape
        gated = (shape, batch) in GATED
        yield (
            "transformer",
            "transformer",
            {
                "depth": depth,
                "width": width * wide,
                "heads": heads * wide,
                "ff_width": ff * wide,
                "seq_len": seq_len,
                "vocab": vocab * wide,
                **({"gated": True, "norm": "rms"} if gated else {}),
            },
            batch * many,
        )
    for (wide, many), ((depth, width, size), kind, batch) in product(SCALES, CONVNETS):
        yield (
            "convnet",
            "convnet",
            {"depth": depth, "width": width * wide, "image_size": size, "kind": kind},
            batch * many,
        )
    for (wide, many), ((depth, width, seq_len), cell, batch) in product(SCALES, RECURRENT):
        arguments = {"depth": depth, "width": width * wide, "seq_len": seq_len, "cell": cell}
        yield "recurrent", "recurrent", arguments, batch * many
    for wide, many in SCALES:
        yield from _operators(wide, many)


def _operators(wide: int, many: int) -> Iterator[tuple[str, str, dict[str, Any], int]]:
    for rows, inner, columns, repeat in PRODUCTS:
        yield (
            "operator",
            "product",
            {"rows": rows, "inner": inner * wide, "columns": columns * wide, "repeat": repeat},
            many,
        )
    for size, inputs, outputs, window, stride, repeat in CONVOLUTIONS:
        yield (
            "operator",
            "convolution",
            {
                "image_size": size,
                "inputs": inputs * wide,
                "outputs": outputs * wide,
                "window": window,
                "stride": stride,
                "repeat": repeat,
            },
            4 * many,
        )
    for heads, head_dim, seq_len, repeat in ATTENTIONS:
        yield (
            "operator",
            "attention",
            {"heads": heads * wide, "head_dim": head_dim, "seq_len": seq_len, "repeat": repeat},
            4 * many,
        )
    for elements, repeat in STREAMS:
        yield "operator", "stream", {"elements": elements * wide, "repeat": repeat}, 4 * many


def counted(family: str, builder: str, arguments: dict[str, Any], batch: int) -> dict[str, Any]:
    """The candidate with its FLOP and features."""
    count = count_flop(getattr(samples, builder)(**arguments), batch)
    if count.unknown:
        raise SystemExit(f"{builder} {arguments}: the cost of {count.unknown[0].label} is unknown")
    operators = [op for layer in count.layers for op in layer.operators]
    return {
        "family": family,
        "builder": builder,
        "arguments": arguments,
        "batch": batch,
        "flop": count.training_flop * batch,
        "features": {k: float(f"{v:.6g}") for k, v in features_of(operators, batch).items()},
    }


def main() -> None:
    """Count all, and write them."""
    import keras

    points = []
    for each in candidates():
        # Weights have a shape and no values: the largest would not fit otherwise.
        with keras.StatelessScope(initialize_variables=False):
            points.append(counted(*each))
        keras.backend.clear_session()
    lines = ",\n".join(json.dumps(p) for p in points)
    TABLE.write_text(f'{{"schema": "{SCHEMA}",\n"points": [\n{lines}\n]}}\n', encoding="utf-8")
    print(f"{len(points)} candidates in {TABLE.name}")


if __name__ == "__main__":
    main()
