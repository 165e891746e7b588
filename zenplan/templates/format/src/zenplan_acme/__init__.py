"""Answers of zenplan as tab-separated values, as a plugin."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from zenplan import Exporter, Report, hookimpl

# A cell holds neither of the two that part cells and rows.
ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


@dataclass(frozen=True, slots=True)
class Acme:
    """A row of names, then one for each record. A cell of what is not known is empty."""

    name: str = "acme"

    def export(self, report: Report) -> str:
        """The records of the report."""
        records = report.records
        rows = [tuple(records[0]), *(tuple(each.values()) for each in records)] if records else []
        return "".join("\t".join(map(_cell, row)) + "\n" for row in rows)


def _cell(value: Any) -> str:
    return "" if value is None else str(value).translate(ESCAPES)


@hookimpl
def zenplan_exporters() -> Iterable[Exporter]:
    """One format, ``acme``."""
    return (Acme(),)
