"""A comparison as a report."""

from __future__ import annotations

from typing import Any

from zenplan import units
from zenplan.commands.estimate import screen
from zenplan.commands.shared.ages import dollar_span, dollars
from zenplan.commands.shared.options import FLAGS
from zenplan.domain.answer.answer import Ranked
from zenplan.domain.answer.comparison import Case, Comparison
from zenplan.domain.report import Column, Report, Table


def comparison_report(found: Comparison) -> Report:
    """The cases side by side, and which is the cheapest and the fastest of them."""
    currencies = {screen.currency_of(case.answer) for case in found.cases if case.answer}
    columns = (
        *(Column(name=FLAGS[name].flag.removeprefix("--")) for name in found.names),
        *(
            Column(name=name, numeric=True)
            for name in (currencies.pop() if len(currencies) == 1 else "cost", "wall-clock")
        ),
        Column(name="on"),
    )
    return Report(
        make_document=lambda: _document(found),
        make_records=lambda: (_record(found.names, case) for case in _document(found).cases),
        verdict=_verdict(found),
        tables=(Table(columns=columns, rows=tuple(_row(case) for case in found.cases)),),
        notes=_notes(found),
    )


def _document(found: Comparison) -> Any:
    from zenplan.commands.compare.document import document

    return document(found)


def _record(names: tuple[str, ...], case: Any) -> dict[str, Any]:
    """A case as a row: each thing in a column of its own."""
    best = case.best
    spans = {
        f"{what}_{end}": getattr(amount, end) if amount else None
        for what, amount in (("wall_clock_s", best and best.wall_clock_s), ("total_usd", best and best.total_usd))
        for end in ("low", "mid", "high")
    }
    plain = ("provider", "instance", "region", "accelerator", "machines", "devices")
    return {
        **dict(zip(names, case.values, strict=True)),
        "met": case.met,
        "tokens": case.tokens,
        **{name: getattr(best, name) if best else None for name in plain},
        **spans,
        "price_as_of": best.price_as_of if best else None,
        "why": case.why,
    }


def _verdict(found: Comparison) -> str:
    able = [(case, case.answer) for case in found.cases if case.answer]
    cheapest = min(able, key=lambda pair: _usd(pair[1].recommended))
    fastest = min(able, key=lambda pair: pair[1].recommended.wall_clock_s.mid)
    parts = []
    for word, (case, answer) in (("cheapest", cheapest), ("fastest", fastest)):
        best = answer.recommended
        took = f"{dollars(best.total_usd, screen.money(answer))}, {units.duration(best.wall_clock_s.mid)}"
        parts.append(f"{word} is {', '.join(case.values) or 'this'} ({took})")
    if cheapest[0] is fastest[0]:
        return f"Of these the cheapest and fastest{parts[0].removeprefix('cheapest')}."
    return f"Of these the {parts[0]}; the {parts[1]}."


def _usd(best: Ranked) -> float:
    return best.total_usd.mid if best.total_usd else float("inf")


def _row(case: Case) -> tuple[str, ...]:
    if case.answer is None:
        return (*case.values, "–", "–", case.why)
    best, money = case.answer.recommended, screen.money(case.answer)
    return (
        *case.values,
        f"{dollars(best.total_usd, money)}\n{dollar_span(best.total_usd, money)}",
        screen.both(best.wall_clock_s, units.duration),
        screen.where(best.quote),
    )


def _notes(found: Comparison) -> tuple[str, ...]:
    missed = [", ".join(case.values) for case in found.cases if case.answer and not case.answer.met]
    old = [
        f"{', '.join(case.values)} {age}".lstrip()
        for case in found.cases
        if case.answer and (age := screen.price_age(case.answer, case.answer.recommended))
    ]
    names = [case.answer.plan.precision.name for case in found.cases if case.answer]
    usual = max(names, key=names.count)
    others = [
        f"{', '.join(case.values)} in {case.answer.plan.precision.name}"
        for case in found.cases
        if case.answer and case.answer.plan.precision.name != usual and "precision" not in found.names
    ]
    rates = dict.fromkeys(screen.rate(case.answer) for case in found.cases if case.answer)
    return (
        *filter(None, rates),
        *((f"Arithmetic: {usual}; {'; '.join(others)}.",) if others else ()),
        *((f"What was asked is not met with {'; '.join(missed)}: the nearest is shown.",) if missed else ()),
        *((f"Prices: {'; '.join(old)}.",) if old else ()),
        "Each row is the recommended plan of an estimate of its own.",
    )
