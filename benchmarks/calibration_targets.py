"""What ``calibration.py`` predicts, and how well it is asked to."""

from __future__ import annotations

from typing import Any

# Of calibration_models.py: family, function, arguments, batch.
TARGETS: tuple[tuple[str, str, dict[str, Any], int], ...] = (
    ("transformer", "gpt", {"depth": 12, "width": 256, "heads": 4, "seq_len": 128, "vocab": 2048}, 8),
    ("transformer", "gpt", {"depth": 8, "width": 384, "heads": 6, "seq_len": 64, "vocab": 4096}, 8),
    ("transformer", "gpt", {"depth": 16, "width": 192, "heads": 3, "seq_len": 256, "vocab": 1024}, 4),
    ("transformer", "gpt", {"depth": 6, "width": 512, "heads": 8, "seq_len": 64, "vocab": 1024}, 8),
    ("transformer", "gpt", {"depth": 14, "width": 128, "heads": 2, "seq_len": 512, "vocab": 512}, 4),
    ("transformer", "llama", {"depth": 10, "width": 256, "ff_width": 704, "seq_len": 128, "vocab": 2048}, 8),
    (
        "transformer",
        "llama",
        {"depth": 12, "width": 320, "heads": 5, "kv_heads": 1, "ff_width": 864, "seq_len": 96, "vocab": 3000},
        8,
    ),
    ("transformer", "encoder", {"depth": 8, "width": 256, "heads": 8, "seq_len": 192}, 4),
    ("transformer", "encoder", {"depth": 12, "width": 192, "heads": 6, "seq_len": 96}, 8),
    ("convnet", "resnet", {"depth": 5, "width": 16, "size": 32}, 32),
    ("convnet", "resnet", {"depth": 4, "width": 32, "size": 32}, 16),
    ("convnet", "resnet", {"depth": 6, "width": 16, "size": 32, "bottleneck": True}, 16),
    ("convnet", "resnet", {"depth": 7, "width": 24, "size": 40}, 8),
    ("convnet", "plain", {"depth": 4, "width": 32, "size": 48}, 8),
    ("convnet", "mobile", {"depth": 5, "width": 24, "size": 64}, 8),
    ("convnet", "mobile", {"depth": 6, "width": 16, "size": 96}, 8),
    ("recurrent", "recurrent", {"depth": 6, "width": 128, "seq_len": 64}, 16),
    ("recurrent", "recurrent", {"depth": 5, "width": 192, "seq_len": 48, "cell": "GRU"}, 16),
    ("recurrent", "recurrent", {"depth": 4, "width": 256, "seq_len": 32}, 8),
    ("recurrent", "recurrent", {"depth": 4, "width": 96, "seq_len": 40, "both_ways": True}, 16),
    ("recurrent", "recurrent", {"depth": 6, "width": 64, "seq_len": 128, "cell": "GRU"}, 8),
    ("recurrent", "recurrent", {"depth": 5, "width": 320, "seq_len": 24}, 32),
)
# Median and worst error that are asked for, in percent.
ASKED = {
    "torch": {"transformer": (4, 10), "convnet": (4, 10), "recurrent": (5, 12)},
    "tensorflow": {"transformer": (5, 12), "convnet": (6, 15), "recurrent": (8, 20)},
    "jax": {"transformer": (8, 20), "convnet": (8, 20), "recurrent": (8, 20)},
}
