"""What the answers of a trained model come from, with what shows whether that can be believed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Final

from zenplan.domain import checks

GRADIENTS, OCCLUSION, PERMUTATION = METHODS = ("gradients", "occlusion", "permutation")
# Attributions that are further off than this in the median are not what the score is made of.
MOST_COMPLETENESS: Final = 0.05
# Those that a model without what it learned has too, in nearly the same order, say nothing of what it learned.
MOST_RANDOMISED: Final = 0.8
# An order of fewer places is like another by chance.
LEAST_RANKED: Final = 5
_COMPLETENESS, _LIKENESS = "completeness error", "likeness to chance"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """What each place of an input adds to a score, or to a loss where it is shuffled.

    Attributes:
        name: of the input.
        values: by place, in the order of rows. shape: of the places: (height, width) of an image.
        labels: of the places: columns, tokens; empty where they have no names.
        given: of one sample, what stands there; given_shape: of it.
        deviations: of ``values`` between repeats; empty where there are none.
        tokens: whether it is a text, of which the labels are tokens.
    """

    name: str
    values: tuple[float, ...]
    shape: tuple[int, ...]
    labels: tuple[str, ...] = ()
    given: tuple[float, ...] = ()
    given_shape: tuple[int, ...] = ()
    deviations: tuple[float, ...] = ()
    tokens: bool = False

    def __post_init__(self) -> None:
        checks.named("attribution", name=self.name)
        checks.counts("attribution", places=len(self.values))

    @property
    def is_image(self) -> bool:
        """Whether it is one of height, width and channels."""
        return len(self.given_shape) == 3 and self.given_shape[2] in (1, 3)

    def label(self, place: int) -> str:
        """Of a place, by its name or its index."""
        if self.labels:
            return self.labels[place]
        index = []
        for size in reversed(self.shape):
            place, rest = divmod(place, size)
            index.append(str(rest))
        return f"{self.name}[{', '.join(reversed(index))}]"

    def largest(self, count: int) -> list[int]:
        """The places with the largest values, whatever their sign, the largest first."""
        return sorted(range(len(self.values)), key=lambda i: -abs(self.values[i]))[:count]


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleExplanation:
    """What the answer for one sample comes from.

    Attributes:
        number: of the sample in its part, or among those that were given, from 0.
        target: class or token that is explained; empty of numbers. label: that the data have for it; empty where none is.
        score: what the model returns for it; baseline_score: for the baseline.
        completeness: how far the attributions' sum is off the difference of the two, as a share of it; None where the
            method promises no such sum.
        randomised: rank correlation with the attributions of the same model, its weights shuffled; None without one.
    """

    number: int
    target: str = ""
    label: str = ""
    score: float
    baseline_score: float
    inputs: tuple[Attribution, ...]
    completeness: float | None = None
    randomised: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartImportance:
    """How much worse the loss of a whole part gets where one place is shuffled among its samples.

    Attributes:
        loss: as it is; samples: a count.
        randomised: as of ``SampleExplanation``.
    """

    loss: float
    samples: int
    inputs: tuple[Attribution, ...]
    randomised: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What shows whether an explanation can be believed.

    Attributes:
        name: of the check; value: that was found, over all samples; most: that it may be.
    """

    name: str
    value: float
    most: float
    why: str

    @property
    def passed(self) -> bool:
        """Whether it is no more than it may be."""
        return self.value <= self.most


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What a trained model's answers come from.

    Attributes:
        run: the id of it; name: of what was trained; backend: it was explained on.
        method: one of ``METHODS``; steps: of integrated gradients.
        part: of the data that the samples are of; empty for samples that were given.
        samples: empty of ``permutation``, which has an ``importance``.
    """

    run: str
    name: str
    backend: str
    method: str
    part: str = ""
    steps: int = 0
    samples: tuple[SampleExplanation, ...] = ()
    importance: PartImportance | None = None

    def __post_init__(self) -> None:
        checks.one_of("explanation", "method", self.method, METHODS)

    @property
    def checks(self) -> tuple[Check, ...]:
        """Those that the method allows."""
        found = []
        complete = _known([each.completeness for each in self.samples])
        if complete:
            why = "how far attributions are off what they add up to; more --steps make it smaller"
            found.append(Check(name=_COMPLETENESS, value=median(complete), most=MOST_COMPLETENESS, why=why))
        every = [each.randomised for each in self.samples]
        random = _known([*every, self.importance.randomised if self.importance else None])
        if random:
            why = "rank correlation with what the same model with shuffled weights gives (Adebayo et al. 2018)"
            found.append(Check(name=_LIKENESS, value=fmean(random), most=MOST_RANDOMISED, why=why))
        return tuple(found)

    @property
    def not_checked(self) -> str:
        """That likeness to chance could not be looked at, and why, in a sentence; empty where it was."""
        if any(each.name == _LIKENESS for each in self.checks):
            return ""
        every = [[v for one in each.inputs for v in one.values] for each in self.samples]
        every += [[v for one in self.importance.inputs for v in one.values]] if self.importance else []
        most = max((sum(value != 0.0 for value in values) for values in every), default=0)
        why = "all places add the same, or do so with shuffled weights"
        if most < LEAST_RANKED:
            why = f"{most} places add anything, and an order of fewer than {LEAST_RANKED} is like another by chance"
        return f"{_LIKENESS} was not checked: {why}"

    @property
    def believable(self) -> bool | None:
        """Whether every check passed; None where none could be made."""
        return all(each.passed for each in self.checks) if self.checks else None


def _known(values: Sequence[float | None]) -> list[float]:
    return [each for each in values if each is not None and math.isfinite(each)]
