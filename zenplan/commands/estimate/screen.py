"""The first screen of an estimate: a verdict, three plans, what moves it most, and where to look further.

It fits 80 columns and 24 lines; the rest is in ``report``.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from zenplan import units
from zenplan.adapters.formats import height, wrapped
from zenplan.commands.estimate.around import TOGETHER
from zenplan.commands.shared.ages import ask_first, days_old, dollar_span, dollars
from zenplan.commands.shared.sentences import tight
from zenplan.domain.answer.answer import Answer, Change, Effect, Label, Ranked
from zenplan.domain.answer.estimate import BILLS_HELD, Quote
from zenplan.domain.fit.efficiency import Grounds
from zenplan.domain.provenance import Origin
from zenplan.domain.range import Range
from zenplan.domain.report import Column, Table
from zenplan.planning.money.project import AFTER
from zenplan.planning.physics.input_pipeline import supply

_KINDS = {"full": "Training", "lora": "LoRA fine-tuning of", "qlora": "QLoRA fine-tuning of"}
_PLANS = (Label.RECOMMENDED, Label.NEAREST, Label.CHEAPEST, Label.FASTEST)
# A cost beside the run that is less than this share of it stands in the details.
_LITTLE = 0.05
# A range of dollars whose high end is so many times its low one says little; one part of it that is most of it decides it.
_WIDE, _MOST_OF = 10.0, 0.5
MOST_EFFECTS = 3
_WIDTH, _LINES = 80, 24
# Of a machine's name and place, what fits beside the figures.
_WHERE = 32
_HELD = {
    Grounds.MEASURED: "the model was measured on that accelerator",
    Grounds.CARRIED: "carried over from another accelerator that the model was measured on",
    Grounds.PUBLISHED: "such ranges held 80 % of published step times",
    Grounds.ASSUMED: "assumed, as no run on such a device was fitted",
}


def money(answer: Answer) -> Callable[[float], str]:
    """How dollars are shown: as such, or in the currency that was asked for."""
    sign, per_usd = _sign(answer)
    return lambda usd: units.money(usd * per_usd, sign)


def _sign(answer: Answer) -> tuple[str, float]:
    """What stands before an amount, and how much of it is a dollar."""
    currency = answer.request.currency
    return (currency.sign, currency.per_usd) if currency else ("$", 1.0)


def currency_of(answer: Answer) -> str:
    """What amounts are in, as the heading of a column."""
    return answer.request.currency.code if answer.request.currency else "dollars"


def verdict(answer: Answer) -> str:
    """The recommended plan in a few sentences: dollars, days, the day it is done, both ends, its price's age."""
    best = answer.recommended
    devices, usd = f"{devices_of(best.quote)} × {best.quote.offer.instance.accelerator}", money(answer)
    took = units.duration(best.wall_clock_s.mid)
    if costs(best):
        took = f"{dollars(best.total_usd, usd)} and {took}"
    elif best.total_usd:
        devices = f"{devices} at {usd(0.0).partition('.')[0]} an hour"
    age, limit = price_age(answer, best), best.quote.beyond_on_demand
    spans = ", ".join(filter(None, (dollar_span(best.total_usd, usd), _span(best.wall_clock_s, units.duration))))
    parts = (
        f"{title(answer)} takes about {took} on {devices}{_done(answer)}.",
        _of_family(answer),
        tight(best.quote.estimate),
        answer.verdict and f"{answer.verdict[0].upper()}{answer.verdict[1:]}.",
        f"Range: {spans}; {_HELD[best.quote.estimate.grounds]}{_held_bills(best)}.",
        _decides(best, usd),
        best.bill.credits and f"Credits pay {usd(-best.bill.credits.mid_usd)} of it.",
        ask_first(bool(best.quote.offer.guess), age),
        not best.total_usd and "No price of it is known: --usd-per-hour gives one.",
        limit and f"More than {limit:,} on demand usually needs a reservation.",
    )
    return " ".join(part for part in parts if part)


def _held_bills(best: Ranked) -> str:
    """How often ranges of bills held, where there is a bill."""
    published = best.quote.estimate.grounds is Grounds.PUBLISHED and costs(best)
    return f" and {units.percent(BILLS_HELD)} of bills" if published else ""


