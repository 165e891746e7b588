"""The proportions of published decoders, and the decoder of one layer that they give.

From GPT-3 (Brown et al. 2020, arXiv 2005.14165, Table 2.1), Pythia (Biderman et al. 2023, arXiv 2304.01373)
and Llama 1 to 3 (arXiv 2302.13971, 2307.09288, 2407.21783).
"""

from __future__ import annotations

import math
from itertools import pairwise

from zenplan.families.transformer.lowering import TransformerShape, lower

# Below it models are narrow-headed and share the embedding with the output head (GPT-3 125M to 760M).
SMALL = 1e9
# From here on key-value heads are shared (Llama 2 34B and 70B, Llama 3.1 405B: 8 of them).
GROUPED = 30e9
# GPT-2's 50,257, rounded up to a multiple of 128.
VOCABULARY = 50_304
# Parameters to width / layers: GPT-3 125M, GPT-3 XL and Pythia 1.4B, Llama 7B and 13B, Llama 2 70B,
# GPT-3 175B, Llama 3.1 405B.
ASPECTS = ((125e6, 64.0), (1.3e9, 85.0), (7e9, 128.0), (13e9, 128.0), (70e9, 102.0), (175e9, 128.0), (405e9, 130.0))


def aspect(params: float) -> float:
    """Width / layers of published models of that size, straight lines between them over log parameters."""
    for (below, low), (above, high) in pairwise(ASPECTS):
        if params <= above:
            share = max(math.log(params / below) / math.log(above / below), 0.0)
            return low + share * (high - low)
    return ASPECTS[-1][1]


def width_step(params: float) -> int:
    """What the width is a multiple of: 8 heads of 128 for tensor parallelism to divide; less below 1B."""
    if params >= SMALL:
        return 1024
    return 256 if params >= 1e8 else 128 if params >= 1e6 else 32


def layer_counts(estimate: float) -> tuple[int, ...]:
    """Numbers of layers next to an estimate that pipeline stages can share: multiples of 4 where deep."""
    step = 4 if estimate >= 48 else 2 if estimate >= 12 else 1
    below = max(math.floor(estimate / step), 1) * step
    return below, below + step


def rounded(value: float, multiple: int) -> int:
    """The nearest multiple, at least one of it."""
    return max(round(value / multiple), 1) * multiple


def candidate(params: float, width: int, vocab: int = VOCABULARY, tied: bool = False) -> TransformerShape:
    """One layer of that width, of a model of that many parameters: gated, no biases, rotary positions."""
    dim = min(head_dim(params), width)
    return TransformerShape(
        layers=1,
        width=width,
        heads=width // dim,
        kv_heads=8 if params >= GROUPED else None,
        head_dim=dim,
        ff_width=rounded(8 / 3 * width, ff_step(width)),
        vocab=vocab,
        seq_len=1,
        gated=True,
        tied=tied,
        biases=False,
        norm_biases=False,
    )


def vocabulary(width: int, most: float) -> int:
    """50,304 entries, or as many as keep a table of that width within ``most`` parameters."""
    return VOCABULARY if most >= VOCABULARY * width else max(int(most / width) // 128 * 128, 128)


def head_dim(params: float) -> int:
    """Width of one head: GPT-3's and Pythia's 64 in small models, 128 in large ones."""
    return 64 if params < SMALL else 128


def ff_step(width: int) -> int:
    """256 as in Llama; finer where 256 would be a coarse part of the width."""
    return 256 if width >= 4096 else 64 if width >= 1024 else 8


def parameters(shape: TransformerShape) -> float:
    """The parameter count of a shape, as its operators have it."""
    return lower(shape, "candidate").parameters


def widths(params: float, around: int = 4) -> list[int]:
    """Widths around the one that the usual proportions give: 12 · width² · layers parameters."""
    step = width_step(params)
    middle = max(round((params * aspect(params) / 12) ** (1 / 3) / step), 1)
    return [step * each for each in range(max(middle - around, 1), middle + around)]
