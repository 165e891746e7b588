"""The 80 % interval around a prediction, from errors on runs that were left out of the fit.

Cross-conformal prediction (Vovk 2015), locally weighted (Lei et al. 2018, section 5.2): the errors are of runs that
were left out of the fit; a run's scale is a product of factors of its traits, fitted to the size of the errors; the
quantiles of error over scale, each source weighing the same, are those of new runs. Scale and quantiles share
their errors, so that the interval is a little narrow: ``checked`` says by how much, on groups that neither knew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from zenplan.backtesting.runs import Run
from zenplan.domain.fit.efficiency import Interval, Spread
from zenplan.fitting.published import by_group, source
from zenplan.planning.physics.interval import BEYOND, UNMEASURED, traits

Array = npt.NDArray[np.float64]

ASKED = 0.80
# An error below this says nothing more of the size of errors.
_SMALL = 0.02
# How strongly a factor is drawn to 1, in sources.
_PULL = 5.0
# Traits of runs that are further away than any that was fitted.
_FAR = frozenset((BEYOND, UNMEASURED))


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A run's ln(measured / predicted) time under a fit that did not know it, and its traits then."""

    run: Run
    error: float
    traits: Mapping[str, float]


def plain(observed: Sequence[LeftOut]) -> list[tuple[Run, float]]:
    """The runs with their errors alone."""
    return [(o.run, o.error) for o in observed]


def left_out_traits(errors: Sequence[tuple[Run, float]], unknown: str = "", beyond: int = 0) -> list[LeftOut]:
    """The errors with the traits that the runs had for the fit that was made without them.

    Args:
        errors: runs and ln(predicted / measured) speed, which is ln(measured / predicted) time.
        unknown: kind of group that was left out whole: ``generation``.
        beyond: the most devices of the runs that were fitted, where larger ones were left out.
    """
    seen = {f"generation/{r.cluster.accelerator.architecture}": 1.0 for r, _ in errors}
    blank = Interval(down=1, up=1, basis="none", devices=float(beyond or 10**9), factors={} if unknown else seen)
    found = []
    for run, error in errors:
        cluster = replace(run.cluster, efficiency=replace(run.cluster.efficiency, interval=blank))
        found.append(LeftOut(run, error, traits(run.plan, cluster, layout_known=not run.guessed)))
    return found


def fit_interval(observed: Sequence[LeftOut], basis: str) -> Interval:
    """The interval model of these errors."""
    near = [o for o in observed if not o.traits.keys() & _FAR]
    names = sorted({name for o in near for name in o.traits})
    weights = _by_source(near)
    amounts = np.array([[o.traits.get(name, 0.0) for name in names] for o in near])
    errors = np.array([o.error for o in near])
    size = np.log(np.maximum(np.abs(errors), _SMALL))
    # Ridge on the factors' logarithms; the common size is not drawn anywhere.
    columns = np.hstack([np.ones((len(errors), 1)), amounts])
    pull = np.diag([0.0] + [_PULL] * len(names))
    beta = np.linalg.solve((columns.T * weights) @ columns + pull, (columns.T * weights) @ size)
    scale = np.exp(amounts @ beta[1:])
    low, high = (quantile(errors / scale, weights, q) for q in ((1 - ASKED) / 2, (1 + ASKED) / 2))
    factors = {name: float(np.exp(b)) for name, b in zip(names, beta[1:], strict=True)}
    devices = float(max((o.run.devices for o in near), default=1))
    found = Interval(down=max(-low, 0.01), up=max(high, 0.01), factors=factors, devices=devices, basis=basis)
    return replace(found, factors={**factors, **{name: _widening(found, observed, name) for name in _FAR}})


def _widening(interval: Interval, observed: Sequence[LeftOut], name: str) -> float:
    """The factor under which as many runs with a trait as asked are inside; what is further is never surer."""
    far = [o for o in observed if name in o.traits]
    if not far:
        return 1.0
    needed = np.array([max(o.error / interval.up, -o.error / interval.down) / interval.scale(o.traits) for o in far])
    amount = float(np.average([o.traits[name] for o in far], weights=_by_source(far)))
    return float(max(1.0, quantile(needed, _by_source(far), ASKED)) ** (1.0 / amount))


def _by_source(observed: Sequence[LeftOut]) -> Array:
    counts = by_group([(o.run, 0.0) for o in observed], source)
    return np.array([1.0 / len(counts[source(o.run)]) for o in observed])


def quantile(values: Array, weights: Array, share: float) -> float:
    """The least of the values, shape (n,), up to which that share of all weight lies; no interpolation."""
    order = np.argsort(values)
    reached = np.cumsum(weights[order]) / weights.sum()
    return float(values[order][min(int(np.searchsorted(reached, share)), len(order) - 1)])


@dataclass(frozen=True, slots=True)
class Checked:
    """Coverage averaged over groups left out of the interval's own fit, and the median half-width."""

    coverage: float
    half_width: float


def checked(observed: Sequence[LeftOut], judged: Sequence[LeftOut], key: Callable[[Run], object] = source) -> Checked:
    """Each group judged by the interval of all the others."""
    shares, widths = [], []
    for left_out in sorted({key(o.run) for o in judged}, key=str):
        interval = fit_interval([o for o in observed if key(o.run) != left_out], "others")
        mine = [(o, interval.of(o.traits)) for o in judged if key(o.run) == left_out]
        shares.append(np.mean([inside(o, spread) for o, spread in mine]))
        widths += [(spread.high - spread.low) / 2 for _, spread in mine]
    return Checked(float(np.mean(shares)), float(np.median(widths)))


def inside(observed: LeftOut, spread: Spread) -> bool:
    """Whether a run's measured time is in its interval."""
    return spread.low <= float(np.exp(observed.error)) <= spread.high
