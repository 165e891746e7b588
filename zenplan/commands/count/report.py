"""``zenplan count``: a model as a tree of layers, with what each computes and keeps; and its totals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from zenplan import units
from zenplan.commands.count.figures import kind_of, moved, ratio
from zenplan.domain.model.count import LayerCount, ModelCount, moved_elements
from zenplan.domain.precision import Precision
from zenplan.domain.report import Column, Report, Table

_INDENT = "  "
_METHODS = {
    "registered": "counted by the function that was registered for",
    "traced": "counted from the operations that it calls, no rule being known for",
    "unknown": "UNKNOWN, and not in the sums, is the cost of",
}


@dataclass(slots=True)
class _Node:
    """A place in the tree: the layer that is there, if it computes anything of its own, and all beneath it."""

    path: tuple[str, ...]
    kind: str
    shape: tuple[int | None, ...]
    layers: list[LayerCount]
    leaf: bool = True

    @property
    def shown(self) -> list[LayerCount]:
        """The layers that no row beneath shows."""
        return self.layers if self.leaf else [layer for layer in self.layers if layer.path == self.path]


def count_report(count: ModelCount, batch: int, precision: Precision, depth: int | None = None) -> Report:
    """The count for one sample, and its totals for a batch.

    Args:
        count: what was counted.
        batch: samples that weights are read once for, and that totals are also given for.
        precision: of activations and weights in memory.
        depth: levels of the tree that the table shows; what is beneath is summed up. None for all.
    """
    nodes = _tree(count, depth)
    return Report(
        make_document=lambda: _document(count, batch, precision),
        make_records=lambda: (_record(layer, batch, precision) for layer in count.layers),
        tables=(_layers(count, nodes, batch, precision), _totals(count, batch, precision), *_kinds(count, batch)),
        notes=_notes(count),
    )


def _document(count: ModelCount, batch: int, precision: Precision) -> Any:
    from zenplan.commands.count.document import count_document

    return count_document(count, batch, precision)


def _record(layer: LayerCount, batch: int, precision: Precision) -> dict[str, Any]:
    """A row for a layer; the operators by their kinds."""
    from zenplan.commands.count.document import layer_document
    from zenplan.documents import plain

    return {
        **plain(layer_document(layer, batch, precision)),
        "path": layer.name,
        "output_shape": "×".join("?" if size is None else str(size) for size in layer.output_shape),
        "operators": " ".join(dict.fromkeys(kind_of(o) for o in layer.operators)),
    }


def _tree(count: ModelCount, depth: int | None) -> list[_Node]:
    """The places in the order of the tree: each before what is beneath it, by their first calls."""
    nodes: dict[tuple[str, ...], _Node] = {}
    for layer in count.layers:
        path = layer.path[:depth]
        for end in range(min(len(path), 1), len(path) + 1):
            node = nodes.setdefault(path[:end], _Node(path[:end], "", (), []))
            node.layers.append(layer)
            node.leaf &= len(path) == end
            if layer.path == node.path:
                node.kind, node.shape = layer.kind, layer.output_shape
    # A layer that is called again later stands where it was first: its parent's place decides.
    order = {path: index for index, path in enumerate(nodes)}
    return [nodes[p] for p in sorted(nodes, key=lambda p: [order[p[:end]] for end in range(1, len(p) + 1)])]


def _layers(count: ModelCount, nodes: Sequence[_Node], batch: int, precision: Precision) -> Table:
    columns = (
        Column(name="layer"),
        Column(name="output", optional=True),
        Column(name="params", numeric=True),
        Column(name="FLOP", numeric=True),
        Column(name="kept", numeric=True),
        Column(name="FLOP/B", numeric=True),
    )
    group = " A layer with others beneath it has their sum." if any(len(n.layers) > 1 for n in nodes) else ""
    shape = f", input {count.input_shape}" if count.input_shape else ""
    return Table(
        title=f"{count.name}: {_count(count.parameters)} parameters{shape}",
        columns=columns,
        rows=tuple(_row(node, batch, precision) for node in nodes),
        caption=f"for one sample, forward; kept: activations saved for the backward pass, in {precision.name}; FLOP/B: "
        f"for each byte read or written at {precision.compute_bytes} bytes an element, weights once for "
        f"{batch:,} sample{'s' if batch > 1 else ''}.{group}",
    )


def _row(node: _Node, batch: int, precision: Precision) -> tuple[str, ...]:
    flop = sum(layer.forward_flop for layer in node.layers)
    kept = sum(layer.activation_elements for layer in node.layers) * precision.compute_bytes
    unknown = any(layer.method == "unknown" for layer in node.layers)
    return (
        _label(node),
        "×".join("?" if size is None else str(size) for size in node.shape[1:]),
        _count(sum(layer.parameters for layer in node.layers)),
        ("≥ " if unknown and flop else "") + ("?" if unknown and not flop else _flop(flop)),
        "?" if unknown and not kept else units.size(kept),
        units.significant(ratio(flop * batch, moved(node.layers, batch, precision))) if flop else "0",
    )


def _count(value: float) -> str:
    return f"{value:,.0f}" if value < 1e4 else units.count(value)


def _flop(value: float, digits: int = 2) -> str:
    return f"{value:,.0f}" if value < 1e4 else f"{value:.{digits}e}"


def _label(node: _Node) -> str:
    """Indented name, kind, and how it was counted where that was by no rule."""
    name = node.path[-1] if node.path else "the model's own call"
    kind = f" ({node.kind})" if node.kind and node.kind != name else ""
    calls = next((layer.calls for layer in node.layers if layer.path == node.path), 1)
    methods = {layer.method for layer in node.shown} - {"rule"}
    marks = ([f"{calls} calls"] if calls > 1 else []) + sorted(methods)
    mark = f" [{', '.join(marks)}]" if marks else ""
    return f"{_INDENT * (len(node.path) - 1)}{name}{kind}{mark}"


def _totals(count: ModelCount, batch: int, precision: Precision) -> Table:
    kept = count.activation_elements * precision.compute_bytes
    one, many = (ratio(count.forward_flop * n, moved(count.layers, n, precision)) for n in (1, batch))
    rows = [
        ("parameters", f"{count.parameters:,.0f}", ""),
        ("  of which trainable", f"{count.trainable_parameters:,.0f}", ""),
        ("FLOP, forward", _flop(count.forward_flop, 3), _flop(count.forward_flop * batch, 3)),
        ("FLOP, training step", _flop(count.training_flop, 3), _flop(count.training_flop * batch, 3)),
        (f"activations kept, {precision.name}", units.size(kept), units.size(kept * batch)),
        ("FLOP/byte, forward", units.significant(one), units.significant(many)),
    ]
    columns = (
        Column(name="total"),
        Column(name="one sample", numeric=True),
        Column(name=f"batch of {batch:,}", numeric=True),
    )
    wide = batch > 1
    return Table(columns=columns if wide else columns[:2], rows=tuple(row if wide else row[:2] for row in rows))


def _kinds(count: ModelCount, batch: int) -> tuple[Table, ...]:
    """The operators by their kinds; none of a model without any."""
    operators = [o for layer in count.layers for o in layer.operators]
    names = sorted({kind_of(o) for o in operators}, key=lambda n: -sum(o.flop for o in operators if kind_of(o) == n))
    flop, elements = count.forward_flop, sum(moved_elements(o, batch) for o in operators)
    rows = []
    for name in names:
        own = [o for o in operators if kind_of(o) == name]
        rows.append(
            (
                name,
                f"{len(own):,}",
                units.percent(ratio(sum(o.flop for o in own), flop)),
                units.percent(ratio(sum(moved_elements(o, batch) for o in own), elements)),
                units.percent(ratio(sum(o.saved_elements for o in own), count.activation_elements)),
            )
        )
    columns = (Column(name="operators"), *(Column(name=n, numeric=True) for n in ("count", "FLOP", "bytes", "kept")))
    return (Table(columns=columns, rows=tuple(rows)),) if rows else ()


def _notes(count: ModelCount) -> tuple[str, ...]:
    """Conventions, then what was not counted by a rule of its kind."""
    lines = [
        f"built with Keras on {count.backend}; a multiply-add is 2 FLOP, and only products and convolutions have "
        "any; a training step is the forward pass and the gradients, nothing computed again."
    ]
    for method, text in _METHODS.items():
        names = [layer.label for layer in count.layers if layer.method == method]
        if names:
            lines.append(f"{text}: {', '.join(names[:6])}{', …' if len(names) > 6 else ''}")
    noted = [f"{layer.name or layer.kind}: {layer.note}" for layer in count.layers if layer.note]
    more = [f"… and notes on {len(noted) - 12:,} more layers"] if len(noted) > 12 else []
    return (*lines, *count.notes, *noted[:12], *more)
