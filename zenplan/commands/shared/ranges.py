"""Low, middle and high of a figure in a document."""

from __future__ import annotations

from zenplan.domain.range import Range


def range_document(value: Range) -> dict[str, float]:
    """In JSON types."""
    return {"low": value.low, "mid": value.mid, "high": value.high}
