"""The shapes of all kinds of operators, and a table for each family in columns that make sense for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from zenplan.commands.workloads.report import workload_report, workloads_report
from zenplan.domain.model.operators import (
    Attention,
    Convolution,
    Elementwise,
    Embedding,
    MatMul,
    Operator,
    Recurrent,
    Split,
)
from zenplan.domain.model.workload import Block, Usual, Workload

CONVOLUTION = Convolution(
    name="c", positions=3136.0, window=9, inputs=64, outputs=128, input_elements=1, output_elements=1
)
PRODUCT = MatMul(name="p", rows=49.0, inner=512, columns=1000, split=Split.NONE)


def load(*operators: Operator, **changes: object) -> Workload:
    values = {"unit": "images", "tokens_per_sample": 1, "family": "convnet", **changes}
    return Workload(name="net", blocks=(Block(name="b", operators=operators),), **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("operator", "shape"),
    [
        (CONVOLUTION, "3136×576×128, window 9"),
        (replace(CONVOLUTION, groups=32), "3136×18×128, window 9, 32 groups"),
        (replace(CONVOLUTION, window=1), "3136×64×128"),
        (PRODUCT, "49×512×1000"),
        (replace(PRODUCT, rows=48.126), "48.1×512×1000"),
        (replace(PRODUCT, experts=8, active=2), "49×512×1000 × 2 of 8"),
        (Recurrent(name="r", steps=50, inner=1024, columns=4096), "50 steps of 1×1024×4096"),
        (Recurrent(name="r", steps=50, inner=10, columns=40, kernels=20), "50 steps of 1×10×40, 20 kernels each"),
        (Embedding(name="l", entries=50_257, width=768, rows=1024), "entries 50,257 width 768"),
        (Embedding(name="l", entries=1e6, width=128, rows=1, sparse=True), "entries 1,000,000 width 128 sparse"),
        (Elementwise(name="s", elements=1e6, passes=2, split=Split.NONE), "elements 1,000,000"),
        (
            Attention(name="a", heads=12, kv_heads=12, key_dim=64, value_dim=64, queries=197, keys=197, causal=False),
            "heads 12 queries 197 keys 197",
        ),
    ],
)
def test_the_shape_of_an_operator(operator: Operator, shape: str) -> None:
    report = workload_report("toys", load(operator))
    assert report.records[0]["shape"] == shape
    published = {Elementwise: "stream", Embedding: "lookup"}.get(type(operator), type(operator).__name__.lower())
    assert report.records[0]["kind"] == published


def test_families_have_tables_of_their_own() -> None:
    usual = Usual(dataset="Toys", samples=10, epochs=1, global_batch=1, optimizer="sgd", source="a paper")
    language = load(PRODUCT, unit="tokens", tokens_per_sample=49, family="decoder")
    frames = replace(language, name="voice", unit="frames", usual=usual)
    report = workloads_report([("big", language), ("toys", load(CONVOLUTION, PRODUCT)), ("toys", frames)])
    big, toys = report.tables
    assert (big.title, toys.title) == ("big", "toys")
    assert "sequence" in {column.name for column in big.columns}
    assert big.rows[0][:2] == ("net", "decoder")
    units = [column.name for column in toys.columns].index("unit")
    assert [row[units] for row in toys.rows] == ["images", "frames"]
    assert toys.rows[1][-1] == "Toys"
    assert [record["unit"] for record in report.records] == ["tokens", "images", "frames"]


def test_a_gradient_that_nobody_needs_is_not_counted() -> None:
    first = replace(CONVOLUTION, input_gradient=False)
    (record,) = workloads_report([("toys", load(first))]).records
    assert record["training_flop_per_sample"] == 2 * record["forward_flop_per_sample"] == 2 * first.flop
