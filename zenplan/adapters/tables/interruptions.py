"""Published rates at which spot machines are taken, by provider and machine. Where none is known: None."""

from __future__ import annotations

from datetime import date
from functools import cache

from zenplan.adapters.files.csv_file import DataRow, data_rows
from zenplan.domain.market.interruptions import Interruptions
from zenplan.domain.range import Range
from zenplan.errors import DataError
from zenplan.units import HOUR_S

FILE = "interruptions.csv"
COLUMNS = (
    *("provider", "accelerator_or_instance"),
    *("rate_per_h_low", "rate_per_h", "rate_per_h_high"),
    *("what", "as_of", "source"),
)


def interruptions_of(provider: str, instance: str, accelerator: str) -> Interruptions | None:
    """The rate of a machine: by its own name, by its accelerator's, or of all of the provider's (an empty cell)."""
    rates = _rates()
    names = (instance, accelerator, "")
    return next((rates[provider, name] for name in names if (provider, name) in rates), None)


@cache
def named_machines(provider: str) -> frozenset[str]:
    """Names, of a provider's machines or of accelerators, of which there is a rate."""
    return frozenset(name for whose, name in _rates() if whose == provider)


@cache
def _rates() -> dict[tuple[str, str], Interruptions]:
    return {
        (row.cells["provider"], row.cells["accelerator_or_instance"]): interruptions(row)
        for row in data_rows(FILE, COLUMNS)
    }


def interruptions(row: DataRow) -> Interruptions:
    """One row: chances in an hour, of which the middle alone is needed. Raises DataError."""
    mid = row.number("rate_per_h")
    low, high = (row.number_or_none(f"rate_per_h_{end}") for end in ("low", "high"))
    low, high = mid if low is None else low, mid if high is None else high
    if not 0.0 <= low <= mid <= high < 1.0:
        raise row.wrong("rate_per_h", f"{low:g}, {mid:g}, {high:g} are no shares of an hour's machines in order")
    as_of = row.cells["as_of"]
    try:
        day = date.fromisoformat(as_of) if as_of else None
    except ValueError as error:
        raise row.wrong("as_of", f"'{as_of}' is no day") from error
    try:
        per_s = Range(low=low / HOUR_S, mid=mid / HOUR_S, high=high / HOUR_S)
        return Interruptions(per_node_s=per_s, what=row.cells["what"], as_of=day, source=row.cells["source"])
    except DataError as error:
        raise row.wrong("what", error.message) from error
