"""One line of a derivation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One quantity.

    Attributes:
        group: what it belongs to: model, accelerator, layout, memory, step, run, bill.
        formula: in the symbols of the field; empty for what is read or given.
        value: in base units; ``shown`` is the same for people.
        origin: where it comes from, and the source.
    """

    group: str
    quantity: str
    formula: str
    value: float
    unit: str
    shown: str
    origin: str


def line(group: str, quantity: str, formula: str, value: float, unit: str, shown: str, origin: str) -> Line:
    """A line, its fields in their order.

    Args:
        group: part of the derivation, as in ``step``.
        quantity: name and symbol.
        formula: that it comes from; empty of an input.
        value: in that unit.
        unit: as in ``bytes``; empty of a ratio or a count.
        shown: the value for people.
        origin: where it comes from, with its source.
    """
    return Line(group=group, quantity=quantity, formula=formula, value=value, unit=unit, shown=shown, origin=origin)
