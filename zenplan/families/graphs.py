"""Graph networks: convolution and attention over sampled neighbours, and the SE(3)-Transformer over molecules.

What they move is rows of nodes, gathered for each edge and summed up again; the products in between are small.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from zenplan.domain.model.operators import ElementwiseKind, Function, Operator
from zenplan.domain.model.workload import Block, Usual, Workload
from zenplan.domain.provenance import Fact, Origin
from zenplan.errors import UsageError
from zenplan.families.named import Builder
from zenplan.families.parts import block, dense, elementwise, loss
from zenplan.units import digits_of

# --- molecules
#
# The SE(3)-Transformer (Fuchs et al. 2020), as in NVIDIA's example: molecules, whatever way they are turned.
#
# Features have degrees 0 to d - 1, a degree k is a vector of 2k + 1. An edge's kernel from all degrees to all is a sum
# of fixed bases, weighted by a small network of its length; the weights of one edge are tens of thousands.

QM9 = Usual(
    dataset="QM9, molecules to train on",
    samples=100_000,
    epochs=100,
    global_batch=240,
    optimizer="adamw",
    source="NVIDIA DeepLearningExamples, DGLPyTorch/DrugDiscovery/SE3Transformer",
    task="graphs",
)
_ATOM, _EDGE, _HIDDEN = (6, 5, 32)  # numbers of an atom, of an edge with its length; width of the radial network


def _radial(name: str, edges: int, outputs: int) -> list[Operator]:
    """The network that turns an edge into the weights of its kernel."""
    size = edges * _HIDDEN
    return [
        dense(f"{name} 1", edges, _EDGE, _HIDDEN, first=True),
        elementwise(ElementwiseKind.NORM, f"{name} norm 1", 2 * size, 4, kept=2 * size, weights=2 * _HIDDEN),
        dense(f"{name} 2", edges, _HIDDEN, _HIDDEN),
        elementwise(ElementwiseKind.NORM, f"{name} norm 2", 2 * size, 4, kept=2 * size, weights=2 * _HIDDEN),
        dense(f"{name} weights", edges, _HIDDEN, outputs, bias=False),
    ]


def _kernel(name: str, edges: int, inputs: int, outputs: int, bases: int, before: int, after: int) -> list[Operator]:
    """Features × bases, then × the edge's weights: ``bases`` in number, from ``before`` to ``after`` dimensions.

    Both are batched products, whose second operand belongs to the edge: no weight of theirs.
    """
    weights, turned = bases * inputs * outputs, edges * inputs * bases * after
    return [
        *_radial(f"{name} radial", edges, weights),
        elementwise(ElementwiseKind.OTHER, f"{name} gather", edges * inputs * before, 3, kept=edges * inputs * before),
        elementwise(ElementwiseKind.OTHER, f"{name} bases", edges * before * bases * after, 1),
        replace(dense(f"{name} turned", edges * inputs, before, bases * after, bias=False, kept=False), tied=True),
        elementwise(ElementwiseKind.OTHER, f"{name} weights", edges * weights, 1, kept=edges * weights),
        replace(dense(f"{name} kernel", edges * outputs, inputs * bases, after, bias=False, kept=False), tied=True),
        elementwise(ElementwiseKind.OTHER, f"{name} turned again", turned, 1, kept=turned),
    ]


def _layer(atoms: int, edges: int, degrees: int, channels: int, heads: int, first: bool) -> list[Operator]:
    """Keys and values of every edge, queries of every atom, attention over an atom's edges, a projection, a norm.

    The first layer has atoms' numbers, of degree 0 alone; so have its queries and keys.
    """
    width, half = degrees**2, channels // 2  # 1 + 3 + 5 + ... dimensions
    keyed = 1 if first else degrees
    if first:
        operators = [
            op
            for degree in range(degrees)
            for op in _kernel(
                f"to degree {degree}", edges, _ATOM, channels if degree == 0 else half, 1, 1, 2 * degree + 1
            )
        ]
    else:
        bases = sum(2 * min(a, b) + 1 for a in range(degrees) for b in range(degrees))
        operators = _kernel("keys and values", edges, channels, channels, bases, width, width)
    inputs, size = _ATOM if first else channels, atoms * channels * width
    operators += [dense(f"query {k}", atoms * (2 * k + 1), inputs, half, bias=False) for k in range(keyed)]
    operators += [
        elementwise(ElementwiseKind.OTHER, "scores", edges * half * keyed**2, 2, kept=edges * half * keyed**2),
        elementwise(
            ElementwiseKind.ACTIVATION, "softmax", edges * heads, 6, function=Function.SOFTMAX, kept=edges * heads
        ),
        elementwise(ElementwiseKind.OTHER, "weighted values", edges * half * width, 4, kept=edges * half * width),
    ]
    operators += [
        dense(f"project {k}", atoms * (2 * k + 1), half + (inputs if k < keyed else 0), channels, bias=False)
        for k in range(degrees)
    ]
    return [
        *operators,
        elementwise(ElementwiseKind.NORM, "norm", size, 6, kept=2 * size, weights=2 * degrees * channels),
    ]


def _se3(
    *, layers: int = 7, channels: int = 32, degrees: int = 4, heads: int = 8, atoms: int = 18, edges: int = 37
) -> Workload:
    """A sample is a molecule of so many ``atoms``, and ``edges``: two for each bond."""
    width, last = atoms * channels * degrees**2, degrees * channels
    head = [
        *_kernel("last", edges, channels, last, degrees, degrees**2, 1),
        dense("self", atoms, channels, last, bias=False),
        elementwise(ElementwiseKind.OTHER, "largest of the atoms", atoms * last, 2, kept=atoms * last),
        dense("head 1", 1, last, last),
        dense("head 2", 1, last, 1),
    ]
    start = _layer(atoms, edges, degrees, channels, heads, first=True)
    blocks = [block("first layer", start, width)]
    if layers > 1:
        rest = _layer(atoms, edges, degrees, channels, heads, first=False)
        blocks.append(block("layer", rest, width, repeat=layers - 1))
    blocks.append(block("head", head, 0, place="last"))
    return Workload(
        name="se3-transformer",
        family="gnn",
        blocks=tuple(blocks),
        tokens_per_sample=1,
        unit="samples",
        usual=QM9,
        input="table",
        facts=(
            Fact(
                name="atoms and edges of a molecule",
                value=f"{atoms}, {edges}",
                origin=Origin.PUBLISHED,
                why="QM9 has 18.0 atoms and 37.3 edges a molecule (PyTorch Geometric, datasets)",
            ),
            Fact(
                name="operators",
                value="approximated",
                origin=Origin.ASSUMED,
                why="by hand from the fused form of NVIDIA's example; its bases are computed beforehand",
            ),
        ),
    )


# --- graphs


PRODUCTS = Usual(
    dataset="ogbn-products, nodes to train on",
    samples=196_615,
    epochs=20,
    global_batch=1024,
    optimizer="adamw",
    source="Hu et al. 2020 (OGB), the data; its GraphSAGE example, the rest",
    task="graphs",
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
    "se3-transformer": _se3,
}