def _decides(best: Ranked, usd: Callable[[float], str]) -> str:
    """What makes a range of dollars so wide that it says little, where it is one part that is paid beside the machines."""
    total = best.total_usd
    if total is None or total.high < _WIDE * total.low:
        return ""
    widest = max(best.bill.beside, key=lambda part: part.high_usd - part.low_usd, default=None)
    if widest is None or widest.high_usd - widest.low_usd < _MOST_OF * (total.high - total.low):
        return ""
    span = units.span(usd(widest.low_usd), usd(widest.high_usd))
    return f"What makes that so wide is {widest.name}: {span} ({widest.origin})."


def _of_family(answer: Answer) -> str:
    """Which size was taken where only a family was named; empty where the model was."""
    model = next((fact for fact in answer.plan.workload.facts if fact.name == "model"), None)
    return f"{model.value} is {model.why}." if model and model.origin is Origin.ASSUMED else ""


def costs(ranked: Ranked) -> bool:
    """Whether a plan has a price, and is not on one's own machines for nothing; credits may pay for all of it."""
    gross = ranked.bill.gross_usd
    return gross is not None and gross.high > 0.0


def title(answer: Answer) -> str:
    """What is trained, on how much: ``Training 1.00B parameters on 20.1B tokens``, and in how many passes."""
    plan, load = answer.plan, answer.plan.workload
    size = f"{units.count(load.parameters)} parameters"
    # A size that was asked for is met within a percent: it is not said twice.
    what = load.name if load.guessed_shape else f"{load.name} ({size})"
    if load.experts > 1:
        what += "," if load.guessed_shape else f", {units.count(load.active_parameters)} active,"
    assumed = any(fact.name == "epochs" and fact.origin is Origin.ASSUMED for fact in plan.facts)
    each = units.count(plan.tokens / plan.epochs)
    passes = f" ({plan.epochs:.3g}{' assumed passes' * assumed} × {each})" if plan.epochs > 1.0 else ""
    return f"{_KINDS[plan.method]} {what} on {units.count(plan.tokens)} {load.unit}{passes}"


def _done(answer: Answer) -> str:
    return f", done on {day(answer.finish)} if it starts now" if answer.finish else ""


def day(when: date) -> str:
    """A day as people write it: 1 December 2026."""
    return f"{when.day} {when:%B %Y}"


def price_age(answer: Answer, ranked: Ranked) -> str:
    """How old the price of a quote is where that is too old to count on: ``189 days old``; empty where it is fresh."""
    return days_old(ranked.price, answer.today)


def plans(answer: Answer) -> Table:
    """The recommended, the cheapest and the fastest, two lines each."""
    told: dict[int, Ranked] = {}
    for label in _PLANS:
        if ranked := answer.labelled(label):
            told.setdefault(id(ranked), ranked)
    rows = tuple(_plan(answer, ranked) for ranked in told.values())
    columns = (
        Column(name="plan"),
        Column(name=currency_of(answer), numeric=True),
        Column(name="wall-clock", numeric=True),
        Column(name="on"),
    )
    # That of the recommended is in the verdict.
    aged = {r.labels[0]: price_age(answer, r) for r in told.values() if r is not answer.recommended}
    ages = ", ".join(f"{label} {age}" for label, age in aged.items() if age)
    said = [f"* price: {ages}"] if ages else []
    said += [f"cheapest: of fresh prices; {answer.cheaper_old}"] if answer.cheaper_old else []
    return Table(columns=columns, rows=rows, emphasis=0, caption="\n".join(said))


def _plan(answer: Answer, ranked: Ranked) -> tuple[str, ...]:
    mark, usd = "*" if price_age(answer, ranked) else "", money(answer)
    return (
        # One plan of several labels: what stands beside the second label is the range of the first.
        "\n= ".join(ranked.labels),
        f"{dollars(ranked.total_usd, usd)}{mark}\n{dollar_span(ranked.total_usd, _short(answer, ranked))}",
        both(ranked.wall_clock_s, units.duration),
        where(ranked.quote),
    )


def _short(answer: Answer, ranked: Ranked) -> Callable[[float], str]:
    """The amounts of a plan in few letters where its highest has many: $34.6K."""
    sign, per_usd = _sign(answer)
    if ranked.total_usd is None or ranked.total_usd.high * per_usd < 1e4:
        return money(answer)
    return lambda usd: f"{sign}{units.count(usd * per_usd)}"


def _brief(answer: Answer) -> Callable[[float], str]:
    """Amounts with two digits: $35K."""
    sign, per_usd = _sign(answer)
    return lambda usd: f"{sign}{units.count(usd * per_usd, 2)}"


