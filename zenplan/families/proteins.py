"""Networks over proteins: the Evoformer of AlphaFold 2 (Jumper et al. 2021, supplementary algorithm 6).

It passes on two things: a row for each related sequence, and a square of pairs of residues. Its shape is that of
aqlaboratory/openfold (``openfold/config.py``), which counts it.
"""

from __future__ import annotations

from functools import partial

from zenplan.domain.model.operators import ElementwiseKind, MatMul, Operator, Role, Split
from zenplan.domain.model.workload import Workload
from zenplan.domain.provenance import Fact, Origin
from zenplan.families.named import Builder
from zenplan.families.parts import attention, block, dense, elementwise, loss

_MSA_HEADS, _PAIR_HEADS, _OUTER = 8, 4, 32


def _evoformer(
    name: str,
    /,
    *,
    layers: int = 48,
    residues: int = 256,
    sequences: int = 128,
    width: int = 256,
    pair_width: int = 128,
    single_width: int = 384,
) -> Workload:
    """The trunk of the network.

    Args:
        residues: of a crop. sequences: related ones that are read with it (clusters of the alignment).
        width, pair_width, single_width: of a residue of a sequence, of a pair, and of a residue afterwards.
    """
    rows, pairs = sequences * residues, residues**2
    size = rows * width + pairs * pair_width
    each = [
        *_along(rows, width, "row", queries=residues, apart=sequences, heads=_MSA_HEADS),
        _norm("row bias", pairs, pair_width),
        dense("row bias", pairs, pair_width, _MSA_HEADS, bias=False),
        *_along(rows, width, "column", queries=sequences, apart=residues, heads=_MSA_HEADS),
        *_transition("alignment", rows, width),
        *_outer(rows, residues, sequences, width, pair_width),
        *_triangle_product("outgoing", residues, pair_width),
        *_triangle_product("incoming", residues, pair_width),
        *_triangle_attention("starting", residues, pair_width),
        *_triangle_attention("ending", residues, pair_width),
        *_transition("pair", pairs, pair_width),
    ]
    whole = "embedding, templates, extra sequences, structure module and recycling are not counted"
    return Workload(
        name=name,
        family="protein",
        blocks=(
            block("layer", each, size, repeat=layers),
            block("head", [dense("single", residues, width, single_width), loss(residues, 1)], 0, place="last"),
        ),
        tokens_per_sample=1,
        unit="proteins",
        facts=(Fact(name="part", value="Evoformer alone", origin=Origin.ASSUMED, why=whole),),
    )


def _norm(name: str, rows: float, width: float) -> Operator:
    return elementwise(ElementwiseKind.NORM, f"{name} norm", rows * width, 3, kept=rows * width, weights=2 * width)


def _along(rows: int, width: int, name: str, *, queries: int, apart: int, heads: int) -> list[Operator]:
    """Gated attention along one side of a table, whose other side's lines do not see each other."""
    per_head = width // heads
    return [
        _norm(name, rows, width),
        dense(f"{name} query-key-value", rows, width, 3 * width, role=Role.KEY_VALUE, bias=False),
        dense(f"{name} gate", rows, width, width, kept=False),
        attention(f"{name} attention", heads * apart, per_head, queries),
        elementwise(ElementwiseKind.GATE, f"{name} gate product", rows * width, 3, kept=2 * rows * width),
        dense(f"{name} output", rows, width, width, role=Role.ATTENTION),
        elementwise(ElementwiseKind.SUM, f"{name} dropout and sum", rows * width, 4, kept=rows * width / 2),
    ]


def _transition(name: str, rows: int, width: int) -> list[Operator]:
    wide = 4 * width
    return [
        _norm(f"{name} transition", rows, width),
        dense(f"{name} transition up", rows, width, wide),
        elementwise(ElementwiseKind.ACTIVATION, f"{name} transition activation", rows * wide, 2, kept=rows * wide),
        dense(f"{name} transition down", rows, wide, width),
        elementwise(ElementwiseKind.SUM, f"{name} transition sum", rows * width, 3),
    ]


def _product(name: str, rows: float, inner: float, columns: float, kept: float) -> MatMul:
    """A product of two things that were computed: it owns no weight."""
    return MatMul(name=name, rows=rows, inner=inner, columns=columns, split=Split.NONE, tied=True, saved=kept / rows)


def _outer(rows: int, residues: int, sequences: int, width: int, pair_width: int) -> list[Operator]:
    """The mean over sequences of each two residues' products, to the pairs."""
    pairs, made = residues**2, _OUTER**2
    across = residues * _OUTER
    return [
        _norm("outer product", rows, width),
        dense("outer product left", rows, width, _OUTER),
        dense("outer product right", rows, width, _OUTER, kept=False),
        _product("outer product", across, sequences, across, 2 * rows * _OUTER),
        dense("outer product output", pairs, made, pair_width),
        elementwise(ElementwiseKind.SUM, "outer product sum", pairs * pair_width, 3),
    ]


def _triangle_product(name: str, residues: int, width: int) -> list[Operator]:
    """Each edge from the other two of all triangles that it is in: gated, a product for each channel, gated again."""
    pairs = residues**2
    size = pairs * width
    sides: list[Operator] = []
    for side in ("left", "right"):
        sides += [
            dense(f"{name} {side}", pairs, width, width, kept=False),
            dense(f"{name} {side} gate", pairs, width, width, kept=False),
            elementwise(ElementwiseKind.GATE, f"{name} {side} gate product", size, 3, kept=2 * size),
        ]
    return [
        _norm(f"{name} in", pairs, width),
        *sides,
        _product(f"{name} triangles", width * residues, residues, residues, 2 * size),
        _norm(f"{name} out", pairs, width),
        dense(f"{name} output", pairs, width, width),
        dense(f"{name} gate", pairs, width, width),
        elementwise(ElementwiseKind.GATE, f"{name} gate product", size, 3, kept=2 * size),
        elementwise(ElementwiseKind.SUM, f"{name} dropout and sum", size, 4, kept=size / 2),
    ]


def _triangle_attention(name: str, residues: int, width: int) -> list[Operator]:
    """Edges that begin, or end, at one residue see each other, told by the third edge."""
    pairs = residues**2
    norm, *rest = _along(pairs, width, name, queries=residues, apart=residues, heads=_PAIR_HEADS)
    return [norm, dense(f"{name} bias", pairs, width, _PAIR_HEADS, bias=False, kept=False), *rest]


MODELS: dict[str, Builder] = {
    "evoformer": partial(_evoformer, "evoformer"),
}
