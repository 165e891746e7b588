"""Estimate: from what the user asks to ranked quotes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

from zenplan import units
from zenplan.adapters.tables.carbon import making_of, site_of
from zenplan.commands.estimate.around import around_of, machines_for, together
from zenplan.commands.estimate.offers import Selection, matching, paid_anyway, select
from zenplan.commands.estimate.pinned import Pinned
from zenplan.commands.estimate.sensitivity import effects
from zenplan.commands.estimate.sizing import sized
from zenplan.commands.estimate.stated import machine_facts, plan_on_named
from zenplan.commands.estimate.wishes import cheaper_by_old, told, verdict, would_help
from zenplan.commands.shared.data_bytes import data_bytes
from zenplan.commands.shared.evidence import Evidence, evidence_of
from zenplan.commands.shared.judgement import judgement
from zenplan.commands.shared.known import Known
from zenplan.commands.shared.machines import with_named_devices
from zenplan.commands.shared.shortfall import other_precision, shortfall, trains_in, what_helps
from zenplan.domain.answer.answer import Answer, Ranked
from zenplan.domain.answer.federation import Federation
from zenplan.domain.answer.project import Project
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.market.offer import OLD_DAYS, OLD_WITHIN
from zenplan.domain.precision import PRECISIONS
from zenplan.domain.provenance import Fact, Origin
from zenplan.domain.training.follow_up import SERVE
from zenplan.domain.training.plan import TrainingPlan
from zenplan.domain.training.request import Request
from zenplan.errors import NoFit, UsageError
from zenplan.planning.money.candidates import candidates
from zenplan.planning.money.federated import federation
from zenplan.planning.money.project import project
from zenplan.planning.money.quotes import Market, market
from zenplan.planning.money.ranking import Ranking, Wish, ranking_of
from zenplan.planning.search.search import usable_bytes

if TYPE_CHECKING:
    from zenplan.domain.measured.calibration import Stored
    from zenplan.domain.measured.prediction import LocalStep

# What a smaller number of devices must take less of, in time and in dollars, to be worth a line.
_CLEARLY = 0.95
# Nodes in so many together have more layouts than the next smaller number of them may have.
_ROUND = 8


def estimate(request: Request, known: Known, sensitive: bool = True) -> Answer:
    """The quotes that answer a request, with what fits of the calibrations.

    Args:
        request: what is asked.
        known: what it is answered from.
        sensitive: say how far each input moves the recommended plan, which takes four searches more.

    Raises:
        UsageError: the request is wrong.
        NoFit: no offer can run it; the message says what is nearest.
    """
    given = with_named_devices(request, known.catalogue, known.tables)
    request = _one_run(given)
    size = sized(request, lambda other: _looked(other, known).found)
    request = size.request if size else request
    search = _searched(request, known)
    evidence, found, ranking = search.looked.evidence, search.looked.found, search.ranking
    plan = size.told(found.plan) if size else found.plan
    wish = Wish.of(request)
    quotes = {i: _at(found, request, i, ranking) for i in {*ranking.order, *ranking.frontier}}
    ranked = tuple(quotes[i] for i in ranking.order)
    best = ranked[0]
    case = Pinned(request=request, known=known, found=found, index=ranking.order[0], ranked=best)
    notices = (*_unread(given), *search.looked.selection.notices, *paid_anyway(known.tables, best.quote.offer))
    machines = machine_facts(request, known.catalogue, ranked)
    stated = (*_served(request, search, known), *wish.facts(request), *evidence.facts(_used(ranked)), *machines)
    return Answer(
        request=replace(request, deadline_s=given.deadline_s, budget_usd=given.budget_usd),
        today=known.today,
        of_day_s=known.of_day_s,
        plan=replace(plan, facts=(*plan.facts, *_shared(given, request), *stated, *_followed(found))),
        operations=known.operations,
        ranked=ranked,
        rule=wish.rule,
        verdict=verdict(request, found, best.bill, ranking, known.today),
        met=ranking.met,
        would_help=would_help(request, found, ranking, known.today),
        cheaper_old=cheaper_by_old(request, found, ranking, known.today),
        options=len(found.options),
        layouts=found.found.considered,
        frontier=tuple(quotes[i] for i in ranking.frontier),
        sensitivity=effects(case) if sensitive else (),
        project=_project(given, plan, best, known.today),
        notices=notices,
        left_out=_left_out(request, search, notices, known.today),
        here=_here(plan, known.calibrations),
        federation=_federation(request, plan, best, known),
        judgement=(*((size.said,) if size else ()), *judgement(plan)),
    )


def _left_out(request: Request, search: _Searched, notices: tuple[str, ...], today: date) -> tuple[str, ...]:
    """What was not quoted, or not used, and why, a line each."""
    looked, ranking = search.looked, search.ranking
    fewer = _fewer(request, looked.found, ranking.order[0], looked.evidence)
    not_quoted = _not_quoted(request, looked.found, ranking, today)
    return (*fewer, *looked.evidence.notes, *notices, *looked.selection.left_out, *not_quoted)


def _federation(request: Request, plan: TrainingPlan, best: Ranked, known: Known) -> Federation | None:
    """What clients would take instead, with a server at the provider of the recommended plan."""
    if request.federated is None:
        return None
    provider = best.quote.offer.instance.provider
    server = dict(machines_for(request, plan, known, {provider})).get(provider)
    why = server.why if server else "no machine with a price holds it"
    return federation(plan, request.federated, best.quote.terms, server.usd_per_h if server else None, why)


def _followed(found: Market) -> Iterator[Fact]:
    """What was taken of what follows the training."""
    if found.around.following is not None:
        yield from found.around.following.facts(found.plan)


def _served(request: Request, search: _Searched, known: Known) -> Iterator[Fact]:
    """By what plans are ranked where the model is served too."""
    if any(each.name == SERVE for each in request.then):
        alone = _searched(replace(request, then=()), known)
        yield together(request, (search.looked.found, search.ranking), (alone.looked.found, alone.ranking))


def _project(given: Request, plan: TrainingPlan, best: Ranked, today: date) -> Project:
    """What the project costs around the recommended run."""
    credits = best.quote.terms.credits if best.quote.terms else ()
    stored = data_bytes(given, plan)
    return project(given.project, plan, best.bill, given.labelled, today, credits, stored)


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
    around = around_of(request, plan, known)
    found = market(plan, known.operations, selection.clusters, selection.options, around)
    return _Looked(evidence=evidence, selection=selection, found=found)


def _one_run(request: Request) -> Request:
    """The request for one of the project's runs: its share of the deadline, and of the budget less data and labels.

    Raises:
        UsageError: nothing of the budget is left for it.
    """
    given, budget = request.project, request.budget_usd
    deadline = request.deadline_s and request.deadline_s / given.runs
    if budget is not None:
        left = budget - request.beside_usd
        if left <= 0.0:
            raise UsageError(
                f"data and labels of {units.usd(budget - left)} leave nothing of the budget of {units.usd(budget)}",
                "a larger --budget, or less of --data-usd and --label-usd",
            )
        budget = left / given.runs
    return replace(request, deadline_s=deadline, budget_usd=budget)


def _unread(request: Request) -> Iterator[str]:
    """Text of the data that is not counted: who meant it to be is told before what it costs is believed."""
    data = request.data
    if data is not None and data.unread_columns:
        read, other = ", ".join(data.text_columns), ", ".join(data.unread_columns)
        yield f"only the column {read} of the data is counted, not {other}; --text-column names another"


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
        wish = Wish.of(request)
        ranking = ranking_of(looked.found, request.billing, request.top, wish, known.today)
        if ranking is None:
            raise NoFit(*_why_nothing(request, looked.found, wish, known.today))
        return _Searched(looked=looked, ranking=ranking)

    try:
        on_demand = searched(reserved=False)
    except NoFit:
        if request.gpus or request.max_gpus:
            raise
        return searched(reserved=True)
    if (on_demand.ranking.met and on_demand.ranking.in_time) or not on_demand.looked.selection.larger:
        return on_demand
    try:
        reserved = searched(reserved=True)
    except NoFit:
        return on_demand
    return reserved if reserved.ranking.met and reserved.ranking.in_time else on_demand


def _at(found: Market, request: Request, index: int, ranking: Ranking) -> Ranked:
    return Ranked(
        quote=found.quote(index, request.billing, site_of, making_of),
        bill=found.bills(request.billing).at(index),
        labels=ranking.labels.get(index, ()),
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
    other = market(found.plan, found.operations, clusters, options, found.around)
    bills, own = other.bills(request.billing), found.bills(request.billing).at(best)
    usable = other.usable(request.billing).nonzero()[0].tolist()
    if not usable:
        return ()
    place = min(usable, key=lambda index: float(bills.total_usd[1][index]))
    longer = float(bills.wall_clock_s[1][place]) / own.wall_clock_s.mid
    if own.total_usd is None or not own.total_usd.mid:
        return ()
    dearer = float(bills.total_usd[1][place]) / own.total_usd.mid
    if max(longer, dearer) > _CLEARLY:
        return ()
    return (
        f"not asked for: {clusters[place].devices:,} of these devices would take {units.percent(1.0 - longer)} "
        f"less time and cost {units.percent(1.0 - dearer)} less than #1",
    )


def _no_options(request: Request, plan: TrainingPlan, selection: Selection, catalogue: Catalogue) -> str:
    if selection.unknown and not selection.unable and not selection.alone:
        return f"no data sheet of {', '.join(sorted(selection.unknown))}"
    named = [catalogue.by_name(name) for name in request.gpu]
    if named and not any(trains_in(sheet, each) for sheet in named for each in PRECISIONS.values()):
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
    if selection.left_out:
        return selection.left_out[-1]
    limit = "--max-usd-per-hour" if request.max_usd_per_h else "--max-gpus"
    return f"a larger {limit} may help"


def _short(found: Market, cluster: int) -> str:
    """How far one cluster is from fitting the plan, in its leanest layout."""
    return shortfall(found.clusters[cluster], float(found.found.memory.total_bytes[cluster]))


def _nearest(found: Market, clusters: Sequence[int]) -> int:
    needs = found.found.memory.total_bytes
    return min(clusters, key=lambda c: float(needs[c]) / usable_bytes(found.clusters[c]))


def _why_nothing(request: Request, found: Market, wish: Wish, today: date) -> tuple[str, str]:
    """Message and hint for when no option is usable: nothing fits, or nothing has a price of that kind."""
    fits = found.found.planned
    if not fits.any():
        nearest = _nearest(found, range(len(found.clusters)))
        return f"does not fit: {_short(found, nearest)}", what_helps(found.plan, found.clusters)
    other = request.billing.other
    ranking = ranking_of(found, other, 1, wish, today)
    if ranking is not None:
        there = told(found, other, ranking.order[0], today)
        return f"no offer that fits has a price under {request.billing}", f"try --billing {other}: {there}"
    return "no run would end: failures come faster than work is saved", "ask for fewer --gpus"


def _not_quoted(request: Request, found: Market, ranking: Ranking, today: date) -> list[str]:
    """What the market has beside the quotes: clusters that do not fit, offers without a price of the kind, old
    prices, and what takes too long."""
    lines = []
    wish = Wish.of(request)
    chosen = candidates(found, request.billing, today, *wish.limits, wish.cost)
    if chosen.old:
        lines.append(
            f"{chosen.old:,} options whose prices are over {OLD_DAYS} days old, or have no date, are ranked behind "
            f"fresh ones within {OLD_WITHIN:.0f} times of them"
        )
    if len(chosen.unpriced):
        names = sorted({found.options[i].offer.instance.accelerator for i in chosen.unpriced.tolist()})
        lines.append(f"nobody has a price for {', '.join(names)}; asked for alone, it is answered in time and memory")
    unfit = [int(c) for c in (~found.found.planned).nonzero()[0]]
    if unfit:
        lines.append(
            f"{len(unfit)} of {len(found.clusters)} clusters do not fit; the nearest: "
            f"{_short(found, _nearest(found, unfit))}"
        )
    fits = found.found.planned[found.owner]
    priced, usable = found.priced(request.billing), found.usable(request.billing)
    late = usable & (found.bills(request.billing).wall_clock_s[1] > request.longest_s)
    for count, what in (
        (int((fits & ~priced & ~usable).sum()), f"have no price under {request.billing}"),
        (int((fits & priced & ~usable).sum()), "would never end"),
        (
            int(late.sum()) if ranking.in_time else 0,
            f"take longer than {units.duration(request.longest_s)} (--horizon)",
        ),
    ):
        if count:
            lines.append(f"{count:,} of {len(found.options):,} options fit and {what}")
    return lines