def where(quote: Quote) -> str:
    """The devices, and under them the machines that are to be rented, each name whole."""
    devices = f"{devices_of(quote)} × {quote.offer.instance.accelerator}"
    one = machines(quote)
    return f"{devices}\n{one if len(one) <= _WHERE else machines(quote, apart=True)}"


def machines(quote: Quote, apart: bool = False) -> str:
    """The machines that are to be rented: ``8 × aws p5.48xlarge, us-east-1``; their name on a line of its own if apart."""
    instance, region = quote.offer.instance, quote.offer.region
    tier = f" ({quote.offer.tier})" if quote.offer.tier not in ("", "on-demand", "spot") else ""
    place = "" if region == "any" else f", {region}"
    if apart:
        return f"{quote.nodes} × {instance.provider}{tier}{place}\n{instance.name}"
    return f"{quote.nodes} × {instance.provider} {instance.name}{tier}{place}"


def devices_of(quote: Quote) -> str:
    """Devices that are rented, or how many of them train: ``3 of 4``."""
    used = quote.devices - quote.idle_devices
    return f"{used:,} of {quote.devices:,}" if quote.idle_devices else f"{quote.devices:,}"


def _span(value: Range, show: Callable[[float], str]) -> str:
    return units.span(show(value.low), show(value.high))


def both(value: Range, show: Callable[[float], str]) -> str:
    """The middle, and under it the ends."""
    return f"{show(value.mid)}\n{_span(value, show)}"


def assumptions(answer: Answer, most: int | None = MOST_EFFECTS) -> tuple[Table, ...]:
    """What was not given, by how far it moves the recommended plan; at most so many rows, and no table without any.

    With None for the most, every input, those that were given too.
    """
    told = [e for e in answer.sensitivity if most is None or e.origin is not Origin.GIVEN][:most]
    rows = tuple((f"{e.input}: {e.value}, {e.origin}", *_changes(answer, e)) for e in told)
    if not rows:
        return ()
    columns = (Column(name="what moves it most"), Column(name="with", whole=True), Column(name="or with", whole=True))
    return (Table(columns=columns, rows=rows),)


def _changes(answer: Answer, effect: Effect) -> tuple[str, str]:
    first, *others = (_change(answer, change) for change in effect.changes)
    return first, next(iter(others), "")


def _change(answer: Answer, change: Change) -> str:
    usd = f"{_brief(answer)(change.usd)}, " if change.usd and costs(answer.recommended) else ""
    return f"{change.value}: {usd}{units.duration(change.wall_clock_s, 2)}{', if it fits' if change.tight else ''}"


def beside(answer: Answer) -> str:
    """The project around the run in a sentence: what it costs as far as it is known, and what is not in that."""
    project, usd = answer.project, money(answer)
    least = _LITTLE * answer.recommended.total_usd.mid if answer.recommended.total_usd else 0.0
    others = [cost for cost in project.costs if not cost.counted and (cost.usd is None or cost.usd.high > least)]
    told = [f"{c.name} {units.span(usd(c.usd.low), usd(c.usd.high))} ({c.origin})" for c in others if c.usd]
    told += [f"{c.name} (not known)" for c in others if not c.usd]
    parts = []
    if sum(cost.counted and cost.name != AFTER for cost in project.costs) > 1 or answer.request.project.repeat > 1:
        total = project.total_usd
        span = f"{usd(total.mid)} ({units.span(usd(total.low), usd(total.high))})" if total else "no price"
        parts.append(f"The project: {span}, {units.duration(project.wall_clock_s.mid)}.")
    parts += [f"Not included: {', '.join(told)}."] if told else []
    return " ".join(parts)


def after(answer: Answer) -> str:
    """What follows the training, in a sentence: time and dollars of each, which are in those of the plan."""
    bill, usd = answer.recommended.bill, money(answer)
    costing = {part.name: part for part in bill.followed_parts} if bill.compute_usd else {}
    told = []
    for each in bill.followed:
        took = [units.duration(each.time_s.mid, 2)] if each.time_s.high else []
        part = costing.get(each.name)
        if part and part.high_usd:
            span = f" ({units.span(usd(part.low_usd), usd(part.high_usd))})" if part.low_usd < part.high_usd else ""
            took.append(f"{usd(part.mid_usd)}{span}")
        told.append(f"{each.name} {', '.join(took)}".rstrip())
    if not told:
        return ""
    ranked = next((f"; {each.value}: {each.why}" for each in answer.plan.facts if each.name == TOGETHER), "")
    return f"In that, after the training: {'; '.join(told)}{ranked}."


