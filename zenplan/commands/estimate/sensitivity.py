"""How far each input moves the recommended plan: on the machines it has, everything else as it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from zenplan import units
from zenplan.commands.shared.evidence import evidence_of
from zenplan.commands.shared.known import Known
from zenplan.commands.shared.shortfall import trains_in
from zenplan.commands.shared.training_plan import training_plan
from zenplan.domain.answer.answer import Change, Effect, Ranked
from zenplan.domain.fit.efficiency import Grounds
from zenplan.domain.precision import PRECISIONS
from zenplan.domain.provenance import Origin
from zenplan.domain.software import Software
from zenplan.domain.training.operations import Operations
from zenplan.domain.training.request import Request
from zenplan.errors import ZenplanError
from zenplan.planning.money.quotes import Market, market
from zenplan.planning.money.sensitivity import changed, moved

# What an amount and a sequence are multiplied with; a price; how long it takes to start.
_HALF, _TWICE = 0.5, 2.0
_DEARER = 0.2
_QUICK_START_S, _SLOW_START_S = 120.0, 1800.0
# An input that moves time and dollars by less is not worth a line.
_LEAST = 0.005
_AMOUNTS = ("tokens", "dataset tokens", "samples")
# Kinds of software and of arithmetic beside those that are usual.
_OTHER_SOFTWARE = {Software.FUSED: Software.EAGER, Software.EAGER: Software.COMPILED, Software.XLA: Software.EAGER}
_OTHER_PRECISION = {"bf16": "fp8", "fp16": "fp8", "fp32": "bf16", "tf32": "bf16"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """The recommended plan, and what it was found from."""

    request: Request
    known: Known
    found: Market
    index: int
    ranked: Ranked

    def effect(self, name: str, value: str, origin: Origin, *changes: Change | None) -> Iterator[Effect]:
        """One line, if anything of it comes to an end."""
        ended = tuple(change for change in changes if change)
        if ended:
            yield Effect(input=name, value=value, origin=origin, changes=ended)

    def again(self, value: str, **more: object) -> Change | None:
        """The same layout, with something else."""
        return changed(self.found, self.index, self.ranked.bill.billing, value, **more)  # type: ignore[arg-type]  # named as there

    def searched(self, value: str, **given: object) -> Change | None:
        """The best layout on the same machines for another request; None where it cannot be run there."""
        try:
            plan = training_plan(replace(self.request, **given), self.known.families)  # type: ignore[arg-type]  # a request's fields
        except ZenplanError:
            return None
        cluster = self.ranked.quote.estimate.cluster
        if not trains_in(cluster.accelerator, plan.precision):
            return None
        efficiency = self.known.coefficients.of(
            cluster.accelerator.architecture, plan.precision, plan.software, plan.workload.family
        )
        evidence = evidence_of(plan, self.known.catalogue, self.known.coefficients, self.known.calibrations)
        there = evidence.corrected(replace(cluster, efficiency=efficiency))
        option = replace(self.found.options[self.index], cluster=0)
        other = market(plan, self.found.operations, [there], [option])
        if not other.found.fits.all():
            return None
        return changed(other, 0, self.ranked.bill.billing, value)


def effects(request: Request, known: Known, found: Market, index: int, ranked: Ranked) -> tuple[Effect, ...]:
    """The inputs that move the plan, the one that moves it farthest first.

    Args:
        request: what was asked.
        known: what it was answered from.
        found: every option.
        index: of the plan among them.
        ranked: the same as it is quoted.
    """
    case = _Case(request=request, known=known, found=found, index=index, ranked=ranked)
    all_of_them = (*_amount(case), *_step(case), *_operations(case), *_price(case), *_shape(case), *_choices(case))
    usd, time_s = ranked.total_usd.mid, ranked.wall_clock_s.mid
    measured = sorted(((moved(effect, usd, time_s), effect) for effect in all_of_them), key=lambda pair: -pair[0])
    return tuple(effect for far, effect in measured if far > _LEAST)


def _amount(case: _Case) -> Iterator[Effect]:
    """Half and twice the data, in the same batches."""
    plan = case.found.plan
    fact = next((f for f in plan.facts if f.name in _AMOUNTS), None)
    if fact is None:
        return
    total, unit = plan.tokens, plan.workload.unit
    changes = (
        case.again(units.count(total * factor), plan=replace(plan, samples=plan.samples * factor))
        for factor in (_HALF, _TWICE)
    )
    yield from case.effect(unit, units.count(total), fact.origin, *changes)


def _step(case: _Case) -> Iterator[Effect]:
    """The interval of a step's time, as the MFU that it means."""
    estimate = case.ranked.quote.estimate
    slow, fast = estimate.step_s.high / estimate.step_s.mid, estimate.step_s.low / estimate.step_s.mid
    origin = Origin.PUBLISHED if estimate.grounds is Grounds.PUBLISHED else Origin.MEASURED
    changes = (case.again(units.percent(estimate.mfu / factor), step=factor) for factor in (slow, fast))
    yield from case.effect("MFU", units.percent(estimate.mfu), origin, *changes)


