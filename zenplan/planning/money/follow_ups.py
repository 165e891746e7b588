"""What follows the training, in time and dollars: export, compression, explanations, serving.

Export and explanations run on one of the machines of the run, and compression on all of them, as long as they are had
anyway: their time comes after that of the run, at the price of the same machines. Serving begins then, and is in no
wall-clock time: a machine is reserved for so long, whatever is asked of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from zenplan import units
from zenplan.domain.answer.estimate import Followed, Part
from zenplan.domain.provenance import Fact, Origin
from zenplan.domain.range import Range
from zenplan.domain.training.follow_up import COMPRESS, EXPLAIN, EXPORT, SERVE, FollowUp
from zenplan.domain.training.operations import Operations
from zenplan.domain.training.plan import TrainingPlan
from zenplan.planning.money.run import Runs
from zenplan.planning.physics.columns import Array

# What a bill calls them.
NAMES: Final = {EXPORT: "export", COMPRESS: "compression", EXPLAIN: "explanations", SERVE: "serving"}
# As the commands have them where nothing is said: ``docs/after.md``.
EXPORT_SAMPLES: Final = 2000.0
EXPLAINED_SAMPLES: Final = 4.0
INTEGRATED_STEPS: Final = 64.0
# Of the training's steps. Pruning and distillation of Nemotron-4 15B into 8B took up to 40 times fewer tokens than
# training from nothing (Muralidharan et al. 2024, arXiv 2407.14679): the low end. The others are assumed: smaller
# models are fine-tuned for a larger part of their training.
_COMPRESSION: Final = Range(low=0.025, mid=0.1, high=0.3)
# Starting a process and its framework; converting. Assumed.
_START_S: Final = Range(low=10.0, mid=30.0, high=120.0)
_CONVERT_S: Final = Range(low=10.0, mid=60.0, high=600.0)
# Weights are read, written in another form, and read again to be checked; the model and the artefact are both scored.
_MOVES, _SCORED = 3.0, 2.0
# An artefact is scored by another runtime than trained it: from as fast to ten times as slow. Assumed.
_SLOWER: Final = Range(low=1.0, mid=2.0, high=10.0)
# FLOP of a step of integrated gradients over those of a forward pass: back to the input alone, or with gradients of
# weights that nobody asks for. The check with shuffled weights does all of it again.
_GRADIENT: Final = Range(low=2.0, mid=2.0, high=3.0)
_CHECKED = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """The machines that hold a model, at one provider.

    Attributes:
        usd_per_h: of all of them.
        why: which they are, and what for.
    """

    usd_per_h: Range
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """What follows runs.

    Attributes:
        asked: in any order.
        runs: lengths of a run that have it in common: each bears its share.
        serving: by provider; one that has no machine for it is not there.
    """

    asked: tuple[FollowUp, ...] = ()
    runs: float = 1.0
    serving: Mapping[str, Serving] = field(default_factory=dict)

    def facts(self, plan: TrainingPlan) -> Iterator[Fact]:
        """What it rests on, for people."""
        for each in self.asked:
            name, given = NAMES[each.name], Origin.GIVEN if each.amount else Origin.ASSUMED
            if each.name == COMPRESS:
                share = units.percent(each.amount or _COMPRESSION.mid)
                why = "" if each.amount else f"{_span()}: Muralidharan et al. 2024, high end assumed; {COMPRESS}:5%"
                yield Fact(name=name, value=f"{share} of the steps", origin=given, why=why)
            elif each.name == SERVE:
                value = f"{units.duration(each.amount or 0.0)}, {plan.precision.compute_bytes:g} bytes a weight"
                why = "the cheapest machines of the provider that hold it, always on; not in the wall-clock time"
                yield Fact(name=name, value=value, origin=given, why=why)
            else:
                usual = EXPORT_SAMPLES if each.name == EXPORT else EXPLAINED_SAMPLES
                what = "scored on" if each.name == EXPORT else f"{INTEGRATED_STEPS:g} gradients each, of"
                why = "" if each.amount else f"as 'zenplan {each.name}' where nothing is said; {each.name}:100"
                yield Fact(name=name, value=f"{what} {each.amount or usual:,.0f} samples", origin=given, why=why)


def _span() -> str:
    return units.span(units.percent(_COMPRESSION.low), units.percent(_COMPRESSION.high))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FollowColumn:
    """One thing that follows n runs; low, middle and high as rows of shape (3, n).

    Attributes:
        whys, why: for people, and the place of each run's, shape (n,).
    """

    name: str
    time_s: Array
    usd: Array
    whys: Sequence[str]
    why: npt.NDArray[np.intp]

    def at(self, index: int) -> tuple[Followed, Part]:
        """One entry as nouns."""
        low, mid, high = (float(x) for x in self.time_s[:, index])
        usd = dict(zip(("low_usd", "mid_usd", "high_usd"), map(float, self.usd[:, index]), strict=True))
        part = Part(name=self.name, origin=Origin.ASSUMED, why=self.whys[self.why[index]], **usd)
        return Followed(name=self.name, time_s=Range(low=low, mid=mid, high=high)), part


def follow(
    plan: TrainingPlan,
    operations: Operations,
    following: Following,
    runs: Runs,
    usd_per_h: Array,
    nodes: Array,
    providers: Sequence[str],
) -> tuple[FollowColumn, ...]:
    """What follows n runs.

    Args:
        plan: what is trained.
        operations: how fast a machine reads and writes.
        following: what is asked.
        runs: n of them.
        usd_per_h: of one machine, shape (n,); nan where it is not known.
        nodes: machines, shape (n,).
        providers: of the machines.
    """
    # Seconds that one machine takes for the forward pass of a sample, at the speed of the steps.
    load = plan.workload
    forward = runs.steady_s / plan.samples * nodes * (load.flop_per_sample / load.training_flop_per_sample)
    moved_s = load.parameters * plan.precision.compute_bytes / operations.checkpoint_bytes_per_s
    first = np.zeros(len(nodes), dtype=np.intp)
    found = []
    for each in following.asked:
        if each.name == SERVE:
            found.append(_serving(each.amount or 0.0, following, providers))
            continue
        machines = nodes if each.name == COMPRESS else np.ones_like(nodes)
        time_s, why = _taken(each, runs, forward, moved_s)
        time_s = time_s / following.runs
        usd = time_s / units.HOUR_S * usd_per_h * machines
        why = f"{why}{_shared(following)}"
        found.append(FollowColumn(name=NAMES[each.name], time_s=time_s, usd=usd, whys=(why,), why=first))
    return tuple(found)


def _shared(following: Following) -> str:
    return f"; shared by {following.runs:g} lengths of a run" if following.runs != 1.0 else ""


def _column(value: Range) -> Array:
    return np.array(value.ends)[:, None]


def _taken(asked: FollowUp, runs: Runs, forward: Array, moved_s: float) -> tuple[Array, str]:
    """Seconds of one thing, shape (3, n), and what they are made of."""
    if asked.name == COMPRESS:
        share = Range.exactly(asked.amount) if asked.amount else _COMPRESSION
        return runs.work_s * _column(share), f"{units.percent(share.mid)} of the training's steps, on its machines"
    start = _column(_START_S) + moved_s
    if asked.name == EXPORT:
        samples = asked.amount or EXPORT_SAMPLES
        scored = _SCORED * samples * forward * _column(_SLOWER)
        convert = _column(_CONVERT_S) + (_MOVES - 1.0) * moved_s
        return start + convert + scored, f"load, convert, {samples:,.0f} samples scored twice; on one machine"
    samples = asked.amount or EXPLAINED_SAMPLES
    gradients = _CHECKED * INTEGRATED_STEPS * samples * forward * _column(_GRADIENT)
    return start + gradients, f"load, {samples:,.0f} samples · {INTEGRATED_STEPS:g} gradients · 2; on one machine"


def _serving(time_s: float, following: Following, providers: Sequence[str]) -> FollowColumn:
    """Machines that are always on; where a provider has none that is known, dollars are not known."""
    distinct = list(dict.fromkeys(providers))
    places = {name: place for place, name in enumerate(distinct)}
    which = np.array([places[name] for name in providers], dtype=np.intp)
    rates = [found.usd_per_h.ends if (found := following.serving.get(n)) else (np.nan,) * 3 for n in distinct]
    told = [found.why if (found := following.serving.get(n)) else "no machine with a price holds it" for n in distinct]
    hours = time_s / units.HOUR_S / following.runs
    usd: Array = np.array(rates).T[:, which] * hours
    whys = [f"{units.duration(time_s)} of {each}{_shared(following)}" for each in told]
    return FollowColumn(name=NAMES[SERVE], time_s=np.zeros_like(usd), usd=usd, whys=whys, why=which)
