"""A what-if as a report."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from zenplan import units
from zenplan.commands.estimate import screen
from zenplan.commands.shared.ages import NO_PRICE
from zenplan.domain.answer.answer import Answer, Change, Ranked
from zenplan.domain.answer.comparison import WhatIf
from zenplan.domain.report import Column, Report, Table


def what_if_report(found: WhatIf) -> Report:
    """The plan as it was, with each change, and with all of them."""
    best = found.before.recommended
    rows = [("as asked", *_figures(found.before, _usd(best), best.wall_clock_s.mid), "")]
    rows += [(name, *_row(found.before, change)) for name, change in found.alone]
    if len(found.alone) > 1:
        rows.append(("all together", *_row(found.before, found.together)))
    columns = (
        Column(name="on the same machines"),
        *(
            Column(name=name, numeric=True)
            for name in (screen.currency_of(found.before), "wall-clock", "change of both")
        ),
    )
    return Report(
        make_document=lambda: _document(found),
        make_records=lambda: _document(found).changes,
        verdict=_verdict(found),
        tables=(Table(columns=columns, rows=tuple(rows)),),
        notes=_notes(found),
    )


def sensitivity_report(before: Answer) -> Report:
    """Every input by how far it moves the plan."""
    best = before.recommended
    took = ", ".join(_figures(before, _usd(best), best.wall_clock_s.mid))
    return Report(
        make_document=lambda: _document(WhatIf(before=before, alone=(), together=None, after=None)),
        make_records=lambda: _records(before),
        verdict=f"{screen.title(before)}: {took} on {_on(best)}.",
        tables=screen.assumptions(before, most=None),
        notes=(
            *_rate(before),
            "Each input alone, on the same machines. Changes: --tokens +50%, --price -10%, --mfu 0.35.",
        ),
    )


def _document(found: WhatIf) -> Any:
    from zenplan.commands.what_if.document import document

    return document(found)


def _records(before: Answer) -> Iterator[dict[str, Any]]:
    """A row for each change that was tried."""
    for effect in before.sensitivity:
        for change in effect.changes:
            yield {
                "input": effect.input,
                "value": effect.value,
                "origin": effect.origin,
                "changed_to": change.value,
                "total_usd": change.usd,
                "wall_clock_s": change.wall_clock_s,
            }


def _on(best: Ranked) -> str:
    return f"{screen.devices_of(best.quote)} × {best.quote.offer.instance.accelerator}"


def _usd(best: Ranked) -> float | None:
    return best.total_usd.mid if best.total_usd else None


def _figures(before: Answer, usd: float | None, time_s: float) -> tuple[str, str]:
    return (NO_PRICE if usd is None else screen.money(before)(usd), units.duration(time_s))


def _row(before: Answer, change: Change | None) -> tuple[str, str, str]:
    if change is None:
        return ("–", "–", "cannot be run there")
    was = _usd(before.recommended)
    moved = [change.usd / was] if was and change.usd is not None else []
    moved.append(change.wall_clock_s / before.recommended.wall_clock_s.mid)
    figures = _figures(before, change.usd, change.wall_clock_s)
    return (*figures, ", ".join(f"× {units.significant(m)}" for m in moved))


def _verdict(found: WhatIf) -> str:
    best, names = found.before.recommended, ", ".join(name for name, _ in found.alone)
    was = _took(found.before, _usd(best), best.wall_clock_s.mid)
    if found.together is None:
        return f"With {names}, {_on(best)} cannot run it; without, it takes {was}."
    then = _took(found.before, found.together.usd, found.together.wall_clock_s)
    return f"With {names} it takes {then} in place of {was}, on {_on(best)}."


def _took(before: Answer, usd: float | None, time_s: float) -> str:
    """Dollars and time in a sentence; the time alone where there is no price."""
    return " and ".join(_figures(before, usd, time_s)[usd is None :])


def _notes(found: WhatIf) -> tuple[str, ...]:
    if found.after is None:
        return _rate(found.before)
    then = found.after.recommended
    took = ", ".join(_figures(found.after, _usd(then), then.wall_clock_s.mid))
    choice = f"With all offers to choose from, recommended then: {took} on {_on(then)}, {screen.machines(then.quote)}."
    return (choice, *_rate(found.before))


def _rate(before: Answer) -> tuple[str, ...]:
    return tuple(filter(None, (screen.rate(before),)))
