"""Time of a pass: of one token for each request in flight, and over a prompt. And how many requests fit memory.

A step reads every weight that its tokens meet once, and each request's keys and values; its products grow with the
requests. Reading weights and multiplying overlap in part: their times add up as squares do, which is within a tenth of the
longer where one is half of the other. Attention's reads, collectives and fixed times come on top (Pope et al. 2022, arXiv
2211.05102, section 2; Williams et al. 2009 for the roofline).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from zenplan.domain.serving.efficiency import ServingEfficiency
from zenplan.planning.serving.work import Work


def kept_bytes(work: Work, tokens: Any) -> Any:
    """Of one request with so many tokens, on one device."""
    seen = np.minimum(np.asarray(tokens, dtype=float), work.cache_window)
    return (np.asarray(work.cache_bytes) * seen).sum(axis=0) + work.state_bytes


def most_requests(work: Work, tokens: Any) -> Any:
    """In flight at once with so many tokens each: what memory has room for, at most the software's limit; 0 where the
    weights alone do not fit."""
    room = np.maximum(work.room_bytes - work.stored_bytes, 0.0)
    return np.floor(np.minimum(room / np.maximum(kept_bytes(work, tokens), 1e-9), work.batch_limit))


def _read_bytes(work: Work, tokens: Any) -> Any:
    """Of weights, in a pass of so many tokens."""
    met = 1.0 - (1.0 - work.active / np.maximum(work.experts, 1.0)) ** np.maximum(tokens, 1.0)
    return work.read_bytes + work.head_bytes + work.expert_bytes * np.where(work.experts > 1, met, 0.0)


def _reductions_s(work: Work, efficiency: ServingEfficiency, tokens: Any) -> Any:
    """All-reduces of a pass of so many tokens."""
    each = work.reduction_s + tokens * work.token_bytes / work.reduction_bytes_per_s
    return np.where(work.tp > 1, efficiency.reduction * work.reductions * each, 0.0)


def step_s(work: Work, efficiency: ServingEfficiency, batch: Any, tokens: Any) -> Any:
    """Seconds in which each of ``batch`` requests gets one token more, with so many tokens before it.

    Args:
        work, efficiency: of the replica.
        batch: requests. In a pipeline they go in as many parts as it has stages, and each stage reads its weights for each.
        tokens: that each has.
    """
    part = batch / work.pp
    reads = work.pp * _read_bytes(work, part) / (efficiency.memory * work.memory_bytes_per_s)
    products = batch * (
        work.token_flop / (efficiency.decode * work.peak_flop_per_s)
        + work.head_flop / (efficiency.decode * work.wide_flop_per_s)
    )
    kept = batch * kept_bytes(work, tokens) / (efficiency.cache * work.memory_bytes_per_s)
    fixed = work.layers * efficiency.layer_s + efficiency.step_s + batch * efficiency.request_s
    return np.hypot(reads, products) + kept + _reductions_s(work, efficiency, part) + fixed


def prompt_s(work: Work, efficiency: ServingEfficiency, tokens: Any, alone: bool) -> Any:
    """Seconds of a device over a prompt of so many tokens.

    Args:
        work, efficiency: of the replica.
        tokens: of the prompt.
        alone: whether the pass is this prompt's; else its weights are read and its kernels begun for others too, and
            only what grows with its tokens counts.
    """
    seen = np.minimum(tokens, work.cache_window)
    pairs = tokens * seen - seen**2 / 2.0
    attention = (np.asarray(work.cache_flop) * pairs).sum(axis=0) / (efficiency.prompt * work.wide_flop_per_s)
    products = tokens * work.token_flop / (efficiency.prompt * work.peak_flop_per_s)
    moved = efficiency.reduction * work.reductions / work.pp * tokens * work.token_bytes / work.reduction_bytes_per_s
    grows = attention + np.where(work.tp > 1, moved, 0.0)
    if not alone:
        return products + grows + efficiency.request_s
    reads = work.pp * _read_bytes(work, tokens) / (efficiency.memory * work.memory_bytes_per_s)
    fixed = work.layers * efficiency.layer_s + efficiency.step_s + efficiency.request_s
    latency = np.where(work.tp > 1, efficiency.reduction * work.reductions * work.reduction_s, 0.0)
    return np.hypot(products * work.pp, reads) + grows * work.pp + latency + fixed
