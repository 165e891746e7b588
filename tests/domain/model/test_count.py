"""ModelCount: sums of layers, bytes of operators, the way to a workload, and to JSON and back."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from zenplan import documents
from zenplan.domain.model.count import LayerCount, ModelCount, moved_elements
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
from zenplan.errors import DataError

PRODUCT = MatMul(name="p", rows=2, inner=3, columns=5, split=Split.NONE, bias=True, saved=3, input_gradient=False)
CONVOLUTION = Convolution(name="c", positions=4, window=9, inputs=3, outputs=8, input_elements=48, output_elements=32)
RECURRENCE = Recurrent(name="r", steps=7, inner=4, columns=16)
ATTENTION = Attention(name="a", heads=2, kv_heads=2, key_dim=4, value_dim=4, queries=5, keys=6, causal=False)
STREAM = Elementwise(name="s", elements=10, passes=3, split=Split.NONE, weights=4)
LOOKUP = Embedding(name="l", entries=100, width=4, rows=6)
ALL = (PRODUCT, CONVOLUTION, RECURRENCE, ATTENTION, STREAM, LOOKUP)


@pytest.mark.parametrize(
    ("op", "one", "two"),
    [
        (PRODUCT, 2 * 3 + 2 * 5 + 15, 2 * (2 * 3 + 2 * 5) + 15),
        (CONVOLUTION, 48 + 32 + 216, 2 * (48 + 32) + 216),
        (RECURRENCE, 7 * (64 + 20), 7 * (64 + 2 * 20)),
        (ATTENTION, 5 * 2 * 8 + 6 * 2 * 8, 2 * (5 * 2 * 8 + 6 * 2 * 8)),
        (STREAM, 30, 60),
        (LOOKUP, 48, 96),
    ],
    ids=lambda value: type(value).__name__,
)
def test_bytes_of_weights_are_read_once_for_a_batch(op: Operator, one: float, two: float) -> None:
    assert (moved_elements(op), moved_elements(op, 2)) == (one, two)


def count_document(count: ModelCount) -> Any:
    """As a worker sends it."""
    return json.loads(documents.encode(count))


def read_count(document: Any) -> ModelCount:
    """As its parent reads it."""
    return documents.decode(json.dumps(document), ModelCount, "the count", foreign=True)


@pytest.fixture
def count() -> ModelCount:
    dense = LayerCount(
        path=("block", "dense"),
        kind="Dense",
        output_shape=(None, 5),
        calls=2,
        parameters=20,
        trainable_parameters=20,
        operators=(PRODUCT, STREAM),
    )
    frozen = replace(CONVOLUTION, trainable=False)
    convolution = LayerCount(
        path=("conv",),
        kind="Conv2D",
        output_shape=(None, 2, 2, 8),
        parameters=224,
        trainable_parameters=0,
        operators=(frozen,),
        method="traced",
        note="a note",
    )
    empty = LayerCount(path=("odd",), kind="Odd", parameters=7, trainable_parameters=4, method="unknown")
    return ModelCount(name="net", backend="jax", layers=(dense, convolution, empty), input_shape="4", notes=("one",))


def test_sums_are_those_of_the_layers(count: ModelCount) -> None:
    assert count.parameters == 20 + 224 + 7
    assert count.trainable_parameters == 24
    assert count.forward_flop == PRODUCT.flop + CONVOLUTION.flop
    # The product has no gradient of its input, the convolution none of its weight.
    assert count.training_flop == 2 * PRODUCT.flop + 2 * CONVOLUTION.flop
    assert count.activation_elements == 6 + 48
    assert [layer.name for layer in count.unknown] == ["odd"]
    assert count.layers[1].moved_bytes(2, 4) == 4 * (2 * 80 + 216)


def test_the_workload_has_a_block_a_layer_and_every_weight(count: ModelCount) -> None:
    work = count.workload()
    assert (work.unit, work.tokens_per_sample, work.family) == ("samples", 1, "convnet")
    assert [b.name for b in work.blocks] == ["block/dense", "conv", "odd"]
    # Two calls of 5 elements each.
    assert [b.boundary for b in work.blocks] == [10, 32, 1]
    # The dense layer's operators have 20 + 4 weights already; the convolution lacks its 8 biases.
    assert [b.parameters for b in work.blocks] == [24, 224, 7]
    assert work.trainable_parameters == 24 + 4
    assert work.flop_per_sample == count.forward_flop
    assert work.training_flop_per_sample == count.training_flop


def test_a_model_of_nothing_is_no_workload() -> None:
    idle = ModelCount(name="idle", backend="jax", layers=(LayerCount(path=("flat",), kind="Flatten"),))
    with pytest.raises(DataError, match="no blocks"):
        idle.workload()


@pytest.mark.parametrize("wrong", [{"method": "guessed"}, {"parameters": -1.0}, {"calls": -1}])
def test_a_layer_is_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(DataError):
        LayerCount(**{"path": ("a",), "kind": "A", **wrong})


def test_json_and_back_is_the_same(count: ModelCount) -> None:
    everything = LayerCount(path=("all",), kind="All", operators=ALL)
    whole = ModelCount(name="net", backend="torch", layers=(*count.layers, everything), notes=("a", "b"))
    assert read_count(count_document(whole)) == whole


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d.pop("layers"),
        lambda d: d.pop("name"),
        lambda d: d.update(name=4),
        lambda d: d.update(notes=None),
        lambda d: d["layers"][0].update(kind=["x"]),
        lambda d: d["layers"][0].update(path=[1]),
        lambda d: d["layers"][0].update(output_shape=["\x1b[2J"]),
        lambda d: d["layers"][0].update(parameters="many"),
        lambda d: d["layers"][0].update(parameters=float("nan")),
        lambda d: d["layers"][0].update(operators=4),
        lambda d: d["layers"][0]["operators"][0].update(type="Exploit"),
        lambda d: d["layers"][0]["operators"][0].update(rows="1"),
        lambda d: d["layers"][0]["operators"][0].update(rows=-1),
        lambda d: d["layers"][0]["operators"][0].update(split="sideways"),
        lambda d: d["layers"][0]["operators"][0].pop("rows"),
        lambda d: d["layers"].append("x"),
    ],
)
def test_what_is_no_count_is_refused(spoil: Callable[[Any], Any], count: ModelCount) -> None:
    document = count_document(count)
    spoil(document)
    with pytest.raises(DataError):
        read_count(document)


@pytest.mark.parametrize("document", [None, [], "x", 4, {}])
def test_nothing_is_no_count(document: Any) -> None:
    with pytest.raises(DataError):
        read_count(document)


def test_letters_that_move_the_cursor_are_left_out(count: ModelCount) -> None:
    document = count_document(count)
    document["layers"][0].update(path=["a\x1b[2Jb"], kind="K\n", note="n\x07")
    document["name"] = "net\x1b"
    read = read_count(document)
    assert all(
        text.isprintable() for text in (read.name, *read.layers[0].path, read.layers[0].kind, read.layers[0].note)
    )


@pytest.mark.parametrize(
    ("operators", "shape", "family", "kind"),
    [
        ((CONVOLUTION, PRODUCT), "224×224×3", "convnet", "image"),
        ((RECURRENCE, PRODUCT), "50×40", "recurrent", ""),
        ((PRODUCT, ATTENTION), "128", "keras", ""),
        ((STREAM,), "4×4×3", "keras", ""),
    ],
)
def test_its_family_is_that_of_most_of_its_flop(
    operators: tuple[Operator, ...], shape: str, family: str, kind: str
) -> None:
    parameters = sum(op.parameters for op in operators)
    layer = LayerCount(
        path=("all",),
        kind="All",
        output_shape=(None, 5),
        parameters=parameters,
        trainable_parameters=parameters,
        operators=operators,
    )
    work = ModelCount(name="net", backend="jax", layers=(layer,), input_shape=shape).workload()
    assert (work.family, work.input) == (family, kind)
    assert [fact.value for fact in work.facts if fact.name == "family"] == [family]
