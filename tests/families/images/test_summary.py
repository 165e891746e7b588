"""Models known by their counts: the counts come out as they went in."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenplan.domain.model.operators import Convolution, MatMul
from zenplan.domain.model.workload import Workload
from zenplan.domain.provenance import Origin
from zenplan.errors import DataError
from zenplan.families.images.summary import ACTIVATIONS, summary

RESNET50 = (8.2e9, 11.1e6, 25.6e6)


def written(load: Workload) -> float:
    """Elements that convolutions and products write."""
    return sum(
        b.repeat * (o.output_elements if isinstance(o, Convolution) else o.rows * o.columns)
        for b in load.blocks
        for o in b.operators
        if isinstance(o, Convolution | MatMul)
    )


@given(
    flop=st.floats(1e6, 1e13),
    activations=st.floats(1e4, 1e9),
    parameters=st.floats(1e4, 1e10),
    kind=st.sampled_from(sorted(ACTIVATIONS)),
    layers=st.integers(1, 400),
)
def test_counts_are_exact(flop: float, activations: float, parameters: float, kind: str, layers: int) -> None:
    load = summary(flop, activations, parameters, kind, "a model", layers)
    assert load.flop_per_sample == pytest.approx(flop)
    assert load.parameters == pytest.approx(parameters)
    assert written(load) == pytest.approx(activations)
    assert load.family == kind


def test_a_convnet_is_a_pyramid() -> None:
    load = summary(*RESNET50, "convnet", "like ResNet-50")
    assert (load.unit, load.input) == ("images", "image")
    convolutions = [o for b in load.blocks for o in b.operators[:1]]
    assert [o.outputs / convolutions[0].outputs for o in convolutions] == pytest.approx([1, 2, 4, 8])
    assert [convolutions[0].positions / o.positions for o in convolutions] == pytest.approx([1, 4, 16, 64])
    # ResNet-50's first stage has 56² positions and some three channels of every four 64, every four 256.
    assert math.sqrt(convolutions[0].positions) == pytest.approx(58, abs=1)
    assert 64 < convolutions[0].outputs < 256


@pytest.mark.parametrize(("layers", "taken"), [(60, 60), (1, 4), (61, 60), (50, 48), (16, 16)])
def test_layers_are_a_multiple_of_four(layers: int, taken: int) -> None:
    for kind in ("convnet", "mlp"):
        load = summary(*RESNET50, kind, "a model", layers)
        assert taken == sum(b.repeat for b in load.blocks for o in b.operators if isinstance(o, Convolution | MatMul))


def test_unknown_activations_are_assumed_and_said() -> None:
    known = summary(*RESNET50, "convnet", "a model")
    assert [f.name for f in known.facts] == ["shape"]
    assert known.guessed_shape
    load = summary(RESNET50[0], None, RESNET50[2], "convnet", "a model")
    fact = load.facts[0]
    assert (fact.name, fact.value, fact.origin) == ("activations", "13.1M elements", Origin.ASSUMED)
    assert written(load) == pytest.approx(8.1 * 8.2e9 / math.sqrt(25.6e6))
    assert load.flop_per_sample == pytest.approx(RESNET50[0])


def test_streams_of_a_transformer_are_those_of_its_widths() -> None:
    """A layer of width w over n rows writes 9·n·w in products; its norms, inputs and activation touch w, w and 4w; of
    attention queries, keys, values and outputs 4w, and the scores of heads of 64 that see 98 tokens."""
    rows, width = 200, 512
    flop, parameters = 24.0 * rows * width**2 * 6, 12.0 * width**2 * 6
    load = summary(flop, 9.0 * rows * width * 6, parameters, "vision transformer", "like ViT", layers=24)
    (block,) = load.blocks
    assert block.repeat == 6
    touched = {o.name: o.elements for o in block.operators if not isinstance(o, MatMul | Convolution)}
    one = rows * width
    assert touched == {
        "norm": pytest.approx(one),
        "input": pytest.approx(one),
        "activation": pytest.approx(4 * one),
        "layouts": pytest.approx(4 * one),
        "softmax": pytest.approx(98 / 64 * one),
    }
    assert block.boundary == pytest.approx(one)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"flop": 0.0}, "flop"),
        ({"activations": -1.0}, "activations"),
        ({"parameters": math.nan}, "parameters"),
        ({"layers": 0}, "layers"),
        ({"kind": "convnets"}, "kind"),
    ],
)
def test_bad_counts(changes: dict[str, float | str], what: str) -> None:
    given = {"flop": 1e9, "activations": 1e6, "parameters": 1e6, "kind": "convnet", "name": "x", **changes}
    with pytest.raises(DataError, match=what):
        summary(**given)  # type: ignore[arg-type]
