"""A step of several workers that each train a copy on their part of a batch, from what was measured without the model.

    step = compute + exposed · all-reduce

Compute is that of a worker while the others compute too, which share the machine's memory. Gradients are reduced bucket
by bucket while the backward pass goes on, each as soon as it is full (Li et al. 2020, PyTorch Distributed); ``exposed``
is by how many seconds the step grows for a second of all-reduce. Where the threads that reduce have cores of their own
it is below one; on the core that computes it is one or more, since gradients are also copied into the buckets and out
of them. Of more workers than were measured, the collectives say what an all-reduce takes.

Over a link of another rate, what the machines have to do for it stays exposed, and what a byte takes on its way is
hidden as far as the backward pass goes on: see ``late_s``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from zenplan.domain.measured.collectives import Collective
from zenplan.domain.measured.prediction import ScaledStep, StepPrediction
from zenplan.domain.range import EIGHTY, Range
from zenplan.errors import DataError
from zenplan.planning.calibration.nnls import nonnegative
from zenplan.planning.physics.stragglers import slowest

# Of DistributedDataParallel, unless it is told otherwise: the first bucket is small, so that travel starts early.
_FIRST_BUCKET_BYTES: Final = 2**20
_BUCKET_BYTES: Final = 25 * 2**20
# The backward pass makes two products for each of the forward pass.
_FORWARD: Final = 1 / 3
# Of published runs of one configuration, 80 % have this much less to this much more of the efficiency that is predicted for
# them (ln, over the square root of the doublings since a count that was measured): ``benchmarks/scaling_published.py``.
_LESS, _MORE = 0.148, 0.024
# At least so much of the speed of as many workers alone: the usual bound of "scales well", assumed.
EFFICIENT: Final = 0.8
MOST_WORKERS: Final = 4096
_DOUBLINGS: Final = 5


def bucket_sizes(gradient_bytes: float) -> list[float]:
    """Of the tensors that gradients travel in, were each bucket filled to its end."""
    if gradient_bytes <= _FIRST_BUCKET_BYTES:
        return [gradient_bytes]
    rest = gradient_bytes - _FIRST_BUCKET_BYTES
    whole = math.ceil(rest / _BUCKET_BYTES) - 1
    return [_FIRST_BUCKET_BYTES, *[_BUCKET_BYTES] * whole, rest - whole * _BUCKET_BYTES]


def reduce_s(all_reduce: Collective, gradient_bytes: float, workers: int) -> float:
    """All-reduce of all gradients of a model by itself."""
    return sum(all_reduce.seconds(size, workers) for size in bucket_sizes(gradient_bytes))


def exposed_share(compute_s: Sequence[float], reduced_s: Sequence[float], step_s: Sequence[float]) -> float:
    """By how many seconds a step grows for a second of all-reduce: least squares on the step's relative error.

    Args:
        compute_s: of models that were stepped by all workers with nothing reduced.
        reduced_s: all-reduce of their gradients by itself.
        step_s: of the same models in data parallel.
    """
    return exposed_shares(compute_s, [[each] for each in reduced_s], step_s)[0]


def exposed_shares(
    compute_s: Sequence[float], parts_s: Sequence[Sequence[float]], step_s: Sequence[float]
) -> list[float]:
    """As ``exposed_share``, of each part of an all-reduce: what the machines do, what is late on the link."""
    together_s = np.array(step_s)
    found = nonnegative(np.array(parts_s), together_s - compute_s, 1.0 / together_s)
    return [float(each) for each in found]


def late_s(compute_s: float, on_link: Collective, gradient_bytes: float, workers: int) -> float:
    """Of the time that gradients are on the link, what comes after the backward pass: buckets go one after another, each
    once it is full.

    Args:
        compute_s: of the step without them.
        on_link: an all-reduce by the link alone.
        gradient_bytes: of the whole model.
        workers: that reduce them.
    """
    end_s, filled = 0.0, 0.0
    for size in bucket_sizes(gradient_bytes):
        filled += size
        ready_s = compute_s * (_FORWARD + (1 - _FORWARD) * filled / max(gradient_bytes, 1.0))
        end_s = max(end_s, ready_s) + on_link.seconds(size, workers)
    return max(0.0, end_s - compute_s)


def gradient_bytes_at(depth: int, known: Mapping[int, float]) -> float:
    """Of a model that deep, by the line through two depths: each block has as many parameters as the next.

    Raises:
        DataError: fewer than two depths are known.
    """
    if len(known) < 2:
        raise DataError("one depth says nothing of another's gradients")
    first, *_, last = sorted(known)
    return known[first] + (known[last] - known[first]) * (depth - first) / (last - first)


def data_parallel_step(compute: StepPrediction, reduced_s: float, exposed: float) -> StepPrediction:
    """The step with its communication, which moves the interval and does not widen it.

    Args:
        compute: of a worker while the others compute too.
        reduced_s: all-reduce of its gradients by itself.
        exposed: of ``exposed_share``.
    """
    more_s, step = exposed * reduced_s, compute.step_s
    return StepPrediction(
        step_s=Range(low=step.low + more_s, mid=step.mid + more_s, high=step.high + more_s),
        method=f"{compute.method}; all-reduce × {exposed:.2f}",
        doubts=compute.doubts,
        stepping_s=compute.stepping_s,
    )


# --- more workers than were measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """What the step of any number of workers is made of, each with cores or a device of its own, joined alike.

    Attributes:
        measured: workers among which ``compute`` and ``all_reduce`` were measured.
        alone: of one worker while the others wait; compute: while they compute too.
        exposed: of ``exposed_share``.
        variation: by how much workers differ: one standard deviation of what each computes.
    """

    measured: int
    alone: Range
    compute: Range
    all_reduce: Collective
    gradient_bytes: float
    exposed: float
    variation: float

    def step(self, workers: int) -> ScaledStep:
        """Of more workers than were measured the slowest is slower, communication is as doubtful as what it was fitted on,
        and the whole as much as it was of published runs."""
        if workers == 1:
            return ScaledStep(workers=1, measured=True, step_s=self.alone, alone_s=self.alone.mid)
        more_s = self.exposed * reduce_s(self.all_reduce, self.gradient_bytes, workers)
        far = math.sqrt(max(0.0, math.log2(workers / self.measured)))
        doubt = EIGHTY * self.all_reduce.spread if far else 0.0
        step = self.compute * (1.0 + self.variation * self._further_behind(workers)) + more_s
        low_s = step.mid - math.hypot(step.mid - step.low, more_s * -math.expm1(-doubt))
        high_s = step.mid + math.hypot(step.high - step.mid, more_s * math.expm1(doubt))
        step_s = Range(
            low=step.mid * math.exp(-math.hypot(math.log(step.mid / low_s), _MORE * far)),
            mid=step.mid,
            high=step.mid * math.exp(math.hypot(math.log(high_s / step.mid), _LESS * far)),
        )
        return ScaledStep(workers=workers, measured=workers == self.measured, step_s=step_s, alone_s=self.alone.mid)

    def doublings(self) -> tuple[ScaledStep, ...]:
        """Of as many workers as were measured, of twice as many, and so on."""
        return tuple(self.step(self.measured * 2**doubling) for doubling in range(_DOUBLINGS + 1))

    def _further_behind(self, workers: int) -> float:
        """How many standard deviations the slowest is behind that of the workers that were measured."""
        few, many = slowest(np.array([self.measured, workers], dtype=float)).tolist()
        return float(max(0.0, many - few))

    def efficient(self) -> Range:
        """The most workers, of ``MOST_WORKERS``, each with ``EFFICIENT`` of the speed of one alone: at the low end, the
        middle and the high end of their efficiency."""
        low, mid, high = (self._most(end) for end in ("low", "mid", "high"))
        return Range(low=low, mid=mid, high=high)

    def _most(self, end: str) -> int:
        # More workers are never faster.
        least, most = 1, MOST_WORKERS
        while least < most:
            middle = (least + most + 1) // 2
            keeps = getattr(self.step(middle).efficiency, end) >= EFFICIENT
            least, most = (middle, most) if keeps else (least, middle - 1)
        return least
