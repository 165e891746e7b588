"""The counting rules by hand, on layers that are no more than their settings: no Keras is needed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from zenplan.domain.model.operators import Attention, Convolution, Elementwise, Embedding, MatMul, Recurrent, Split
from zenplan.domain.model.workload import gradients
from zenplan.worker.counting import (
    rules_convolution,
    rules_elementwise,
    rules_ops,
    rules_products,
)
from zenplan.worker.counting.call import Call, Tensor


def linear(x: Any) -> Any:
    return x


def swish(x: Any) -> Any:
    return x


def relu(x: Any) -> Any:
    return x


def call(
    *inputs: Tensor | tuple[int, ...],
    out: tuple[int, ...] = (),
    batch: int = 1,
    learns: bool = True,
    kept: set[object] | None = None,
    **arguments: Any,
) -> Call:
    tensors = tuple(t if isinstance(t, Tensor) else Tensor(shape=t, learns=True) for t in inputs)
    outputs = (Tensor(shape=out, learns=True),) if out else ()
    return Call(
        inputs=tensors,
        outputs=outputs,
        arguments=arguments,
        batch=batch,
        learns=learns,
        kept=set() if kept is None else kept,
        owned=set(),
    )


def layer(kind: str = "Layer", **settings: Any) -> Any:
    return type(kind, (SimpleNamespace,), {"__module__": "keras.layers"})(**settings)


def own(kind: str, **settings: Any) -> Any:
    """A layer of a user's class that is made from Keras's."""
    return type("Add", (type(layer(kind)),), {"__module__": "models"})(**settings)


# --- dense


def test_a_dense_layer_multiplies_every_row_of_a_sample_and_keeps_its_input() -> None:
    settings = layer(units=5, use_bias=True, activation=linear)
    (product,) = rules_products.dense(settings, call((4, 7, 3), out=(4, 7, 5), batch=4))
    assert (product.flop, product.parameters, product.saved_elements) == (2 * 7 * 3 * 5, 3 * 5 + 5, 7 * 3)


def test_what_a_layer_before_keeps_is_not_kept_twice() -> None:
    seen: set[object] = set()
    shared = Tensor(shape=(1, 3), learns=True)
    settings = layer(units=5, use_bias=True, activation=linear)
    (first,) = rules_products.dense(settings, call(shared, out=(1, 5), kept=seen))
    (second,) = rules_products.dense(settings, call(shared, out=(1, 5), kept=seen))
    assert (first.saved_elements, second.saved_elements) == (3, 0)


@pytest.mark.parametrize(("function", "saved"), [(relu, 10), (swish, 10), (linear, None)])
def test_an_activation_keeps_its_output_or_what_it_was_given(function: Any, saved: float | None) -> None:
    settings = layer(units=5, use_bias=False, activation=function)
    case = call((1, 2, 3), out=(1, 2, 5))
    _, *others = rules_products.dense(settings, case)
    assert [s.saved_elements for s in others] == ([] if saved is None else [saved])
    # A ReLU's is there for the next layer too; a swish's input is nowhere else.
    assert (case.outputs[0].key in case.kept) == (function is relu)


@pytest.mark.parametrize(
    ("learns", "before", "expected"), [(True, True, 2), (True, False, 1), (False, True, 1), (False, False, 0)]
)
def test_gradients_go_where_something_learns(learns: bool, before: bool, expected: int) -> None:
    source = Tensor(shape=(1, 3), learns=before)
    (product,) = rules_products.dense(
        layer(units=5, use_bias=True, activation=linear), call(source, out=(1, 5), learns=learns)
    )
    assert gradients(product) == expected
    assert product.saved_elements == (3 if learns else 0)


@pytest.mark.parametrize(
    ("equation", "shape", "kernel", "flop", "parameters"),
    [
        ("abc,cde->abde", (1, 4, 6), (6, 3, 5), 2 * 4 * 6 * 15, 90),
        ("...x,xy->...y", (1, 4, 6), (6, 5), 2 * 4 * 6 * 5, 30),
        ("abc,bcd->abd", (1, 4, 6), (4, 6, 5), 2 * 4 * 6 * 5, 0),  # a kernel for each of four: not one product's
        ("abc,bd->adc", (1, 4, 6), (4, 5), 2 * 4 * 6 * 5, 20),
    ],
)
def test_einsum_dense_is_the_product_of_its_equation(
    equation: str, shape: tuple[int, ...], kernel: tuple[int, ...], flop: float, parameters: float
) -> None:
    settings = layer(
        weights=[SimpleNamespace(name="kernel", shape=kernel)], equation=equation, bias=None, activation=linear
    )
    (product,) = rules_products.einsum_dense(settings, call(shape, out=(1, 4, 5)))
    assert (product.flop, product.parameters) == (flop, parameters)


def test_an_embedding_is_rows_of_a_table_and_in_reverse_a_product_with_it() -> None:
    settings = layer(input_dim=50, output_dim=8, tie_weights=True)
    (table,) = rules_products.embedding(settings, call((2, 6), batch=2))
    assert isinstance(table, Embedding)
    assert (table.rows, table.parameters, table.flop) == (6, 400, 0)
    (product,) = rules_products.embedding(settings, call((2, 6, 8), batch=2, reverse=True))
    assert (product.flop, product.parameters) == (2 * 6 * 8 * 50, 0)


# --- convolutions


def conv(**settings: Any) -> Any:
    usual = {
        "rank": 2,
        "kernel_size": (3, 3),
        "filters": 8,
        "groups": 1,
        "use_bias": True,
        "activation": linear,
        "data_format": "channels_last",
        "depth_multiplier": 1,
    }
    return layer(**{**usual, **settings})


def test_a_convolution_has_a_window_at_each_position_of_its_output() -> None:
    (op,) = rules_convolution.convolution(conv(groups=2), call((2, 9, 9, 4), out=(2, 5, 5, 8), batch=2))
    assert isinstance(op, Convolution)
    assert op.flop == 2 * 25 * 9 * 4 / 2 * 8
    assert op.parameters == 9 * 4 / 2 * 8 + 8
    assert (op.input_elements, op.output_elements, op.saved_elements) == (9 * 9 * 4, 5 * 5 * 8, 9 * 9 * 4)


def test_channels_may_come_first() -> None:
    (last,) = rules_convolution.convolution(conv(), call((1, 9, 9, 4), out=(1, 5, 5, 8)))
    (first,) = rules_convolution.convolution(conv(data_format="channels_first"), call((1, 4, 9, 9), out=(1, 8, 5, 5)))
    assert (first.flop, first.parameters) == (last.flop, last.parameters)


def test_a_transposed_convolution_has_a_window_for_each_position_of_its_input() -> None:
    (op,) = rules_convolution.transposed(conv(kernel_size=(2, 2)), call((1, 4, 4, 6), out=(1, 8, 8, 8)))
    assert op.flop == 2 * 16 * 4 * 6 * 8


def test_a_depthwise_convolution_sees_one_channel_and_a_separable_one_mixes_them_after() -> None:
    (depth,) = rules_convolution.depthwise(conv(depth_multiplier=2), call((1, 9, 9, 4), out=(1, 9, 9, 8)))
    assert (depth.flop, depth.parameters) == (2 * 81 * 9 * 8, 9 * 8 + 8)
    depth, point = rules_convolution.separable(conv(depth_multiplier=2), call((1, 9, 9, 4), out=(1, 9, 9, 8)))
    assert (depth.flop, point.flop) == (2 * 81 * 9 * 8, 2 * 81 * 8 * 8)
    assert depth.parameters + point.parameters == 9 * 8 + 8 * 8 + 8


def test_a_first_separable_convolution_has_a_gradient_only_between_its_parts() -> None:
    image = Tensor(shape=(1, 9, 9, 4))
    depth, point = rules_convolution.separable(conv(), call(image, out=(1, 9, 9, 8)))
    assert (gradients(depth), gradients(point)) == (1, 2)


# --- recurrent


@pytest.mark.parametrize(("name", "gates", "twice"), [("SimpleRNNCell", 1, 0), ("GRUCell", 3, 1), ("LSTMCell", 4, 0)])
def test_a_recurrent_layer_is_a_product_of_all_steps_and_one_in_each(name: str, gates: int, twice: int) -> None:
    cell = layer(name, units=5, use_bias=True, reset_after=bool(twice))
    product, steps = rules_products.recurrent(layer(cell=cell), call((2, 9, 3), batch=2))
    assert isinstance(steps, Recurrent)
    assert (product.flop, steps.flop) == (2 * 9 * 3 * gates * 5, 2 * 9 * 5 * gates * 5)
    assert (steps.steps, steps.kernels) == (9, 1)
    assert product.parameters + steps.parameters == (3 + 5 + 1 + twice) * gates * 5


def test_a_cell_alone_is_one_step_of_a_loop_with_many_kernels() -> None:
    _, step = rules_products.cell(layer("LSTMCell", units=5, use_bias=True), call((1, 3)))
    assert (step.steps, step.kernels) == (1, rules_products.LOOP_KERNELS)


def test_a_convolutional_recurrence_has_a_row_for_each_position() -> None:
    cell = layer(units=0, rank=2, data_format="channels_last", kernel_size=(3, 3), filters=5, use_bias=True)
    settings = layer(cell=cell, return_sequences=True)
    conv_op, steps = rules_products.convolutional(settings, call((1, 4, 8, 8, 2), out=(1, 4, 6, 6, 5)))
    assert conv_op.flop == 4 * 2 * 36 * 9 * 2 * 20
    assert steps.flop == 4 * 2 * 36 * 9 * 5 * 20


# --- attention


def heads(**settings: Any) -> Any:
    usual = {"num_heads": 4, "key_dim": 6, "value_dim": 5, "_use_bias": True, "_use_gate": False}
    return layer("MultiHeadAttention", **{**usual, **settings})


def test_multi_head_attention_projects_attends_and_projects_again() -> None:
    x = Tensor(shape=(2, 7, 16), learns=True)
    ops = tuple(rules_products.multi_head(heads(), call(x, out=(2, 7, 16), batch=2, query=x, value=x)))
    products = [o for o in ops if isinstance(o, MatMul)]
    (attention,) = [o for o in ops if isinstance(o, Attention)]
    assert [p.name for p in products] == ["query", "key", "value", "output"]
    assert attention.flop == 2 * 7 * 7 * 4 * (6 + 5)
    assert not attention.causal  # Keras computes masked scores too
    assert sum(p.parameters for p in products) == 16 * 24 * 2 + 16 * 20 + 20 * 16 + 24 * 2 + 20 + 16
    # Queries, keys and values are made of one tensor, which is kept once.
    assert sum(p.saved_elements for p in products) == 7 * 16


def test_attention_over_one_axis_is_done_for_each_entry_of_the_others() -> None:
    x = Tensor(shape=(1, 3, 7, 16), learns=True)
    ops = rules_products.multi_head(heads(_attention_axes=(2,)), call(x, out=(1, 3, 7, 16), query=x, value=x))
    (attention,) = [o for o in ops if isinstance(o, Attention)]
    assert (attention.heads, attention.queries, attention.keys) == (12, 7, 7)


def test_attention_without_gradients_is_two_products_without_any() -> None:
    q = Tensor(shape=(1, 5, 8))
    frozen = call(q, q, out=(1, 5, 8), learns=False)
    ops = tuple(rules_products.dot_product(layer(score_mode="dot"), frozen))
    assert [o.flop for o in ops] == [2 * 5 * 8 * 5] * 2
    assert [gradients(o) for o in ops] == [0, 0]
    assert [o.parameters for o in ops] == [0, 0]


def test_additive_attention_has_no_product_in_its_scores() -> None:
    q, v = Tensor(shape=(1, 5, 8), learns=True), Tensor(shape=(1, 7, 8), learns=True)
    scores, total = rules_products.additive(layer(), call(q, v, out=(1, 5, 8)))
    assert isinstance(scores, Elementwise)
    assert (scores.elements, total.flop) == (5 * 7 * 8, 2 * 5 * 7 * 8)


def test_the_whole_of_two_tensors_is_multiplied_by_vdot() -> None:
    kind = type("Vdot", (SimpleNamespace,), {})()
    (product,) = rules_ops.operation(kind, call((3, 4), (3, 4), out=(1,)))
    assert product.flop == 2 * 12


# --- elementwise


@pytest.mark.parametrize(("kind", "kept"), [("GaussianDropout", 8), ("GaussianNoise", 0), ("SpatialDropout1D", 0)])
def test_noise_that_is_multiplied_with_is_kept(kind: str, kept: float) -> None:
    (op,) = rules_elementwise.dropout(layer(kind, rate=0.1, stddev=0.1), call((1, 8)))
    assert op.saved_elements == kept


def test_an_activation_that_is_a_layer_is_told_by_its_name_too() -> None:
    function = type("LeakyReLU", (SimpleNamespace,), {})()
    (op,) = rules_elementwise.activation(function, call((1, 4), out=(1, 8)))
    assert op.saved_elements == 8


def weight(*shape: int) -> Any:
    return SimpleNamespace(shape=shape)


def test_a_batch_norm_reads_twice_and_writes_once_and_a_frozen_one_reads_once() -> None:
    free = layer(trainable=True, trainable_weights=[weight(8), weight(8)])
    (norm,) = rules_elementwise.batch_norm(free, call((2, 4, 4, 8), batch=2))
    assert (norm.elements, norm.passes, norm.saved_elements, norm.parameters) == (128, 3, 128, 16)
    (norm,) = rules_elementwise.batch_norm(
        layer(trainable=False, trainable_weights=[]), call((1, 4, 4, 8), learns=False)
    )
    assert (norm.passes, norm.saved_elements) == (2, 0)


def test_a_residual_sum_reads_two_and_writes_one_and_keeps_nothing() -> None:
    (op,) = rules_elementwise.merge(layer("Add"), call((1, 4, 8), (1, 4, 8), out=(1, 4, 8)))
    assert (op.elements, op.passes, op.saved_elements) == (32, 3, 0)
    (op,) = rules_elementwise.merge(layer("Multiply"), call((1, 4, 8), (1, 1, 8), out=(1, 4, 8)))
    assert op.saved_elements == 40


def test_pooling_moves_its_input_and_a_part_of_it_again() -> None:
    (op,) = rules_elementwise.max_pooling(layer("MaxPooling2D"), call((1, 8, 8, 4), out=(1, 4, 4, 4)))
    assert (op.elements, op.passes, op.saved_elements) == (256, 1.25, 256)
    (op,) = rules_elementwise.copied(layer("AveragePooling2D"), call((1, 8, 8, 4), out=(1, 4, 4, 4)))
    assert op.saved_elements == 0


def test_a_layer_made_from_one_of_keras_is_counted_as_that_one_whatever_its_name() -> None:
    for rule, kind, settings in (
        (rules_elementwise.dropout, "Dropout", {"rate": 0.5}),
        (rules_elementwise.dropout, "GaussianDropout", {"rate": 0.5}),
        (rules_elementwise.merge, "Add", {}),
        (rules_elementwise.merge, "Multiply", {}),
        (rules_elementwise.merge, "Concatenate", {}),
        (rules_elementwise.norm, "GroupNormalization", {"trainable_weights": [weight(8)]}),
        (rules_elementwise.activation_layer, "LeakyReLU", {"trainable_weights": []}),
        (rules_elementwise.copied, "Permute", {}),
    ):
        asked = (4, 8), (4, 8)
        keras, users = (list(rule(made(kind, **settings), call(*asked, out=(4, 8)))) for made in (layer, own))
        assert keras == users, kind
    (query, *_) = rules_products.multi_head(
        own(
            "GroupedQueryAttention",
            num_query_heads=4,
            num_key_value_heads=2,
            head_dim=8,
            use_bias=False,
            use_gate=False,
            dropout=0.0,
        ),
        call((6, 32), out=(6, 32), query=Tensor(shape=(1, 6, 32)), value=Tensor(shape=(1, 6, 32))),
    )
    assert isinstance(query, MatMul)


def test_a_dropout_of_nothing_costs_nothing() -> None:
    assert rules_elementwise.dropout(layer("Dropout", rate=0), call((1, 8))) == ()
    (op,) = rules_elementwise.dropout(layer("Dropout", rate=0.1), call((1, 8)))
    assert op.saved_elements == 4  # a byte an element


# --- keras.ops


def op(name: str, **settings: Any) -> Any:
    return type(name, (SimpleNamespace,), {})(**settings)


@pytest.mark.parametrize(
    ("operation", "shapes", "flop"),
    [
        (op("Matmul"), [(4, 5, 6), (6, 7)], 2 * 4 * 5 * 6 * 7),
        (op("Matmul"), [(4, 5, 6), (4, 6, 7)], 2 * 4 * 5 * 6 * 7),
        (op("Matmul"), [(4, 5, 6), (6,)], 2 * 4 * 5 * 6),
        (op("Einsum", subscripts="bij,jk,kl->bil"), [(4, 5, 6), (6, 7), (7, 3)], 2 * 4 * 5 * (6 * 7 + 7 * 3)),
        (op("Einsum", subscripts="...j,jk"), [(4, 5, 6), (6, 7)], 2 * 4 * 5 * 6 * 7),
        (op("Dot"), [(4, 6), (6, 7)], 2 * 4 * 6 * 7),
        (op("Tensordot", axes=2), [(4, 5, 6), (5, 6, 7)], 2 * 4 * 5 * 6 * 7),
        (op("Tensordot", axes=[[1, 2], [1, 0]]), [(4, 5, 6), (6, 5, 7)], 2 * 4 * 5 * 6 * 7),
        (op("DotProductAttention"), [(4, 5, 2, 8), (4, 6, 2, 8), (4, 6, 2, 8)], 2 * 4 * 5 * 6 * 2 * 16),
    ],
)
def test_a_product_among_the_operations(operation: Any, shapes: list[tuple[int, ...]], flop: float) -> None:
    for batch in (1, 4):
        ops = rules_ops.operation(operation, call(*shapes, out=(4, 5, 7), batch=batch, learns=False))
        assert sum(o.flop for o in ops) == flop / batch


def test_a_weight_is_owned_by_the_first_product_of_it_and_by_no_other() -> None:
    kernel = Tensor(shape=(6, 7), learns=True, weight=True, variable=99)
    case = call((1, 5, 6), kernel, out=(1, 5, 7))
    (first,), (second,) = (tuple(rules_ops.operation(op("Matmul"), case)) for _ in range(2))
    assert (first.parameters, second.parameters) == (42, 0)


def test_views_cost_nothing_and_what_is_linear_keeps_nothing() -> None:
    assert rules_ops.operation(op("Reshape"), call((1, 4), out=(1, 2, 2))) == ()
    (add,) = rules_ops.operation(op("Add"), call((1, 4), (1, 4), out=(1, 4)))
    assert (add.passes, add.saved_elements) == (3, 0)
    (square,) = rules_ops.operation(op("Square"), call((1, 4), out=(1, 4)))
    assert square.saved_elements == 4
    assert square.split is Split.NONE
