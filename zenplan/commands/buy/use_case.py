"""Buy or rent: flags into hardware, offers into the rent that it stands against."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

from zenplan import units
from zenplan.commands.shared.filters import Filters, filtered
from zenplan.commands.shared.known import Known
from zenplan.commands.shared.machines import with_named_devices
from zenplan.commands.shared.options import read_flag
from zenplan.commands.shared.rents import lead, rents
from zenplan.domain.answer.purchase import Assumption, Purchase, Rent, Shift
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.market.hardware import Hardware
from zenplan.domain.market.offer import Offer, PriceTable
from zenplan.domain.provenance import Origin
from zenplan.domain.training.operations import Operations
from zenplan.domain.training.request import Request
from zenplan.errors import DataError, NoFit, UsageError
from zenplan.planning.money import ownership

# Wholesale colocation of 250 to 500 kW in North America, without electricity: $184.06 a kW and month at the end of 2024,
# $120 to $140 in 2018 (CBRE, North America Data Center Trends H2 2024, and H2 2018; read 2026-11-30).
_HOSTING: Final = 184.06
_HOSTING_WHY: Final = "$184.06 a kW and month: wholesale colocation, end of 2024 (CBRE H2 2024)"
# Commercial customers in the United States: $0.10 to $0.23 by region in April 2025 (EIA, Electric Power Monthly, table
# 5.6.A, read 2026-11-30); the average recalled.
_KWH: Final = 0.13
_KWH_WHY: Final = "commercial customers in the US: 10 to 23 cents by region (EIA, April 2025)"
_MOST_YEARS: Final = 30.0


_share, _usd = units.or_zero(units.parse_share), units.or_zero(units.parse_usd)


def _years(text: str, what: str) -> float:
    return units.parse_count(text, what, _MOST_YEARS)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Input:
    """One flag of the purchase.

    Attributes:
        parse: what was given, in base units.
        usual: what is taken where it was not; None where that depends on the hardware.
        low, high: what is tried beside it.
        why: it is that.
        show: a value, for people.
        field: of ``Hardware``.
    """

    parse: Callable[[str, str], float]
    usual: float | None
    low: float
    high: float
    why: str
    show: Callable[[float], str]
    field: str


def _number(value: float) -> str:
    return f"{value:g}"


# In the order of the sensitivity table. What is asked and hosting are tried at a share less and more of themselves.
INPUTS: Final[Mapping[str, _Input]] = {
    "utilisation": _Input(
        parse=units.parse_share,
        usual=0.6,
        low=0.3,
        high=0.9,
        why="few keep their machines busy around the clock",
        show=units.percent,
        field="utilisation",
    ),
    "years": _Input(
        parse=_years,
        usual=4.0,
        low=3.0,
        high=6.0,
        why="until the next generations make it dear to run",
        show=_number,
        field="years",
    ),
    "resale": _Input(
        parse=_share,
        usual=0.0,
        low=0.0,
        high=0.3,
        why="what it fetches then is not known",
        show=units.percent,
        field="resale_share",
    ),
    "interest": _Input(
        parse=_share, usual=0.0, low=0.0, high=0.1, why="not counted", show=units.percent, field="interest"
    ),
    "maintenance": _Input(
        parse=_share,
        usual=0.05,
        low=0.0,
        high=0.1,
        why="support, parts, insurance",
        show=units.percent,
        field="maintenance_share",
    ),
    "hosting": _Input(
        parse=_usd, usual=None, low=0.65, high=1.35, why=_HOSTING_WHY, show=units.usd, field="hosting_usd_per_year"
    ),
    "staff": _Input(
        parse=_usd,
        usual=15_000.0,
        low=0.0,
        high=50_000.0,
        why="a tenth of an administrator",
        show=units.usd,
        field="staff_usd_per_year",
    ),
    "power": _Input(
        parse=units.parse_power_w, usual=None, low=0.75, high=1.25, why="", show=units.power, field="power_w"
    ),
    "kwh": _Input(parse=_usd, usual=_KWH, low=0.08, high=0.23, why=_KWH_WHY, show=units.usd, field="usd_per_kwh"),
    "pue": _Input(
        parse=units.parse_count, usual=None, low=1.1, high=1.5, why="of a usual data centre", show=_number, field="pue"
    ),
}
# Tried at a share of themselves.
_RELATIVE: Final = ("hosting", "power")
_PRICE_SHIFT, _RENT_SHIFT = 0.2, 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What may be bought.

    Attributes:
        gpu: as it was named.
        gpus: how many devices; None for one machine.
        price_usd: of all of it; None where that is the question.
        given: the inputs that were given, in base units.
    """

    gpu: str
    gpus: int | None
    price_usd: float | None
    given: Mapping[str, float]

    @classmethod
    def of(cls, texts: Mapping[str, str | None], gpu: Sequence[str] | None, gpus: int | None) -> Asked:
        """From flags. Raises UsageError: one cannot be used, or nothing says which accelerator."""
        if not gpu or len(gpu) != 1:
            raise UsageError("buy takes one --gpu", "as in: zenplan buy --gpu H100 --gpus 8 --price 250000")
        found = {name: read_flag(texts, name, each.parse) for name, each in INPUTS.items()}
        return cls(
            gpu=gpu[0],
            gpus=gpus,
            price_usd=read_flag(texts, "price", units.parse_usd),
            given={name: value for name, value in found.items() if value is not None},
        )


