"""From price tables to options: which offers answer a request, in which sizes, on which clusters."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field, fields, replace
from datetime import date
from functools import cache, partial

from zenplan import units
from zenplan.adapters.tables.interruptions import interruptions_of, named_machines
from zenplan.adapters.tables.market import on_demand_limit
from zenplan.commands.estimate.own import own_table
from zenplan.commands.shared.evidence import Evidence
from zenplan.commands.shared.filters import Filters, filtered, too_old
from zenplan.commands.shared.shortfall import lacks, trains_in
from zenplan.domain.fit.coefficients import Coefficients
from zenplan.domain.fit.efficiency import Efficiency
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.hardware.cluster import Cluster
from zenplan.domain.hardware.processor import share_of
from zenplan.domain.market.interruptions import Interruptions
from zenplan.domain.market.offer import OWN, Instance, Offer, Offers, PriceTable
from zenplan.domain.market.provider import OnDemandLimit
from zenplan.domain.provenance import Origin
from zenplan.domain.training.plan import TrainingPlan
from zenplan.domain.training.request import Request
from zenplan.errors import NoFit, UsageError
from zenplan.planning.money.options import Kind, Option, Options

_MOST_REASONS = 5
# The largest cluster that is looked at where nobody says how many.
MOST_DEVICES = 1024


@dataclass(slots=True)
class Selection:
    """Options, the distinct clusters they stand on, and what was left out with its reason.

    Attributes:
        notices: rows of price tables that could not be used.
        alone: kinds of offers whose machines cannot be joined to as many devices as asked for.
        larger: whether some offer has larger clusters than were taken: those are not had on demand.
        unknown: accelerators without a data sheet.
        unable: accelerators that cannot run the plan, by what they lack.
    """

    options: Sequence[Option] = ()
    clusters: list[Cluster] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    alone: int = 0
    larger: bool = False
    unknown: set[str] = field(default_factory=set)
    unable: dict[str, set[str]] = field(default_factory=dict)


def matching(
    request: Request, tables: Sequence[PriceTable], catalogue: Catalogue, today: date
) -> tuple[PriceTable, ...]:
    """The tables with only the offers that the request's filters let through, and devices without an offer that are
    asked for by name.

    Raises:
        UnknownName: a provider, region or accelerator that nobody has.
        UsageError: a price was given, but not of which accelerator.
        NoFit: all are known, but no offer has them together.
    """
    if request.usd_per_h is not None:
        if len(request.gpu) != 1:
            raise UsageError("--usd-per-hour goes with one --gpu", "it is the price of one device an hour")
        return (own_table([catalogue.by_name(request.gpu[0])], request, today),)
    filters = Filters(
        **{f.name: getattr(request, f.name) for f in fields(Filters) if f.name not in ("spot", "devices")}
    )
    rentable = tables if request.gpu else _without_processors(tables, catalogue)
    found = filtered(rentable, catalogue, filters, today)
    rented = {name for table in tables for name in Offers.of(table.offers).accelerators}
    named = {(sheet := catalogue.by_name(name)).name: sheet for name in request.gpu}
    own = [sheet for name, sheet in named.items() if name not in rented]
    if own:
        found = (*found, own_table(own, request, today))
    if not any(t.offers for t in found):
        others = filtered(tables, catalogue, replace(filters, gpu=(), instances=()), today) if named else ()
        raise NoFit(*_nothing(request, named, found, _kin(named, others)))
    return found


def _without_processors(tables: Sequence[PriceTable], catalogue: Catalogue) -> list[PriceTable]:
    """Without machines that have nothing but a processor: those are looked at where they are asked for."""
    processors = {sheet.name for sheet in catalogue if sheet.is_processor}
    found = []
    for table in tables:
        offers = Offers.of(table.offers)
        if offers.accelerators & processors:
            kept = [pattern.instance.accelerator not in processors for pattern in offers.patterns]
            table = replace(table, offers=offers.only(kept[place] for place in offers.pattern))
        found.append(table)
    return found


def _kin(named: Iterable[str], tables: Sequence[PriceTable]) -> list[str]:
    """Accelerators with an offer whose product's name is that of one that was asked for: of an A100, other A100s."""
    # RTX and TPU are kinds of products.
    products = {product for name in named if not (product := name.partition("-")[0]).isalpha()}
    offered = {name for table in tables for name in Offers.of(table.offers).accelerators}
    return sorted(name for name in offered if name.partition("-")[0] in products)


