"""One line of a derivation, and those of the operators of a layout."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from zenplan import units
from zenplan.domain.answer.estimate import Estimate
from zenplan.domain.model.operators import Convolution, Operator, Recurrent
from zenplan.domain.training.plan import TrainingPlan
from zenplan.planning.physics.columns import Hardware, Layouts
from zenplan.planning.physics.operators import operator_work
from zenplan.planning.physics.work import Work


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


def operator_lines(plan: TrainingPlan, estimate: Estimate) -> Iterator[Line]:
    """Each operator's time for one micro-batch on one device: forward and backward, arithmetic and the rest."""
    layouts = Layouts.of([estimate.layout])
    hardware = Hardware.of([estimate.cluster], plan.precision)
    share = estimate.layout.micro_batch / (estimate.layout.tp * estimate.layout.cp)
    for block in plan.workload.blocks:
        for op in block.operators:
            forward, backward = operator_work(op, block, plan, layouts, hardware)
            total = float(forward.total_s[0] + backward.total_s[0])
            formula = f"forward {_parts(forward)}, backward {_parts(backward)}"
            flop = f"; F {units.flop(op.flop * share)} forward" if op.flop else ""
            yield line(
                "operator",
                f"{block.name} × {block.repeat}: {op.name}",
                formula,
                total,
                "s",
                units.duration(total),
                f"{_law(op)}{flop}",
            )


def _law(op: Operator) -> str:
    """The time of one pass of an operator, in the symbols of the lines of the accelerator."""
    if isinstance(op, Convolution):
        return "t0 + max(F/(P·e_c), Q/(W·e_m))"
    if isinstance(op, Recurrent):
        return f"{op.steps:,.0f} steps · ({op.kernels:g}·t0 + max(F/(P·e), Q/(W·e_m)))"
    return "t0 + max(F/(P·e), Q/(W·e_m))" if op.flop else "t0 + Q/(W·e_m)"


def _parts(work: Work) -> str:
    """Seconds of arithmetic, of memory beyond it, and fixed, those that there are."""
    named = (("arithmetic", work.compute_s), ("memory", work.memory_s), ("fixed", work.overhead_s))
    return " + ".join(f"{units.duration(float(s[0]))} {name}" for name, s in named if s[0] > 0) or "0 s"
