"""What an hour of one's own machine costs, and from when on owning it is cheaper than renting it.

Fixed each year are the purchase, written off evenly over its years (an annuity where there is interest), maintenance,
hosting and staff. Electricity is paid for as it is drawn, in use and standing by. A machine that works in a share u of
all hours costs, for each of those,

    (fixed + H·c·(u·P + (1 − u)·P_idle)) / (u·H),    H hours a year, c = PUE · price of a kWh
"""

from __future__ import annotations

import math

from zenplan import units
from zenplan.domain.market.hardware import Hardware
from zenplan.domain.provenance import Fact, Origin
from zenplan.units import HOUR_S, KWH_J, YEAR_S

HOURS_A_YEAR = YEAR_S / HOUR_S
_W_H = HOUR_S / KWH_J  # kWh of a watt for an hour
_MONTHS = 12.0


def capital_usd(hardware: Hardware) -> float:
    """Dollars a year for the purchase of one machine, less what it is sold for in the end."""
    price, years, rate = hardware.price_usd, hardware.years, hardware.interest
    sold = hardware.resale_share * price
    if not rate:
        return (price - sold) / years
    later = math.pow(1.0 + rate, -years)
    return (price - sold * later) * rate / (1.0 - later)


def running_usd(hardware: Hardware) -> float:
    """Dollars a year for one machine, in use or not, without electricity: maintenance, hosting, staff."""
    shared = (hardware.hosting_usd_per_year + hardware.staff_usd_per_year) / hardware.machines
    return hardware.maintenance_share * hardware.price_usd + shared


def electricity_usd(hardware: Hardware, utilisation: float) -> float:
    """Dollars a year for the electricity of one machine that works in that share of all hours."""
    drawn_w = utilisation * hardware.power_w + (1.0 - utilisation) * hardware.idle_power_w
    return HOURS_A_YEAR * drawn_w * _W_H * hardware.pue * hardware.usd_per_kwh


def usd_per_year(hardware: Hardware, utilisation: float | None = None) -> float:
    """All dollars a year for one machine."""
    used = hardware.utilisation if utilisation is None else utilisation
    return capital_usd(hardware) + running_usd(hardware) + electricity_usd(hardware, used)


def usd_per_h(hardware: Hardware) -> float:
    """Dollars for an hour in which one machine works."""
    return usd_per_year(hardware) / (hardware.utilisation * HOURS_A_YEAR)


def even_utilisation(hardware: Hardware, rent_usd_per_h: float) -> float | None:
    """The share of all hours from which on owning costs less than renting such a machine; None where it never does."""
    idle = usd_per_year(hardware, 0.0)
    saved_per_year = HOURS_A_YEAR * rent_usd_per_h - (usd_per_year(hardware, 1.0) - idle)
    if saved_per_year <= 0.0:
        return None
    share = idle / saved_per_year
    return share if share <= 1.0 else None


def even_months(hardware: Hardware, rent_usd_per_h: float) -> float | None:
    """Months until the rent that was not paid has paid for the purchase; None where it never does.

    What it is sold for in the end, and interest, are not in it.
    """
    used = hardware.utilisation
    saved = used * HOURS_A_YEAR * rent_usd_per_h - running_usd(hardware) - electricity_usd(hardware, used)
    return hardware.price_usd / (saved / _MONTHS) if saved > 0.0 else None


def even_price_usd(hardware: Hardware, rent_usd_per_h: float) -> float:
    """The price of one machine at which owning and renting cost the same; 0 where it would have to be a gift."""
    rent = hardware.utilisation * HOURS_A_YEAR * rent_usd_per_h
    shared = (hardware.hosting_usd_per_year + hardware.staff_usd_per_year) / hardware.machines
    left = rent - shared - electricity_usd(hardware, hardware.utilisation)
    of_a_dollar = capital_usd(hardware) / hardware.price_usd + hardware.maintenance_share
    return max(left / of_a_dollar, 0.0)


def hour_facts(hardware: Hardware) -> tuple[Fact, ...]:
    """How the dollars of an hour were made, in the order in which they are added."""
    hours = hardware.utilisation * HOURS_A_YEAR
    shared = (hardware.hosting_usd_per_year + hardware.staff_usd_per_year) / hardware.machines
    written = f"{units.usd(hardware.price_usd)} over {hardware.years:g} years"
    written += f", {units.percent(hardware.resale_share)} of it back" if hardware.resale_share else ""
    written += f", at {units.percent(hardware.interest)} a year" if hardware.interest else ""
    drawn = (
        f"{units.significant(hardware.power_w / 1e3)} kW in use, {units.significant(hardware.idle_power_w / 1e3)} kW"
    )
    shown = (
        ("hours in use", f"{hours:,.0f} a year", f"{units.percent(hardware.utilisation)} of {HOURS_A_YEAR:,.0f}"),
        ("purchase", _yearly(capital_usd(hardware)), written),
        (
            "hosting and staff",
            _yearly(shared),
            f"{units.usd(shared * hardware.machines)} for {units.many(hardware.machines, 'machine')}",
        ),
        ("maintenance", _yearly(hardware.maintenance_share * hardware.price_usd), "of the price"),
        (
            "electricity",
            _yearly(electricity_usd(hardware, hardware.utilisation)),
            f"{drawn} standing by, PUE {hardware.pue:g}, {units.usd(hardware.usd_per_kwh)} a kWh",
        ),
        ("an hour in use", f"{units.usd(usd_per_h(hardware))}/h", "all of that, over the hours in use"),
    )
    return tuple(Fact(name=name, value=value, origin=Origin.DERIVED, why=why) for name, value, why in shown)


def _yearly(usd: float) -> str:
    return f"{units.usd(usd)} a year"
