"""Features of a step: sums over operators, forward and backward."""

from __future__ import annotations

import pytest

from zenplan.domain.model.operators import (
    Attention,
    Convolution,
    Elementwise,
    ElementwiseKind,
    Embedding,
    MatMul,
    Recurrent,
    Split,
)
from zenplan.domain.model.workload import Block
from zenplan.planning.calibration.features import FEATURES, features_of, features_of_blocks


def test_a_product_is_three_where_weight_and_input_get_gradients():
    product = MatMul(name="p", rows=10, inner=20, columns=30, split=Split.NONE)
    found = features_of([product], batch=4)
    assert found["product_flop"] == 3 * 4 * 2 * 10 * 20 * 30
    assert found["product_elements"] == 3 * (4 * 10 * (20 + 30) + 20 * 30)
    assert found["operators"] == 3
    assert found["parameters"] == 600


def test_a_frozen_product_at_the_start_is_one_and_updates_nothing():
    product = MatMul(name="p", rows=1, inner=2, columns=3, split=Split.NONE, trainable=False, input_gradient=False)
    found = features_of([product], batch=1)
    assert found["product_flop"] == 12
    assert "parameters" not in found


def test_depthwise_convolutions_are_a_kind_of_their_own():
    def one(groups: int) -> Convolution:
        return Convolution(
            name="c",
            positions=64,
            window=9,
            inputs=8,
            outputs=8,
            groups=groups,
            input_elements=512,
            output_elements=512,
        )

    assert set(features_of([one(8)], 1)) & {"grouped_flop", "convolution_flop"} == {"grouped_flop"}
    assert set(features_of([one(1)], 1)) & {"grouped_flop", "convolution_flop"} == {"convolution_flop"}


def test_masked_scores_are_counted_since_frameworks_compute_them():
    attention = Attention(name="a", heads=2, kv_heads=2, key_dim=4, value_dim=4, queries=16, keys=16, causal=True)
    assert features_of([attention], 3)["attention_flop"] == 3 * 3 * attention.full_flop


def test_recurrent_steps_wait_whatever_the_batch():
    step = Recurrent(name="r", steps=50, inner=8, columns=32)
    assert features_of([step], 1)["recurrent_steps"] == features_of([step], 64)["recurrent_steps"] == 150


def test_residual_sums_count_those_before_them():
    sums = [
        Elementwise(name="s", kind=ElementwiseKind.RESIDUAL, elements=10, passes=3, split=Split.NONE) for _ in range(4)
    ]
    other = Elementwise(name="s", kind=ElementwiseKind.RESIDUAL, elements=7, passes=3, split=Split.NONE)
    plain = Elementwise(name="residual sum", elements=10, passes=3, split=Split.NONE)
    assert features_of([*sums, other, plain], 2)["refused_elements"] == 2 * 10 * (0 + 1 + 2 + 3)


def test_blocks_count_as_often_as_they_are_repeated():
    lookup = Embedding(name="tokens", entries=100, width=8, rows=16)
    block = Block(name="b", operators=(lookup,), repeat=3)
    assert features_of_blocks([block], 2) == pytest.approx(features_of([lookup] * 3, 2))
    assert set(features_of_blocks([block], 2)) <= set(FEATURES)
