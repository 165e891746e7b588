"""Estimate: from what the user asks to ranked quotes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from zenplan import units
from zenplan.adapters.tables.carbon import grid_intensity
from zenplan.commands.estimate.offers import Selection, matching, select
from zenplan.commands.estimate.pinned import Pinned
from zenplan.commands.estimate.sensitivity import effects
from zenplan.commands.estimate.sizing import sized
from zenplan.commands.estimate.stated import machine_facts, plan_on_named
from zenplan.commands.shared.evidence import Evidence, evidence_of
from zenplan.commands.shared.judgement import judgement
from zenplan.commands.shared.known import Known
from zenplan.commands.shared.shortfall import other_precision, shortfall, trains_in, what_helps
from zenplan.domain.answer.answer import Answer, Label, Ranked
from zenplan.domain.answer.estimate import Bill
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.market.offer import OLD_DAYS, OLD_WITHIN, Billing
from zenplan.domain.provenance import Fact, Origin
from zenplan.domain.training.plan import TrainingPlan
from zenplan.domain.training.request import Request
from zenplan.errors import NoFit, UsageError
from zenplan.planning.money.candidates import Candidates, candidates, comparable
from zenplan.planning.money.project import project
from zenplan.planning.money.quotes import Index, Market, market
from zenplan.planning.money.ranking import Ranking, rank
from zenplan.planning.search.search import usable_bytes

if TYPE_CHECKING:
    from zenplan.domain.measured.calibration import Stored
    from zenplan.domain.measured.prediction import LocalStep

# What a smaller number of devices must take less of, in time and in dollars, to be worth a line.
_CLEARLY = 0.95
# Nodes in so many together have more layouts than the next smaller number of them may have.
_ROUND = 8


def estimate(request: Request, known: Known) -> Answer:
    """The quotes that answer a request, with what fits of the calibrations.

    Raises:
        UsageError: the request is wrong.
        NoFit: no offer can run it; the message says what is nearest.
    """
    given, request = request, _one_run(request)
    size = sized(request, lambda other: _looked(other, known).found)
    request = size.request if size else request
    search = _searched(request, known)
    evidence, found, ranking = search.looked.evidence, search.looked.found, search.ranking
    plan = size.told(found.plan) if size else found.plan
    ranked = tuple(_at(found, request, i, labels) for i, labels in zip(ranking.order, ranking.labels, strict=True))
    best = ranked[0]
    left_out = (*_fewer(request, found, ranking.order[0], evidence), *evidence.notes, *search.looked.selection.left_out)
    stated = machine_facts(request, known.catalogue, ranked)
    return Answer(
        request=replace(request, deadline_s=given.deadline_s, budget_usd=given.budget_usd),
        today=known.today,
        plan=replace(plan, facts=(*plan.facts, *_shared(given, request), *evidence.facts(_used(ranked)), *stated)),
        operations=known.operations,
        ranked=ranked,
        verdict=_verdict(request, best.bill, ranking),
        met=ranking.met,
        options=len(found.options),
        layouts=found.found.considered,
        frontier=tuple(_at(found, request, i, ()) for i in ranking.frontier),
        sensitivity=effects(Pinned(request=request, known=known, found=found, index=ranking.order[0], ranked=best)),
        project=project(given.project, plan, best.bill, given.samples, known.today),
        left_out=(*left_out, *_not_quoted(request, found, search.chosen)),
        here=_here(plan, known.calibrations),
        judgement=judgement(plan),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Looked:
    """Every option for a request, with its run and its bills."""

    evidence: Evidence
    selection: Selection
    found: Market


def _looked(request: Request, known: Known, reserved: bool = False) -> _Looked:
    """What is had on demand; with ``reserved`` larger clusters too.

    Raises:
        UsageError: the request is wrong.
        NoFit: there is nothing.
    """
    plan = plan_on_named(request, known.catalogue, known.families)
    evidence = evidence_of(plan, known.catalogue, known.coefficients, known.calibrations)
    offers = matching(request, known.tables, known.catalogue, known.today)
    selection = select(request, offers, known.catalogue, plan, known.coefficients, evidence, reserved)
    if not selection.options:
        raise NoFit(
            _no_options(request, plan, selection, known.catalogue), _hint(request, plan, selection, known.catalogue)
        )
    found = market(plan, known.operations, selection.clusters, selection.options)
    return _Looked(evidence=evidence, selection=selection, found=found)


def _one_run(request: Request) -> Request:
    """The request for one of the project's runs: its share of the deadline, and of the budget less data and labels.

    Raises:
        UsageError: nothing of the budget is left for it.
    """
    given, budget = request.project, request.budget_usd
    deadline = request.deadline_s and request.deadline_s / given.runs
    if budget is not None:
        left = budget - given.given_usd - (request.samples or 0.0) * (given.label_usd or 0.0)
        if left <= 0.0:
            raise UsageError(
                f"data and labels of {units.usd(budget - left)} leave nothing of the budget of {units.usd(budget)}",
                "a larger --budget, or less of --data-usd and --label-usd",
            )
        budget = left / given.runs
    return replace(request, deadline_s=deadline, budget_usd=budget)


def _shared(given: Request, one: Request) -> Iterator[Fact]:
    """What is left for one run of a project of several, or with data to pay for."""
    for name, whole, share, show in (
        ("deadline of one run", given.deadline_s, one.deadline_s, units.duration),
        ("budget of one run", given.budget_usd, one.budget_usd, units.usd),
    ):
        if whole is not None and share is not None and share < whole:
            why = f"of {show(whole)} for {given.project.runs:g} lengths of a run, data and labels"
            yield Fact(name=name, value=show(share), origin=Origin.DERIVED, why=why)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Searched:
    """What was looked at, and how it is ranked."""

    looked: _Looked
    chosen: Candidates
    ranking: Ranking


def _searched(request: Request, known: Known) -> _Searched:
    """What is had on demand, ranked; larger clusters, which need a reservation, only where nothing on demand does
    what was asked, and they do.

    Raises:
        UsageError: the request is wrong.
        NoFit: nothing can run it.
    """

    def searched(reserved: bool) -> _Searched:
        looked = _looked(request, known, reserved)
        found = looked.found
        if not found.usable(request.billing).any():
            raise NoFit(*_why_nothing(request, found))
        chosen = candidates(found, request.billing, known.today, request.deadline_s, request.budget_usd)
        return _Searched(looked=looked, chosen=chosen, ranking=_ranking(request, found, chosen.leading))

    try:
        on_demand = searched(reserved=False)
    except NoFit:
        if request.gpus or request.max_gpus:
            raise
        return searched(reserved=True)
    if on_demand.ranking.met or not on_demand.looked.selection.larger:
        return on_demand
    try:
        reserved = searched(reserved=True)
    except NoFit:
        return on_demand
    return reserved if reserved.ranking.met else on_demand


def _ranking(request: Request, found: Market, leading: Index) -> Ranking:
    """The market's options in order, of those that are candidates."""
    bills = found.bills(request.billing)
    usd, calendar = bills.total_usd[1][leading], bills.runs.wall_clock_s[1][leading]
    # What has no price has no budget to keep.
    budget_usd = request.budget_usd if usd[0] >= 0 else None
    ranking = rank(comparable(usd), calendar, request.top, request.deadline_s, budget_usd)
    return replace(
        ranking,
        order=tuple(int(leading[i]) for i in ranking.order),
        frontier=tuple(int(leading[i]) for i in ranking.frontier),
    )