def _nothing(
    request: Request, named: Iterable[str], found: Sequence[PriceTable], kin: Sequence[str]
) -> tuple[str, str]:
    """Message and hint for when no offer passes all filters."""
    asked = [*named, *request.provider, *request.provider_class, *request.region]
    asked += [f"(not {name})" for name in request.exclude_provider]
    what = f" has {' '.join(asked)}" if asked else ""
    dear = f" for at most {units.usd(request.max_usd_per_h)} an hour" if request.max_usd_per_h else ""
    old = too_old(found)
    there = f"there is {' and '.join(kin)}" if kin else "'zenplan prices' lists them; leave one filter out"
    hint = old[0] if old else there
    return f"no offer in the price tables{what}{dear}{' that is fresh enough' if old else ''}", hint


def select(
    request: Request,
    tables: Sequence[PriceTable],
    catalogue: Catalogue,
    plan: TrainingPlan,
    coefficients: Coefficients,
    evidence: Evidence | None = None,
    reserved: bool = False,
) -> Selection:
    """Every size of every offer that could run the plan's precision, on clusters that are corrected by the evidence.

    Where nobody says how many, up to what is had on demand; with ``reserved`` up to ``MOST_DEVICES``.
    """
    precision, efficiency, chosen = plan.precision, _efficiencies(plan, coefficients), Selection()
    sheets = {a.name: a for a in catalogue}
    able = {a.name for a in catalogue if a.trains and trains_in(a, precision)}
    corrected = evidence.corrected if evidence else lambda cluster: cluster
    places: dict[tuple[object, ...], int] = {}
    unpriced = _unpriced(request, tables)

    def kind_of(offer: Offer, table: PriceTable) -> Kind:
        instance = offer.instance
        accelerator = sheets.get(instance.accelerator)
        if accelerator is None:
            chosen.unknown.add(instance.accelerator)
            return Kind(like=offer)
        if accelerator.name not in able:
            why = lacks(accelerator, precision) if accelerator.trains else "made for inference only"
            chosen.unable.setdefault(why, set()).add(accelerator.name)
            return Kind(like=offer)
        limit = _had_of(offer) or _limit(table, accelerator.name, accelerator.node_devices)
        sizes = _sizes(request, offer, plan, limit, reserved, chosen)
        at = partial(_place, chosen, places, instance, accelerator, efficiency, corrected)
        return Kind(
            like=offer,
            terms=offer.terms or (table.terms and table.terms.of(instance.name)),
            on_demand=limit,
            unpriced=accelerator.name in unpriced,
            interruptions=_taken(offer),
            sizes=tuple((nodes, at(nodes, used)) for nodes, used in sizes),
        )

    chosen.notices.extend(line for table in tables for line in _bad_rows(table))
    chosen.options = _options(request, tables, kind_of, {a.name for a in catalogue if a.is_processor})
    chosen.left_out.extend(_unused(chosen, tables))
    return chosen


def paid_anyway(tables: Sequence[PriceTable], chosen: Offer) -> tuple[str, ...]:
    """What is committed to already and of which the chosen offer is none, a line each: it is paid without it as well."""
    lines: dict[str, None] = {}
    for table in tables:
        if not any(like.committed for like in Offers.of(table.offers).patterns):
            continue
        for offer in table.offers:
            bound, price = offer.committed, offer.on_demand
            if bound is None or bound.term_s is not None or price is None:
                continue
            if chosen.on_demand and price.source == chosen.on_demand.source:
                continue
            rate = f", {units.usd(bound.usd_per_h)}/h" if bound.usd_per_h else ""
            what = f"{table.provider} {offer.instance.name}, {bound.what}{rate} ({price.source})"
            lines[f"Paid anyway, and not used by the recommended plan: {what}."] = None
    return tuple(lines)


