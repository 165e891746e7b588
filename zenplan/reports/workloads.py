"""``zenplan workloads``: the models that have a name, and the operators of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zenplan import units
from zenplan.domain.operators import MatMul, Operator
from zenplan.domain.report import Column, Report, Table
from zenplan.domain.workload import Workload


def workloads_report(models: Sequence[tuple[str, Workload]]) -> Report:
    """A row for each named model, with the family plugin that knows it."""
    records = tuple(_record(family, w) for family, w in models)
    columns = (Column(name="model"), Column(name="kind"), Column(name="parameters", numeric=True),
               Column(name="active", numeric=True, optional=True), Column(name="layers", numeric=True),
               Column(name="sequence", numeric=True), Column(name="FLOP/token", numeric=True))  # fmt: skip
    rows = tuple(
        (w.name, w.family, units.count(w.parameters), units.count(w.active_parameters), str(w.layers),
         f"{w.tokens_per_sample:,}", f"{w.training_flop_per_sample / w.tokens_per_sample:.2e}")
        for _, w in models
    )  # fmt: skip
    return Report(
        schema="zenplan.workloads/1",
        document={"workloads": list(records)},
        records=records,
        tables=(Table(columns=columns, rows=rows),),
        notes=(f"{len(models)} models; FLOP/token are those of a training step, forward and backward. Any other: "
               "--params, or --config with a Hugging Face config.json.",),
    )  # fmt: skip


def _record(family: str, w: Workload) -> dict[str, Any]:
    return {
        "name": w.name, "plugin_family": family, "family": w.family, "parameters": w.parameters,
        "active_parameters": w.active_parameters, "layers": w.layers,
        "tokens_per_sample": w.tokens_per_sample, "forward_flop_per_sample": w.flop_per_sample,
    }  # fmt: skip


def workload_report(family: str, workload: Workload) -> Report:
    """One model, block by block and operator by operator, for one sample forward."""
    operators = [(b, o) for b in workload.blocks for o in b.operators]
    records = tuple(
        {"block": b.name, "repeat": b.repeat, "operator": o.name, "kind": type(o).__name__.lower(), "shape": _shape(o),
         "parameters": o.parameters, "flop": o.flop, "saved_elements": o.saved_elements}
        for b, o in operators
    )  # fmt: skip
    columns = (Column(name="block"), Column(name="operator"), Column(name="shape"),
               Column(name="parameters", numeric=True), Column(name="FLOP", numeric=True),
               Column(name="kept", numeric=True, optional=True))  # fmt: skip
    rows = tuple(
        (f"{b.name} × {b.repeat}", o.name, _shape(o), units.count(o.parameters), f"{o.flop:.2e}" if o.flop else "0",
         units.count(o.saved_elements))
        for b, o in operators
    )  # fmt: skip
    title = f"{workload.name}: {units.count(workload.parameters)} parameters, {workload.family}"
    facts = tuple(f"{f.name}: {f.value} ({f.origin}{f'; {f.why}' if f.why else ''})" for f in workload.facts)
    return Report(
        schema="zenplan.workload/1",
        document={**_record(family, workload), "operators": list(records)},
        records=records,
        tables=(Table(title=title, columns=columns, rows=rows,
                      caption="for one sample, forward, each repetition; kept: elements saved for the backward"),),
        notes=facts,
    )  # fmt: skip


def _shape(op: Operator) -> str:
    if isinstance(op, MatMul):
        experts = f" × {op.active} of {op.experts}" if op.experts > 1 else ""
        return f"{op.rows}×{op.inner}×{op.columns}{experts}"
    names = ("heads", "queries", "keys", "entries", "width", "elements")
    return " ".join(f"{n} {getattr(op, n):,.0f}" for n in names if hasattr(op, n))
