"""The answer to ``zenplan estimate`` as a report: tables for people, a document for programs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from typing import TYPE_CHECKING, Any

from zenplan import units
from zenplan.commands.estimate import screen
from zenplan.commands.shared.ages import NO_PRICE, age_of, dated, dollar_span, dollars, seen
from zenplan.commands.shared.sentences import padded, spread
from zenplan.domain.answer.answer import Answer, Ranked
from zenplan.domain.answer.estimate import Bill, Part, Quote, part_name
from zenplan.domain.fit.efficiency import Grounds
from zenplan.domain.market.offer import Billing
from zenplan.domain.provenance import Origin
from zenplan.domain.range import Range
from zenplan.domain.report import Column, Report, Table
from zenplan.planning.physics.input_pipeline import supply

if TYPE_CHECKING:
    from zenplan.domain.measured.prediction import LocalStep
    from zenplan.planning.explain.line import Line

_UNKNOWN = "?"
_GROUNDS = {
    Grounds.MEASURED: "measured on that accelerator",
    Grounds.CARRIED: "carried over from another accelerator",
    Grounds.PUBLISHED: "fitted on published runs",
    Grounds.ASSUMED: "assumed, as no run on such a device was fitted",
}


def estimate_report(answer: Answer, explain: bool = False, details: bool = False) -> Report:
    """The whole answer.

    Args:
        answer: what was found.
        explain: with the derivation of the recommended quote.
        details: with every quote in full, what all rests on, and what was left out.
    """
    lines = _derived(answer) if explain else ()
    tables, notes = screen.screen(answer)
    if details:
        tables = (
            *(screen.plans(answer), *screen.assumptions(answer, most=None)),
            _money(answer),
            _layouts(answer),
            *(_detail(answer, r) for r in answer.ranked),
            *here_table(answer),
            *_project(answer),
            _assumptions(answer),
        )
        notes = _notes(answer, answer.recommended.quote)
    if explain:
        tables = (*tables, *_parts(answer), _derivation(lines))
    return Report(
        make_document=lambda: _document(answer, lines),
        make_records=lambda: (_record(answer, r) for r in answer.ranked),
        verdict=screen.verdict(answer),
        tables=tables,
        notes=notes,
    )


def _derived(answer: Answer) -> tuple[Line, ...]:
    from zenplan.planning.explain.derivation import derive

    first = answer.ranked[0]
    return derive(answer.plan, answer.operations, first.quote, first.bill)


def _document(answer: Answer, lines: tuple[Line, ...]) -> Any:
    from zenplan.commands.estimate.document import document

    return document(answer, lines)


def _flop(answer: Answer) -> str:
    return units.flop(answer.plan.workload.training_flop_per_sample * answer.plan.samples)


def _label(ranked: Ranked) -> str:
    return ", ".join(ranked.labels) or "between"


def _where(quote: Quote) -> str:
    instance = quote.offer.instance
    tier = f" ({quote.offer.tier})" if quote.offer.tier not in ("", "on-demand", "spot") else ""
    region = f", {quote.offer.region}" if quote.offer.region != "any" else ""
    return f"{quote.nodes} × {instance.provider} {instance.name}{tier}{region}"


def _both(amount: Range, show: Callable[[float], str]) -> str:
    """The middle, and the range under it."""
    return "\n".join(filter(None, (dollars(amount, show), dollar_span(amount, show))))


def _usd(bill: Bill, quote: Quote, answer: Answer) -> str:
    """The middle, the range under it, and under that the age of an old price."""
    show, total = screen.money(answer), bill.total_usd
    lines = (dollars(total, show), dollar_span(total, show), age_of(quote.offer.price(bill.billing), answer.today))
    return "\n".join(filter(None, lines))


def _time(time: Range) -> str:
    return f"{units.duration(time.mid)}\n{units.span(units.duration(time.low), units.duration(time.high))}"


def _money(answer: Answer) -> Table:
    """What each quote takes in time and dollars: the middle, and the range under it."""
    rows = []
    for place, ranked in enumerate(answer.ranked, 1):
        quote, bill = ranked.quote, ranked.bill
        bills = {kind: quote.bill(kind) for kind in (Billing.ON_DEMAND, Billing.SPOT)}
        rows.append(
            (
                str(place),
                f"{_label(ranked)}\n{_where(quote)}",
                f"{screen.devices_of(quote)} ×\n{quote.offer.instance.accelerator}\n{_gpu_hours(ranked)}",
                _time(bill.wall_clock_s),
                *(_usd(b, quote, answer) if b else _missing(quote, k) for k, b in bills.items()),
            )
        )
    columns = (
        Column(name="#", numeric=True),
        Column(name="quote"),
        Column(name="GPUs"),
        *(Column(name=name, numeric=True) for name in ("wall-clock", "on-demand", "spot")),
    )
    return Table(title=f"{screen.title(answer)}: {_flop(answer)}", columns=columns, rows=tuple(rows))


def _missing(quote: Quote, kind: Billing) -> str:
    """Why there is no bill: the price is not known, or the run would never end."""
    return "never ends" if quote.offer.price(kind) else _UNKNOWN


def _gpu_hours(ranked: Ranked) -> str:
    return f"{units.count(ranked.quote.gpu_hours(ranked.bill).mid)} GPU-h"


def _layouts(answer: Answer) -> Table:
    rows = []
    for place, ranked in enumerate(answer.ranked, 1):
        estimate = ranked.quote.estimate
        has = estimate.cluster.accelerator.capacity_bytes
        rows.append(
            (
                str(place),
                str(estimate.layout),
                f"{units.size(estimate.memory.total_bytes)} of {units.size(has)}",
                units.duration(estimate.step.total_s),
                units.percent(estimate.mfu),
                _as_of(ranked),
                _spent(estimate.step.parts(), most=2),
            )
        )
    columns = (
        Column(name="#", numeric=True),
        Column(name="layout"),
        Column(name="memory", numeric=True),
        Column(name="step", numeric=True),
        Column(name="MFU", numeric=True),
        Column(name="price of"),
        Column(name="mostly", optional=True),
    )
    return Table(title="How each is laid out", columns=columns, rows=tuple(rows))


def _as_of(ranked: Ranked) -> str:
    price = ranked.price
    if price is None:
        return NO_PRICE
    return price.as_of.isoformat() if price.as_of else "no date"


def _spent(parts: dict[str, float], most: int) -> str:
    """The largest parts of a step and their shares."""
    total = sum(parts.values())
    ordered = sorted(parts.items(), key=lambda p: -p[1])[:most]
    return ", ".join(f"{part_name(n)} {units.percent(v / total)}" for n, v in ordered if v > 0.005 * total)


def _project(answer: Answer) -> Iterator[Table]:
    """The bill around the run, and what is spent in each month where there are several."""
    usd, project = screen.money(answer), answer.project
    rows = [
        (cost.name, _both(cost.usd, usd) if cost.usd else "not known", f"{cost.origin}: {cost.why}")
        for cost in project.costs
    ]
    total = _both(project.total_usd, usd) if project.total_usd else "not known"
    rows.append(("in all", total, "what was given, and the runs"))
    columns = (Column(name="project"), Column(name="cost", numeric=True), Column(name="origin"))
    yield Table(title="The project around the run", columns=columns, rows=tuple(rows))
    if len(project.months) > 1:
        spent = tuple((month.month, usd(month.usd)) for month in project.months)
        yield Table(columns=(Column(name="month"), Column(name="runs", numeric=True)), rows=spent)


def _detail(answer: Answer, ranked: Ranked) -> Table:
    """One quote in full."""
    quote, run, estimate = ranked.quote, ranked.bill.run, ranked.quote.estimate
    place, load = answer.ranked.index(ranked) + 1, answer.plan.workload
    rows = [
        ("layout", _layout(answer, quote)),
        ("step", f"{units.duration(estimate.step.total_s)}: {_spent(estimate.step.parts(), most=6)}"),
        ("memory", _memory(quote)),
        (
            "speed",
            f"{units.count(estimate.samples_per_s * load.tokens_per_sample)} {load.unit}/s, "
            f"MFU {units.percent(estimate.mfu)}",
        ),
        ("steady", f"{units.duration(run.steady_s.mid)} for {run.steady_s.mid / estimate.step.total_s:,.0f} steps"),
        (
            "wall-clock",
            f"{units.duration(run.wall_clock_s.mid)} with start-up, evaluation, checkpoints every "
            f"{units.duration(run.checkpoint_interval_s)} ({units.size(run.checkpoint_bytes)} each) and "
            f"{units.significant(run.interruptions, 2)} interruptions: goodput "
            f"{units.percent(run.goodput)}",
        ),
        *(("after it", _followed(ranked.bill)) for _ in ranked.bill.followed[:1]),
        *((str(b.billing), _bill(b, quote, answer)) for b in quote.bills),
        ("energy", _energy(quote)),
        ("price", _price(quote, screen.money(answer), answer.today)),
        *((("evidence", estimate.evidence),) if estimate.correction else ()),
    ]
    columns = (Column(name=f"#{place} {_label(ranked)}"), Column(name=_where(quote)))
    return Table(title="", columns=columns, rows=tuple(rows))


def _followed(bill: Bill) -> str:
    """Time of what follows the training; serving has none."""
    took = [f"{each.name} {units.duration(each.time_s.mid)}" for each in bill.followed if each.time_s.high]
    return f"{', '.join(took)}: {units.duration(bill.wall_clock_s.mid)} in all" if took else "starts when it is done"


def _layout(answer: Answer, quote: Quote) -> str:
    layout, idle = quote.estimate.layout, quote.idle_devices
    told = padded(layout, answer.plan.global_batch)
    return f"{layout}; {idle or 'no'} device{'s' * (idle > 1)} idle{'; ' * bool(told)}{told}"


def _memory(quote: Quote) -> str:
    """The peak and its parts; what the fullest stage of a pipeline has none of (the logits) is not said."""
    parts = quote.estimate.memory.parts()
    named = ", ".join(f"{n.removesuffix('_bytes')} {units.size(v)}" for n, v in parts.items() if v)
    return f"{units.size(quote.estimate.memory.total_bytes)} a device: {named}"


def _bill(bill: Bill, quote: Quote, answer: Answer) -> str:
    show = screen.money(answer)
    parts = [f"machines {dollars(bill.compute_usd, show)} ({units.significant(bill.billed_h)} h billed)"]
    if bill.compute_usd is not None:
        parts += [f"{part.name} {_case(part, show)}" for part in bill.beside_machines]
    if bill.paid_anyway:
        parts.append(f"paid anyway {show(bill.paid_anyway.mid_usd)}, not in the total")
    total = dated(dollars(bill.total_usd, show), quote.offer.price(bill.billing), answer.today)
    span = dollar_span(bill.total_usd, show)
    time = ""
    if bill.billing is Billing.SPOT:
        time = (
            f"; {units.duration(bill.run.wall_clock_s.mid)} with "
            f"{units.significant(bill.run.interruptions, 2)} interruptions"
        )
    return f"{total}{f', {span}' if span else ''}: {', '.join(parts)}{time}"


def _case(part: Part, show: Callable[[float], str]) -> str:
    """The middle of a part, and its ends where its price is not known."""
    if part.origin is not Origin.ASSUMED:
        return show(part.mid_usd)
    return f"{show(part.mid_usd)} ({units.span(show(part.low_usd), show(part.high_usd))}, assumed)"


def _parts(answer: Answer) -> Iterator[Table]:
    """Where the dollars of the recommended plan go; no table without a price."""
    from zenplan.planning.money.parts import bill_parts

    first, show = answer.recommended, screen.money(answer)
    parts, total = bill_parts(answer.operations, first.quote, first.bill), first.total_usd
    if not parts or total is None:
        return
    rows = [(p.name, show(p.mid_usd), show(p.low_usd), show(p.high_usd), f"{p.origin}: {p.why}") for p in parts]
    rows.append(("in all", show(total.mid), show(total.low), show(total.high), "the sum of each column"))
    if p := first.bill.paid_anyway:
        rows.append(("paid anyway", show(p.mid_usd), show(p.low_usd), show(p.high_usd), f"{p.origin}: {p.why}"))
    numbers = (screen.currency_of(answer), "low case", "high case")
    columns = (Column(name="part"), *(Column(name=name, numeric=True) for name in numbers), Column(name="origin"))
    yield Table(title="The bill of #1, part by part", columns=columns, rows=tuple(rows))


def _energy(quote: Quote) -> str:
    energy = quote.energy
    if energy is None:
        return "not known: no power limit in the data sheet"
    told = (
        f"{units.count(energy.kwh.mid)} kWh ({units.span(units.count(energy.kwh.low), units.count(energy.kwh.high))})"
    )
    made = f", {units.count(energy.embodied_kg.mid)} kg of making the machines" if energy.embodied_kg else ""
    if energy.co2e_kg is None:
        return f"{told}{made}; CO2e not known for region '{quote.offer.region}'"
    return f"{told}, {units.count(energy.co2e_kg.mid)} kg CO2e{made}"


def _price(quote: Quote, usd: Callable[[float], str], today: date) -> str:
    parts = []
    for kind in (Billing.ON_DEMAND, Billing.SPOT):
        price = quote.offer.price(kind)
        if price:
            parts.append(f"{kind} {usd(price.usd_per_h)}/h {seen(price, today)} ({price.source})")
    return "; ".join(parts) or "nobody has one; --usd-per-hour gives one"


def _assumptions(answer: Answer) -> Table:
    """Every input, with what it is and why."""
    facts = (*answer.plan.facts, *answer.operations.facts())
    rows = tuple((f.name, f.value, f"{f.origin}: {f.why}" if f.why else str(f.origin)) for f in facts)
    columns = (Column(name="input"), Column(name="value"), Column(name="origin"))
    return Table(title="What this rests on", columns=columns, rows=rows)


def _derivation(lines: tuple[Line, ...]) -> Table:
    rows = tuple(
        (f"{x.group}: {x.quantity}", x.shown, f"= {x.formula}\n{x.origin}" if x.formula else x.origin) for x in lines
    )
    columns = (Column(name="quantity"), Column(name="value", numeric=True), Column(name="formula and origin"))
    return Table(title="Derivation of #1", columns=columns, rows=rows)


def _notes(answer: Answer, first: Quote) -> tuple[str, ...]:
    return (
        *answer.judgement,
        answer.rule,
        *(f"Would help: {way.text} ({way.change})." for way in answer.would_help),
        *filter(None, (screen.input_pipeline(answer, named=False),)),
        *filter(None, (screen.rate(answer),)),
        spread(first.estimate),
        *_grounds(answer),
        *beyond_notes(answer),
        f"Compared {units.many(answer.options, 'size')} of offers and {units.many(answer.layouts, 'layout')}; "
        f"{len(answer.frontier)} on the "
        "frontier of time and dollars. '?' is a price that is not known.",
        *answer.left_out,
    )


def beyond_notes(answer: Answer) -> tuple[str, ...]:
    """Which quotes are larger than what is had on demand; nothing where none is."""
    limits: dict[tuple[int, str], list[str]] = {}
    guesses: dict[str, list[str]] = {}
    for place, ranked in enumerate(answer.ranked, 1):
        quote = ranked.quote
        if limit := quote.beyond_on_demand:
            term_s = quote.on_demand.term_s if quote.on_demand else None
            least = f", of at least {units.duration(term_s)} at {quote.offer.instance.provider}" if term_s else ""
            limits.setdefault((limit, least), []).append(f"#{place}")
        if quote.offer.guess:
            guesses.setdefault(quote.offer.guess, []).append(f"#{place}")
    return (
        *(
            f"{', '.join(places)}: more than {limit:,} on demand usually needs a reservation{least}."
            for (limit, least), places in limits.items()
        ),
        *(f"{', '.join(places)} is a guess: {why}." for why, places in guesses.items()),
    )


def _grounds(answer: Answer) -> tuple[str, ...]:
    """What each quote rests on, where they do not all rest on published runs."""
    places: dict[Grounds, list[str]] = {grounds: [] for grounds in Grounds}
    for place, ranked in enumerate(answer.ranked, 1):
        places[ranked.quote.estimate.grounds].append(f"#{place}")
    if len(places[Grounds.PUBLISHED]) == len(answer.ranked):
        return ()
    told = "; ".join(f"{', '.join(found)} {_GROUNDS[grounds]}" for grounds, found in places.items() if found)
    return (f"Step times: {told}.",)


def _record(answer: Answer, ranked: Ranked) -> dict[str, Any]:
    """One quote as a flat row, for CSV. What is not known is None."""
    quote, bill = ranked.quote, ranked.bill
    estimate, instance = quote.estimate, quote.offer.instance
    found = supply(answer.plan.workload, quote)
    row: dict[str, Any] = {
        "labels": " ".join(ranked.labels),
        "billing": str(bill.billing),
        "provider": instance.provider,
        "instance": instance.name,
        "tier": quote.offer.tier,
        "region": quote.offer.region,
        "accelerator": instance.accelerator,
        "machines": quote.nodes,
        "devices": quote.devices,
        "idle_devices": quote.idle_devices,
        "layout": str(estimate.layout),
        "memory_bytes": estimate.memory.total_bytes,
        "memory_available_bytes": estimate.cluster.accelerator.capacity_bytes,
        "step_s": estimate.step.total_s,
        "mfu": estimate.mfu,
        "samples_per_s": estimate.samples_per_s,
        "grounds": str(estimate.grounds),
        "input_share": found.share if found else None,
        "gpu_hours": quote.gpu_hours(bill).mid,
        "wall_clock_s_low": bill.wall_clock_s.low,
        "wall_clock_s": bill.wall_clock_s.mid,
        "wall_clock_s_high": bill.wall_clock_s.high,
    }
    for kind in Billing:
        own, price, name = quote.bill(kind), quote.offer.price(kind), str(kind).replace("-", "_")
        total = own.total_usd if own else None
        row |= {
            f"{name}_usd_low": total.low if total else None,
            f"{name}_usd": total.mid if total else None,
            f"{name}_usd_high": total.high if total else None,
            f"{name}_price_as_of": price.as_of if price else None,
            f"{name}_price_age_days": price.age_days(answer.today) if price else None,
        }
    row["beyond_on_demand"] = quote.beyond_on_demand
    row["kwh"] = quote.energy.kwh.mid if quote.energy else None
    row["co2e_kg"] = quote.energy.co2e_kg.mid if quote.energy and quote.energy.co2e_kg else None
    return row


# --- on this machine


def here_table(answer: Answer) -> tuple[Table, ...]:
    """A row for each way in which it was calibrated here; no table where it never was."""
    if not answer.here:
        return ()
    unit = answer.plan.workload.unit
    columns = (
        Column(name="with"),
        Column(name="step", numeric=True),
        Column(name=f"{unit}/s", numeric=True),
        Column(name="whole run", numeric=True),
        Column(name="evidence"),
    )
    device = answer.here[0].calibration.fingerprint.device
    tokens = answer.plan.workload.tokens_per_sample
    return (
        Table(
            title=f"On this machine: {device}",
            columns=columns,
            rows=tuple(_row(s, tokens) for s in answer.here),
            caption="steps alone, one after another; no data sheet tells what other processors take",
        ),
    )


def _row(step: LocalStep, tokens_per_sample: int) -> tuple[str, ...]:
    mark = step.calibration.fingerprint
    threads = f"{mark.threads} thread{'s' * (mark.threads > 1)}"
    return (
        f"{mark.backend}, {'compiled' if mark.compiled else 'eager'}\n{mark.precision}, {threads}",
        f"{_span(step.prediction.step_s, units.duration)}\nbatch {step.batch:,}",
        _span(step.samples_per_s * tokens_per_sample, units.count),
        _span(step.run_s, units.duration),
        _evidence(step),
    )


def _span(value: Range, show: Callable[[float], str]) -> str:
    return f"{show(value.mid)}\n{units.span(show(value.low), show(value.high))}"


def _evidence(step: LocalStep) -> str:
    where = "measured" if step.origin else "measured here"
    what = "" if step.calibration.target else "by a sweep of other models"
    parts = (
        f"{where} on {step.calibration.taken_at.date().isoformat()}",
        what,
        step.origin,
        *step.changed,
        "on a busy machine" if step.disturbed else "",
    )
    return "\n".join(part for part in parts if part)
