"""Events: how the calls of a model become its layers; weights are counted once, work as often as it is done."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

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
from zenplan.worker.counting.events import Event, layer_counts, scaled

PRODUCT = MatMul(name="p", rows=2, inner=3, columns=5, split=Split.NONE, saved=3)
CONVOLUTION = Convolution(
    name="c", positions=16, window=9, inputs=2, outputs=4, input_elements=32, output_elements=64, input_gradient=False
)
TABLE = Embedding(name="t", entries=10, width=4, rows=3)
STEPS = Recurrent(name="r", steps=7, inner=5, columns=20)
STREAM = Elementwise(name="s", elements=8, passes=3, split=Split.NONE, saved=8, weights=4)
ATTENTION = Attention(name="a", heads=2, kv_heads=2, key_dim=4, value_dim=4, queries=5, keys=5, causal=False)
ALL: tuple[Operator, ...] = (PRODUCT, CONVOLUTION, TABLE, STEPS, STREAM, ATTENTION)


def layer(*weights: int, inside: tuple[Any, ...] = (), name: str = "layer") -> Any:
    own = [SimpleNamespace(shape=(n,)) for n in weights]
    every = own + [w for child in inside for w in child.weights]
    return SimpleNamespace(name=name, weights=every, trainable_weights=every, _layers=list(inside))


def counted(model: Any, *events: Event) -> dict[tuple[str, ...], Any]:
    return {c.path: c for c in layer_counts(model, events)}


@pytest.mark.parametrize("operator", ALL)
def test_a_shared_layer_works_twice_and_has_its_weights_once(operator: Operator) -> None:
    shared = layer(int(operator.parameters))
    model = layer(inside=(shared,), name="model")
    once = Event(layer=shared, path=("layer",), operators=(operator,), whole=True, calls=1)
    (first,), (twice,) = counted(model, once).values(), counted(model, once, once).values()
    assert twice.calls == 2
    assert twice.forward_flop == 2 * first.forward_flop
    assert twice.training_flop == 2 * first.training_flop
    assert twice.activation_elements == 2 * first.activation_elements
    assert twice.parameters == first.parameters == operator.parameters
    assert sum(o.parameters for o in twice.operators) == operator.parameters


@pytest.mark.parametrize("operator", ALL)
def test_seven_steps_are_seven_times_the_work_of_one(operator: Operator) -> None:
    many = scaled(operator, 7, sequential=False)
    assert many.flop == 7 * operator.flop
    assert many.parameters == operator.parameters
    assert many.saved_elements == 7 * operator.saved_elements


def test_a_product_that_waits_for_the_step_before_is_a_recurrence() -> None:
    steps = scaled(PRODUCT, 7, sequential=True)
    assert isinstance(steps, Recurrent)
    assert (steps.steps, steps.rows, steps.flop) == (7, 2, 7 * PRODUCT.flop)


def test_every_weight_is_in_one_layer_and_one_that_is_never_called_says_so() -> None:
    inner, idle = layer(6, 7, name="inner"), layer(11, name="idle")
    outer = layer(5, inside=(inner,), name="outer")
    model = layer(3, inside=(outer, idle), name="model")
    found = counted(
        model,
        Event(layer=outer, path=("outer",), calls=1),
        Event(layer=inner, path=("outer", "inner"), whole=True, calls=1),
    )
    assert {path: c.parameters for path, c in found.items()} == {
        ("outer",): 5,
        ("outer", "inner"): 13,
        (): 3,
        ("idle",): 11,
    }
    assert (found["idle",].calls, found["idle",].note) == (0, "never called")


def test_the_worst_method_of_a_layer_is_its_method_and_notes_are_said_once() -> None:
    one = layer(name="one")
    traced = Event(layer=one, path=("one",), method="traced", note="a loop", operators=(STREAM,))
    (count,) = counted(layer(inside=(one,)), Event(layer=one, path=("one",), calls=1), traced, traced).values()
    assert (count.method, count.note, len(count.operators)) == ("traced", "a loop", 2)


def test_two_weights_alike_are_told_apart_by_their_order_in_a_second_call() -> None:
    one = layer(name="one")
    first = Event(layer=one, path=("one",), calls=1, operators=(TABLE, replace(TABLE, rows=5)))
    second = replace(first, operators=(replace(TABLE, name="x"), replace(TABLE, name="t", rows=7)))
    (count,) = counted(layer(inside=(one,)), first, second).values()
    assert [o.rows for o in count.operators if isinstance(o, Embedding)] == [3 + 3, 5 + 7]
