"""Graph networks: convolution and attention over sampled neighbours, and the SE(3)-Transformer over molecules.

What they move is rows of nodes, gathered for each edge and summed up again; the products in between are small.
"""

from __future__ import annotations

from functools import partial

from zenplan.domain.model.operators import ElementwiseKind, Operator
from zenplan.domain.model.workload import Block, Usual, Workload
from zenplan.domain.provenance import Fact, Origin
from zenplan.errors import UsageError
from zenplan.families import molecules
from zenplan.families.named import Builder
from zenplan.families.parts import block, dense, elementwise, loss
from zenplan.units import digits_of

PRODUCTS = Usual(
    dataset="ogbn-products, nodes to train on",
    samples=196_615,
    epochs=20,
    global_batch=1024,
    optimizer="adamw",
    source="Hu et al. 2020 (OGB), the data; its GraphSAGE example, the rest",
)
_MOST_HOPS, _MOST_NEIGHBOURS = 20, 100_000


def hops(text: str) -> tuple[int, ...]:
    """``15x10x5``: neighbours taken of a node, of each of them, and so on.

    Raises:
        UsageError: it is not 1 to 20 whole numbers from 1 to 100,000.
    """
    parts = text.lower().split("x")
    taken = [digits_of(part, _MOST_NEIGHBOURS) for part in parts]
    if len(parts) > _MOST_HOPS or None in taken:
        raise UsageError(f"neighbours cannot be '{text}'", "write whole numbers as in: 15x10x5")
    return tuple(filter(None, taken))


def _join(
    kind: str, nodes: float, taken: float, inputs: int, outputs: int, relations: int, first: bool
) -> list[Operator]:
    """A layer's products: of the mean of the neighbours (GCN); of the node beside it (GraphSAGE); of every neighbour,
    by its relation, with attention (RGAT)."""
    edges = nodes * taken
    gathered = elementwise(ElementwiseKind.OTHER, "gather", edges * inputs, 2)
    mean = elementwise(ElementwiseKind.MEAN_POOL, "mean of neighbours", edges * inputs, 1 + 1 / taken)
    if kind == "gcn":
        return [gathered, mean, dense("product", nodes, inputs, outputs, first=first)]
    if kind == "sage":
        return [
            gathered,
            mean,
            dense("neighbours", nodes, inputs, outputs, first=first),
            dense("node", nodes, inputs, outputs, bias=False, first=first),
        ]
    products: list[Operator] = [
        dense(f"relation {number}", edges / relations, inputs, outputs, bias=False, first=first)
        for number in range(1, relations + 1)
    ]
    return [
        gathered,
        *products,
        elementwise(
            ElementwiseKind.OTHER,
            "attention scores",
            edges * outputs,
            1,
            kept=edges * outputs,
            weights=2.0 * outputs * relations,
        ),
        elementwise(ElementwiseKind.OTHER, "weighted sum", edges * outputs, 2 + 1 / taken),
        dense("node", nodes, inputs, outputs, first=first),
    ]


def _neighbours(
    name: str,
    kind: str,
    usual: Usual | None,
    /,
    *,
    width: int = 256,
    features: int = 100,
    classes: int = 47,
    neighbours: str = "15x10x5",
    relations: int = 1,
) -> Workload:
    """A network with a layer for each hop; a sample is a node with what was sampled around it.

    Args:
        neighbours: taken at each hop, the nearest first. relations: kinds of edges (RGAT).
    """
    taken = hops(neighbours)
    blocks: list[Block] = []
    # Every node of a hop stays one of the next: its own state is read too.
    counts = [1.0]
    for number in taken:
        counts.append(counts[-1] * (1 + number))
    inputs = features
    for layer, (nodes, number) in enumerate(zip(reversed(counts[:-1]), reversed(taken), strict=True), 1):
        last = layer == len(taken)
        outputs = classes if last else width
        operators = _join(kind, nodes, number, inputs, outputs, relations, layer == 1)
        if not last:
            what, size = ElementwiseKind.ACTIVATION_DROPOUT, nodes * outputs
            operators.append(elementwise(what, "activation and dropout", size, 4, kept=size / 2))
        blocks.append(block(f"layer {layer}", operators, nodes * outputs))
        inputs = outputs
    blocks.append(block("loss", [loss(1, classes)], 0, place="last"))
    why = "nodes that two samples of a batch share are counted twice, though taken once"
    return Workload(
        name=name,
        family="gnn",
        blocks=tuple(blocks),
        tokens_per_sample=1,
        unit="samples",
        usual=usual,
        input="table",
        facts=(Fact(name="nodes of a sample", value=f"{counts[-1]:,.0f}", origin=Origin.ASSUMED, why=why),),
    )


MODELS: dict[str, Builder] = {
    "gcn": partial(_neighbours, "gcn", "gcn", PRODUCTS),
    "graphsage": partial(_neighbours, "graphsage", "sage", PRODUCTS),
    "rgat": partial(_neighbours, "rgat", "rgat", None, width=512, features=1024, classes=2983, relations=11),
    **molecules.MODELS,
}
