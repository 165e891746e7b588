"""A what-if as a report."""

from __future__ import annotations

from typing import Any

from zenplan import units
from zenplan.commands.estimate import screen
from zenplan.commands.shared.ages import dollars
from zenplan.domain.answer.answer import Answer, Change, Ranked
from zenplan.domain.answer.comparison import WhatIf
from zenplan.domain.report import Column, Report, Table

_COLUMNS = (
    Column(name="on the same machines"),
    Column(name="dollars", numeric=True),
    Column(name="wall-clock", numeric=True),
    Column(name="change of both", numeric=True),
)


def what_if_report(found: WhatIf) -> Report:
    """The plan as it was, with each change, and with all of them."""
    best = found.before.recommended
    rows: list[tuple[str, ...]] = [("as asked", *_figures(_usd(best), best.wall_clock_s.mid), "")]
    rows += [(name, *_row(change, best)) for name, change in found.alone]
    if len(found.alone) > 1:
        rows.append(("all together", *_row(found.together, best)))
    return Report(
        make_document=lambda: _document(found),
        make_records=lambda: _document(found).changes,
        verdict=_verdict(found),
        tables=(Table(columns=_COLUMNS, rows=tuple(rows)),),
        notes=_notes(found),
    )


def sensitivity_report(before: Answer) -> Report:
    """Every input by how far it moves the plan."""
    best = before.recommended
    took = f"{dollars(best.total_usd)}, {units.duration(best.wall_clock_s.mid)}"
    return Report(
        make_document=lambda: _document(WhatIf(before=before, alone=(), together=None, after=None)),
        make_records=lambda: _document(WhatIf(before=before, alone=(), together=None, after=None)).sensitivity,
        verdict=f"{screen.title(before)}: {took} on {_on(best)}.",
        tables=screen.assumptions(before, most=None),
        notes=("Each input alone, on the same machines. Changes: --tokens +50%, --price -10%, --mfu 0.35.",),
    )


def _document(found: WhatIf) -> Any:
    from zenplan.commands.what_if.document import document

    return document(found)


def _on(best: Ranked) -> str:
    return f"{screen.devices_of(best.quote)} × {best.quote.offer.instance.accelerator}"


def _usd(best: Ranked) -> float | None:
    return best.total_usd.mid if best.total_usd else None


def _figures(usd: float | None, time_s: float) -> tuple[str, str]:
    return ("no price" if usd is None else units.usd(usd), units.duration(time_s))


def _row(change: Change | None, best: Ranked) -> tuple[str, ...]:
    if change is None:
        return ("–", "–", "cannot be run there")
    was = _usd(best)
    moved = [change.usd / was] if was and change.usd is not None else []
    moved.append(change.wall_clock_s / best.wall_clock_s.mid)
    return (*_figures(change.usd, change.wall_clock_s), ", ".join(f"× {units.significant(m)}" for m in moved))


def _verdict(found: WhatIf) -> str:
    best, names = found.before.recommended, ", ".join(name for name, _ in found.alone)
    was = f"{dollars(best.total_usd)} and {units.duration(best.wall_clock_s.mid)}"
    if found.together is None:
        return f"With {names}, {_on(best)} cannot run it; without, it takes {was}."
    then = " and ".join(_figures(found.together.usd, found.together.wall_clock_s))
    return f"With {names} it takes {then} in place of {was}, on {_on(best)}."


def _notes(found: WhatIf) -> tuple[str, ...]:
    if found.after is None:
        return ()
    then = found.after.recommended
    took = f"{dollars(then.total_usd)}, {units.duration(then.wall_clock_s.mid)}"
    return (f"With all offers to choose from, recommended then: {took} on {_on(then)}, {screen.machines(then.quote)}.",)
