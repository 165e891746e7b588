"""Recommenders that find what a user may want next: two towers, and SASRec, which reads what the user took before."""

from __future__ import annotations

from dataclasses import replace

from zenplan.domain.model.operators import ElementwiseKind, Embedding, Operator
from zenplan.domain.model.workload import Usual, Workload
from zenplan.families.named import Builder
from zenplan.families.parts import block, check_heads, elementwise, loss, stack
from zenplan.families.transformer.lowering import lower
from zenplan.families.transformer.shape import TransformerShape

SEQUENCES = Usual(
    dataset="MovieLens-1M, a sequence of each user",
    samples=6_040,
    epochs=1000,
    global_batch=128,
    optimizer="adamw",
    source="Kang & McAuley 2018 (arXiv 1808.09781), table II; passes and batch of pmixer/SASRec.pytorch, python/main.py",
    task="ratings",
)


def _two_tower(
    *,
    users: int = 1024**2,
    items: int = 1024**2,
    width: int = 64,
    hidden: int = 128,
    output: int = 64,
    features: int = 1,
) -> Workload:
    """A table and a network for what asks, and for what is found, whose outputs are multiplied; as TorchRec's example
    (pytorch/torchrec, ``examples/retrieval``).

    Args:
        users, items: entries of the two tables, or of each of a tower's ``features`` tables.
        width: of an entry. hidden, output: layers of each tower.
        features: categories of a user, and of an item.
    """
    inputs = features * width
    tables: list[Operator] = [
        Embedding(name=name, entries=features * entries, width=width, rows=features, sparse=True)
        for name, entries in (("users", users), ("items", items))
    ]
    tower = block("tower", stack((inputs, hidden, output), first=False), output, repeat=2)
    scores = elementwise(ElementwiseKind.OTHER, "product of both", output, 3, kept=2 * output)
    return Workload(
        name="two-tower",
        family="recommender",
        blocks=(
            block("tables", tables, 2 * inputs, place="first"),
            tower,
            block("scores", [scores, loss(1, 1)], 0, place="last"),
        ),
        tokens_per_sample=1,
        unit="interactions",
        input="table",
    )


def _sasrec(*, items: int = 3416, width: int = 50, layers: int = 2, heads: int = 1, seq_len: int = 200) -> Workload:
    """SASRec (Kang & McAuley 2018): what a user took, in turn, through a causal transformer; each step learns the next
    item against one that was not taken.

    Args:
        seq_len: items of a user that are read, padded.
    """
    check_heads(heads, width)
    shape = TransformerShape(
        layers=layers,
        width=width,
        heads=heads,
        ff_width=width,
        vocab=items + 1,
        seq_len=seq_len,
        positions=seq_len + 1,
        dropout=True,
        headless=True,
    )
    stem, middle, head = lower(shape, "sasrec").blocks
    size = seq_len * width
    last: list[Operator] = [
        *head.operators,
        elementwise(ElementwiseKind.OTHER, "products with the next item and another", 2 * size, 3, kept=2 * size),
        loss(seq_len, 2),
    ]
    return Workload(
        name="sasrec",
        family="recommender",
        blocks=(stem, middle, replace(head, operators=tuple(last))),
        tokens_per_sample=1,
        unit="sequences",
        heads=heads,
        usual=SEQUENCES,
    )


MODELS: dict[str, Builder] = {"two-tower": _two_tower, "sasrec": _sasrec}
