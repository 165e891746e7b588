"""From price tables to options: which offers answer a request, in which sizes, on which clusters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache

from zenplan.commands.shared.evidence import Evidence
from zenplan.commands.shared.shortfall import lacks, trains_in
from zenplan.commands.shared.tables import filtered
from zenplan.domain.fit.coefficients import Coefficients
from zenplan.domain.fit.efficiency import Efficiency
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.hardware.cluster import Cluster
from zenplan.domain.market.offer import Instance, Offer, PriceTable
from zenplan.domain.training.plan import TrainingPlan
from zenplan.domain.training.request import Request
from zenplan.errors import NoFit
from zenplan.planning.money.quotes import Option

_MOST_REASONS = 5


@dataclass(slots=True)
class Selection:
    """Options, the distinct clusters they stand on, and what was left out with its reason."""

    options: list[Option] = field(default_factory=list)
    clusters: list[Cluster] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    alone: int = 0  # offers whose machines cannot be joined to as many devices as asked for


def matching(request: Request, tables: Sequence[PriceTable], catalogue: Catalogue) -> tuple[PriceTable, ...]:
    """The tables with only the offers that the request's filters let through.

    Raises:
        UnknownName: a provider, region or accelerator that nobody has.
        NoFit: all are known, but no offer has them together.
    """
    found = filtered(tables, catalogue, request.gpu, request.provider, request.region, spot=False)
    if not any(t.offers for t in found):
        gpu = catalogue.by_name(request.gpu).name if request.gpu else None
        asked = " ".join(str(x) for x in (gpu, request.provider, request.region) if x)
        raise NoFit(f"no offer in the price tables has {asked}", "'zenplan prices' lists them; leave one filter out")
    return found


def select(
    request: Request,
    tables: Sequence[PriceTable],
    catalogue: Catalogue,
    plan: TrainingPlan,
    coefficients: Coefficients,
    evidence: Evidence | None = None,
) -> Selection:
    """Every size of every offer that could run the plan's precision, on clusters that are corrected by the evidence."""
    precision = plan.precision
    sheets = {a.name: a for a in catalogue}
    efficiency = cache(
        lambda architecture: coefficients.of(architecture, plan.precision, plan.software, plan.workload.family)
    )
    chosen = Selection()
    corrected = evidence.corrected if evidence else lambda cluster: cluster
    places: dict[tuple[object, ...], int] = {}
    unknown: set[str] = set()
    unable: dict[str, set[str]] = {}
    for table in tables:
        chosen.left_out.extend(_bad_rows(table))
        for offer in table.offers:
            accelerator = sheets.get(offer.instance.accelerator)
            if accelerator is None:
                unknown.add(offer.instance.accelerator)
                continue
            if not (accelerator.trains and trains_in(accelerator, precision)):
                why = lacks(accelerator, precision) if accelerator.trains else "made for inference only"
                unable.setdefault(why, set()).add(accelerator.name)
                continue
            sizes = list(_sizes(request, offer, plan))
            chosen.alone += not sizes
            for nodes, used in sizes:
                place = _place(chosen, places, offer.instance, accelerator, efficiency, nodes, used, corrected)
                chosen.options.append(Option(offer=offer, terms=table.terms, nodes=nodes, cluster=place))
    if unknown:
        chosen.left_out.append(f"no data sheet: {', '.join(sorted(unknown))}")
    chosen.left_out.extend(f"{why}: {', '.join(sorted(names))}" for why, names in sorted(unable.items()))
    return chosen


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
    efficiency: Callable[[str], Efficiency],
    nodes: int,
    used: int,
    corrected: Callable[[Cluster], Cluster],
) -> int:
    """The cluster's place in the list: the same machine at another price or place is the same cluster."""
    key = (accelerator.name, instance.devices, nodes, used, instance.network_bytes_per_s, instance.link_bytes_per_s)
    if key not in places:
        places[key] = len(chosen.clusters)
        chosen.clusters.append(
            corrected(
                Cluster(
                    accelerator=accelerator,
                    node_devices=instance.devices,
                    nodes=nodes,
                    efficiency=efficiency(accelerator.architecture),
                    used=used,
                    network_bytes_per_s=instance.network_bytes_per_s,
                    link_bytes_per_s=instance.link_bytes_per_s,
                )
            )
        )
    return places[key]


def _sizes(request: Request, offer: Offer, plan: TrainingPlan) -> Iterator[tuple[int, int]]:
    """Numbers of machines, and of devices used in all. Without a known network, one machine; no more devices than
    the plan's software usually has, of which a machine may have more: those stand idle."""
    devices = offer.instance.devices
    joined = offer.instance.network_bytes_per_s is not None
    if request.gpus is not None:
        # As few machines as hold them; what is left of the last one stands idle, and is paid for.
        nodes = -(-request.gpus // devices)
        if nodes == 1 or joined:
            yield nodes, request.gpus
        return
    nodes, most = 1, (plan.stack and plan.stack.usual_devices) or request.max_gpus
    while nodes * devices <= request.max_gpus:
        yield nodes, min(nodes * devices, most)
        if not joined or nodes * devices >= most:
            return
        nodes *= 2
