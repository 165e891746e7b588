"""Offers to ranked quotes: clusters of each offer, the best layout on each, its run, its bill, the ranking."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from zenplan.domain.answer.estimate import Bill, Energy, Estimate, Part, Quote
from zenplan.domain.hardware.cluster import Cluster
from zenplan.domain.market.emissions import Making, Site
from zenplan.domain.market.offer import Billing, Terms
from zenplan.domain.provenance import Origin
from zenplan.domain.range import Range
from zenplan.domain.training.operations import Operations
from zenplan.domain.training.plan import TrainingPlan
from zenplan.planning.money.beside import Stored, beside_parts, beside_usd, credited_usd, credits_why
from zenplan.planning.money.commitments import paid_anyway, unused_parts, unused_usd
from zenplan.planning.money.follow_ups import FollowColumn, Following, follow
from zenplan.planning.money.options import Option, Options
from zenplan.planning.money.run import Runs, run_time
from zenplan.planning.physics.columns import Array
from zenplan.planning.physics.input_pipeline import PREPARATIONS, PREPARED_SPREAD
from zenplan.planning.physics.interval import step_ranges
from zenplan.planning.search.search import Found, search, useful_samples
from zenplan.units import HOUR_S, KWH_J

Index = npt.NDArray[np.intp]
# Where a provider's region is, and what making an accelerator took; None where it is not known.
Sites = Callable[[str, str], "Site | None"]
Makings = Callable[[str], "Making | None"]


_NOTHING = Range.exactly(0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What a bill needs beside the run and its machines.

    Attributes:
        data_bytes: of the data set, each sample once.
        today: when the run starts: credits expire.
        following: what is done after it.
    """

    data_bytes: Range = _NOTHING
    today: date = date.min
    following: Following | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Market:
    """Every option with its run and its bill under both billing kinds, in columns of the options' order.

    Attributes:
        owner: the cluster of each option.
        unpriced: whether each is looked at without a price.
        step_s: low, middle and high of a step on each cluster, shape (3, clusters).
        wait: what each option's are multiplied with, shape (3, options): its processors may not keep up.
        longest_s: for how long machines are to be had, infinite where nothing says.
    """

    plan: TrainingPlan
    operations: Operations
    clusters: Sequence[Cluster]
    options: Options
    found: Found
    owner: Index
    unpriced: npt.NDArray[np.bool_]
    step_s: Array
    wait: Array
    longest_s: Array
    around: Around
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
        """Options that fit memory, have a price of that kind, and finish even at their high end.

        Where none fits, those that may, tightly. What is looked at without a price is taken as on demand, at dollars
        that are not known.
        """
        b = self.bills(billing)
        known = np.isfinite(b.compute_usd[2])
        if billing is Billing.ON_DEMAND:
            known |= self.unpriced
        ends = np.isfinite(b.runs.wall_clock_s[2]) & (b.wall_clock_s[1] <= self.longest_s)
        usable: npt.NDArray[np.bool_] = self.found.planned[self.owner] & known & ends
        return usable

    def old(self, billing: Billing, today: date) -> npt.NDArray[np.bool_]:
        """Options whose price of that kind is old, or has no date; not those without one."""
        return self.options.old(billing, today)

    def quote(self, index: int, billing: Billing, sites: Sites, makings: Makings = lambda accelerator: None) -> Quote:
        """One option as a noun.

        Args:
            index: its place among the options.
            billing: whose run its energy is of.
            sites: what is known of a provider's region.
            makings: what is known of how a device was made.
        """
        option = self.options[index]
        entries = [b for b in (self.on_demand, self.spot) if self.usable(b.billing)[index]]
        estimate = self.estimate(option.cluster)
        devices = option.nodes * option.offer.instance.devices
        used = estimate.layout.devices
        wall_clock_s = self.bills(billing).runs.at(index).wall_clock_s
        return Quote(
            estimate=estimate,
            offer=option.offer,
            terms=option.terms,
            nodes=option.nodes,
            idle_devices=devices - used,
            bills=tuple(b.at(index) for b in entries),
            on_demand=option.on_demand,
            interruptions=option.interruptions,
            energy=self._energy(
                option,
                wall_clock_s,
                used,
                devices - used,
                sites(option.offer.instance.provider, option.offer.region),
                makings(option.offer.instance.accelerator),
            ),
        )

    def _energy(
        self, option: Option, wall_clock_s: Range, used: int, idle: int, site: Site | None, making: Making | None
    ) -> Energy | None:
        return energy(
            self.operations,
            wall_clock_s,
            used,
            idle,
            self.clusters[option.cluster].accelerator.power_w,
            option.terms.pue if option.terms else None,
            site,
            making,
        )

    def estimate(self, cluster: int) -> Estimate:
        """What the plan takes on one cluster, in its best layout."""
        return self.found.estimate(self.plan, self.clusters[cluster], cluster)


