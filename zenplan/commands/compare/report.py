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
    columns = (
        *(Column(name=FLAGS[name].flag.removeprefix("--")) for name in found.names),
        *(Column(name=name, numeric=True) for name in ("dollars", "wall-clock")),
        Column(name="on"),
    )
    return Report(
        make_document=lambda: _document(found),
        make_records=lambda: _document(found).cases,
        verdict=_verdict(found),
        tables=(Table(columns=columns, rows=tuple(_row(case) for case in found.cases)),),
        notes=_notes(found),
    )


def _document(found: Comparison) -> Any:
    from zenplan.commands.compare.document import document

    return document(found)


def _verdict(found: Comparison) -> str:
    able = [(case, case.answer.recommended) for case in found.cases if case.answer]
    cheapest = min(able, key=lambda pair: _usd(pair[1]))
    fastest = min(able, key=lambda pair: pair[1].wall_clock_s.mid)
    parts = []
    for word, (case, best) in (("cheapest", cheapest), ("fastest", fastest)):
        took = f"{dollars(best.total_usd)}, {units.duration(best.wall_clock_s.mid)}"
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
        f"{', '.join(case.values)} {age}"
        for case in found.cases
        if case.answer and (age := screen.price_age(case.answer, case.answer.recommended))
    ]
    return (
        *((f"What was asked is not met with {'; '.join(missed)}: the nearest is shown.",) if missed else ()),
        *((f"Prices: {'; '.join(old)}.",) if old else ()),
        "Each row is the recommended plan of an estimate of its own.",
    )
