"""The 80 % interval around a prediction, from errors on runs that were left out of the fit.

Conformal prediction on two levels (Dunn et al. 2023, arXiv 1809.07441, section 3.1, "pooling CDFs"): whoever asks is a
publisher that no fit has seen, and the errors of one publisher's runs come together. So each publisher has a distribution
of errors of its own, all publishers weigh the same, and the width holds 80 % of their mean. A run's error is taken over
its scale, a product of factors of its traits (locally weighted conformal prediction, Lei et al. 2018, section 5.2), which
are fitted to the size of the errors and only ever widen. ``judged`` says how often intervals held on publishers that had
no part in them.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from zenplan.backtesting.runs import Run
from zenplan.domain.fit.efficiency import Interval, Spread
from zenplan.domain.model.workload import LANGUAGE
from zenplan.fitting.published import configuration, publisher
from zenplan.planning.physics.interval import BEYOND, UNSEEN, features, traits

Array = npt.NDArray[np.float64]

ASKED = 0.80
# An error below this says nothing more of the size of errors.
_SMALL = 0.02
# How strongly a factor is drawn to 1, in publishers.
_PULL = 3.0
# Traits of runs that are further away than any that was fitted.
_FAR = frozenset((BEYOND, *UNSEEN.values()))
_MIN_WIDTH = 0.01
# Of the bootstrap over publishers.
_DRAWS = 2000


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A run's ln(measured / predicted) time under a fit that did not know it, and its traits then."""

    run: Run
    error: float
    traits: Mapping[str, float]


def plain(observed: Sequence[LeftOut]) -> list[tuple[Run, float]]:
    """The runs with their errors alone."""
    return [(o.run, o.error) for o in observed]


def left_out_traits(errors: Sequence[tuple[Run, float]], key: Callable[[Run], Hashable]) -> list[LeftOut]:
    """The errors with the traits that the runs had for the fit that was made without their group.

    Args:
        errors: every run that the fits were made from, with ln(predicted / measured) speed, which is
            ln(measured / predicted) time.
        key: of the groups that were left out in turn.
    """
    groups: dict[Hashable, list[Run]] = defaultdict(list)
    for run, _ in errors:
        groups[key(run)].append(run)
    blanks = {name: seen_by([r for other, runs in groups.items() if other != name for r in runs]) for name in groups}
    found = []
    for run, error in errors:
        cluster = replace(run.cluster, efficiency=replace(run.cluster.efficiency, interval=blanks[key(run)]))
        found.append(LeftOut(run, error, traits(run.plan, cluster, layout_known=not run.guessed)))
    return found


def seen_by(runs: Sequence[Run]) -> Interval:
    """What a fit to these runs has seen; its widths say nothing."""
    seen = frozenset(which for r in runs for which in features(r.plan, r.cluster).values())
    devices = float(max((r.devices for r in runs), default=1))
    return Interval(new=1, known=1, seen=seen, devices=devices, basis="none")


def fit_interval(new: Sequence[LeftOut], known: Sequence[LeftOut], far: Sequence[LeftOut], basis: str) -> Interval:
    """The interval of these errors.

    Args:
        new: of runs whose publishers were left out.
        known: of runs some of whose publishers' others were fitted.
        far: of runs of which something else was left out whole: a generation, all above a scale.
        basis: which runs these are, for people.
    """
    new, known = distinct(new), distinct(known)
    near = [o for o in new if not o.traits.keys() & _FAR]
    interval = replace(seen_by([o.run for o in new]), factors=_factors(near), basis=basis)
    interval = replace(interval, new=pooled(near, interval))
    close = [o for o in known if not o.traits.keys() & _FAR]
    interval = replace(interval, known=min(pooled(close, interval), interval.new) if close else interval.new)
    together = [*new, *distinct(far)]
    return replace(interval, factors={**interval.factors, **{n: _widening(interval, together, n) for n in _FAR}})


