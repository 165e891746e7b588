"""From steps that were measured to one that was not, through what is known of both: their counted work.

    t_i = s · Σ_k u_ik (1 + ε_k) + drift_i + noise_i,    u_ik = seconds that work of kind k usually takes at point i

The sums ``u`` are known of every point and of the target, at any depth and batch, since a model is counted there: its
FLOP, elements and kernels. By how much the device's speed ``s`` differs from that of the largest point, and each kind of
work from the usual, has a prior. Then the target's time given the others' is a Gaussian with a mean and a variance
(kriging: Rasmussen & Williams 2006, section 2.7). Where each block costs the same, the answer is the line through the
depths; where widths, resolutions or kinds change with the depth, what they change in the counts is what changes the
answer; one point alone gives a constant MFU, with the width that it deserves.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from zenplan.domain.measured.calibration import Fingerprint, Measured, Point
from zenplan.errors import DataError
from zenplan.planning.calibration.features import FEATURES
from zenplan.planning.physics.columns import Array

# Seconds for one of each feature, as sweeps on one core came out with (``benchmarks/measured``, 2026-11); only their
# ratios count, each of which a model may depart from by ``_KIND``.
USUAL_S: Final[Mapping[str, Mapping[str, float]]] = {
    "torch": {
        "steps": 2e-4,
        "operators": 1e-4,
        "product_flop": 5.1e-12,
        "product_elements": 6e-10,
        "convolution_flop": 5.3e-12,
        "convolution_elements": 1.2e-9,
        "grouped_flop": 7e-11,
        "attention_flop": 4e-12,
        "score_elements": 1.5e-9,
        "recurrent_flop": 1.6e-11,
        "recurrent_steps": 6e-5,
        "recurrent_elements": 2e-10,
        "stream_elements": 5e-10,
        "parameters": 7e-9,
    },
    "tensorflow": {
        "steps": 5e-4,
        "operators": 3e-5,
        "product_flop": 6.5e-12,
        "product_elements": 4e-10,
        "convolution_flop": 5.3e-12,
        "convolution_elements": 4e-10,
        "grouped_flop": 8e-11,
        "attention_flop": 6e-12,
        "score_elements": 2.5e-9,
        "recurrent_flop": 1e-11,
        "recurrent_steps": 2.5e-5,
        "recurrent_elements": 3e-10,
        "stream_elements": 6e-10,
        "parameters": 5.5e-9,
    },
    "jax": {
        "steps": 5e-4,
        "operators": 1e-5,
        "product_flop": 1e-11,
        "product_elements": 5e-10,
        "convolution_flop": 8.8e-12,
        "convolution_elements": 4e-10,
        "grouped_flop": 1.5e-9,
        "attention_flop": 2e-11,
        "score_elements": 1e-9,
        "recurrent_flop": 1.3e-11,
        "recurrent_steps": 2e-6,
        "recurrent_elements": 2.5e-10,
        "stream_elements": 7e-10,
        "parameters": 1.5e-9,
    },
    # Assumed: a product at half of the peak of an A100, 1.5 TB/s, 10 us to launch a kernel. No GPU was swept.
    "gpu": {
        "steps": 1e-4,
        "operators": 1e-5,
        "product_flop": 6.5e-15,
        "product_elements": 1.3e-12,
        "convolution_flop": 1e-14,
        "convolution_elements": 1.3e-12,
        "grouped_flop": 1e-12,
        "attention_flop": 1e-14,
        "score_elements": 1.3e-12,
        "recurrent_flop": 2e-14,
        "recurrent_steps": 2e-5,
        "recurrent_elements": 1.3e-12,
        "stream_elements": 1.3e-12,
        "parameters": 1e-11,
    },
}
GPU: Final = "gpu"
# A byte that a compiled program moves.
_BYTE_S: Final = 3e-10
# A byte that XLA reads again, since it adds up a residual sum anew wherever it is needed instead of keeping it: the time
# of such a byte in 13 transformers, mixers and convnets with jax on two processors (1e-10 to 14e-10, half of them below;
# 2026-11), and how far one may be from the usual.
_AGAIN_S: Final = {"jax": 6e-10}
# Bytes for each element that may be added up again, where too few programs tell: 0 (of half of the models) to 20.
_BYTES_AGAIN: Final = 6.0
_MOST_BYTES_AGAIN: Final = 40.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """How far, in parts of the step, each may be off: one standard deviation.

    Attributes:
        kind: one kind of work, from its usual seconds.
        batch: all work, each time that the batch doubles.
        kind_batch: one kind of work, each time that the batch doubles.
        depth: what nobody counted, in proportion to the depth.
        ends: what the ends of the model cost beside its blocks, in parts of the shallowest point.
        size: all work, each time that the step doubles.
        noise: two runs of one program.
        other: what the rest leaves out, of the answer.
        compiled_bytes: of a compiler that fuses across layers: what its program moves.
        again: what it computes again, from its usual seconds; twice as far where no programs tell the bytes.
        parts: whether parts of the batch tell something where there are two depths at the batch itself.
    """

    kind: float
    batch: float
    kind_batch: float
    depth: float
    ends: float
    size: float
    noise: float
    other: float
    compiled_bytes: float = 0.0
    again: float = 0.0
    parts: bool = True


# Chosen on the 22 models of benchmarks/calibration.py and thirteen that were written for it, on one core, as those by
# which models that were left out are likeliest; those of jax on these 22 and seven of benchmarks/unseen_models.py. XLA on
# a processor makes of each depth and batch a program of its own.
DOUBTS: Final[Mapping[str, Doubt]] = {
    "torch": Doubt(kind=0.8, batch=0.03, kind_batch=0.03, depth=0.05, ends=0.1, size=0.025, noise=0.015, other=0.025),
    "tensorflow": Doubt(
        kind=0.3, batch=0.02, kind_batch=0.05, depth=0.05, ends=0.1, size=0.02, noise=0.025, other=0.03
    ),
    "jax": Doubt(
        kind=0.3,
        batch=0.25,
        kind_batch=0.3,
        depth=0.05,
        ends=0.4,
        size=0.03,
        noise=0.025,
        other=0.06,
        compiled_bytes=4.0,
        again=0.4,
        parts=False,
    ),
}
# All of a device's speed, from that of the largest point.
_SPEED: Final = 0.5
# Degrees of freedom that the doubts above count as, beside the points that were predicted before they were used.
_PRIOR_POINTS: Final = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedStep:
    """What a fit says of a step.

    Attributes:
        mid_s: the step.
        spread: one standard deviation, in ln.
    """

    mid_s: float
    spread: float


def kind_of(mark: Fingerprint) -> str:
    """Which usual seconds hold for it: those of the backend on a processor, or of a GPU."""
    return GPU if mark.kind == GPU else mark.backend


def other(kind: str) -> float:
    """What the doubts that are told apart leave out, in ln: runs of one model in two processes differ, too."""
    return DOUBTS.get(kind, DOUBTS["torch"]).other


def can_count(points: Sequence[Measured], target: Point) -> bool:
    """Whether every point and the target were counted."""
    return bool(points) and bool(target.features) and all(m.point.features for m in points)


def counted_step(
    points: Sequence[Measured], target: Point, clock: str, kind: str, target_bytes: float | None
) -> CountedStep:
    """The target's step from those points.

    Args:
        points: measured and counted, one or more.
        target: counted.
        clock: of the samples.
        kind: the backend on a processor, or ``gpu``.
        target_bytes: of the target's compiled program; None where it is not known.

    Raises:
        DataError: there is no point, or none with any work.
    """
    return _Kriging.of(_telling(points, target, kind), target, clock, kind, target_bytes).at()


def tells_parts(kind: str) -> bool:
    """Whether parts of the batch tell something of the whole where there are two depths at the batch itself."""
    return DOUBTS.get(kind, DOUBTS["torch"]).parts


def _telling(points: Sequence[Measured], target: Point, kind: str) -> list[Measured]:
    """The points that say something of the target. XLA makes another program of another batch."""
    at_batch = [m for m in points if m.point.batch == target.batch]
    enough = len({m.point.depth for m in at_batch}) > 1
    return at_batch if enough and not tells_parts(kind) else list(points)


def surprises(points: Sequence[Measured], clock: str, kind: str) -> list[tuple[Measured, CountedStep]]:
    """Each point from the third on, the smallest first, and what was predicted of it from those that are smaller."""
    every = sorted(points, key=lambda m: m.step_s(clock))
    return [(m, counted_step(every[:n], m.point, clock, kind, m.program_bytes)) for n, m in enumerate(every) if n >= 2]


def surprise(points: Sequence[Measured], clock: str, kind: str) -> float:
    """By how much the spread is to be multiplied: 1 where points lie as far from their predictions as is expected."""
    squares = [
        (math.log(m.step_s(clock) / found.mid_s) / math.hypot(found.spread, other(kind))) ** 2
        for m, found in surprises(points, clock, kind)
    ]
    return math.sqrt(max(1.0, (_PRIOR_POINTS + sum(squares)) / (_PRIOR_POINTS + len(squares))))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kriging:
    """The covariances of points and target, whose row is the last.

    Attributes:
        work: usual seconds, shape (n + 1,).
        covariance: of what departs from them, in parts of s², shape (n + 1, n + 1).
        seconds, noise: of the points, shape (n,): the step, and its variance.
    """

    work: Array
    covariance: Array
    seconds: Array
    noise: Array

    @classmethod
    def of(
        cls, points: Sequence[Measured], target: Point, clock: str, kind: str, target_bytes: float | None
    ) -> _Kriging:
        """Of those points and that target; the arguments are those of ``counted_step``.

        Args:
            points, target, clock, kind, target_bytes: as of ``counted_step``.

        Raises:
            DataError: nothing was counted.
        """
        usual, doubt = USUAL_S.get(kind, USUAL_S["torch"]), DOUBTS.get(kind, DOUBTS["torch"])
        every = [*(m.point for m in points), target]
        size = np.array([*(m.program_bytes or 0.0 for m in points), target_bytes or 0.0])
        bytes_again, told = _bytes_again(every, size)
        again = _AGAIN_S.get(kind, 0.0) * bytes_again
        counted = np.array([[each * p.features.get(name, 0.0) for name, each in usual.items()] for p in every])
        kinds = np.hstack([counted, again[:, None]])
        work = kinds.sum(axis=1)
        if not points or not work.min() > 0:
            raise DataError("nothing that was counted was measured")
        batches = np.array([p.batch for p in every]) / target.batch
        depths = np.array([(p.depth or 1) for p in every])
        shallow = int(depths[:-1].argmin())
        moved = _BYTE_S * size * (size.min() > 0)
        parts = (
            (_SPEED, work[:, None]),
            (doubt.kind, kinds),
            (doubt.kind_batch, kinds * np.log2(batches)[:, None]),
            (doubt.batch, (work * np.log2(batches))[:, None]),
            (doubt.size, (work * np.log2(work / work[-1]))[:, None]),
            (doubt.depth, (work[-1] * depths / depths[-1] * batches)[:, None]),
            (doubt.ends, (work[shallow] * batches / batches[shallow])[:, None]),
            (doubt.compiled_bytes, moved[:, None]),
            (doubt.again * (1.0 if told else 2.0), again[:, None]),
        )
        seconds = np.array([m.step_s(clock) for m in points])
        spread = np.array([m.spread(clock) ** 2 / max(1, len(m.samples)) for m in points])
        return cls(
            work=work,
            covariance=sum((share**2 * part @ part.T for share, part in parts), np.zeros((len(every),) * 2)),
            seconds=seconds,
            noise=(doubt.noise**2 + _OF_MEDIAN * spread) * seconds**2,
        )

    def at(self) -> CountedStep:
        """The target, with the speed of the largest point as the mean."""
        n, largest = len(self.seconds), int(self.work[:-1].argmax())
        speed = self.seconds[largest] / self.work[largest]
        known = speed**2 * self.covariance[:n, :n] + np.diag(self.noise)
        across = speed**2 * self.covariance[:n, n]
        gain = np.linalg.solve(known, across)
        mid = float(speed * self.work[-1] + gain @ (self.seconds - speed * self.work[:-1]))
        variance = float(speed**2 * self.covariance[n, n] - gain @ across)
        # A line may end below nothing, and a variance in what rounding leaves.
        mid = max(mid, _LEAST * float(speed * self.work[-1]))
        return CountedStep(mid_s=mid, spread=math.sqrt(max(variance, 0.0)) / mid)


def _bytes_again(every: Sequence[Point], size: Array) -> tuple[Array, bool]:
    """Bytes that each program moves to add up residual sums again, and whether the programs tell.

    What they move is a constant, a share of the elements that are counted, and a share of those that may be added up
    again; three programs tell the last apart. That of half of the models is nothing.

    Args:
        every: points.
        size: bytes of the program of each; 0 where it is not known.
    """
    refused = np.array([p.features.get("refused_elements", 0.0) for p in every])
    elements = np.array([sum(v for name, v in p.features.items() if name in _MOVED) for p in every])
    terms = np.stack([np.ones_like(refused), elements, refused], axis=1)
    known = size > 0
    rows = terms[known] / terms.max(axis=0, initial=1.0, where=known[:, None]) if known.any() else terms[known]
    if np.linalg.matrix_rank(rows, tol=_TOLD) < terms.shape[1]:
        return _BYTES_AGAIN * refused, False
    share = np.linalg.lstsq(terms[known] / size[known, None], np.ones(int(known.sum())), rcond=None)[0][-1]
    return min(max(float(share), 0.0), _MOST_BYTES_AGAIN) * refused, True


_MOVED: Final = frozenset(name for name in FEATURES if name.endswith("_elements") and name != "refused_elements")
_TOLD: Final = 1e-3
# Half of the range of the middle half to the standard error of a median: 1 / 0.6745, times 1.2533, squared.
_OF_MEDIAN: Final = (1.2533 / 0.6745) ** 2
_LEAST: Final = 0.1