def _operations(case: _Case) -> Iterator[Effect]:
    """How the run is operated, within what is stated of it."""
    now = case.found.operations
    for name, value, origin, low, high in (
        ("production", f"× {now.production[1]:g}", Origin.PUBLISHED, _production(now, 0), _production(now, 2)),
        (
            "start-up",
            _minutes(now.startup_s),
            Origin.ASSUMED,
            (_minutes(_QUICK_START_S), replace(now, startup_s=_QUICK_START_S)),
            (_minutes(_SLOW_START_S), replace(now, startup_s=_SLOW_START_S)),
        ),
        ("device failures", "as published", Origin.PUBLISHED, _failures(now, 3.0), _failures(now, 1 / 3)),
    ):
        yield from case.effect(name, value, origin, *(case.again(v, operations=o) for v, o in (low, high)))


def _minutes(time_s: float) -> str:
    return f"{time_s / units.MINUTE_S:g} min"


def _production(now: Operations, place: int) -> tuple[str, Operations]:
    ratio = now.production[place]
    low, _, high = now.production
    return f"× {ratio:g}", replace(now, production=(min(low, ratio), max(ratio, 1.0), max(high, ratio)))


def _failures(now: Operations, factor: float) -> tuple[str, Operations]:
    return f"{1 / factor:.2g} times as often", replace(now, device_mtbf_s=now.device_mtbf_s * factor)


def _price(case: _Case) -> Iterator[Effect]:
    """The price of an hour, and the other way to pay."""
    price = case.ranked.quote.offer.price(case.ranked.bill.billing)
    if price is None:
        return
    changes = (
        case.again(f"{sign}{units.percent(_DEARER)}", price=factor)
        for sign, factor in (("−", 1 - _DEARER), ("+", 1 + _DEARER))
    )
    yield from case.effect("price", f"{units.usd(price.usd_per_h)}/h", Origin.PUBLISHED, *changes)


def _shape(case: _Case) -> Iterator[Effect]:
    """Half and twice as long sequences, of as many tokens in all and in a step."""
    plan = case.found.plan
    fact = next((f for f in plan.facts if f.name == "sequence length"), None)
    if fact is None or fact.origin is Origin.GIVEN:
        return
    length, tokens = plan.workload.tokens_per_sample, plan.tokens
    changes = (
        case.searched(
            f"{int(length * factor):,}",
            seq_len=int(length * factor),
            tokens=tokens,
            samples=None,
            dataset_bytes=None,
            epochs=None,
            batch=None,
            global_batch_tokens=float(plan.global_batch * length),
        )
        for factor in (_HALF, _TWICE)
    )
    yield from case.effect("sequence length", f"{length:,}", fact.origin, *changes)


def _choices(case: _Case) -> Iterator[Effect]:
    """Software and arithmetic, where zenplan chose them."""
    plan, request = case.found.plan, case.request
    other = _OTHER_SOFTWARE.get(plan.software) if plan.software else None
    if request.software is None and other:
        yield from case.effect(
            "software", str(plan.software), Origin.ASSUMED, case.searched(other, software=str(other))
        )
    arithmetic = _OTHER_PRECISION.get(plan.precision.name)
    if request.precision is None and arithmetic in PRECISIONS:
        found = case.searched(arithmetic, precision=arithmetic)
        yield from case.effect("precision", plan.precision.name, Origin.ASSUMED, found)
