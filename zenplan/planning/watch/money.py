"""What a run costs: by the hour of an offer, or by the power that its machine draws."""

from __future__ import annotations

from dataclasses import dataclass

from zenplan.domain import checks
from zenplan.units import HOUR_S, KWH_J


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """What an hour costs.

    Attributes:
        usd_per_h: of an offer, or of the machine; None where it is not known.
        usd_per_kwh: of electricity, with which the energy of the machine is paid where there is no price of an hour.
        power_w: of the machine while it trains; None where nobody tells.
        why: where the figures come from, for people.
    """

    usd_per_h: float | None = None
    usd_per_kwh: float | None = None
    power_w: float | None = None
    why: str = ""

    def __post_init__(self) -> None:
        checks.not_negative("tariff", usd_per_h=self.usd_per_h, usd_per_kwh=self.usd_per_kwh, power_w=self.power_w)

    @property
    def hourly_usd(self) -> float | None:
        """Dollars of an hour, whichever way they are known; None where they are not."""
        if self.usd_per_h is not None:
            return self.usd_per_h
        if self.usd_per_kwh is None or self.power_w is None:
            return None
        return self.power_w * HOUR_S / KWH_J * self.usd_per_kwh