def market(
    plan: TrainingPlan,
    operations: Operations,
    clusters: Sequence[Cluster],
    options: Sequence[Option],
    around: Around | None = None,
) -> Market:
    """Search every cluster, then time and bill every option.

    Args:
        plan: what is trained.
        operations: how the run is operated.
        clusters: each distinct one once: many offers are the same machine at another price.
        options: each with the index of its cluster.
        around: what the bills need beside; None for no data set, and credits that do not expire.
    """
    around = around or Around()
    found = search(plan, clusters)
    columns = Options.of(options)
    owner, nodes, devices = columns.cluster, columns.nodes.astype(np.float64), columns.devices
    step_s = step_ranges(plan, clusters, found.steps.total_s)
    samples = useful_samples(plan, found.layouts)[owner]
    distinct, which = columns.terms
    wait = waiting(plan, columns, samples / step_s[1, owner], step_s[2, owner] / step_s[1, owner])
    terms = [distinct[place] for place in which.tolist()]

    def billed(billing: Billing) -> Bills:
        spot = billing is Billing.SPOT
        taken = taken_per_s(operations, columns) if spot else None
        runs = run_time(plan, operations, step_s[:, owner] * wait, samples, devices, nodes, spot, taken)
        usd_per_h = columns.usd_per_h(billing)
        after = after_of(plan, operations, around, runs, usd_per_h, nodes, columns)
        return bills(plan, operations, runs, billing, usd_per_h, nodes, terms, around, after)

    return Market(
        plan=plan,
        operations=operations,
        clusters=clusters,
        options=columns,
        found=found,
        owner=owner,
        unpriced=columns.unpriced,
        step_s=step_s,
        wait=wait,
        longest_s=np.array([(t.longest_s if t else None) or np.inf for t in distinct])[which],
        around=around,
        on_demand=billed(Billing.ON_DEMAND),
        spot=billed(Billing.SPOT),
    )


def after_of(
    plan: TrainingPlan,
    operations: Operations,
    around: Around,
    runs: Runs,
    usd_per_h: Array,
    nodes: Array,
    options: Sequence[Option],
) -> tuple[FollowColumn, ...]:
    """What follows the runs of these options; nothing where nothing was asked.

    Args:
        plan: what is trained.
        operations: how it is operated.
        around: with what is asked to follow.
        runs: n of them.
        usd_per_h: of one machine, shape (n,); nan where it is not known.
        nodes: machines, shape (n,).
        options: n of them.
    """
    if around.following is None:
        return ()
    providers = Options.of(options).providers
    return follow(plan, operations, around.following, runs, usd_per_h, nodes, providers)


def taken_per_s(operations: Operations, options: Sequence[Option]) -> Array:
    """Low, middle and high rate at which a spot machine of each option is taken, shape (3, n): as given, else as
    published, else as assumed."""
    known = "preemptions_per_node_s" not in operations.given
    return Options.of(options).taken_per_s(operations.preemptions_per_node_s, known)


