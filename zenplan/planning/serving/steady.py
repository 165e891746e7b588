"""Throughput and latency under load: Little's law on the time of a step.

A request takes one prompt's pass and a step for each further token. While so many are in flight, each step is shared with
the prompts of those that come in: with ``batch`` in flight and one in for each that ends, ``outputs`` steps and ``batch``
prompts pass in the life of a request. So throughput is batch / life (Little 1961), at any batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from zenplan.domain.serving.efficiency import ServingEfficiency
from zenplan.planning.serving.step import most_requests, prompt_s, step_s
from zenplan.planning.serving.work import Work

# Of its output, what a request has in the cache where memory is full: engines take in as many as will fit when they are
# longer, not as they are; our assumption between none and all.
_FULL = 0.75
_HALVINGS = 30
# Of requests whose lengths differ, the longest answer over the mean, at most: conversations of ShareGPT go up to 1,000
# tokens and more at a mean of 200, as benchmark clients cut them.
_LONGEST = 5.0
# A queue before the device is not reckoned with more of its time than this in prompts.
_BUSIEST = 0.95


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Loaded:
    """A replica and the requests that it has; a number each, or shape (n,) for as many replicas.

    Attributes:
        inputs, outputs: tokens of a prompt, and of its answer.
    """

    work: Work
    efficiency: ServingEfficiency
    inputs: Any
    outputs: Any

    def step_s(self, batch: Any) -> Any:
        """Of a step with so many in flight, half of their answers behind them."""
        return step_s(self.work, self.efficiency, batch, self.inputs + self.outputs / 2.0)

    def prompt_s(self, alone: bool) -> Any:
        """Of the device over a prompt; ``alone`` as of ``step.prompt_s``."""
        return prompt_s(self.work, self.efficiency, self.inputs, alone)


def life_s(of: Loaded, batch: Any) -> Any:
    """Seconds from a request's first pass to its last token, with ``batch`` in flight."""
    return np.maximum(of.outputs - 1.0, 0.0) * of.step_s(batch) + batch * of.prompt_s(alone=False)


def capacity(of: Loaded) -> Any:
    """The most requests in flight, by memory and by the software's limit."""
    return most_requests(of.work, of.inputs + _FULL * of.outputs)


def all_at_once_s(of: Loaded, requests: Any) -> Any:
    """Seconds in which so many requests that come at once are all answered: as many at a time as fit."""
    batch = np.minimum(requests, np.maximum(capacity(of), 1.0))
    return life_s(of, batch) * np.maximum(requests / batch, 1.0)


def longest_tail_s(of: Loaded, requests: Any) -> Any:
    """Seconds in which the longest answers run on when all others are done.

    Of n lengths that fall off exponentially the longest is expected at 1 + 1/2 + ... + 1/n times the mean: ln n + 0.577.
    """
    longest = np.clip(np.log(np.maximum(requests, 1.0)) + 0.577, 1.0, _LONGEST)
    step = step_s(of.work, of.efficiency, 1.0, of.inputs + longest * of.outputs / 2.0)
    return (longest - 1.0) * of.outputs * step


def requests_per_s(of: Loaded, batch: Any) -> Any:
    """Answered with so many in flight."""
    return batch / life_s(of, batch)


def batch_at(of: Loaded, rate_per_s: Any) -> Any:
    """Requests in flight at a rate, by Little's law; NaN where the replica cannot answer so many.

    The life of a request grows less than the batch, so their ratio rises with it: the batch is found by halving.
    """
    most = np.maximum(capacity(of), 1.0)
    low, high = np.zeros_like(most), most
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        enough = requests_per_s(of, np.maximum(middle, 1e-9)) >= rate_per_s
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.where(rate_per_s <= requests_per_s(of, most), high, np.nan)


def tpot_s(of: Loaded, batch: Any) -> Any:
    """Seconds between two tokens of a request, with so many in flight, prompts of others between them."""
    # One in flight: the first token is its prompt's, and no other's pass comes between.
    beside = np.maximum(batch - 1.0, 0.0) * of.prompt_s(alone=False) / np.maximum(of.outputs - 1.0, 1.0)
    return of.step_s(np.maximum(batch, 1.0)) + beside


def ttft_s(of: Loaded, batch: Any) -> Any:
    """Seconds to the first token: the prompt's own pass, the step that is under way, and a queue before the device.

    The queue is that of an M/D/1 server of which prompts take the share of time that they do: half of the service time
    over the share that is left (Pollaczek 1930, Khinchine 1932).
    """
    shared = of.prompt_s(alone=False)
    busy = np.minimum(batch * shared / life_s(of, np.maximum(batch, 1e-9)), _BUSIEST)
    queue = of.step_s(np.maximum(batch, 1.0)) / 2.0 + busy / (2.0 * (1.0 - busy)) * shared
    return of.prompt_s(alone=True) + np.where(batch > 1.0, queue, 0.0) + of.efficiency.arrival_s
