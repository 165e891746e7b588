"""How far each input moves the recommended plan: on the machines it has, everything else as it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from zenplan import units
from zenplan.commands.estimate.pinned import Pinned
from zenplan.commands.shared.fine_tuning import kind_of, text_length
from zenplan.domain.answer.answer import Change, Effect
from zenplan.domain.fit.efficiency import Grounds
from zenplan.domain.model.operators import Convolution
from zenplan.domain.precision import PRECISIONS
from zenplan.domain.provenance import Origin
from zenplan.domain.software import Software
from zenplan.domain.training.operations import Operations
from zenplan.domain.training.plan import TrainingPlan
from zenplan.domain.training.stack import STACKS
from zenplan.errors import ZenplanError
from zenplan.families.transformer.samples import KINDS, LENGTH
from zenplan.planning.money.run import production_share
from zenplan.planning.money.sensitivity import moved

# What an amount and a sequence are multiplied with; a price; how long it takes to start.
_HALF, _TWICE = 0.5, 2.0
_DEARER = 0.2
_QUICK_START_S, _SLOW_START_S = 120.0, 1800.0
# An input that moves time and dollars by less is not worth a line.
_LEAST = 0.005
_AMOUNTS = ("tokens", "dataset tokens", "samples")
# Kinds of software and of arithmetic beside those that are usual.
_OTHER_SOFTWARE = {
    Software.FUSED: Software.EAGER,
    Software.EAGER: Software.COMPILED,
    Software.PATCHED: Software.EAGER,
    Software.XLA: Software.EAGER,
    Software.JAX: Software.EAGER,
}
_OTHER_PRECISION = {"bf16": "fp8", "fp16": "fp8", "fp32": "bf16", "tf32": "bf16"}


def _effect(name: str, value: str, origin: Origin, *changes: Change | None) -> Iterator[Effect]:
    """One line, if anything of it comes to an end; what looks like the value as it is changes nothing."""
    ended = tuple(change for change in changes if change and change.value != value)
    if ended:
        yield Effect(input=name, value=value, origin=origin, changes=ended)


def _searched(case: Pinned, value: str, **given: Any) -> Change | None:
    """The best layout on the same machines for another request; None where it cannot be run there."""
    try:
        other = case.asked(replace(case.request, **given))
    except ZenplanError:
        return None
    change = other.again(value)
    return change and replace(change, tight=case.fits and not other.fits)


def effects(case: Pinned) -> tuple[Effect, ...]:
    """The inputs that move a plan, the one that moves it farthest first."""
    ranked = case.ranked
    all_of_them = (
        *_amount(case),
        *_passes(case),
        *_texts(case),
        *_step(case),
        *_operations(case),
        *_price(case),
        *_beside(case),
        *_shape(case),
        *_choices(case),
    )
    usd, time_s = ranked.total_usd.mid if ranked.total_usd else None, ranked.wall_clock_s.mid
    measured = sorted(((moved(effect, usd, time_s), effect) for effect in all_of_them), key=lambda pair: -pair[0])
    return tuple(effect for far, effect in measured if far > _LEAST)


def _amount(case: Pinned) -> Iterator[Effect]:
    """Half and twice the data, in the same batches and passes; a data set is shown by what one pass has."""
    plan = case.found.plan
    fact = next((f for f in plan.facts if f.name in _AMOUNTS), None)
    if fact is None:
        return
    total, unit = plan.tokens, plan.workload.unit
    changes = (
        case.again(units.count(total * factor / plan.epochs), plan=replace(plan, samples=plan.samples * factor))
        for factor in (_HALF, _TWICE)
    )
    yield from _effect(unit, units.count(total / plan.epochs), fact.origin, *changes)


def _passes(case: Pinned) -> Iterator[Effect]:
    """Half and twice as many passes over the same data, of which nothing but what is usual says how many there are."""
    plan = case.found.plan
    fact = next((f for f in plan.facts if f.name == "epochs" and f.origin is Origin.ASSUMED), None)
    if fact is None:
        return
    changes = (
        case.again(f"{epochs:.3g}", plan=replace(plan, samples=plan.samples * epochs / plan.epochs, epochs=epochs))
        for epochs in (max(1.0, plan.epochs * _HALF), plan.epochs * _TWICE)
    )
    yield from _effect("passes over the data", f"{plan.epochs:.3g}", fact.origin, *changes)


def _texts(case: Pinned) -> Iterator[Effect]:
    """The averages of data sets of the kind, cut as its own is, where texts were counted and not their tokens."""
    plan = case.found.plan
    fact = next((f for f in plan.facts if f.name == LENGTH and f.origin is Origin.ASSUMED), None)
    if fact is None:
        return
    kind = KINDS[kind_of(case.request, plan.workload)]
    now, low, high = (text_length(case.request, plan.workload, each)[0] for each in (kind.tokens, kind.low, kind.high))
    changes = (
        case.again(units.count(tokens), plan=replace(plan, samples=plan.samples * tokens / now))
        for tokens in (low, high)
        if tokens != now
    )
    yield from _effect(fact.name, units.count(now), fact.origin, *changes)


def _step(case: Pinned) -> Iterator[Effect]:
    """The interval of a step's time, as the MFU that it means."""
    estimate = case.ranked.quote.estimate
    slow, fast = estimate.step_s.high / estimate.step_s.mid, estimate.step_s.low / estimate.step_s.mid
    origins = {Grounds.PUBLISHED: Origin.PUBLISHED, Grounds.ASSUMED: Origin.ASSUMED}
    origin = origins.get(estimate.grounds, Origin.MEASURED)
    changes = (case.again(units.percent(estimate.mfu / factor), step=factor) for factor in (slow, fast))
    yield from _effect("MFU", units.percent(estimate.mfu), origin, *changes)


