"""Smaller versions of a trained model, beside it: what each takes, and how well each does."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from zenplan.domain import checks
from zenplan.domain.mapping import read_only
from zenplan.domain.measured.export import Scores
from zenplan.domain.measured.training_run import ACCURACY
from zenplan.domain.training.forms import QUANTIZED
from zenplan.units import HOUR_S

INT8, INT4, PRUNE, DISTILL, MERGE = METHODS = (*QUANTIZED, "prune", "distill", "merge")
_MB: Final = 1e6
_MS: Final = 1e-3
# Of a price that is by the million.
_MILLION: Final = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a version has to keep to; None for no such bound.

    Attributes:
        min_accuracy: on the part of the data that is scored, 0 to 1.
        min_kept: of the model's own figure, a ratio, as of ``Compression.kept``.
        max_share: of the size of the run's model.
        max_mb: of its files, in 1e6 bytes.
        max_ms: of a call with one sample, the median in milliseconds.
    """

    min_accuracy: float | None = None
    min_kept: float | None = None
    max_share: float | None = None
    max_mb: float | None = None
    max_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A version of a model, written and scored in another process, or why it could not be.

    Attributes:
        name: that it is told apart by. method: of ``METHODS``; empty for the model itself.
        quantize: of its weights; empty for floats.
        why: it could not be made; empty where it was. layer: of the model, that is at fault; empty for none.
        bytes: of its files; packed_bytes: of the same in a zip; None where it could not be made.
        parameters: a count. zeros: share of the weights of matrices that is zero.
        steps: that it was trained; train_s: that they took.
        options: of the built-in kind that it was distilled into; empty of others.
        scores: None where it could not be made.
    """

    name: str
    method: str = ""
    quantize: str = ""
    why: str = ""
    layer: str = ""
    bytes: int | None = None
    packed_bytes: int | None = None
    parameters: int | None = None
    zeros: float = 0.0
    steps: int = 0
    train_s: float = 0.0
    options: Mapping[str, Any] = field(default_factory=dict)
    scores: Scores | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", read_only(self.options))
        checks.one_of("version", "method", self.method, ("", *METHODS))
        checks.one_of("version", "quantize", self.quantize, ("", *QUANTIZED))
        checks.not_negative("version", bytes=self.bytes, packed_bytes=self.packed_bytes, train_s=self.train_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compression:
    """Smaller versions of a run's model beside it, and the one that is chosen.

    Attributes:
        run: its id; name: of what was trained; backend: that all were made and scored on.
        metric: that versions are judged by: ``accuracy``, else ``rmse`` or ``loss``, which are better when lower.
        part: of the data that all were scored on; samples: of it; timed: samples of the batch that was timed.
        threads: it was timed with. usd_per_h: that serving is paid by; None where it is not known.
        original: the run's model in fp32. versions: in the order in which they were made.
        bounds: that the chosen one keeps to.
        predicted_s: of training, before it; None where no step was timed, or none was made.
        chosen: name of the smallest version within the bounds; empty for none.
        path: where that one is; empty for none.
    """

    run: str
    name: str
    backend: str
    made_at: datetime
    metric: str
    part: str
    samples: int
    timed: int
    threads: int
    usd_per_h: float | None = None
    original: Version
    versions: tuple[Version, ...]
    bounds: Bounds
    predicted_s: float | None = None
    chosen: str = ""
    path: str = ""

    @property
    def best(self) -> Version | None:
        """The smallest version within the bounds, of the same size the better one; None for none."""
        inside = [each for each in self.versions if each.scores is not None and not self.misses(each)]
        return min(inside, key=lambda each: (each.bytes or 0, -(self.kept(each) or 0.0)), default=None)

    def figure(self, version: Version) -> float | None:
        """That it is judged by; None where it has none."""
        return None if version.scores is None else version.scores.values.get(self.metric)

    def kept(self, version: Version) -> float | None:
        """Of the model's own figure, a ratio: above 1 it does better. None where either is not known."""
        own, other = self.figure(self.original), self.figure(version)
        if own is None or other is None:
            return None
        above, below = (other, own) if self.metric == ACCURACY else (own, other)
        if below > 0.0:
            return above / below
        return 1.0 if above == below else math.inf

    def share(self, version: Version) -> float | None:
        """Of the size of the run's model; None where it could not be made."""
        return None if version.bytes is None or not self.original.bytes else version.bytes / self.original.bytes

    def usd_per_million(self, version: Version) -> float | None:
        """Dollars for a million samples in batches, with the machine always busy; None where that is not known."""
        if self.usd_per_h is None or version.scores is None or version.scores.batch_s is None or not self.timed:
            return None
        return self.usd_per_h / HOUR_S * version.scores.batch_s / self.timed * _MILLION

    def misses(self, version: Version) -> tuple[str, ...]:
        """The bounds that it does not keep to, by name; one whose figure is not known is missed."""
        bounds, scores = self.bounds, version.scores
        one_s = None if scores is None else scores.one_s
        least = {
            "min_accuracy": (bounds.min_accuracy, None if scores is None else scores.values.get(ACCURACY)),
            "min_kept": (bounds.min_kept, self.kept(version)),
        }
        most = {
            "max_share": (bounds.max_share, self.share(version)),
            "max_mb": (bounds.max_mb, None if version.bytes is None else version.bytes / _MB),
            "max_ms": (bounds.max_ms, None if one_s is None else one_s / _MS),
        }
        below = [name for name, (bound, value) in least.items() if bound is not None and not _at_least(value, bound)]
        above = [name for name, (bound, value) in most.items() if bound is not None and not _at_most(value, bound)]
        return (*below, *above)


def _at_least(value: float | None, bound: float) -> bool:
    return value is not None and value >= bound


def _at_most(value: float | None, bound: float) -> bool:
    return value is not None and value <= bound