def waiting(plan: TrainingPlan, options: Options, samples_per_s: Array, spread: Array) -> Array:
    """What low, middle and high of a step are multiplied with, shape (3, n): where the processors prepare less than
    the devices take, a step is as long as they need. At the low end samples have been prepared in advance.

    Args:
        plan: what is trained.
        options: the machines.
        samples_per_s: that the devices take, shape (n,).
        spread: the high end of a step over its middle, shape (n,).
    """
    factors = np.ones((3, len(options)))
    preparation = PREPARATIONS.get(plan.workload.input)
    if preparation is not None:
        prepared_per_s = options.nodes * options.vcpus / preparation.vcpu_s
        needed = samples_per_s / prepared_per_s
        factors[1] = np.fmax(1.0, needed)
        factors[2] = np.fmax(1.0, np.where(needed > 1.0, needed * PREPARED_SPREAD, needed) / spread)
    return factors


# --- bills
#
# From a calendar to dollars: rounding, whole machines, and what is paid beside them.

# Where a provider's rounding is not known, the coarsest in use: the bill will not be higher than said.
COARSEST_S = HOUR_S


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bills:
    """``domain.answer.estimate.Bill`` in columns; low, middle and high as rows of shape (3, n). Unknown is nan."""

    billing: Billing
    runs: Runs
    billed_s: Array
    compute_usd: Array
    beside_usd: Array
    credited_usd: Array
    unused_usd: Array
    stored: Stored
    nodes: Array
    terms: Sequence[Terms | None]
    after: tuple[FollowColumn, ...] = ()

    @property
    def wall_clock_s(self) -> Array:
        """With what follows the runs, shape (3, n)."""
        total: Array = sum((each.time_s for each in self.after), self.runs.wall_clock_s)
        return total

    @property
    def total_usd(self) -> Array:
        """The whole bill, shape (3, n); nan where the price of the machines is not known."""
        total: Array = np.maximum(self.compute_usd + self.unused_usd + self.beside_usd - self.credited_usd, 0.0)
        return total

    def at(self, index: int) -> Bill:
        """One entry as a noun."""
        low, mid, high = (float(x) for x in self.compute_usd[:, index])
        terms, time_s = self.terms[index], self.runs.wall_clock_s[:, index]
        after = [each.at(index) for each in self.after]
        return Bill(
            billing=self.billing,
            run=self.runs.at(index),
            billed_h=float(self.billed_s[1, index]) / HOUR_S,
            compute_usd=None if math.isnan(mid) else Range(low=low, mid=mid, high=high),
            beside=(
                *unused_parts(terms, self.unused_usd[:, index]),
                *beside_parts(self.stored, time_s, float(self.nodes[index]), terms),
                *(part for _, part in after),
            ),
            followed=tuple(followed for followed, _ in after),
            credits=self._credits(index, terms) if terms and terms.credits else None,
            paid_anyway=paid_anyway(terms, self.compute_usd[:, index], self.billed_s[:, index]),
        )

    def _credits(self, index: int, terms: Terms) -> Part:
        low, mid, high = (-float(x) for x in self.credited_usd[:, index])
        why = credits_why(terms.credits)
        return Part(name="credits", low_usd=low, mid_usd=mid, high_usd=high, origin=Origin.GIVEN, why=why)