def _at(found: Market, request: Request, index: int, labels: tuple[Label, ...]) -> Ranked:
    return Ranked(
        quote=found.quote(index, request.billing, _grid),
        bill=found.bills(request.billing).at(index),
        labels=labels,
    )


def _here(plan: TrainingPlan, calibrations: Sequence[Stored]) -> tuple[LocalStep, ...]:
    """What the plan takes on this machine's own processor."""
    if not calibrations:
        return ()
    from zenplan.commands.estimate.here import steps_here

    return steps_here(plan, calibrations)


def _used(ranked: Sequence[Ranked]) -> set[str]:
    """The calibrations that any of these rests on."""
    return {r.quote.estimate.correction.calibration for r in ranked if r.quote.estimate.correction}


def _fewer(request: Request, found: Market, best: int, evidence: Evidence) -> tuple[str, ...]:
    """The number of whole machines just below the one asked for, where it is clearly faster and cheaper than the
    best quote: a number with few divisors has few layouts. Powers of two have enough."""
    asked, option = request.gpus, found.options[best]
    cluster = found.clusters[option.cluster]
    each = cluster.node_devices
    if asked is None or not asked & (asked - 1):
        return ()
    nodes = sorted({(asked - 1) // each, (asked - 1) // (_ROUND * each) * _ROUND} - {0})
    if not nodes:
        return ()
    clusters = [evidence.corrected(replace(cluster, nodes=n, used=None)) for n in nodes]
    options = [replace(option, nodes=n, cluster=place) for place, n in enumerate(nodes)]
    other = market(found.plan, found.operations, clusters, options)
    bills, own = other.bills(request.billing), found.bills(request.billing).at(best)
    usable = other.usable(request.billing).nonzero()[0].tolist()
    if not usable:
        return ()
    place = min(usable, key=lambda index: float(bills.total_usd[1][index]))
    longer = float(bills.runs.wall_clock_s[1][place]) / own.run.wall_clock_s.mid
    if own.total_usd is None or not own.total_usd.mid:
        return ()
    dearer = float(bills.total_usd[1][place]) / own.total_usd.mid
    if max(longer, dearer) > _CLEARLY:
        return ()
    return (
        f"not asked for: {clusters[place].devices:,} of these devices would take {units.percent(1.0 - longer)} "
        f"less time and cost {units.percent(1.0 - dearer)} less than #1",
    )


def _grid(provider: str, region: str) -> tuple[float, str] | None:
    grid = grid_intensity(provider, region)
    return (grid.kg_per_j, grid.source) if grid else None


def _no_options(request: Request, plan: TrainingPlan, selection: Selection, catalogue: Catalogue) -> str:
    if selection.unknown and not selection.unable and not selection.alone:
        return f"no data sheet of {', '.join(sorted(selection.unknown))}"
    named = [catalogue.by_name(name) for name in request.gpu]
    if named and not any(sheet.peak_flop_per_s for sheet in named):
        return f"the data sheet of {' and '.join(s.name for s in named)} has no peak to predict from"
    if request.max_usd_per_h and not selection.alone:
        return f"no offer for at most {units.usd(request.max_usd_per_h)} an hour trains in {plan.precision.name}"
    if request.gpus:
        return f"no offer can be joined to {request.gpus} devices that train in {plan.precision.name}"
    return f"no offer has devices that train in {plan.precision.name}"


def _hint(request: Request, plan: TrainingPlan, selection: Selection, catalogue: Catalogue) -> str:
    for sheet in map(catalogue.by_name, request.gpu):
        if sheet.trains and not trains_in(sheet, plan.precision):
            return other_precision(sheet, plan.precision)
    if selection.unknown:
        return "'zenplan accelerators' lists those that are known; a plugin may bring another's data sheet"
    if selection.alone:
        return "machines whose network is not known are quoted alone; ask for fewer --gpus or another provider"
    return selection.left_out[-1] if selection.left_out else "a larger --max-gpus may help"


def _short(found: Market, cluster: int) -> str:
    """How far one cluster is from fitting the plan, in its leanest layout."""
    return shortfall(found.clusters[cluster], float(found.found.memory.total_bytes[cluster]))


def _nearest(found: Market, clusters: Sequence[int]) -> int:
    needs = found.found.memory.total_bytes
    return min(clusters, key=lambda c: float(needs[c]) / usable_bytes(found.clusters[c]))


def _why_nothing(request: Request, found: Market) -> tuple[str, str]:
    """Message and hint for when no option is usable: nothing fits, or nothing has a price of that kind."""
    fits = found.found.fits
    if not fits.any():
        nearest = _nearest(found, range(len(found.clusters)))
        return f"does not fit: {_short(found, nearest)}", what_helps(found.plan.workload)
    other = Billing.SPOT if request.billing is Billing.ON_DEMAND else Billing.ON_DEMAND
    if found.usable(other).any():
        return f"no offer that fits has a price under {request.billing}", f"try --billing {other}"
    return "no run would end: failures come faster than work is saved", "ask for fewer --gpus"


def _not_quoted(request: Request, found: Market, chosen: Candidates) -> list[str]:
    """What the market has beside the quotes: clusters that do not fit, offers without a price of the kind, old prices."""
    lines = []
    if chosen.old:
        lines.append(
            f"{chosen.old:,} options whose prices are over {OLD_DAYS} days old, or have no date, are ranked behind "
            f"fresh ones within {OLD_WITHIN:.0f} times their dollars and time"
        )
    if len(chosen.unpriced):
        names = sorted({found.options[i].offer.instance.accelerator for i in chosen.unpriced.tolist()})
        lines.append(f"nobody has a price for {', '.join(names)}; asked for alone, it is answered in time and memory")
    unfit = [int(c) for c in (~found.found.fits).nonzero()[0]]
    if unfit:
        lines.append(
            f"{len(unfit)} of {len(found.clusters)} clusters do not fit; the nearest: "
            f"{_short(found, _nearest(found, unfit))}"
        )
    fits = found.found.fits[found.owner]
    priced, usable = found.priced(request.billing), found.usable(request.billing)
    for count, what in (
        (int((fits & ~priced & ~usable).sum()), f"have no price under {request.billing}"),
        (int((fits & priced & ~usable).sum()), "would never end"),
    ):
        if count:
            lines.append(f"{count:,} of {len(found.options):,} options fit and {what}")
    return lines


def _verdict(request: Request, bill: Bill, ranking: Ranking) -> str:
    """Whether the first quote meets the deadline and the budget, in one line; empty where none was set."""
    parts = []
    for limit, value, show, what in (
        (request.deadline_s, bill.run.wall_clock_s, units.duration, "deadline"),
        (request.budget_usd, bill.total_usd, units.usd, "budget"),
    ):
        if limit is None:
            continue
        if value is None:
            parts.append(f"the {what} of {show(limit)} is not looked at: nobody has a price")
        elif value.mid > limit:
            parts.append(f"misses the {what} of {show(limit)} by {show(value.mid - limit)}")
        elif value.high > limit:
            parts.append(f"meets the {what} of {show(limit)}, but not at its high end ({show(value.high)})")
        else:
            parts.append(f"meets the {what} of {show(limit)}, even at its high end ({show(value.high)})")
    if not parts:
        return ""
    return ("recommended: " if ranking.met else "nothing meets that; the nearest ") + "; ".join(parts)