def _operations(case: Pinned) -> Iterator[Effect]:
    """How the run is operated, within what is stated of it."""
    now = case.found.operations
    for name, value, origin, low, high in (
        ("overhead", *_overhead(case)),
        (
            "start-up",
            _minutes(now.startup_s),
            Origin.GIVEN if "startup_s" in now.given else Origin.ASSUMED,
            (_minutes(_QUICK_START_S), replace(now, startup_s=_QUICK_START_S)),
            (_minutes(_SLOW_START_S), replace(now, startup_s=_SLOW_START_S)),
        ),
        ("device failures", *_as_stated(now, "device_mtbf_s"), _failures(now, 3.0), _failures(now, 1 / 3)),
    ):
        yield from _effect(name, value, origin, *(case.again(v, operations=o) for v, o in (low, high)))


def _as_stated(now: Operations, field: str) -> tuple[str, Origin]:
    given = field in now.given
    return ("as given", Origin.GIVEN) if given else ("as published", Origin.PUBLISHED)


def _minutes(time_s: float) -> str:
    return f"{time_s / units.MINUTE_S:g} min"


def _overhead(case: Pinned) -> tuple[str, Origin, tuple[str, Operations], tuple[str, Operations]]:
    """What whole runs take over their steps, as far as a run of that size has it, and both ends of it."""
    now, quote = case.found.operations, case.ranked.quote
    devices, steady_s = float(quote.devices - quote.idle_devices), case.ranked.bill.run.steady_s.mid
    share = production_share(now, devices, steady_s)
    low, mid, high = now.production
    shown = [f"× {units.significant(1.0 + (ratio - 1.0) * share)}" for ratio in (low, mid, high)]
    least = replace(now, production=(low, max(low, 1.0), high))
    most = replace(now, production=(low, high, high))
    return shown[1], _as_stated(now, "production")[1], (shown[0], least), (shown[2], most)


def _failures(now: Operations, factor: float) -> tuple[str, Operations]:
    return f"{1 / factor:.2g} times as often", replace(now, device_mtbf_s=now.device_mtbf_s * factor)


def _money(case: Pinned, usd: float) -> str:
    """Dollars as such, or in the currency that was asked for."""
    currency = case.request.currency
    return units.money(usd * currency.per_usd, currency.sign) if currency else units.usd(usd)


def _price(case: Pinned) -> Iterator[Effect]:
    """The price of an hour, and the other way to pay."""
    price = case.ranked.price
    if price is None:
        return
    changes = (
        case.again(f"{sign}{units.percent(_DEARER)}", price=factor)
        for sign, factor in (("−", 1 - _DEARER), ("+", 1 + _DEARER))
    )
    origin = Origin.PUBLISHED if case.request.usd_per_h is None else Origin.GIVEN
    yield from _effect("price", f"{_money(case, price.usd_per_h)}/h", origin, *changes)


def _beside(case: Pinned) -> Iterator[Effect]:
    """What is paid beside the machines at a price that is assumed: the least and the most that others ask."""
    bill, total = case.ranked.bill, case.ranked.total_usd
    if total is None or bill.credits:
        return
    for part in bill.beside:
        if part.origin is Origin.ASSUMED:
            changes = (
                Change(
                    value=_money(case, usd),
                    usd=total.mid - part.mid_usd + usd,
                    wall_clock_s=case.ranked.wall_clock_s.mid,
                )
                for usd in (part.low_usd, part.high_usd)
            )
            yield from _effect(part.name, _money(case, part.mid_usd), part.origin, *changes)


def _shape(case: Pinned) -> Iterator[Effect]:
    """Half and twice as long sequences, of as many tokens in all and in a step."""
    plan = case.found.plan
    fact = next((f for f in plan.facts if f.name == "sequence length"), None)
    if fact is None or fact.origin is Origin.GIVEN:
        return
    length, tokens = plan.workload.tokens_per_sample, plan.tokens
    changes = (
        _searched(
            case,
            f"{int(length * factor):,}",
            seq_len=int(length * factor),
            tokens=tokens,
            **dict.fromkeys(("samples", "data", "data_kind", "dataset_bytes", "batch")),
            epochs=1.0,
            global_batch_tokens=float(plan.global_batch * length),
        )
        for factor in (_HALF, _TWICE)
    )
    yield from _effect("sequence length", f"{length:,}", fact.origin, *changes)


def _choices(case: Pinned) -> Iterator[Effect]:
    """Software and arithmetic, where zenplan chose them."""
    plan, request = case.found.plan, case.request
    other = _OTHER_SOFTWARE.get(plan.software) if plan.software else None
    if request.software is None and other and _is_had(plan, plan.precision.name, other):
        yield from _effect("software", str(plan.software), Origin.ASSUMED, _searched(case, other, software=str(other)))
    arithmetic = _OTHER_PRECISION.get(plan.precision.name)
    if request.precision is None and arithmetic in PRECISIONS and _is_had(plan, arithmetic):
        found = _searched(case, arithmetic, precision=arithmetic)
        yield from _effect("precision", plan.precision.name, Origin.ASSUMED, found)


def _is_had(plan: TrainingPlan, precision: str, kind: str = "") -> bool:
    """Whether some software trains so: adapters as one of the stacks does, and convolutions in nothing narrower than bf16,
    which the libraries of fp8 leave as they are (Transformer Engine and torchao have linear layers alone)."""
    narrow = PRECISIONS[precision].matmul_dtype in ("fp8", "fp4")
    if narrow and any(isinstance(o, Convolution) for b in plan.workload.blocks for o in b.operators):
        return False
    if plan.method == "full":
        return True
    return any(s.trains(plan.method, precision) and kind in ("", str(s.kind)) for s in STACKS.values())