def federated(answer: Answer) -> str:
    """What clients would take instead, beside the recommended plan; empty where that was not asked."""
    found, show, best = answer.federation, money(answer), answer.recommended
    if found is None:
        return ""
    longer = found.wall_clock_s.mid / best.wall_clock_s.mid
    usd = "no price" if found.total_usd is None else f"{show(found.total_usd.mid)}"
    own = "" if found.client_usd else ", theirs and not paid"
    return (
        f"Federated: {units.duration(found.wall_clock_s.mid)}, {units.significant(longer, 2)} times the central plan, in "
        f"{found.passes:.3g} passes over the data (central {answer.plan.epochs:.3g}), "
        f"{usd} for server and traffic of {units.size(found.down_bytes + found.up_bytes)}; "
        f"{units.count(found.client_h.mid)} device-hours of clients{own}; the slowest takes "
        f"{units.significant(found.slowest, 2)} times the middle one."
    )


def input_pipeline(answer: Answer, named: bool = True) -> str:
    """Which quotes have too few processors to prepare what their devices take; empty where all keep up.

    Args:
        named: only those that have a label, by that, as the first screen shows; else all, by their number.
    """
    quotes = ((f"the {r.labels[0]}" if named and r.labels else f"#{n}", r) for n, r in enumerate(answer.ranked, 1))
    found = [(p, r, supply(answer.plan.workload, r.quote)) for p, r in quotes if r.labels or not named]
    short = [(place, ranked, s) for place, ranked, s in found if s is not None and s.waits > 0]
    if not short:
        return ""
    place, ranked, least = min(short, key=lambda each: each[2].share)
    quote = ranked.quote
    unit, preparation = answer.plan.workload.unit, least.preparation
    whose = "assumed" if named else f"assumed: {preparation.source}"
    samples = unit if answer.plan.workload.tokens_per_sample == 1 else "samples"
    others = "".join(f", {p}" for p, *_ in short if p != place)
    return (
        f"The input pipeline of {place}{others}: {devices_of(quote)} × {quote.offer.instance.accelerator} can take "
        f"{units.count(least.taken_per_s)} {samples}/s; {least.vcpus} vCPUs {preparation.verb} about "
        f"{units.count(least.prepared_per_s)}, and it takes as long as they need; data prepared in advance, or on the "
        f"devices, take less ({whose})."
    )


def rate(answer: Answer) -> str:
    """The rate of the currency that amounts are shown in, whose it is, and its day; empty for dollars."""
    currency = answer.request.currency
    if currency is None:
        return ""
    day_of = f"of {currency.as_of}" if currency.as_of else "of no date"
    return f"$1 is {currency.per_usd:g} {currency.code}: {currency.source}, {day_of}."


def further(answer: Answer) -> str:
    """Where the rest is."""
    many = "1 offer" if answer.options == 1 else f"{answer.options:,} offers"
    return f"Of {many}. More: --details, --explain, zenplan compare, zenplan what-if."


def screen(answer: Answer) -> tuple[tuple[Table, ...], tuple[str, ...]]:
    """The tables and the lines under the verdict, as many as a terminal of 80 × 24 has room for.

    What matters more takes its room first: the plans, the largest effect, what would meet what was asked, what is to
    be said of the amount, the project around the run, more effects.
    """
    shown, largest = plans(answer), assumptions(answer, 1)
    left = _LINES - _lines(verdict(answer)) - 1 - _taken(shown) - _lines(further(answer))
    # The largest effect has its room before all that is said; where nothing is met, what would comes first.
    kept = sum(map(_taken, largest))
    lines: list[str] = []
    told = answer.notices[:1]
    ways = (f"{way.text[0].upper()}{way.text[1:]} ({way.change})." for way in answer.would_help)
    said = (
        *ways,
        federated(answer),
        after(answer),
        *told,
        rate(answer),
        *answer.judgement,
        input_pipeline(answer),
        beside(answer),
    )
    for line in filter(None, said):
        if _lines(line) <= left - (kept if answer.met or lines else 0):
            lines.append(line)
            left -= _lines(line)
    most = range(MOST_EFFECTS, 0, -1)
    more = next((found for n in most if sum(map(_taken, found := assumptions(answer, n))) <= left), ())
    return (shown, *more), (*lines, further(answer))


def _lines(text: str) -> int:
    return len(wrapped(text, _WIDTH))


def _taken(shown: Table) -> int:
    """Lines of a table, and the empty one under it."""
    return height(shown, _WIDTH) + 1
