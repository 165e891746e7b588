from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zenplan.domain.model.operators import Attention, Convolution, Elementwise, Embedding, MatMul, Split
from zenplan.domain.model.workload import Block, Workload
from zenplan.errors import DataError

PRODUCT = MatMul(name="up", rows=10, inner=4, columns=6, split=Split.COLUMNS)
CONVOLUTION = Convolution(
    name="c", positions=16, window=9, inputs=2, outputs=4, kernel=(3, 3), input_elements=32, output_elements=64
)
ATTENTION = Attention(name="a", heads=8, kv_heads=2, key_dim=16, value_dim=4, queries=10, keys=20, causal=False)


def workload(*blocks: Block) -> Workload:
    return Workload(name="w", family="decoder", blocks=blocks, tokens_per_sample=10)


def test_a_product() -> None:
    assert PRODUCT.flop == 2 * 10 * 4 * 6
    assert PRODUCT.parameters == PRODUCT.active_parameters == 24
    assert replace(PRODUCT, bias=True).parameters == 30
    assert replace(PRODUCT, saved=4).saved_elements == 40


def test_a_tied_weight_is_used_but_owned_by_another() -> None:
    tied = replace(PRODUCT, tied=True)
    assert (tied.parameters, tied.active_parameters, tied.flop) == (0, 24, PRODUCT.flop)


def test_experts_are_owned_all_and_met_in_part() -> None:
    mixed = replace(PRODUCT, experts=8, active=2)
    assert (mixed.parameters, mixed.active_parameters, mixed.flop) == (192, 48, 2 * PRODUCT.flop)


@pytest.mark.parametrize(("active", "experts"), [(0, 1), (3, 2), (0, 8)])
def test_impossible_experts(active: int, experts: int) -> None:
    with pytest.raises(DataError, match="active of"):
        replace(PRODUCT, active=active, experts=experts)


def test_attention_reads_grouped_keys_and_values_once() -> None:
    assert ATTENTION.flop == ATTENTION.full_flop == 2 * 10 * 20 * 8 * (16 + 4)
    assert ATTENTION.io_elements == 10 * 8 * 16 + 20 * 2 * 16 + 20 * 2 * 4 + 10 * 8 * 4
    assert ATTENTION.score_elements == 8 * 10 * 20
    assert ATTENTION.saved_elements == ATTENTION.io_elements + 2 * 8 * 10  # and row sums and maxima
    assert (ATTENTION.parameters, ATTENTION.trainable) == (0, False)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(length=st.integers(1, 40), window=st.one_of(st.none(), st.integers(1, 60)))
def test_keys_seen_are_those_of_the_mask(length: int, window: int | None) -> None:
    op = replace(ATTENTION, queries=length, keys=length, causal=True, window=window)
    mask = [[k <= q and (window is None or q - k < window) for k in range(length)] for q in range(length)]
    assert op.seen_keys == pytest.approx(sum(map(sum, mask)) / length)


def test_a_window_wider_than_the_sequence_is_none() -> None:
    assert replace(ATTENTION, window=100).seen_keys == 20
    assert replace(ATTENTION, window=5).seen_keys == 5


def test_streams_and_tables_have_no_flop() -> None:
    norm = Elementwise(name="norm", elements=10, passes=4, split=Split.SEQUENCE, weights=8, saved=10)
    table = Embedding(name="embedding", entries=100, width=4, rows=10)
    assert (norm.flop, norm.parameters, norm.active_parameters, norm.saved_elements) == (0, 8, 8, 10)
    # The FLOP conventions of the field leave the input table out.
    assert (table.flop, table.parameters, table.active_parameters, table.saved_elements) == (0, 400, 0, 0)


def test_a_workload_counts_every_repetition() -> None:
    norm = Elementwise(name="norm", elements=10, passes=4, split=Split.SEQUENCE, weights=8)
    table = Block(name="in", operators=(Embedding(name="t", entries=100, width=4, rows=10),), place="first")
    layer = Block(name="layer", operators=(PRODUCT, norm), repeat=3)
    more = Block(name="other", operators=(replace(PRODUCT, experts=4),), repeat=2)
    head = Block(name="out", operators=(replace(PRODUCT, trainable=False),), place="last")
    model = workload(table, layer, more, head)
    assert model.layers == 5
    assert model.parameters == 400 + 3 * (24 + 8) + 2 * 96 + 24
    assert model.active_parameters == 3 * (24 + 8) + 2 * 24 + 24
    assert model.trainable_parameters == model.parameters - 24
    assert model.flop_per_sample == (3 + 2 + 1) * 480
    assert model.experts == 4
    assert workload(table).experts == 1


@pytest.mark.parametrize("size", [0, -1])
@pytest.mark.parametrize("field", ["rows", "inner", "columns"])
def test_sizes_are_above_zero(field: str, size: int) -> None:
    with pytest.raises(DataError, match=f"product up: {field}"):
        replace(PRODUCT, **{field: size})


@pytest.mark.parametrize(
    ("noun", "changes"),
    [
        (ATTENTION, {"heads": 0}),
        (ATTENTION, {"window": 0}),
        (Elementwise(name="s", elements=1, passes=1, split=Split.NONE), {"passes": 0}),
        (Embedding(name="l", entries=1, width=1, rows=1), {"width": 0}),
        (CONVOLUTION, {"kernel": (3, 2)}),
        (Block(name="b", operators=()), {"repeat": 0}),
        (Block(name="b", operators=()), {"boundary": -1.0}),
        (Block(name="b", operators=()), {"place": "nowhere"}),
        (workload(Block(name="b", operators=())), {"blocks": ()}),
        (workload(Block(name="b", operators=())), {"tokens_per_sample": 0}),
        (workload(Block(name="b", operators=())), {"name": " "}),
    ],
)
def test_what_cannot_be_is_refused(noun: Any, changes: dict[str, Any]) -> None:
    with pytest.raises(DataError):
        replace(noun, **changes)
