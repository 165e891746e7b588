"""Time of fused attention on one device: tiles of queries that pass over the keys they see.

    t = rows · (s̄ + edge + ramp) · (F₁ / (P·e) + x / exp) · waves

rows of queries times heads; s̄ the keys that one sees; F₁ the FLOP of one score, forward 2·(d_k + d_v), backward
2·(3·d_k + 2·d_v) (Dao et al. 2022, algorithm 4); P·e what the kernel's products reach; exp the exponentials a second of
the special-function units, of whose time a share x is not hidden under products (Shah et al. 2024, section 3.1: on H100
3.9 T exponentials a second beside 989 TFLOP/s). So narrow heads are slow, and each generation gains less than its peak.

A kernel computes whole tiles: at the diagonal of a causal mask half of one is masked, at a window's two ends one in all.
Each tile of queries begins and ends in the time of some keys, which short sequences and windows cannot spread.
Tiles run a multiprocessor each, in waves, of which the last is half full on average.
"""

from __future__ import annotations

import numpy as np

from zenplan.domain.model.operators import Attention
from zenplan.planning.physics.columns import Array, Hardware

# For --explain.
FORMULA = "FLOP that the mask leaves / (rows · (s̄ + edge + ramp) · (F₁/(P·e) + x/exp) · waves · P)"
# Queries and keys of one tile, of every kernel that is measured (FlashAttention-2 and -3, cuDNN).
TILE = 128.0


def score_flop(op: Attention) -> tuple[float, float]:
    """FLOP of one score and its part of the weighted sum: forward, and backward, where it is computed again."""
    return 2.0 * (op.key_dim + op.value_dim), 2.0 * (3.0 * op.key_dim + 2.0 * op.value_dim)


def scored_keys(op: Attention) -> float:
    """Keys of which a query's tile computes the scores, those that are masked in it among them."""
    window = op.window is not None and op.window < op.keys
    edge = (TILE if op.causal else 2.0 * TILE) if window else TILE / 2.0 if op.causal else 0.0
    return min(op.seen_keys + edge, float(op.keys))


def query_rows(op: Attention) -> float:
    """Queries of all heads, of one sample."""
    return float(op.heads * op.queries)


def fused_attention_s(
    op: Attention, rows: Array | float, keys: Array | float, samples: Array, pieces: Array, hw: Hardware
) -> tuple[Array, Array]:
    """Seconds of the forward and of the backward pass, where memory keeps up.

    Args:
        op: sized for one sample; of several that are evaluated together, one: their heads are as wide.
        rows, keys: ``query_rows`` and ``scored_keys`` of each.
        samples: of a micro-batch that one device has: a part of one where heads or queries are divided.
        pieces: into which the keys come, one kernel each: devices of a context group, or 1.
        hw: the devices; n entries, or one.
    """
    ahead, back = score_flop(op)
    return kernel_s(samples * rows, keys + pieces * hw.attention_ramp_keys, ahead, back, hw)


def kernel_s(rows: Array, keys: Array, ahead: Array | float, back: Array | float, hw: Hardware) -> tuple[Array, Array]:
    """The law itself.

    Args:
        rows: queries times heads, of all samples.
        keys: that each meets, the ramp of its tile among them.
        ahead, back: FLOP of one score, forward and backward.
        hw: the devices; n entries, or one.
    """
    full = rows / TILE / hw.multiprocessors
    scores = rows * keys * np.maximum(1.0, full + 0.5) / full
    softmax_s = 1.0 / hw.softmax_per_s
    forward: Array = scores * (ahead / hw.attention_forward_flop_per_s + softmax_s)
    backward: Array = scores * (back / hw.attention_backward_flop_per_s + softmax_s)
    return forward, backward
