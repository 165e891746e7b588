"""Feature maps: sizes, what is kept, what learns; and the blocks of a net."""

from __future__ import annotations

import pytest

from zenplan.domain.model.operators import Convolution, Elementwise, MatMul, Operator
from zenplan.domain.model.workload import Workload
from zenplan.errors import UsageError
from zenplan.families.images.maps import Map, image
from zenplan.families.images.usual import imagenet


def load_of(x: Map) -> Workload:
    return x.net.workload("a net", imagenet())


def operators_of(x: Map) -> list[Operator]:
    return [o for b in load_of(x).blocks for o in b.operators]


@pytest.mark.parametrize(
    ("edge", "kernel", "stride", "padding", "out"),
    [
        (224, 7, 2, 3, 112),
        (224, 3, 2, "same", 112),
        (225, 3, 2, "same", 113),
        (299, 3, 2, "valid", 149),
        (7, 3, 1, "valid", 5),
        (7, 2, 2, "valid", 3),
        (8, 1, 2, "valid", 4),
        (5, 5, 1, "valid", 1),
    ],
)
def test_sizes(edge: int, kernel: int, stride: int, padding: str | int, out: int) -> None:
    x = image(edge)
    assert x.conv(8, kernel, stride, padding).size == (out, out)
    assert x.max_pool(kernel, stride, padding).size == (out, out)


@pytest.mark.parametrize(("edge", "kernel", "out"), [(112, 3, 56), (113, 3, 57), (56, 5, 28), (57, 5, 29)])
def test_fixed_padding_is_that_of_keras(edge: int, kernel: int, out: int) -> None:
    assert image(edge).fixed(kernel).conv(8, kernel, 2, "valid").size == (out, out)


def test_a_convolution() -> None:
    x = image((10, 20)).conv(8, (1, 7), 1, "same", bias=True)
    (op,) = operators_of(x)
    assert isinstance(op, Convolution)
    assert (op.name, op.positions, op.window, op.inputs, op.outputs) == ("1 × 7 convolution", 200, 7, 3, 8)
    assert (op.input_elements, op.output_elements) == (600, 1600)
    assert op.flop == 2 * 200 * 7 * 3 * 8
    assert op.parameters == 7 * 3 * 8 + 8
    assert (op.input_gradient, op.saved_elements) == (False, 600)


def test_a_depthwise_one_sums_over_its_window_alone() -> None:
    (_, op) = operators_of(image(10).conv(8).depthwise(3, bias=True))
    assert isinstance(op, Convolution)
    assert (op.name, op.groups, op.inner, op.parameters) == ("depthwise 3 × 3 convolution", 8, 9, 9 * 8 + 8)
    assert op.input_gradient


def test_a_transposed_one_has_the_positions_of_its_input() -> None:
    x = image((4, 4, 4)).conv(8).transposed(5, 2, 2)
    op = operators_of(x)[-1]
    assert isinstance(op, Convolution)
    assert (x.size, op.positions, op.flop) == ((8, 8, 8), 64, 2 * 64 * 8 * 8 * 5)


def test_products() -> None:
    x = image(4).conv(8).project(32).dense(10)
    (_, each, whole) = operators_of(x)
    assert isinstance(each, MatMul)
    assert isinstance(whole, MatMul)
    assert (each.rows, each.inner, each.columns, each.saved_elements) == (16, 8, 32, 16 * 8)
    assert (whole.rows, whole.inner, whole.columns, whole.saved_elements) == (1, 16 * 32, 10, 16 * 32)
    assert (x.size, x.channels) == ((1, 1), 10)


def saved(x: Map) -> dict[str, float]:
    kept: dict[str, float] = {}
    for op in operators_of(x):
        kept[op.name] = kept.get(op.name, 0.0) + op.saved_elements
    return {name: elements for name, elements in kept.items() if elements}


def test_each_map_is_kept_once() -> None:
    """Convolutions and norms keep what goes in, a ReLU what comes out: two branches read it, one of them keeps it."""
    before = image(4).conv(8).norm().act()
    x = before.conv(8).plus(before.conv(8, 3))
    one = 16 * 8
    assert saved(x) == {"1 × 1 convolution": 48, "batch norm": one, "relu": one}


def test_smooth_activations_keep_their_input() -> None:
    x = image(4).conv(8).act("gelu").conv(8)
    assert saved(x) == {"1 × 1 convolution": 48 + 128, "gelu": 128}


def test_pools() -> None:
    x = image(4).conv(8)
    found = {o.name: o for o in operators_of(x.max_pool(2, 2).average_pool(2, 2).global_pool())}
    largest, mean, whole = found["max pool"], found["average pool"], found["global pool"]
    assert isinstance(largest, Elementwise)
    assert isinstance(mean, Elementwise)
    assert (largest.elements, largest.passes, largest.saved) == (128, 1.25, 128 + 32)
    assert (mean.elements, mean.passes, mean.saved) == (32, 1.25, 0)
    assert whole.saved_elements == 0


def test_what_is_frozen_keeps_nothing_and_learns_nothing() -> None:
    x = image(8)
    x.net.frozen = x.net.frozen_norms = True
    x = x.conv(8, 3).norm().act().max_pool(2, 2)
    x.net.frozen = False
    x = x.conv(16, 3).norm().act()
    load = load_of(x)
    (frozen, learned) = [o for b in load.blocks for o in b.operators if isinstance(o, Convolution)]
    assert (frozen.trainable, frozen.input_gradient, frozen.saved_elements) == (False, False, 0)
    assert (learned.trainable, learned.input_gradient, learned.saved_elements) == (True, False, 16 * 8)
    assert load.trainable_parameters == learned.parameters
    assert saved(x) == {"3 × 3 convolution": 128, "relu": 16 * 16}
    assert load.training_flop_per_sample == frozen.flop + 2 * learned.flop


def test_moving_statistics_are_parameters_that_do_not_learn() -> None:
    load = load_of(image(4).conv(8).norm(scale=False).conv(8).norm())
    assert load.parameters - load.trainable_parameters == 2 * 8 + 2 * 8
    assert load.trainable_parameters == 3 * 8 + 8 + 8 * 8 + 16


def test_like_blocks_are_one_that_repeats() -> None:
    x = image(8).conv(4, 3)
    for _ in range(3):
        x = x.block("stage").conv(4, 3).act()
    x = x.block("head").global_pool().dense(2).loss()
    load = load_of(x)
    # The first of the three keeps its input, which a ReLU keeps for the others.
    assert [(b.name, b.repeat, b.place) for b in load.blocks] == [
        ("stem", 1, "middle"),
        ("stage", 1, "middle"),
        ("stage", 2, "middle"),
        ("head", 1, "last"),
    ]
    assert [b.boundary for b in load.blocks] == [256, 256, 256, 0]


@pytest.mark.parametrize("edge", [0, -3])
def test_no_image(edge: int) -> None:
    with pytest.raises(UsageError, match="is no image"):
        image(edge)


def test_too_small_an_image() -> None:
    with pytest.raises(UsageError, match="a window of 3 does not fit into 2 positions"):
        image(2).conv(8, 3, 1, "valid")