def bills(
    plan: TrainingPlan,
    operations: Operations,
    runs: Runs,
    billing: Billing,
    usd_per_h: Array,
    nodes: Array,
    terms: Sequence[Terms | None],
    around: Around | None = None,
    after: tuple[FollowColumn, ...] = (),
) -> Bills:
    """What runs cost.

    Args:
        plan: what is trained; its weights are what is carried away in the end.
        operations: how many checkpoints are kept.
        runs: their wall-clock time, and the bytes of a checkpoint; n of them.
        billing: the kind of price.
        usd_per_h: for one whole machine, shape (n,); nan where the price is not known.
        nodes, terms: machines, shape (n,), whose idle devices are paid for too; each provider's, None where not known.
        around: the data, and when it starts; None for none.
        after: what follows the runs.
    """
    around = around or Around()
    billed = _billed_s(runs.wall_clock_s, terms)
    rate = usd_per_h * nodes
    compute = billed / HOUR_S * rate
    unused = unused_usd(terms, compute, rate)
    stored = Stored(
        checkpoints=runs.checkpoint_bytes * operations.kept_checkpoints,
        data=around.data_bytes,
        disk=operations.disk_bytes,
        weights=plan.workload.trainable_parameters * plan.precision.compute_bytes,
    )
    # What a run without an end stores is no number; its machines are infinite already.
    kept_s = np.where(np.isfinite(runs.wall_clock_s), runs.wall_clock_s, 0.0)
    beside = sum((each.usd for each in after), beside_usd(stored, kept_s, nodes, terms))
    return Bills(
        billing=billing,
        runs=runs,
        billed_s=billed,
        compute_usd=compute,
        beside_usd=beside,
        credited_usd=_credited(compute + unused + beside, runs.wall_clock_s, terms, around.today),
        unused_usd=unused,
        stored=stored,
        nodes=nodes,
        terms=terms,
        after=after,
    )


def _billed_s(time_s: Array, terms: Sequence[Terms | None]) -> Array:
    """Seconds of each machine after rounding, shape (3, n)."""
    granularity = np.array([(t.granularity_s if t else None) or COARSEST_S for t in terms])
    minimum = np.array([t.minimum_s if t else 0.0 for t in terms])
    billed: Array = np.ceil(np.maximum(time_s, minimum) / granularity) * granularity
    return billed


def _credited(usd: Array, time_s: Array, terms: Sequence[Terms | None], today: date) -> Array:
    """Dollars that credits pay of each run, shape (3, n)."""
    credited: Array = np.zeros_like(usd)
    if not any(each and each.credits for each in {id(each): each for each in terms}.values()):
        return credited
    for index, each in enumerate(terms):
        if each and each.credits:
            credited[:, index] = credited_usd(usd[:, index], time_s[:, index], each.credits, today)
    return credited


def energy(
    operations: Operations,
    wall_clock_s: Range,
    used: int,
    idle: int,
    power_w: float | None,
    pue: float | None,
    site: Site | None,
    making: Making | None = None,
) -> Energy | None:
    """Electricity of a run and its emissions.

    Args:
        operations: what share of the limit is drawn, and by the host.
        wall_clock_s: of the run.
        used, idle: devices that train, and devices that are paid for and stand by.
        power_w: the accelerator's power limit; without it there is no answer.
        pue: the provider's, where the site has none; None for the assumed one.
        site: where the machines stand; None where nothing is known of it.
        making: of one device; None where it is not known.
    """
    if power_w is None:
        return None
    site, own = site or Site(), operations.grid_kg_per_j
    factor = site.pue or pue or operations.pue
    times = wall_clock_s.ends
    low, mid, high = (
        (
            used * (power_w * share + operations.host_w)
            + idle * (power_w * operations.idle_power_share + operations.host_w)
        )
        * (factor * time / KWH_J)
        for share, time in zip(operations.power_share, times, strict=True)
    )
    kwh = Range(low=low, mid=mid, high=high)
    kg_per_j, source = (site.kg_per_j, site.source) if own is None else (own, str(Origin.GIVEN))
    co2e = None if kg_per_j is None else kwh * (kg_per_j * KWH_J)
    embodied = wall_clock_s * making.kg_for(used + idle) if making else None
    return Energy(
        kwh=kwh,
        co2e_kg=co2e,
        pue=factor,
        grid_source=source,
        embodied_kg=embodied,
        embodied_source=making.source if making else "",
    )
