"""The report card of a plugin, as a report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from zenplan.commands.plugins.check import FAILED, PASSED, SKIPPED, Card, Check
from zenplan.domain.report import Column, Report, Table

_MARKS: Final = {PASSED: "ok", FAILED: "FAILED", SKIPPED: "–"}


def check_report(card: Card) -> Report:
    """The card: a line for each check, what failed with its reason."""
    counts = {each: sum(check.outcome == each for check in card.checks) for each in (PASSED, FAILED, SKIPPED)}
    verdict = "keeps its contracts" if card.passed else "does not keep its contracts"
    counted = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count or outcome == FAILED)
    return Report(
        make_document=lambda: _document(card),
        make_records=lambda: map(_record, card.checks),
        verdict=f"{card.plugin.owner} {verdict}: {counted}.",
        tables=tuple(_tables(card)),
    )


def _document(card: Card) -> Any:
    from zenplan.commands.plugins.document import plugin_check_document

    return plugin_check_document(card)


def _record(check: Check) -> Mapping[str, Any]:
    return {"item": check.item, "check": check.what, "outcome": check.outcome, "reason": check.reason or None}


def _tables(card: Card) -> Iterator[Table]:
    items = dict.fromkeys(check.item for check in card.checks)
    for item in items:
        rows = tuple((c.what, _MARKS[c.outcome], c.reason) for c in card.checks if c.item == item)
        columns = (Column(name="check"), Column(name="", whole=True), Column(name="reason"))
        yield Table(title=item, columns=columns, rows=rows)
