"""From a number of parameters to a transformer of usual proportions, dense or a mixture of experts."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

from zenplan import units
from zenplan.domain.provenance import Fact, Origin
from zenplan.errors import UsageError
from zenplan.families.transformer import recipe
from zenplan.families.transformer.lowering import lower
from zenplan.families.transformer.shape import Experts, TransformerShape, with_seq_len

# --- proportions
#
# The proportions of published decoders, and the decoder of one layer that they give.
#
# From GPT-3 (Brown et al. 2020, arXiv 2005.14165, Table 2.1), Pythia (Biderman et al. 2023, arXiv 2304.01373) and Llama
# 1 to 3 (arXiv 2302.13971, 2307.09288, 2407.21783).

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


# --- sizes


LEAST_PARAMETERS, MOST_PARAMETERS = 1e5, 1e14
MOST_EXPERTS = 256
_EXPERT_COUNTS = (8, 16, 32, 64, 128, MOST_EXPERTS)
# How far a mixture's two counts may lie from what was asked; beyond it there is no answer.
_TOLERANCE = 0.04


def shape_for(
    params: float, active_params: float | None = None, seq_len: int | None = None
) -> tuple[TransformerShape, tuple[Fact, ...]]:
    """A decoder with about that many parameters, and what was assumed to arrive at it.

    Args:
        params: all parameters, from 1e5 to 1e14; the shape's count is within 3 % from 1e6 on.
        active_params: of a mixture of experts, the parameters that a token meets in a product (the output
            head included, the input embedding not); None, or ``params`` itself, for a dense model.
        seq_len: tokens of one sequence; None for the usual one of that size.

    Raises:
        UsageError: a number is out of range, or no mixture of at most 256 experts has both counts.
    """
    _check("--params", params)
    tokens, facts = recipe.sequence_length(params) if seq_len is None else (seq_len, ())
    if active_params is None or active_params == params:
        shape = _dense(params)
    else:
        _check("--active-params", active_params)
        if active_params > params:
            raise UsageError(
                f"{units.count(active_params)} active of {units.count(params)} parameters",
                "give at most as many active parameters as there are",
            )
        shape = _mixture(params, active_params)
    shape, grown = with_seq_len(replace(shape, guessed=True), tokens)
    return shape, (*_facts(shape, params), *facts, *grown)


def _check(option: str, value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UsageError(f"{option} is not a finite number", "write it as in: 7B, 350M, 1e9")
    if not LEAST_PARAMETERS <= value <= MOST_PARAMETERS:
        raise UsageError(
            f"{option} of {value:.3g} is not what zenplan plans for",
            f"give {units.count(LEAST_PARAMETERS)} to {units.count(MOST_PARAMETERS)} parameters",
        )


@lru_cache(maxsize=8)
def _dense(params: float) -> TransformerShape:
    """The candidate whose proportions are nearest to the usual ones, among those with the right count."""
    best: tuple[float, TransformerShape] | None = None
    tied = params < SMALL
    for width in widths(params):
        # The tables are at most half of the model: a smaller vocabulary, in the smallest.
        vocab = vocabulary(width, 0.5 * params / (1 if tied else 2))
        one = candidate(params, width, vocab, tied)
        single = parameters(one)
        layer = parameters(replace(one, layers=2)) - single
        for layers in layer_counts((params - single) / layer + 1):
            # What the whole number of layers leaves over goes into the feed-forward width.
            spare = (params - single - (layers - 1) * layer) / (3 * width * layers)
            body = rounded(one.ff_width + spare, ff_step(width))
            shape = replace(one, layers=layers, ff_width=body)
            miss = abs(parameters(shape) / params - 1)
            odd = abs(math.log(3 * body / (8 * width)))
            slim = abs(math.log(width / layers / aspect(params)))
            cost = 2 * odd + slim + (100 * miss if miss > 0.01 else 0)
            if best is None or cost < best[0]:
                best = (cost, shape)
    if best is None:
        raise UsageError(f"no transformer has {units.count(params)} parameters", "give more parameters")
    return best[1]


def _mixture(params: float, active: float) -> TransformerShape:
    """A mixture with both counts, its width and depth those of a dense model of the active count.

    Two equations: the inactive experts are what lies between the counts; what the active ones leave of the
    active count is attention, routers and the head. They give the width of an expert and the layers.
    """
    found: list[tuple[float, TransformerShape]] = []
    for width in widths(active, around=8):
        table = min(0.25 * active, 0.5 * (params - active))
        one = candidate(active, width, vocabulary(width, table))
        single = parameters(one)
        layer = parameters(replace(one, layers=2)) - single
        attention = layer - 3 * width * one.ff_width
        embedding = one.vocab * width
        for count in _EXPERT_COUNTS:
            for met in range(1, count):
                expert = (params - embedding - active) / (count - met)
                rest = active - (single - layer - embedding) - met * expert
                depth = rest / (attention + width * count)
                if not (0.5 <= depth <= 2000 and expert / (3 * width * depth) >= 8):
                    continue
                for layers in layer_counts(depth):
                    inner = _expert_width(expert / (3 * width * layers))
                    cost = _oddity(width / layers / aspect(active), met, met * inner / width)
                    experts = Experts(count=count, active=met, width=inner)
                    found.append((cost, replace(one, layers=layers, experts=experts, ff_width=inner)))
    for _, shape in sorted(found, key=lambda each: each[0])[:200]:
        workload = lower(shape, "candidate")
        misses = workload.parameters / params - 1, workload.active_parameters / active - 1
        if max(map(abs, misses)) <= _TOLERANCE:
            return shape
    raise UsageError(
        f"no mixture of up to {MOST_EXPERTS} experts has {units.count(active)} active of "
        f"{units.count(params)} parameters",
        f"give between {units.count(params / 100)} and {units.count(0.9 * params)} active parameters",
    )


def _oddity(depth: float, met: int, inner: float) -> float:
    """How far a mixture is from published ones: 2 of 8 experts met in Mixtral, 8 of 128 in Qwen3, 8 of 256
    in DeepSeek-V3; met together they are 2.6 to 7 times as wide as the model."""
    return 0.5 * abs(math.log(depth)) + abs(math.log(inner / 3)) + 0.2 * abs(math.log(met / 6))


def _expert_width(width: float) -> int:
    """A round number, fine enough to stay within 2 %."""
    return rounded(width, 128 if width >= 4096 else 32 if width >= 1024 else 8 if width >= 256 else 1)


def _facts(shape: TransformerShape, params: float) -> tuple[Fact, ...]:
    """What was assumed, as one would have written it in a configuration."""
    size = f"{shape.layers} layers of {shape.width}, {shape.heads} heads"
    if shape.kv_heads:
        size += f", {shape.kv_heads} key-value heads"
    why = "usual proportions of GPT-3, Pythia and Llama at that size"
    facts = [Fact(name="shape", value=size, origin=Origin.ASSUMED, why=why)]
    if shape.experts is None:
        inner = f"{shape.ff_width}, gated"
        why = "8/3 of the width as in Llama, then fitted to the parameter count"
        facts.append(Fact(name="feed-forward", value=inner, origin=Origin.ASSUMED, why=why))
    else:
        inner = f"{shape.experts.active} of {shape.experts.count}, each {shape.experts.width} wide"
        why = "fitted to the parameters and the active parameters"
        facts.append(Fact(name="experts", value=inner, origin=Origin.ASSUMED, why=why))
    why = "GPT-2's 50,257 rounded up to a multiple of 128"
    if shape.vocab < VOCABULARY:
        why = f"smaller than the usual {VOCABULARY:,}: its embedding would be most of {units.count(params)}"
    shared = "shared with" if shape.tied else "apart from"
    facts.append(Fact(name="vocabulary", value=f"{shape.vocab:,}", origin=Origin.ASSUMED, why=why))
    why = "GPT-3's below 1B share it" if shape.tied else "Llama's do not share it"
    facts.append(Fact(name="embedding", value=f"{shared} the output head", origin=Origin.ASSUMED, why=why))
    return tuple(facts)
