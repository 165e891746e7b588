"""Layouts: every way to lay a training step out over so many devices of one kind, and what each costs."""

from __future__ import annotations

from dataclasses import replace

from zenplan.commands.shared.evidence import Evidence, evidence_of
from zenplan.commands.shared.known import Known
from zenplan.commands.shared.machines import with_named_devices
from zenplan.commands.shared.shortfall import lacks, other_precision, shortfall, trains_in, what_helps
from zenplan.commands.shared.tables import cheapest
from zenplan.commands.shared.training_plan import training_plan
from zenplan.domain.answer.tradeoff import Fewer, Tradeoff
from zenplan.domain.fit.coefficients import Coefficients
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.hardware.cluster import Cluster
from zenplan.domain.market.offer import DevicePrice
from zenplan.domain.training.plan import TrainingPlan
from zenplan.domain.training.request import Request
from zenplan.errors import NoFit, UnknownName, UsageError
from zenplan.planning.search.search import Found, sample_s, search, survey
from zenplan.planning.search.tradeoff import frontier, listed, runner_up
from zenplan.units import HOUR_S

ORDERS = ("time", "memory")


def layouts(request: Request, by: str, known: Known) -> Tradeoff:
    """The layouts of a request's workload on its ``gpus`` devices of kind ``gpu``, with what fits of the calibrations.

    Args:
        request: what was asked.
        by: one of ``ORDERS``: what the best of them have least of.
        known: what it is answered from.

    Raises:
        UsageError: the request is wrong, or does not name the devices.
        NoFit: no layout fits, the accelerator has no peak for the precision, or nothing joins so many.
    """
    request = with_named_devices(request, known.catalogue, known.tables)
    if len(request.gpu) > 1:
        raise UsageError(f"layouts takes one --gpu, not {len(request.gpu)}", "'zenplan estimate' compares several")
    if not request.gpu or request.gpus is None:
        missing = "--gpus" if request.gpu else "--gpu"
        raise UsageError(f"{missing} is missing", "name the devices, as in: --gpu H100 --gpus 64")
    if by not in ORDERS:
        raise UnknownName("order", by, ORDERS)
    accelerator = known.catalogue.by_name(request.gpu[0])
    plan = training_plan(request, known.families, whole_run=False)
    evidence = evidence_of(plan, known.catalogue, known.coefficients, known.calibrations)
    cluster = evidence.corrected(cluster_of(plan, accelerator, request.gpus, known.coefficients))
    found = survey(plan, cluster)
    if not found.planned.any():
        least = float(found.memory.total_bytes.min())
        raise NoFit(f"does not fit: {shortfall(cluster, least)}", what_helps(plan, [cluster]))
    price = cheapest(accelerator, known.tables, known.today)
    return Tradeoff(
        plan=replace(plan, facts=(*plan.facts, *evidence.facts(_used(cluster)))),
        cluster=cluster,
        by=by,
        listed=tuple(found.estimate(plan, cluster, i) for i in listed(plan, found, by, request.top).tolist()),
        frontier=tuple(found.estimate(plan, cluster, i) for i in frontier(plan, found).tolist()),
        runner_up=runner_up(plan, found),
        sizes=_sizes(plan, accelerator, request.gpus, known.coefficients, evidence, price),
        price=price,
        considered=found.considered,
        fitting=int(found.planned.sum()),
    )


def cluster_of(plan: TrainingPlan, accelerator: Accelerator, devices: int, coefficients: Coefficients) -> Cluster:
    """So many devices in the accelerator's usual nodes, as few as hold them, joined by its usual network.

    Args:
        plan: what is trained, and in which precision.
        accelerator: its data sheet.
        devices: a count.
        coefficients: fitted to published runs.

    Raises:
        NoFit: they are not made for training, lack the precision, or nothing joins so many.
    """
    if not accelerator.trains:
        raise NoFit(f"{accelerator.name} is made for inference only", "'zenplan accelerators' lists the others")
    if not trains_in(accelerator, plan.precision):
        raise NoFit(
            f"{accelerator.name} has {lacks(accelerator, plan.precision)}", other_precision(accelerator, plan.precision)
        )
    nodes = -(-devices // accelerator.node_devices)
    if nodes > 1 and accelerator.network_bytes_per_s is None and accelerator.link_devices < devices:
        reach = max(accelerator.node_devices, accelerator.link_devices)
        raise NoFit(
            f"no network is known that joins {devices:,} × {accelerator.name}",
            f"its data sheet joins {reach:,} of them",
        )
    return Cluster(
        accelerator=accelerator,
        nodes=nodes,
        node_devices=accelerator.node_devices,
        used=devices,
        efficiency=coefficients.of(
            accelerator.architecture,
            plan.precision,
            plan.software,
            plan.workload.family,
            accelerator.is_processor,
        ),
        network_bytes_per_s=accelerator.network_bytes_per_s,
    )


def _used(cluster: Cluster) -> set[str]:
    correction = cluster.efficiency.correction
    return {correction.calibration} if correction else set()


def _sizes(
    plan: TrainingPlan,
    accelerator: Accelerator,
    devices: int,
    coefficients: Coefficients,
    evidence: Evidence,
    price: DevicePrice | None,
) -> tuple[Fewer, ...]:
    """This number of devices, and those smaller ones that fit, as in ``smaller``."""
    numbers = [devices, *smaller(devices, accelerator.node_devices)]
    clusters = [evidence.corrected(cluster_of(plan, accelerator, n, coefficients)) for n in numbers]
    best = search(plan, clusters)
    each_s = sample_s(plan, best.layouts, best.steps)
    return tuple(
        _fewer(plan, best, index, number, float(each_s[index]), price)
        for index, number in enumerate(numbers)
        if best.planned[index]
    )


def smaller(devices: int, node_devices: int) -> list[int]:
    """Fewer devices that may be cheaper, most first.

    Halves, as long as they are whole, and powers of two: they divide among most layouts. Where the number itself is
    no power of two, also the next that fill nodes, and eights, since a number with few divisors has few layouts.
    """
    numbers = {2**power for power in range((devices - 1).bit_length())}
    half = devices
    while half % 2 == 0:
        half //= 2
        numbers.add(half)
    if devices & (devices - 1):
        numbers |= {(devices - 1) // many * many for many in (node_devices, 8)}
    return sorted(numbers - {0}, reverse=True)


def _fewer(
    plan: TrainingPlan, best: Found, index: int, devices: int, each_s: float, price: DevicePrice | None
) -> Fewer:
    token_h = devices * each_s / HOUR_S / plan.workload.tokens_per_sample
    return Fewer(
        devices=devices,
        layout=best.layouts.at(index),
        sample_s=each_s,
        usd_per_token=price.usd_per_h * token_h if price else None,
    )
