"""A step of several workers that each train a copy on their part of a batch, from what was measured without the model.

    step = compute + exposed · all-reduce,    all-reduce = buckets · latency + bytes / bandwidth

Compute is that of a worker while the others compute too, which share the machine's memory. Gradients are reduced in
buckets while the backward pass goes on (Li et al. 2020, PyTorch Distributed); ``exposed`` is by how many seconds the
step grows for a second of all-reduce. Where the threads that reduce have cores of their own it is below one; on the
core that computes it is one or more, since gradients are also copied into the buckets and out of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from zenplan.domain import checks
from zenplan.domain.measured.prediction import StepPrediction
from zenplan.domain.range import Range
from zenplan.errors import DataError
from zenplan.planning.calibration.nnls import nonnegative

# Of DistributedDataParallel, unless it is told otherwise: the first bucket is small, so that travel starts early.
_FIRST_BUCKET_BYTES: Final = 2**20
_BUCKET_BYTES: Final = 25 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class AllReduce:
    """What summing tensors over all workers takes.

    Attributes:
        latency_s: of each.
        s_per_byte: of a worker's tensor; the number of workers is in it.
    """

    latency_s: float
    s_per_byte: float

    def __post_init__(self) -> None:
        checks.not_negative("all-reduce", latency_s=self.latency_s, s_per_byte=self.s_per_byte)

    def seconds(self, gradient_bytes: float) -> float:
        """Of all gradients of a model, in their buckets."""
        return buckets(gradient_bytes) * self.latency_s + gradient_bytes * self.s_per_byte


def buckets(gradient_bytes: float) -> int:
    """In how many tensors gradients travel, were each bucket filled to its end."""
    return 1 + math.ceil(max(0.0, gradient_bytes - _FIRST_BUCKET_BYTES) / _BUCKET_BYTES)


def fitted_all_reduce(tensor_bytes: Sequence[float], seconds: Sequence[float]) -> AllReduce:
    """The line through measured all-reduces with the least relative error.

    Args:
        tensor_bytes: of each.
        seconds: that it took.

    Raises:
        DataError: all are of one size.
    """
    if len(set(tensor_bytes)) < 2:
        raise DataError("all-reduces of one size say nothing of another")
    terms, took_s = np.array([[1.0, size] for size in tensor_bytes]), np.array(seconds)
    latency_s, s_per_byte = nonnegative(terms, took_s, 1.0 / took_s)
    return AllReduce(latency_s=float(latency_s), s_per_byte=float(s_per_byte))


def exposed_share(compute_s: Sequence[float], reduce_s: Sequence[float], step_s: Sequence[float]) -> float:
    """By how many seconds a step grows for a second of all-reduce: least squares on the step's relative error.

    Args:
        compute_s: of models that were stepped by all workers with nothing reduced.
        reduce_s: all-reduce of their gradients by itself.
        step_s: of the same models in data parallel.
    """
    together_s = np.array(step_s)
    return float(nonnegative(np.array(reduce_s)[:, None], together_s - compute_s, 1.0 / together_s)[0])


def gradient_bytes_at(depth: int, known: Mapping[int, float]) -> float:
    """Of a model that deep, by the line through two depths: each block has as many parameters as the next.

    Raises:
        DataError: fewer than two depths are known.
    """
    if len(known) < 2:
        raise DataError("one depth says nothing of another's gradients")
    first, *_, last = sorted(known)
    return known[first] + (known[last] - known[first]) * (depth - first) / (last - first)


def data_parallel_step(compute: StepPrediction, reduce_s: float, exposed: float) -> StepPrediction:
    """The step with its communication, which moves the interval and does not widen it.

    Args:
        compute: of a worker while the others compute too.
        reduce_s: all-reduce of its gradients by itself.
        exposed: of ``exposed_share``.
    """
    more_s, step = exposed * reduce_s, compute.step_s
    return StepPrediction(
        step_s=Range(low=step.low + more_s, mid=step.mid + more_s, high=step.high + more_s),
        method=f"{compute.method}; all-reduce × {exposed:.2f}",
        doubts=compute.doubts,
        stepping_s=compute.stepping_s,
    )
