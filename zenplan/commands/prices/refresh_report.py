"""``zenplan prices refresh``: what became of each provider."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from zenplan.commands.shared.refresh import Verdict
from zenplan.domain.report import Column, Report, Table

_MOST_SHOWN = 3


def refresh_report(verdicts: Sequence[Verdict], today: date) -> Report:
    """A row for each provider; then what was set aside, and why."""
    failed = [verdict for verdict in verdicts if verdict.failure]
    fetched = len(verdicts) - len(failed)
    return Report(
        make_document=lambda: _document(verdicts, today),
        make_records=lambda: _document(verdicts, today).providers,
        verdict=f"Prices of {fetched} of {len(verdicts)} providers were fetched.",
        tables=(_table(verdicts, today),),
        notes=(
            *(f"{v.provider}: not fetched: {v.failure}; {used(v, today)}" for v in failed),
            *(note for v in verdicts if v.set_aside for note in _aside(v)),
        ),
    )


def _document(verdicts: Sequence[Verdict], today: date) -> Any:
    from zenplan.commands.prices.document import refresh_document

    return refresh_document(verdicts, today)


def used(verdict: Verdict, today: date) -> str:
    """Which table is there for the provider that could not be asked."""
    table = verdict.table
    if table is None or not table.offers:
        return "there is no table of it"
    newest = table.days[1]
    age = f", its newest price {(today - newest).days:,} d old" if newest else ""
    return f"the table that {'was fetched before' if table.fetched_at else 'ships with it'} is used{age}"


def _aside(verdict: Verdict) -> list[str]:
    shown = [f"{verdict.provider}: set aside: {reason}" for reason in verdict.set_aside[:_MOST_SHOWN]]
    more = len(verdict.set_aside) - _MOST_SHOWN
    return [*shown, f"{verdict.provider}: {more:,} more are set aside: zenplan prices doctor"] if more > 0 else shown


def _table(verdicts: Sequence[Verdict], today: date) -> Table:
    columns = (
        Column(name="provider"),
        Column(name="prices"),
        Column(name="offers", numeric=True),
        Column(name="new", numeric=True),
        Column(name="changed", numeric=True),
        Column(name="gone", numeric=True),
        Column(name="set aside", numeric=True),
    )
    rows = tuple(
        (
            v.provider,
            _prices(v, today),
            f"{len(v.table.offers):,}" if v.table else "0",
            *(("-",) * 3 if v.failure else (f"{v.new:,}", f"{v.changed:,}", f"{v.gone:,}")),
            f"{len(v.set_aside):,}",
        )
        for v in verdicts
    )
    return Table(columns=columns, rows=rows)


def _prices(verdict: Verdict, today: date) -> str:
    if not verdict.failure:
        return "of now"
    day = verdict.table.days[1] if verdict.table else None
    return f"of {day}, {(today - day).days:,} d old" if day else "none"
