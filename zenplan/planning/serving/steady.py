"""Throughput and latency under load: Little's law on the time of a step.

A request takes one prompt's pass and a step for each further token. While so many are in flight, each step is shared with the
prompts of those that come in: with ``batch`` requests in flight and one out and one in for each that ends, ``output_tokens``
steps and ``batch`` prompts pass in the life of a request. So throughput is batch / life (Little 1961), at any batch.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from zenplan.domain.serving.efficiency import ServingEfficiency
from zenplan.planning.serving.step import most_requests, prompt_s, step_s
from zenplan.planning.serving.work import Work

# Of its output, what a request has in the cache where memory is full: engines take in as many as will fit when they are
# longer, not as they are; our assumption between none and all.
_FULL = 0.75
_HALVINGS = 30


def life_s(work: Work, efficiency: ServingEfficiency, batch: Any, inputs: Any, outputs: Any) -> Any:
    """Seconds from a request's first pass to its last token, with ``batch`` in flight."""
    steps = np.maximum(outputs - 1.0, 0.0)
    return steps * step_s(work, efficiency, batch, inputs + outputs / 2.0) + batch * prompt_s(
        work, efficiency, inputs, alone=False
    )


def capacity(work: Work, inputs: Any, outputs: Any) -> Any:
    """The most requests in flight, by memory and by the software's limit."""
    return most_requests(work, inputs + _FULL * outputs)


def all_at_once_s(work: Work, efficiency: ServingEfficiency, requests: Any, inputs: Any, outputs: Any) -> Any:
    """Seconds in which so many requests that come at once are all answered: as many at a time as fit."""
    fit = np.maximum(capacity(work, inputs, outputs), 1.0)
    batch = np.minimum(requests, fit)
    return life_s(work, efficiency, batch, inputs, outputs) * np.maximum(requests / batch, 1.0)


# Of requests whose lengths differ, the longest answer over the mean, at most: conversations of ShareGPT go up to 1,000 tokens
# and more at a mean of 200, as benchmark clients cut them.
_LONGEST = 5.0


def longest_tail_s(work: Work, efficiency: ServingEfficiency, requests: Any, inputs: Any, outputs: Any) -> Any:
    """Seconds in which the longest answers run on when all others are done.

    Of n lengths that fall off exponentially the longest is expected at 1 + 1/2 + ... + 1/n times the mean: ln n + 0.577.
    """
    longest = np.clip(np.log(np.maximum(requests, 1.0)) + 0.577, 1.0, _LONGEST)
    return (longest - 1.0) * outputs * step_s(work, efficiency, 1.0, inputs + longest * outputs / 2.0)


def requests_per_s(work: Work, efficiency: ServingEfficiency, batch: Any, inputs: Any, outputs: Any) -> Any:
    """Answered with so many in flight."""
    return batch / life_s(work, efficiency, batch, inputs, outputs)


def batch_at(work: Work, efficiency: ServingEfficiency, rate_per_s: Any, inputs: Any, outputs: Any) -> Any:
    """Requests in flight at a rate, by Little's law; NaN where the replica cannot answer so many.

    The life of a request grows less than the batch, so their ratio rises with it: the batch is found by halving.
    """
    most = np.maximum(capacity(work, inputs, outputs), 1.0)
    low, high = np.zeros_like(most), most
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        enough = requests_per_s(work, efficiency, np.maximum(middle, 1e-9), inputs, outputs) >= rate_per_s
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    most_rate = requests_per_s(work, efficiency, most, inputs, outputs)
    return np.where(rate_per_s <= most_rate, high, np.nan)


def tpot_s(work: Work, efficiency: ServingEfficiency, batch: Any, inputs: Any, outputs: Any) -> Any:
    """Seconds between two tokens of a request, with so many in flight, prompts of others between them."""
    steps = np.maximum(outputs - 1.0, 1.0)
    others = np.maximum(batch - 1.0, 0.0)
    # One in flight: the first token is its prompt's, and no other's pass comes between.
    beside = others * prompt_s(work, efficiency, inputs, alone=False) / steps
    return step_s(work, efficiency, np.maximum(batch, 1.0), inputs + outputs / 2.0) + beside


def ttft_s(work: Work, efficiency: ServingEfficiency, batch: Any, inputs: Any, outputs: Any) -> Any:
    """Seconds to the first token: the prompt's own pass, the step that is under way, and a queue before the device.

    The queue is that of an M/D/1 server of which prompts take the share of time that they do: half of the service time over
    the share that is left (Pollaczek 1930, Khinchine 1932).
    """
    own = prompt_s(work, efficiency, inputs, alone=True)
    shared = prompt_s(work, efficiency, inputs, alone=False)
    busy = np.minimum(batch * shared / life_s(work, efficiency, np.maximum(batch, 1e-9), inputs, outputs), 0.95)
    step = step_s(work, efficiency, np.maximum(batch, 1.0), inputs + outputs / 2.0)
    waits = np.where(batch > 1.0, step / 2.0 + busy / (2.0 * (1.0 - busy)) * shared, 0.0)
    return own + waits + efficiency.arrival_s
