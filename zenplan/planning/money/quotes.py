"""Offers to ranked quotes: clusters of each offer, the best layout on each, its run, its bill, the ranking."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from zenplan.domain.answer.estimate import Energy, Estimate, Quote
from zenplan.domain.hardware.cluster import Cluster
from zenplan.domain.market.offer import Billing, Offer, Terms
from zenplan.domain.range import Range
from zenplan.domain.training.operations import Operations
from zenplan.domain.training.plan import TrainingPlan
from zenplan.planning.money.billing import Bills, bills, energy
from zenplan.planning.money.run import run_time
from zenplan.planning.physics.columns import Array
from zenplan.planning.physics.interval import step_ranges
from zenplan.planning.search.search import Found, search, useful_samples

Index = npt.NDArray[np.intp]
# Kilograms of CO2e for a joule at a provider's region, and the source; None where it is not known.
Grid = Callable[[str, str], "tuple[float, str] | None"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """So many machines of one offer. ``cluster`` is its place in the list of clusters."""

    offer: Offer
    terms: Terms | None
    nodes: int
    cluster: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """Every option with its run and its bill under both billing kinds, in columns of the options' order.

    Attributes:
        owner: the cluster of each option.
        step_s: low, middle and high of a step on each cluster, shape (3, clusters).
    """

    plan: TrainingPlan
    operations: Operations
    clusters: Sequence[Cluster]
    options: Sequence[Option]
    found: Found
    owner: Index
    step_s: Array
    on_demand: Bills
    spot: Bills

    def bills(self, billing: Billing) -> Bills:
        """The bills under one kind."""
        return self.on_demand if billing is Billing.ON_DEMAND else self.spot

    def priced(self, billing: Billing) -> npt.NDArray[np.bool_]:
        """Options whose price of that kind is known."""
        known: npt.NDArray[np.bool_] = ~np.isnan(self.bills(billing).compute_usd[1])
        return known

    def usable(self, billing: Billing) -> npt.NDArray[np.bool_]:
        """Options that fit memory, have a price of that kind, and finish even at their high end."""
        b = self.bills(billing)
        fits = self.found.fits[self.owner]
        usable: npt.NDArray[np.bool_] = fits & np.isfinite(b.compute_usd[2]) & np.isfinite(b.runs.calendar_s[2])
        return usable

    def quote(self, index: int, billing: Billing, grid: Grid) -> Quote:
        """One option as a noun; its energy is that of the run under the given billing kind."""
        option = self.options[index]
        entries = [b for b in (self.on_demand, self.spot) if self.usable(b.billing)[index]]
        estimate = self.estimate(option.cluster)
        devices = option.nodes * option.offer.instance.devices
        used = estimate.layout.devices
        calendar_s = self.bills(billing).runs.at(index).calendar_s
        return Quote(
            estimate=estimate,
            offer=option.offer,
            terms=option.terms,
            nodes=option.nodes,
            idle_devices=devices - used,
            bills=tuple(b.at(index) for b in entries),
            energy=self._energy(option, calendar_s, used, devices - used, grid),
        )

    def _energy(self, option: Option, calendar_s: Range, used: int, idle: int, grid: Grid) -> Energy | None:
        instance = option.offer.instance
        return energy(
            self.operations,
            calendar_s,
            used,
            idle,
            self.clusters[option.cluster].accelerator.power_w,
            option.terms.pue if option.terms else None,
            grid(instance.provider, option.offer.region),
        )

    def estimate(self, cluster: int) -> Estimate:
        """What the plan takes on one cluster, in its best layout."""
        return self.found.estimate(self.plan, self.clusters[cluster], cluster)


def market(
    plan: TrainingPlan, operations: Operations, clusters: Sequence[Cluster], options: Sequence[Option]
) -> Market:
    """Search every cluster, then time and bill every option.

    Args:
        plan: what is trained.
        operations: how the run is operated.
        clusters: each distinct one once: many offers are the same machine at another price.
        options: each with the index of its cluster.
    """
    found = search(plan, clusters)
    owner = np.array([o.cluster for o in options], dtype=np.intp)
    step_s = step_ranges(plan, clusters, found.steps.total_s)
    samples = useful_samples(plan, found.layouts)[owner]
    nodes = np.array([float(o.nodes) for o in options])
    devices = nodes * np.array([float(o.offer.instance.devices) for o in options])
    terms = [o.terms for o in options]

    def billed(billing: Billing) -> Bills:
        runs = run_time(plan, operations, step_s[:, owner], samples, devices, nodes, spot=billing is Billing.SPOT)
        prices = (o.offer.price(billing) for o in options)
        usd_per_h = np.array([p.usd_per_h if p else np.nan for p in prices])
        return bills(plan, operations, runs, billing, usd_per_h, nodes, terms)

    return Market(
        plan=plan,
        operations=operations,
        clusters=clusters,
        options=options,
        found=found,
        owner=owner,
        step_s=step_s,
        on_demand=billed(Billing.ON_DEMAND),
        spot=billed(Billing.SPOT),
    )
