"""How a model is trained where nothing is said: how many tokens, how long sequences, how large batches.

What its makers published comes first; the rest goes by its size.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

from zenplan import units
from zenplan.domain.model.workload import PreTraining, Workload
from zenplan.domain.provenance import Fact, Origin
from zenplan.errors import UsageError

TOKENS_PER_PARAMETER = 20.0
BYTES_PER_TOKEN = 4.0
# Passes after the first that are worth 1 - 1/e of as many new tokens.
_WORN = 15.4
# Parameters to tokens of one batch. GPT-3 (arXiv 2005.14165, Table 2.1): 125M to 760M 0.5M, 1.3B and 2.7B 1M,
# 6.7B and 13B 2M. Llama 65B (2302.13971, Table 2) and Llama 2 70B (2307.09288, section 2.2): 4M. Llama 3.1
# 405B (2407.21783, section 3.4.1): 16M for most of its training. GPT-3 175B's 3.2M is older than these.
BATCHES = ((760e6, 0.5e6), (1.3e9, 1e6), (2.7e9, 1e6), (6.7e9, 2e6), (13e9, 2e6), (65e9, 4e6), (405e9, 16e6))
# Parameters below which that many tokens make a sequence: GPT-3 and Pythia trained at 2,048, Llama 2 at
# 4,096, Llama 3 at 8,192.
SEQUENCES = ((1e9, 2048, "GPT-3 and Pythia"), (100e9, 4096, "Llama 2"), (math.inf, 8192, "Llama 3"))
# A batch as large as the whole of a small model's data would leave no steps to learn in.
LEAST_STEPS = 1000
# Published tokens that lie nearer to the compute optimum than this, as a ratio, are not told apart from it.
SAME_TOKENS = 0.05
# How far a batch may be from the one asked for, so that it divides among devices.
BATCH_SLACK = 0.05


class Recipe(NamedTuple):
    """What a training run of usual length takes: tokens in all, tokens of a batch, tokens of a sequence.

    ``optimum`` is the compute-optimal number of tokens, whatever there is to train on.
    """

    tokens: float
    optimum: float
    global_batch_tokens: int
    seq_len: int
    tokens_fact: Fact
    length_facts: tuple[Fact, ...]
    batch_fact: Fact

    @property
    def facts(self) -> tuple[Fact, ...]:
        """Where all of it is from."""
        return (self.tokens_fact, *self.length_facts, self.batch_fact)


def recipe(
    parameters: float,
    active_parameters: float | None = None,
    seq_len: int | None = None,
    tokens: float | None = None,
    published: PreTraining | None = None,
) -> Recipe:
    """What its makers published, else compute-optimal tokens, and the usual batch and length of runs of that size.

    Args:
        parameters: all of them.
        active_parameters: of a mixture of experts, those that a token meets; None for a dense model, whose
            tokens go by all of its parameters, as in Hoffmann et al.
        seq_len: tokens of one sequence where it is settled already (a preset's own).
        tokens: what there is to train on where that is settled; None for the published tokens or the compute optimum.
        published: how its makers trained it.
    """
    _check(parameters, active_parameters or parameters, seq_len)
    usual, tokens_fact = _tokens(active_parameters or parameters, active_parameters is not None, published)
    length_facts: tuple[Fact, ...] = ()
    if seq_len is None:
        seq_len, length_facts = sequence_length(parameters)
    tokens = tokens or usual
    sequences, batch_fact = _sequences(active_parameters or parameters, seq_len, tokens, published)
    optimum = TOKENS_PER_PARAMETER * (active_parameters or parameters)
    return Recipe(tokens, optimum, sequences * seq_len, seq_len, tokens_fact, length_facts, batch_fact)


def recipe_for(workload: Workload, tokens: float | None = None) -> Recipe:
    """The recipe of a workload, at its own sequence length; of a mixture, by its active parameters."""
    active = workload.active_parameters if workload.experts > 1 else None
    return recipe(workload.parameters, active, workload.tokens_per_sample, tokens, workload.pretraining)


def divisible(count: float) -> int:
    """The whole number within ``BATCH_SLACK`` of ``count`` that the highest power of two divides.

    976.6 sequences (4M tokens of 4,096) cannot be shared by 64 devices; 1,024 can.
    """
    nearest = max(1, round(count))
    for power in range(int(math.log2(count)) + 1, 0, -1):
        rounded = int(round(count / 2**power) * 2**power)
        if rounded and abs(rounded / count - 1) <= BATCH_SLACK:
            return rounded
    return nearest


def sequence_length(parameters: float) -> tuple[int, tuple[Fact, ...]]:
    """Tokens of one sequence that published models of that size were trained at, and whose they were."""
    length, whose = next((length, whose) for below, length, whose in SEQUENCES if parameters < below)
    why = f"what {whose} trained at"
    return length, (Fact(name="sequence length", value=str(length), origin=Origin.ASSUMED, why=why),)


def tokens_of_bytes(size_bytes: float) -> tuple[float, Fact]:
    """The tokens in that much text, and why so many.

    A token of GPT-2's vocabulary is about 4 bytes of English text: OpenAI's guide says 4 characters, the Pile
    has 0.29 tokens to a byte of mixed text (Gao et al. 2020, arXiv 2101.00027, section 3.1), code has more.

    Raises:
        UsageError: the size is not above zero and finite.
    """
    if not (math.isfinite(size_bytes) and size_bytes > 0):
        raise UsageError(f"a data set of {size_bytes:g} bytes", "give a size above zero, as in: 500GB")
    tokens = size_bytes / BYTES_PER_TOKEN
    why = f"{units.size(size_bytes)} at 4 bytes of English text a token (a GPT-2-like vocabulary)"
    return tokens, Fact(name="dataset tokens", value=units.count(tokens), origin=Origin.ASSUMED, why=why)


def worth_of_passes(epochs: float) -> float:
    """Passes over new data that so many passes over the same are worth: 3.7 for 4, and never more than 16.4.

    D' = U + U R* (1 - exp(-R / R*)), with R passes after the first and R* = 15.4: the law that Muennighoff et al. 2023
    (arXiv 2305.16264, section 5) fit to 400 runs.
    """
    again = max(epochs - 1.0, 0.0)
    return min(epochs, 1.0) - _WORN * math.expm1(-again / _WORN)


def _tokens(count: float, active: bool, published: PreTraining | None) -> tuple[float, Fact]:
    """Tokens of the whole run; ``count`` parameters, the active ones of a mixture."""
    optimum = TOKENS_PER_PARAMETER * count
    if published is not None and published.tokens is not None:
        value, ratio = units.count(published.tokens), published.tokens / optimum
        if abs(ratio - 1.0) > SAME_TOKENS:
            times = f"{units.significant(ratio)} ×" if ratio > 1.0 else f"{units.percent(ratio)} of"
            value += f", {times} the compute optimum of {units.count(optimum)}"
        why = published.source
        if published.epochs is not None:
            why = f"{units.significant(published.epochs)} passes over its data; {why}"
        return published.tokens, Fact(name="tokens", value=value, origin=Origin.PUBLISHED, why=why)
    met = "active parameter" if active else "parameter"
    why = f"20 tokens for each {met}, the compute optimum of Hoffmann et al. 2022 (arXiv 2203.15556)"
    if published is not None:
        why = f"its makers did not publish them; {why}"
    return optimum, Fact(name="tokens", value=units.count(optimum), origin=Origin.ASSUMED, why=why)


def _sequences(count: float, seq_len: int, tokens: float, published: PreTraining | None) -> tuple[int, Fact]:
    """Sequences of a batch: as published, or a power of two, which divides among any usual number of devices."""
    known = published.global_batch_tokens if published is not None else None
    usual, most = known or _batch(count), tokens / LEAST_STEPS
    origin = Origin.ASSUMED
    if usual > most:
        sequences = _power_of_two(most / seq_len)
        why = f"a batch that leaves at least {LEAST_STEPS:,} steps, rounded to a power of two of sequences"
    elif published is not None and known:
        sequences, origin, why = divisible(max(known / seq_len, 1.0)), Origin.PUBLISHED, published.source
        if sequences * seq_len != known:
            why = f"{units.count(known)}, made to divide among many devices; {why}"
    else:
        sequences = _power_of_two(usual / seq_len)
        why = "batches of GPT-3, Llama and Llama 3 at that size, rounded to a power of two of sequences"
    value = f"{units.count(sequences * seq_len)} tokens ({sequences} × {seq_len})"
    return sequences, Fact(name="global batch", value=value, origin=origin, why=why)


def _power_of_two(sequences: float) -> int:
    return int(2 ** max(round(math.log2(sequences)), 0))


def _batch(parameters: float) -> float:
    """Straight lines between the published batches, over logarithms of both."""
    if parameters <= BATCHES[0][0]:
        return BATCHES[0][1]
    for (below, low), (above, high) in pairwise(BATCHES):
        if parameters <= above:
            share = math.log(parameters / below) / math.log(above / below)
            return low * math.exp(share * math.log(high / low))
    return BATCHES[-1][1]


def _check(parameters: float, active: float, seq_len: int | None) -> None:
    for value in (parameters, active):
        if not (math.isfinite(value) and value > 0):
            raise UsageError(f"a model of {value:g} parameters", "give a count above zero")
    if seq_len is not None and seq_len < 1:
        raise UsageError(f"a sequence length of {seq_len}", "give at least 1 token")
