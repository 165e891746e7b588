"""Correction: how many times as long as predicted a device's own work takes, from what was measured."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from zenplan.domain import checks
from zenplan.domain.fit.interval import Spread
from zenplan.errors import DataError

# To what a measured step of one device is carried over.
BATCH, DEVICES = "batch", "devices"
ACCELERATOR, ACCELERATOR_DEVICES = "accelerator", "accelerator devices"
VENDOR, MODEL, MODEL_DEVICES = "vendor", "model", "model devices"
KINDS: Final = {
    BATCH: "another batch",
    DEVICES: "several devices",
    ACCELERATOR: "another accelerator of the maker",
    ACCELERATOR_DEVICES: "several devices of another accelerator of the maker",
    VENDOR: "an accelerator of another maker",
    MODEL: "another model of the family",
    MODEL_DEVICES: "another model of the family on several devices",
}


class Grounds(StrEnum):
    """What a step time rests on, strongest first."""

    MEASURED = "measured"  # on this accelerator, this model
    CARRIED = "carried over"  # from another accelerator, by the ratio of what is predicted for the two
    PUBLISHED = "published"  # fitted to published runs


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedOver:
    """How well a measured step carries, from pairs of published runs.

    Attributes:
        kind: one of ``KINDS``.
        power: that its ratio to the prediction is carried over with; 0 where that makes predictions no better.
        down, up: of the interval around a prediction without it, the share that is left.
        pairs, publishers: of runs that this is from.
    """

    kind: str
    power: float
    down: float
    up: float
    pairs: int
    publishers: int

    def __post_init__(self) -> None:
        checks.one_of("carried over", "kind", self.kind, tuple(KINDS))
        checks.positive(
            f"carried over to {self.kind}", down=self.down, up=self.up, pairs=self.pairs, publishers=self.publishers
        )
        if not 0 <= self.power <= 1:
            raise DataError(f"carried over to {self.kind}: power {self.power:g} is not in 0..1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """What a measurement makes of a prediction.

    Attributes:
        factor: of the time that a device takes for its own work; communication is not touched.
        spread: how far steps lie from the corrected prediction; its basis says what was measured where.
        calibration: the id of the one that it is from.
    """

    factor: float
    grounds: Grounds
    spread: Spread
    calibration: str

    def __post_init__(self) -> None:
        checks.positive("correction", factor=self.factor)
        checks.named("correction", calibration=self.calibration)
