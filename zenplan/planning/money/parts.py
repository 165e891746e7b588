"""Where the dollars of a bill go: what machines are paid for while they do, and what is paid beside them."""

from __future__ import annotations

from zenplan import units
from zenplan.domain.answer.estimate import Bill, Part, Quote
from zenplan.domain.market.offer import Terms
from zenplan.domain.provenance import Origin
from zenplan.domain.training.operations import Operations
from zenplan.units import HOUR_S

# Low, middle and high.
_Case = tuple[float, float, float]


def bill_parts(operations: Operations, quote: Quote, bill: Bill) -> tuple[Part, ...]:
    """Every part of a bill; each case of them adds up to that end of ``Bill.total_usd``. None without a price.

    Args:
        operations: how the run is operated.
        quote: whose machines are paid.
        bill: of that quote, on-demand or spot.
    """
    usd, price = bill.compute_usd, quote.offer.price(bill.billing)
    if usd is None or price is None:
        return ()
    rate = price.usd_per_h * quote.nodes / HOUR_S
    used = 1.0 - quote.idle_devices / quote.devices
    parts = [
        _part(name, tuple(seconds * rate * used for seconds in times), origin, why)
        for name, times, origin, why in _times(operations, bill)
    ]
    spent = _sums(parts)
    billed = tuple(each * used for each in usd.ends)
    why = _rounding(quote.terms)
    rest = tuple(whole - part for whole, part in zip(billed, spent, strict=True))
    parts.append(_part("rounding and minimum", rest, Origin.PUBLISHED, why))
    idle = tuple(each * (1.0 - used) for each in usd.ends)
    why = f"{quote.idle_devices} of {quote.devices} devices are paid for and not used"
    parts.append(_part("idle devices", idle, Origin.DERIVED, why))
    least = 1e-9 * usd.high
    kept = [part for part in parts if max(abs(part.low_usd), abs(part.mid_usd), abs(part.high_usd)) > least]
    return (*kept, *bill.beside_machines)


def _rounding(terms: Terms | None) -> str:
    if terms is None or terms.granularity_s is None:
        return "rounding not known: to the hour"
    least = f", at least {units.duration(terms.minimum_s)}" if terms.minimum_s else ""
    return f"to {units.duration(terms.granularity_s)}{least}"


def _times(operations: Operations, bill: Bill) -> tuple[tuple[str, _Case, Origin, str], ...]:
    """What each machine is paid for, in seconds; in all its calendar."""
    run = bill.run
    steady, work, calendar = run.steady_s.ends, run.work_s.ends, run.wall_clock_s.ends
    evaluated = _scaled(work, operations.evaluation_share)
    loop = tuple(c - operations.startup_s - w - e for c, w, e in zip(calendar, work, evaluated, strict=True))
    writing = run.checkpoint_write_s / run.checkpoint_interval_s if run.checkpoint_interval_s else 0.0
    saved = tuple(min((w + e) * writing, each) for w, e, each in zip(work, evaluated, loop, strict=True))
    start = (operations.startup_s,) * 3
    return (
        ("training steps", steady, Origin.DERIVED, "steps · step"),
        (
            "what whole runs take more",
            _less(work, steady),
            Origin.PUBLISHED,
            "π of the derivation: slow nodes, roll-backs",
        ),
        ("evaluation", evaluated, Origin.ASSUMED, f"{100 * operations.evaluation_share:.2g} % of the steps' time"),
        ("writing checkpoints", _case(saved), Origin.DERIVED, "δ/τ: every checkpoint stops the run"),
        (
            "failed attempts",
            _less(_case(loop), _case(saved)),
            Origin.DERIVED,
            "work that failures and preemptions lose",
        ),
        ("start-up", start, Origin.ASSUMED, "boot, load, compile"),
    )


def _case(values: tuple[float, ...]) -> _Case:
    low, mid, high = values
    return low, mid, high


def _scaled(values: _Case, factor: float) -> _Case:
    return values[0] * factor, values[1] * factor, values[2] * factor


def _less(values: _Case, others: _Case) -> _Case:
    return values[0] - others[0], values[1] - others[1], values[2] - others[2]


def _part(name: str, usd: tuple[float, ...], origin: Origin, why: str) -> Part:
    low, mid, high = usd
    return Part(name=name, low_usd=low, mid_usd=mid, high_usd=high, origin=origin, why=why)


def _sums(parts: list[Part]) -> _Case:
    return sum(p.low_usd for p in parts), sum(p.mid_usd for p in parts), sum(p.high_usd for p in parts)
