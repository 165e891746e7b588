"""One plan of an answer, asked again with something else: the same machines, the best layout for what is asked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from zenplan.commands.estimate.around import around_of
from zenplan.commands.estimate.stated import plan_on_named
from zenplan.commands.shared.evidence import evidence_of
from zenplan.commands.shared.known import Known
from zenplan.commands.shared.shortfall import trains_in
from zenplan.domain.answer.answer import Change, Ranked
from zenplan.domain.training.plan import TrainingPlan
from zenplan.domain.training.request import Request
from zenplan.errors import NoFit
from zenplan.planning.money.options import Option
from zenplan.planning.money.quotes import Market, market
from zenplan.planning.money.sensitivity import changed


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """A plan on its machines.

    Attributes:
        request: what was asked.
        known: what it was answered from.
        found: a market that has it.
        index: of the plan in it.
        ranked: the same as it is quoted.
    """

    request: Request
    known: Known
    found: Market
    index: int
    ranked: Ranked

    @property
    def fits(self) -> bool:
        """Whether it surely fits the memory of its devices."""
        return bool(self.found.found.fits[self.found.owner[self.index]])

    def again(self, value: str, **more: Any) -> Change | None:
        """The same layout with something else, as ``planning.money.sensitivity.changed`` takes it; None: it never ends."""
        return changed(self.found, self.index, self.ranked.bill.billing, value, **more)

    def asked(self, request: Request) -> Pinned:
        """The same machines for another request, in the best layout for it.

        Raises:
            UsageError: the request is wrong.
            NoFit: they do not train in its precision, or it does not fit.
        """
        plan = plan_on_named(request, self.known.catalogue, self.known.families)
        cluster = self.ranked.quote.estimate.cluster
        if not trains_in(cluster.accelerator, plan.precision):
            raise NoFit(f"{cluster.accelerator.name} does not train in {plan.precision.name}")
        sheet = cluster.accelerator
        efficiency = self.known.coefficients.of(
            sheet.architecture, plan.precision, plan.software, plan.workload.family, sheet.is_processor
        )
        evidence = evidence_of(plan, self.known.catalogue, self.known.coefficients, self.known.calibrations)
        there = evidence.corrected(replace(cluster, efficiency=efficiency))
        option = replace(self.found.options[self.index], cluster=0)
        around = around_of(request, plan, self.known, (option.offer.instance.provider,))
        found = market(plan, self.found.operations, [there], [option], around)
        if not found.found.planned.all():
            raise NoFit(f"does not fit the memory of {cluster.accelerator.name}")
        return replace(self, request=request, found=found, index=0)


def pinned(request: Request, known: Known, plan: TrainingPlan, ranked: Ranked) -> Pinned:
    """A quoted plan of an answer on its machines."""
    quote = ranked.quote
    option = Option(
        offer=quote.offer,
        terms=quote.terms,
        nodes=quote.nodes,
        cluster=0,
        on_demand=quote.on_demand,
        unpriced=ranked.total_usd is None,
        interruptions=quote.interruptions,
    )
    around = around_of(request, plan, known, (quote.offer.instance.provider,))
    found = market(plan, known.operations, [quote.estimate.cluster], [option], around)
    return Pinned(request=request, known=known, found=found, index=0, ranked=ranked)