def distinct(observed: Iterable[LeftOut]) -> list[LeftOut]:
    """Runs of one configuration as one, the one of the median error."""
    groups: dict[Hashable, list[LeftOut]] = defaultdict(list)
    for each in observed:
        groups[configuration(each.run)].append(each)
    return [sorted(same, key=lambda o: o.error)[len(same) // 2] for same in groups.values()]


def pooled(observed: Sequence[LeftOut], interval: Interval, share: float = ASKED) -> float:
    """The width that holds that share of a new publisher's errors, over the scales that the interval has."""
    return pooled_scores([(unit(o.run), abs(o.error) / interval.scale(o.traits)) for o in observed], share)


def unit(run: Run) -> Hashable:
    """Whose errors come together: a publisher's, of language models or of one other family."""
    family = run.plan.workload.family
    return publisher(run), "" if family in LANGUAGE else family


def pooled_scores(scores: Sequence[tuple[Hashable, float]], share: float) -> float:
    """The least score up to which that share lies of the mean of k publishers' distributions, the share raised by
    (k + 1) / k as for a publisher more. Of too few publishers to tell, the largest of their own quantiles."""
    groups: dict[Hashable, list[float]] = defaultdict(list)
    for name, score in scores:
        groups[name].append(score)
    raised = share * (len(groups) + 1) / len(groups)
    if raised >= 1.0:
        return max(_MIN_WIDTH, *(quantile(np.array(own), np.ones(len(own)), share) for own in groups.values()))
    weights = np.array([1.0 / len(groups[name]) for name, _ in scores])
    return max(quantile(np.array([score for _, score in scores]), weights, raised), _MIN_WIDTH)


def _factors(observed: Sequence[LeftOut]) -> dict[str, float]:
    """What each trait makes of the size of errors: ridge regression of its logarithm, without factors below 1."""
    names = sorted({name for o in observed for name in o.traits})
    if not names:
        return {}
    weights = _by_unit(observed)
    amounts = np.array([[o.traits.get(name, 0.0) for name in names] for o in observed])
    size = np.log(np.maximum(np.abs([o.error for o in observed]), _SMALL))
    found = np.zeros(len(names))
    kept = np.ones(len(names), dtype=bool)
    # A trait that would narrow is left out, and the others are fitted again without it.
    while kept.any():
        columns = np.hstack([np.ones((len(size), 1)), amounts[:, kept]])
        pull = np.diag([0.0] + [_PULL] * int(kept.sum()))
        beta = np.linalg.solve((columns.T * weights) @ columns + pull, (columns.T * weights) @ size)[1:]
        found[:] = 0.0
        found[kept] = beta
        if (beta >= 0.0).all():
            break
        kept &= found >= 0.0
    return {name: float(np.exp(max(b, 0.0))) for name, b in zip(names, found, strict=True)}


def _widening(interval: Interval, observed: Sequence[LeftOut], name: str) -> float:
    """The factor under which as many runs with a trait as asked are inside; what is further is never surer."""
    far = [o for o in observed if name in o.traits]
    if not far:
        return 1.0
    needed = pooled_scores(
        [(unit(o.run), abs(o.error) / (interval.new * interval.scale(o.traits))) for o in far], ASKED
    )
    amount = float(np.average([o.traits[name] for o in far], weights=_by_unit(far)))
    return float(max(1.0, needed) ** (1.0 / amount))


def _by_unit(observed: Sequence[LeftOut]) -> Array:
    counts: dict[Hashable, int] = defaultdict(int)
    for o in observed:
        counts[unit(o.run)] += 1
    return np.array([1.0 / counts[unit(o.run)] for o in observed])


def quantile(values: Array, weights: Array, share: float) -> float:
    """The least of the values, shape (n,), up to which that share of all weight lies; no interpolation."""
    order = np.argsort(values)
    reached = np.cumsum(weights[order]) / weights.sum()
    return float(values[order][min(int(np.searchsorted(reached, share)), len(order) - 1)])


@dataclass(frozen=True, slots=True)
class Judged:
    """A run beside an interval that its publisher had no part in."""

    run: Run
    error: float
    spread: Spread

    @property
    def held(self) -> bool:
        """Whether the measured time is in the interval."""
        return self.spread.low <= math.exp(self.error) <= self.spread.high

    @property
    def half_width(self) -> float:
        """Of the interval, in ln of time."""
        return math.log(self.spread.high / self.spread.low) / 2.0


def judged(
    new: Sequence[LeftOut], known: Sequence[LeftOut], far: Sequence[LeftOut], which: Sequence[LeftOut], is_known: bool
) -> list[Judged]:
    """Runs, distinct configurations once, each beside the interval of all other publishers.

    Args:
        new, known, far: what intervals are made of, as in ``fit_interval``.
        which: runs are judged, with their errors.
        is_known: by the width of known publishers.
    """
    found = []
    each = distinct(which)
    for name in sorted({publisher(o.run) for o in each}):

        def others(observed: Sequence[LeftOut], name: str = name) -> list[LeftOut]:
            return [o for o in observed if publisher(o.run) != name]

        interval = fit_interval(others(new), others(known), others(far), "others")
        mine = (o for o in each if publisher(o.run) == name)
        found += [Judged(o.run, o.error, interval.of(o.traits, is_known)) for o in mine]
    return found


@dataclass(frozen=True, slots=True)
class Score:
    """How far predictions were off, as a mean over publishers.

    Attributes:
        runs, publishers: how many.
        error: mean over publishers of each one's median |ln(measured / predicted)|; ``error_range`` holds it in 80 of
            100 draws of as many publishers.
        bias: the same of ln(predicted / measured) time.
        coverage: of the share of runs inside their intervals; ``coverage_range`` as above.
        half_width: median over publishers of each one's median, in ln of time.
    """

    runs: int
    publishers: int
    error: float
    error_range: tuple[float, float]
    bias: float
    coverage: float
    coverage_range: tuple[float, float]
    half_width: float

    @classmethod
    def of(cls, runs: Sequence[Judged]) -> Score:
        """Of one run or more."""
        groups: dict[str, list[Judged]] = defaultdict(list)
        for each in runs:
            groups[publisher(each.run)].append(each)
        columns = np.array(
            [
                (
                    np.median([abs(j.error) for j in mine]),
                    -np.median([j.error for j in mine]),
                    np.mean([j.held for j in mine]),
                    np.median([j.half_width for j in mine]),
                )
                for mine in groups.values()
            ]
        )
        drawn = np.random.default_rng(0).integers(len(columns), size=(_DRAWS, len(columns)))
        low, high = np.quantile(columns[drawn].mean(axis=1), ((1 - ASKED) / 2, (1 + ASKED) / 2), axis=0)
        error, bias, coverage, _ = columns.mean(axis=0)
        return cls(
            runs=len(runs),
            publishers=len(groups),
            error=float(error),
            error_range=(float(low[0]), float(high[0])),
            bias=float(bias),
            coverage=float(coverage),
            coverage_range=(float(low[2]), float(high[2])),
            half_width=float(np.median(columns[:, 3])),
        )