def purchase(asked: Asked, filters: Mapping[str, Any], known: Known) -> Purchase:
    """The hardware against the cheapest rent of each class of providers.

    Args:
        asked: what may be bought.
        filters: which offers may be rented.
        known: data sheets, prices, what is assumed of power.

    Raises:
        UsageError: an input cannot be.
        NoFit: nobody rents out as many of these devices.
    """
    named = with_named_devices(Request(gpu=(asked.gpu,), gpus=asked.gpus), known.catalogue)
    asked = replace(asked, gpu=named.gpu[0], gpus=named.gpus)
    sheet = known.catalogue.by_name(asked.gpu)
    devices = asked.gpus or sheet.node_devices
    wanted = Filters(**{**filters, "gpu": (asked.gpu,), "max_usd_per_h": None})
    tables = filtered(known.tables, known.catalogue, wanted, known.today)
    hardware = _hardware(asked, sheet, devices, known.operations)
    offers = list(_cheapest(tables, devices, hardware.devices, known.today))
    if not offers:
        raise NoFit(
            f"nobody rents out {devices} × {sheet.name} on demand, as far as the price tables know",
            "fewer --gpus, or a price of your own: a [[rate]] in prices.toml",
        )
    if asked.price_usd is None:
        worth = ownership.even_price_usd(hardware, _per_machine(offers[0], hardware))
        if worth <= 0.0:
            raise NoFit(
                f"at {units.percent(hardware.utilisation)} no price is low enough: keeping it costs more than the rent",
                "a higher --utilisation, or less of --hosting and --staff",
            )
        hardware = replace(hardware, price_usd=worth)
    return Purchase(
        hardware=hardware,
        devices=devices,
        price_given=asked.price_usd is not None,
        usd_per_year=ownership.usd_per_year(hardware) * hardware.machines,
        parts=ownership.hour_facts(hardware),
        rents=tuple(_rent(hardware, each) for each in offers),
        assumptions=tuple(_assumptions(asked, hardware, offers[0], sheet, known.operations)),
    )


