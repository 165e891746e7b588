"""Hardware of one's own: what it cost, what keeping it costs, and how much of the time it works."""

from __future__ import annotations

from dataclasses import dataclass

from zenplan.domain import checks
from zenplan.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """Machines of one kind that are owned, or may be bought.

    Attributes:
        name: as quotes call whose they are.
        accelerator: canonical name.
        devices: in one machine.
        machines: how many.
        price_usd: of one machine, with its share of network and installation.
        years: over which that is written off.
        resale_share: of the price, what it is sold for after those.
        interest: a year, of the money that is tied up in it.
        maintenance_share: of the price, a year: support, parts, insurance.
        hosting_usd_per_year, staff_usd_per_year: of all machines: space, network, and who looks after them.
        power_w, idle_power_w: of one machine while it trains, and while it stands by.
        pue: of where they stand.
        usd_per_kwh: of electricity.
        utilisation: share of all hours in which it works.
    """

    name: str
    accelerator: str
    devices: int
    machines: int = 1
    price_usd: float
    years: float
    resale_share: float = 0.0
    interest: float = 0.0
    maintenance_share: float = 0.0
    hosting_usd_per_year: float = 0.0
    staff_usd_per_year: float = 0.0
    power_w: float
    idle_power_w: float
    pue: float
    usd_per_kwh: float
    utilisation: float

    def __post_init__(self) -> None:
        what = f"hardware {self.name}"
        checks.named("hardware", name=self.name, accelerator=self.accelerator)
        checks.positive(
            what,
            devices=self.devices,
            machines=self.machines,
            price_usd=self.price_usd,
            years=self.years,
            utilisation=self.utilisation,
            power_w=self.power_w,
        )
        checks.not_negative(
            what,
            resale_share=self.resale_share,
            interest=self.interest,
            maintenance_share=self.maintenance_share,
            hosting_usd_per_year=self.hosting_usd_per_year,
            staff_usd_per_year=self.staff_usd_per_year,
            idle_power_w=self.idle_power_w,
            usd_per_kwh=self.usd_per_kwh,
        )
        if self.utilisation > 1.0 or self.resale_share > 1.0 or self.interest > 1.0 or self.maintenance_share > 1.0:
            raise DataError(f"{what}: a share is more than the whole")
        if not 1.0 <= self.pue < 4.0:
            raise DataError(f"{what}: a PUE of {self.pue:g} is not possible")
