"""What bills need beside the runs: the data, the day, and what follows the training."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date
from functools import partial
from typing import Final

from zenplan import units
from zenplan.commands.estimate.own import own_table
from zenplan.commands.shared.ages import ask_first, days_old
from zenplan.commands.shared.data_bytes import data_bytes
from zenplan.commands.shared.filters import Filters, filtered
from zenplan.commands.shared.known import Known
from zenplan.commands.shared.shortfall import trains_in
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.market.offer import OLD_WITHIN, Offers, PriceTable
from zenplan.domain.precision import PRECISIONS
from zenplan.domain.provenance import Fact, Origin
from zenplan.domain.range import Range
from zenplan.domain.training.follow_up import SERVE
from zenplan.domain.training.plan import TrainingPlan
from zenplan.domain.training.request import Request
from zenplan.planning.money.follow_ups import Following, Serving
from zenplan.planning.money.quotes import Around, Market
from zenplan.planning.money.ranking import Ranking

# Memory that serving takes, over that of the weights: activations and the states of requests, from hardly any to as
# much as the weights. Assumed; servers take 90 % of a device where nothing is said (vLLM's gpu_memory_utilization).
_OVER_WEIGHTS: Final = Range(low=1.05, mid=1.25, high=2.0)
_TAKEN: Final = 0.9
# Of the fact that says by what plans are ranked where the model is served too.
TOGETHER: Final = "ranked with serving"


def around_of(request: Request, plan: TrainingPlan, known: Known, providers: Iterable[str] | None = None) -> Around:
    """What bills of the plan need beside its runs.

    Args:
        request: what is asked.
        plan: what is trained.
        known: prices and data sheets.
        providers: whose machines may serve the model; None for all.
    """
    following = None
    if request.then:
        serving = {}
        if any(each.name == SERVE for each in request.then):
            serving = dict(machines_for(request, plan, known, None if providers is None else set(providers)))
        following = Following(asked=request.then, runs=request.project.runs, serving=serving)
    return Around(data_bytes=data_bytes(request, plan), today=known.today, following=following)


def together(request: Request, both: tuple[Market, Ranking], alone: tuple[Market, Ranking]) -> Fact:
    """By what plans are ranked where the model is served too, and where the training alone would be.

    Args:
        both: what was found with serving in the bills, and its ranking; alone: the same without it.
    """
    (found, ranking), (other, first) = both, alone
    here, there = found.options[ranking.order[0]].offer, other.options[first.order[0]].offer
    told = "training and serving at one provider, ranked by what both cost"
    why = "the training alone is best there too"
    if here.instance.provider != there.instance.provider:
        served = found.around.following.serving if found.around.following else {}
        time_s = next(each.amount or 0.0 for each in request.then if each.name == SERVE)
        rates = [served.get(each.instance.provider) for each in (there, here)]
        usd = [f"{units.usd(r.usd_per_h.mid * time_s / units.HOUR_S)}" if r else "no price" for r in rates]
        alone_usd = float(other.bills(request.billing).total_usd[1, first.order[0]])
        why = (
            f"the training alone is best at {there.instance.provider}"
            f"{'' if math.isnan(alone_usd) else f' ({units.usd(alone_usd)})'}, where serving is {usd[0]}; it is {usd[1]} at "
            f"{here.instance.provider}"
        )
    return Fact(name=TOGETHER, value=told, origin=Origin.DERIVED, why=why)


def machines_for(
    request: Request, plan: TrainingPlan, known: Known, providers: set[str] | None
) -> Iterator[tuple[str, Serving]]:
    """The cheapest machines of each provider that hold the model."""
    if request.usd_per_h is not None:
        sheets = [known.catalogue.by_name(name) for name in request.gpu]
        tables: tuple[PriceTable, ...] = (own_table(sheets, replace(request, gpus=None), known.today),)
    else:
        tables = filtered(known.tables, known.catalogue, Filters(region=request.region), known.today)
    for table in tables:
        if providers is None or table.provider in providers:
            found = _cheapest(Offers.of(table.offers), plan, known.catalogue, known.today)
            if found is not None:
                yield table.provider, found


def _cheapest(offers: Offers, plan: TrainingPlan, catalogue: Catalogue, today: date) -> Serving | None:
    """Of one provider; an old price counts twice. None where no machine with a price holds the model."""
    weights = plan.workload.parameters * plan.precision.compute_bytes
    room = _rooms(offers, plan, catalogue)
    held = [at for at, like in enumerate(offers.pattern) if like in room and not math.isnan(_rate(offers, at))]
    if not held:
        return None

    def machines(place: int, over: float) -> int:
        return math.ceil(weights * over / room[offers.pattern[place]])

    def usd_per_h(place: int, over: float) -> float:
        return _rate(offers, place) * machines(place, over)

    def counted(place: int, over: float) -> float:
        return usd_per_h(place, over) * (OLD_WITHIN if _is_old(offers, place, today) else 1.0)

    least = {over: min(held, key=partial(counted, over=over)) for over in _OVER_WEIGHTS.ends}
    rates = [usd_per_h(place, over) for over, place in least.items()]
    over, place = _OVER_WEIGHTS.mid, least[_OVER_WEIGHTS.mid]
    why = f"{_told(offers, place, machines(place, over), weights * over)}{_asked_first(offers, place, today)}"
    low, mid, high = sorted(rates)
    sheet = next(each for each in catalogue if each.name == offers.patterns[offers.pattern[place]].instance.accelerator)
    answering = _copies(plan, sheet)
    more = f"; {answering.high:g} copies where each answers less than predicted" if answering.high > 1.0 else ""
    return Serving(usd_per_h=Range(low=low, mid=mid, high=high * answering.high), why=f"{why}{more}")


def _copies(plan: TrainingPlan, sheet: Accelerator) -> Range:
    """Copies for what one is predicted to answer, as 'serve-cost' has it; one of a model that generates no text."""
    # Loaded where something is served alone: an estimate begins quickly.
    from zenplan.adapters.tables.serving import read_serving
    from zenplan.planning.serving.groups import seen_on
    from zenplan.planning.serving.served import GENERATE
    from zenplan.planning.serving.service import copies

    if plan.workload.family not in GENERATE:
        return Range.exactly(1.0)
    return copies(seen_on(read_serving(), sheet).throughput)


def _rooms(offers: Offers, plan: TrainingPlan, catalogue: Catalogue) -> Mapping[int, float]:
    """Bytes that a machine has for serving, by the place of its pattern: of those that can, and are paid by the hour."""
    found = {}
    # A model that was trained in fp8 or fp4 has its weights in what its other operators run in.
    precision = PRECISIONS[plan.precision.other_dtype]
    sheets = {sheet.name: sheet for sheet in catalogue}
    for place in set(offers.pattern):
        like = offers.patterns[place]
        sheet = sheets.get(like.instance.accelerator)
        if sheet is None or sheet.is_processor or like.committed or not trains_in(sheet, precision):
            continue
        found[place] = like.instance.devices * sheet.capacity_bytes * _TAKEN
    return found


def _rate(offers: Offers, place: int) -> float:
    """Dollars an hour of one machine, always on; the spot price where no other is known."""
    usd = offers.on_demand[place]
    return offers.spot[place] if math.isnan(usd) else usd


def _is_old(offers: Offers, place: int, today: date) -> bool:
    like = offers.spot_like if math.isnan(offers.on_demand[place]) else offers.on_demand_like
    return offers.dated[like[place]].is_old(today)


def _asked_first(offers: Offers, place: int, today: date) -> str:
    """What is not sure of a machine or its price; empty where all is."""
    offer = offers[place]
    told = ask_first(bool(offer.guess), days_old(offer.on_demand or offer.spot, today))
    return f". {told.removesuffix('.')}" if told else ""


def _told(offers: Offers, place: int, machines: int, needed: float) -> str:
    offer = offers[place]
    devices = f"{machines * offer.instance.devices} × {offer.instance.accelerator}"
    price = units.usd(machines * _rate(offers, place))
    return f"{machines} × {offer.called} ({devices}) for {units.size(needed)}, always on, {price}/h"