def _hardware(asked: Asked, sheet: Accelerator, devices: int, operations: Operations) -> Hardware:
    machines = -(-devices // sheet.node_devices)
    each = -(-devices // machines)
    limit_w = sheet.power_w
    if limit_w is None and "power" not in asked.given:
        raise UsageError(
            f"the data sheet of {sheet.name} has no power", "--power says what all of it draws, as in 10.2kW"
        )
    peak_w = each * ((limit_w or 0.0) + operations.host_w)
    in_use_w = each * ((limit_w or 0.0) * operations.power_share[1] + operations.host_w)
    idle_w = each * ((limit_w or 0.0) * operations.idle_power_share + operations.host_w)
    if "power" in asked.given:
        in_use_w = asked.given["power"] / machines
        peak_w, idle_w = max(peak_w, in_use_w), min(idle_w, in_use_w)
    usual = {
        **{name: each_input.usual for name, each_input in INPUTS.items()},
        "hosting": _HOSTING * 12 * peak_w / 1e3 * machines,
        "power": in_use_w,
        "pue": operations.pue,
    }
    values = {**usual, **asked.given, "power": in_use_w}
    try:
        return _of(asked, sheet, machines, each, idle_w, values)
    except DataError as error:
        raise UsageError(error.message, error.hint or "every input is a flag: zenplan buy --help") from error


def _of(
    asked: Asked, sheet: Accelerator, machines: int, each: int, idle_w: float, values: Mapping[str, float | None]
) -> Hardware:
    """The noun. Raises DataError: a figure cannot be.

    Args:
        asked: with the price, if there is one.
        sheet: of the accelerator.
        machines, each: how many, and the devices of one.
        idle_w: of one that stands by.
        values: of ``INPUTS``.
    """
    return Hardware(
        name="bought",
        accelerator=sheet.name,
        devices=each,
        machines=machines,
        # Any: it is found by what it is worth.
        price_usd=(asked.price_usd or float(machines)) / machines,
        idle_power_w=idle_w,
        **{INPUTS[name].field: float(value or 0.0) for name, value in values.items()},
    )


# --- rent

# An offer with the number of its machines, and what it is the cheapest of.
_Priced = tuple[Offer, int, str]


def _cheapest(tables: Sequence[PriceTable], devices: int, per_machine: int, today: date) -> Iterator[_Priced]:
    """The cheapest of all, then of each other class of providers; an old price, or one of a machine that is a guess, only
    where it is less than half. Smaller machines than those that may be bought stand for them only where there are no
    others."""
    priced = list(_priced(tables, devices))
    whole = [each for each in priced if each[1].instance.devices >= per_machine]
    found: dict[str, list[tuple[float, Offer, int]]] = {}
    for usd, offer, machines, kind in whole or priced:
        found.setdefault(kind, []).append((usd, offer, machines))

    def counted(each: tuple[float, Offer, int]) -> float:
        usd, offer, _ = each
        return lead(usd, offer, today)

    best = {kind: min(each, key=counted) for kind, each in found.items()}
    for kind, (_, offer, machines) in sorted(best.items(), key=lambda each: counted(each[1])):
        yield offer, machines, kind


def _priced(tables: Sequence[PriceTable], devices: int) -> Iterator[tuple[float, Offer, int, str]]:
    """Offers of as many devices that nobody is bound to: dollars an hour, the offer, its machines, its class."""
    for offer, price, table in rents(tables):
        machines = -(-devices // offer.instance.devices)
        if machines == 1 or offer.instance.network_bytes_per_s is not None:
            yield price.usd_per_h * machines, offer, machines, str(table.kind)


def _per_machine(rent: _Priced, hardware: Hardware) -> float:
    """Dollars an hour of the rent for one machine of the hardware."""
    offer, machines, _ = rent
    return (offer.on_demand.usd_per_h if offer.on_demand else 0.0) * machines / hardware.machines


def _rent(hardware: Hardware, rent: _Priced) -> Rent:
    each = _per_machine(rent, hardware)
    return Rent(
        kind=rent[2],
        offer=rent[0],
        machines=rent[1],
        usd_per_h=each * hardware.machines,
        usd_per_year=each * hardware.machines * hardware.utilisation * ownership.HOURS_A_YEAR,
        even_utilisation=ownership.even_utilisation(hardware, each),
        even_months=ownership.even_months(hardware, each),
        worth_usd=ownership.even_price_usd(hardware, each) * hardware.machines,
    )


# --- assumptions


def _assumptions(
    asked: Asked, hardware: Hardware, rent: _Priced, sheet: Accelerator, operations: Operations
) -> Iterator[Assumption]:
    """Every input with its origin, and the answer at a lower and a higher value of it.

    Args:
        asked: what was given.
        hardware: what was taken.
        rent: the cheapest.
        sheet: of the accelerator.
        operations: what power and PUE are assumed by.
    """
    each, machines = _per_machine(rent, hardware), hardware.machines

    def shift(value: str, other: Hardware, usd_per_h: float = each) -> Shift:
        return Shift(
            value=value,
            usd_per_year=ownership.usd_per_year(other) * machines,
            even_utilisation=ownership.even_utilisation(other, usd_per_h),
        )

    price = hardware.price_usd
    yield Assumption(
        input="price",
        value=units.usd(price * machines),
        origin=Origin.GIVEN if asked.price_usd is not None else Origin.DERIVED,
        why="" if asked.price_usd is not None else "what it is worth against the cheapest rent",
        shifts=tuple(
            shift(units.usd(price * machines * f), replace(hardware, price_usd=price * f))
            for f in (1.0 - _PRICE_SHIFT, 1.0 + _PRICE_SHIFT)
        ),
    )
    found = rent[0].on_demand
    yield Assumption(
        input="rent",
        value=f"{units.usd(each * machines)}/h",
        origin=Origin.PUBLISHED,
        why=f"{found.source}, {found.as_of or 'of no date'}; rents have fallen for years" if found else "",
        shifts=tuple(
            shift(f"{units.usd(each * machines * f)}/h", hardware, each * f)
            for f in (1.0 - _RENT_SHIFT, 1.0 + _RENT_SHIFT)
        ),
    )
    yield from (_assumption(name, asked, hardware, sheet, operations, shift) for name in INPUTS)


def _assumption(
    name: str,
    asked: Asked,
    hardware: Hardware,
    sheet: Accelerator,
    operations: Operations,
    shift: Callable[[str, Hardware], Shift],
) -> Assumption:
    """One input of ``INPUTS``; arguments as of ``_assumptions``, and what another value of it makes.

    Args:
        name: of the input.
        asked: what was given.
        hardware: what was taken.
        sheet: of the accelerator.
        operations: what power and PUE are assumed by.
        shift: the answer for other hardware, under the value that it has.
    """
    one = INPUTS[name]
    value = getattr(hardware, one.field)
    total = hardware.machines if name == "power" else 1
    ends = (
        [value * f for f in (one.low, one.high)] if name in _RELATIVE else [min(one.low, value), max(one.high, value)]
    )
    given, why = name in asked.given, one.why
    if name == "power" and not given:
        why = f"{units.percent(operations.power_share[1])} of the {sheet.power_w:g} W of the data sheet"
        why += f", and {operations.host_w:g} W of the host, for each device"
    of_operations = {"pue": "pue", "power": "power_share"}.get(name, "") in operations.given
    return Assumption(
        input=name,
        value=one.show(value * total),
        origin=Origin.GIVEN if given or of_operations else Origin.ASSUMED,
        why="" if given else why,
        shifts=tuple(shift(one.show(end * total), replace(hardware, **{one.field: end})) for end in ends),
    )
