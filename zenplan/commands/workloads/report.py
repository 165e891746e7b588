"""``zenplan workloads``: the models that have a name, and the operators of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zenplan import units
from zenplan.domain.model.operators import Convolution, Embedding, MatMul, Operator, Recurrent, Scan
from zenplan.domain.model.workload import Workload
from zenplan.domain.report import Column, Report, Table
from zenplan.families.transformer import recipe

_LANGUAGE = (
    Column(name="model"),
    Column(name="kind"),
    Column(name="params", numeric=True),
    Column(name="active", numeric=True, optional=True),
    Column(name="layers", numeric=True, optional=True),
    Column(name="sequence", numeric=True),
    Column(name="tokens", numeric=True),
    Column(name="FLOP/\ntoken", numeric=True),
)
_OTHER = (
    Column(name="model"),
    Column(name="params", numeric=True),
    Column(name="FLOP,\nforward", numeric=True),
    Column(name="FLOP,\ntraining", numeric=True),
    Column(name="unit"),
    Column(name="usual data"),
)


def workloads_report(models: Sequence[tuple[str, Workload]]) -> Report:
    """A row for each named model, in a table for each family plugin that knows some."""
    by_family: dict[str, list[Workload]] = {}
    for family, workload in models:
        by_family.setdefault(family, []).append(workload)
    return Report(
        make_document=lambda: _models(models),
        make_records=lambda: _models(models).workloads,
        tables=tuple(_family_table(family, of) for family, of in by_family.items()),
        notes=(
            f"Models: {len(models)}. FLOP are of one sample, under FLOP/token of one token; these and training are of a "
            "training step, forward and backward. Tokens are those its makers published.",
            "Any other: --params, --config with a Hugging Face config.json, --keras, or --params with "
            "--flops-per-sample.",
        ),
    )


def _family_table(family: str, models: Sequence[Workload]) -> Table:
    # A language model has no usual data set, but the tokens that its makers published.
    if all(w.unit == "tokens" and w.usual is None for w in models):
        return Table(title=family, columns=_LANGUAGE, rows=tuple(map(_language_row, models)))
    return Table(title=family, columns=_OTHER, rows=tuple(map(_other_row, models)))


def _language_row(w: Workload) -> tuple[str, ...]:
    tokens = w.pretraining.tokens if w.pretraining else None
    return (
        w.name,
        w.family,
        units.count(w.parameters),
        units.count(w.active_parameters),
        str(w.layers),
        f"{w.tokens_per_sample:,}",
        units.count(tokens) if tokens else "",
        f"{w.training_flop_per_sample / w.tokens_per_sample:.2e}",
    )


def _other_row(w: Workload) -> tuple[str, ...]:
    data = w.usual.dataset.partition(", ")[0] if w.usual else ""
    return (
        w.name,
        units.count(w.parameters),
        units.count(w.flop_per_sample),
        units.count(w.training_flop_per_sample),
        w.unit,
        data,
    )


def _models(models: Sequence[tuple[str, Workload]]) -> Any:
    from zenplan.commands.workloads.document import workloads_document

    return workloads_document(models)


def _model(family: str, workload: Workload) -> Any:
    from zenplan.commands.workloads.document import workload_document

    return workload_document(family, workload, _shape)


def workload_report(family: str, workload: Workload) -> Report:
    """One model, block by block and operator by operator, for one sample forward."""
    operators = [(b, o) for b in workload.blocks for o in b.operators]
    columns = (
        Column(name="block"),
        Column(name="operator"),
        Column(name="shape"),
        Column(name="parameters", numeric=True),
        Column(name="FLOP", numeric=True),
        Column(name="kept", numeric=True, optional=True),
    )
    rows = tuple(
        (
            f"{b.name} × {b.repeat}",
            o.name,
            _shape(o),
            units.count(o.parameters),
            f"{o.flop:.2e}" if o.flop else "0",
            units.count(o.saved_elements),
        )
        for b, o in operators
    )
    title = f"{workload.name}: {units.count(workload.parameters)} parameters, {workload.family}"
    trained = recipe.recipe_for(workload).facts if workload.pretraining is not None else ()
    facts = tuple(
        f"{f.name}: {f.value} ({f.origin}{f'; {f.why}' if f.why else ''})" for f in (*workload.facts, *trained)
    )
    return Report(
        make_document=lambda: _model(family, workload),
        make_records=lambda: _model(family, workload).operators,
        tables=(
            Table(
                title=title,
                columns=columns,
                rows=rows,
                caption="for one sample, forward, each repetition; kept: elements saved for the backward",
            ),
        ),
        notes=facts,
    )


def _shape(op: Operator) -> str:
    """The sizes that matter of an operator: rows × inner × columns of what is a product."""
    if isinstance(op, MatMul):
        experts = f" × {op.active} of {op.experts}" if op.experts > 1 else ""
        return f"{_product(op.rows, op.inner, op.columns)}{experts}"
    if isinstance(op, Convolution):
        groups = f", {op.groups:,.0f} groups" if op.groups > 1 else ""
        window = f", window {op.window:,.0f}" if op.window > 1 else ""
        return f"{_product(op.positions, op.inner, op.outputs)}{window}{groups}"
    if isinstance(op, Recurrent):
        kernels = f", {op.kernels:,.0f} kernels each" if op.kernels > 1 else ""
        return f"{op.steps:,.0f} steps of {_product(op.rows, op.inner, op.columns)}{kernels}"
    if isinstance(op, Scan):
        chunks = f", chunks of {op.chunk:,}" if op.chunk else ""
        return f"{op.steps:,.0f} steps, {op.heads:,} heads of {op.key_dim:,}×{op.value_dim:,}{chunks}"
    if isinstance(op, Embedding):
        return f"entries {op.entries:,.0f} width {op.width:,.0f}{' sparse' if op.sparse else ''}"
    names = ("heads", "queries", "keys", "elements")
    return " ".join(f"{n} {getattr(op, n):,.0f}" for n in names if hasattr(op, n))


def _product(rows: float, inner: float, columns: float) -> str:
    return "×".join(f"{size:.0f}" if size == int(size) else units.significant(size) for size in (rows, inner, columns))