def _options(
    request: Request, tables: Sequence[PriceTable], kind_of: Callable[[Offer, PriceTable], Kind], processors: Set[str]
) -> Options:
    """Those of each offer, of which one of a kind is looked at."""
    kind: list[int] = []
    kinds: list[Kind] = []
    for table in tables:
        known: dict[object, int] = {}
        for index, key in enumerate(_keys(request, table, processors)):
            if (place := known.get(key)) is None:
                place = known[key] = len(kinds)
                kinds.append(kind_of(table.offers[index], table))
            kind.append(place)
    return Options([Offers.of(table.offers) for table in tables], kind, kinds)


def _keys(request: Request, table: PriceTable, processors: Set[str]) -> Iterator[object]:
    """What makes each offer of a table another kind: its machine, a name of which something is known, whether it is on
    spot, and its prices where they are limited."""
    offers, named = Offers.of(table.offers), named_machines(table.provider)
    beginnings = tuple(beginning for beginning, _ in table.terms.exceptions) if table.terms else ()
    own = (name if name in named or name.startswith(beginnings) else "" for name in offers.names)
    shapes = {place: _shape(offers.patterns[place], processors) for place in set(offers.pattern)}
    shape = map(shapes.__getitem__, offers.pattern)
    if request.max_usd_per_h is None:
        return zip(shape, own, map(math.isnan, offers.spot), strict=True)
    return zip(shape, own, offers.on_demand, offers.spot, strict=True)


def _shape(offer: Offer, processors: Set[str]) -> tuple[object, ...]:
    """All of an offer that how it is looked at depends on, but for its name and prices."""
    machine = offer.instance
    joined = (machine.network_bytes_per_s, machine.link_bytes_per_s, offer.machines, offer.whole)
    of_host = (machine.vcpus, machine.ram_bytes) if machine.accelerator in processors else ()
    return (machine.accelerator, machine.devices, *joined, *of_host, id(offer.terms), id(offer.interruptions))


def _efficiencies(plan: TrainingPlan, coefficients: Coefficients) -> Callable[[str, bool], Efficiency]:
    """Of a generation, each made once; of a processor where the second argument says so."""

    def efficiency(architecture: str, processor: bool) -> Efficiency:
        return coefficients.of(architecture, plan.precision, plan.software, plan.workload.family, processor)

    return cache(efficiency)


def _taken(offer: Offer) -> Interruptions | None:
    """How often a spot machine of it is taken, as its own source says or as is published; None where neither does."""
    if offer.spot is None:
        return None
    machine = offer.instance
    return offer.interruptions or interruptions_of(machine.provider, machine.name, machine.accelerator)


def _unpriced(request: Request, tables: Sequence[PriceTable]) -> set[str]:
    """Accelerators that were asked for by name and that no offer has an on-demand price of."""
    if not request.gpu:
        return set()
    offers = [Offers.of(table.offers) for table in tables]
    priced = (each.only(usd == usd for usd in each.on_demand).accelerators for each in offers)  # nan is unknown
    return set[str]().union(*(each.accelerators for each in offers)).difference(*priced)


def _had_of(offer: Offer) -> OnDemandLimit | None:
    """As many as there are, where that is known of the offer itself."""
    if offer.machines is None:
        return None
    devices = offer.machines * offer.instance.devices
    return OnDemandLimit(devices=devices, origin=Origin.GIVEN, source="as many as there are")


def _limit(table: PriceTable, accelerator: str, node_devices: int) -> OnDemandLimit:
    """The largest cluster on demand; of devices that nobody rents out, one machine."""
    if table.provider == OWN:
        return OnDemandLimit(devices=node_devices, origin=Origin.DATA_SHEET, source="one machine")
    return on_demand_limit(table.kind, accelerator, table.provider)


def _unused(chosen: Selection, tables: Sequence[PriceTable]) -> Iterator[str]:
    if chosen.unknown:
        yield f"no data sheet: {', '.join(sorted(chosen.unknown))}"
    yield from (f"{why}: {', '.join(sorted(names))}" for why, names in sorted(chosen.unable.items()))
    yield from too_old(tables)


