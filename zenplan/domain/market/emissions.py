"""What a run emits beside its own power: where the machine stands, and what making it took."""

from __future__ import annotations

from dataclasses import dataclass

from zenplan.domain import checks
from zenplan.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where a machine stands.

    Attributes:
        kg_per_j: greenhouse gas of its electricity, in CO2 equivalent; None where it is not known.
        source: of that figure.
        pue: power usage effectiveness of the data centre there; None where it is not published.
    """

    kg_per_j: float | None = None
    source: str = ""
    pue: float | None = None

    def __post_init__(self) -> None:
        """Refuses a figure that is not above zero, or has no source."""
        if self.kg_per_j is not None:
            checks.positive("grid intensity", kg_per_j=self.kg_per_j)
            checks.named("grid intensity", source=self.source)
        if self.pue is not None and not 1 <= self.pue < 4:
            raise DataError(f"a PUE of {self.pue} is not possible")


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """What making a device and its share of the machine emitted, over the time that it is used.

    Attributes:
        kg: of one device with its share, in CO2 equivalent.
        life_s: how long it works, over which that is spread.
        source: of both.
    """

    kg: float
    life_s: float
    source: str

    def __post_init__(self) -> None:
        """Refuses figures that are not above zero, or have no source."""
        checks.positive("embodied carbon", kg=self.kg, life_s=self.life_s)
        checks.named("embodied carbon", source=self.source)

    def kg_for(self, device_s: float) -> float:
        """The part of so much time of devices."""
        return self.kg * device_s / self.life_s