def _bad_rows(table: PriceTable) -> list[str]:
    """The rows of the table that had to be left out, the first few of them with their reasons."""
    lines = [f"price table of {table.provider}, {reason}" for reason in table.left_out[:_MOST_REASONS]]
    more = len(table.left_out) - len(lines)
    return [*lines, *([f"price table of {table.provider}: {more} rows more are left out"] if more else [])]


def _place(
    chosen: Selection,
    places: dict[tuple[object, ...], int],
    instance: Instance,
    accelerator: Accelerator,
    efficiency: Callable[[str, bool], Efficiency],
    corrected: Callable[[Cluster], Cluster],
    nodes: int,
    used: int,
) -> int:
    """The cluster's place in the list: the same machine at another price or place is the same cluster."""
    # One's own machines are hosts, of one slice as far as it reaches; what is rented is a slice of its own.
    accelerator = share_of(accelerator, instance) if accelerator.is_processor else accelerator
    sliced = instance.devices if accelerator.link == "ici" and instance.provider != OWN else None
    joined = (instance.network_bytes_per_s, instance.link_bytes_per_s, sliced)
    key = (accelerator.name, accelerator.threads, accelerator.memory_bytes, instance.devices, nodes, used, *joined)
    if key not in places:
        places[key] = len(chosen.clusters)
        chosen.clusters.append(
            corrected(
                Cluster(
                    accelerator=accelerator,
                    node_devices=instance.devices,
                    nodes=nodes,
                    efficiency=efficiency(accelerator.architecture, accelerator.is_processor),
                    used=used,
                    network_bytes_per_s=instance.network_bytes_per_s,
                    link_bytes_per_s=instance.link_bytes_per_s,
                    slice_devices=sliced,
                )
            )
        )
    return places[key]


def _sizes(
    request: Request, offer: Offer, plan: TrainingPlan, limit: OnDemandLimit, reserved: bool, chosen: Selection
) -> Iterator[tuple[int, int]]:
    """Numbers of machines, and of devices used in all. Without a known network, one machine; no more devices than
    the plan's software usually has, of which a machine may have more: those stand idle."""
    devices = offer.instance.devices
    joined = offer.instance.network_bytes_per_s is not None
    most = request.max_gpus or (MOST_DEVICES if reserved else min(limit.devices, MOST_DEVICES))
    if request.gpus is not None:
        # As few machines as hold them; what is left of the last one stands idle, and is paid for.
        nodes = -(-request.gpus // devices)
        if nodes > 1 and not joined:
            chosen.alone += 1
        elif not _had(offer, nodes):
            return
        elif _affordable(request, offer, nodes):
            yield nodes, request.gpus
        return
    nodes, usual = 1, plan.stack.usual_devices if plan.stack else None
    if offer.machines is not None:
        yield from _of_a_few(request, offer, usual)
        return
    while nodes * devices <= most and _affordable(request, offer, nodes):
        yield nodes, min(nodes * devices, usual or most)
        if not joined or (usual and nodes * devices >= usual):
            return
        nodes *= 2
    chosen.larger |= nodes * devices > most and not (request.max_gpus or reserved)


def _had(offer: Offer, nodes: int) -> bool:
    """Whether so many machines are there; of those that are paid for whole, all of them."""
    if offer.machines is None:
        return True
    return nodes == offer.machines if offer.whole else nodes <= offer.machines


def _of_a_few(request: Request, offer: Offer, usual: int | None) -> Iterator[tuple[int, int]]:
    """As ``_sizes``, of as many machines as there are: powers of two of them, and all."""
    devices, machines = offer.instance.devices, offer.machines or 1
    most = min(machines, max((request.max_gpus or machines * devices) // devices, 1))
    if offer.instance.network_bytes_per_s is None:
        most = 1
    for nodes in sorted({*(2**n for n in range(most.bit_length())), most}):
        if _had(offer, nodes) and _affordable(request, offer, nodes):
            yield nodes, min(nodes * devices, usual or nodes * devices)


def _affordable(request: Request, offer: Offer, nodes: int) -> bool:
    """Whether so many machines cost no more an hour than was asked for, as far as is known."""
    price = offer.price(request.billing)
    return price is None or request.max_usd_per_h is None or price.usd_per_h * nodes <= request.max_usd_per_h
