"""A model of which only counts are known: forward FLOP, activations and parameters of one sample.

Three counts fix three unknowns of a usual form, so that FLOP, activations and parameters come out exactly:

- a convolutional network is a pyramid of four stages of m convolutions each. Stage s has n/4^s positions,
  c·2^s channels, and each output is a sum over k·c·2^s inputs:

      F = Σ 2·m·positions·inner·channels = 8·m·n·k·c²
      A = Σ m·positions·channels = 15/8·m·n·c
      P = Σ m·inner·channels = 85·m·k·c²

- any other is a flat stack of L products of n rows, from i to w columns:

      F = 2·L·n·i·w        A = L·n·w        P = L·i·w
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from zenplan import units
from zenplan.domain import checks
from zenplan.domain.model.operators import Convolution, Elementwise, ElementwiseKind, Function, MatMul, Operator, Split
from zenplan.domain.model.workload import Block, Workload
from zenplan.domain.provenance import Fact, Origin

# A = k·F/√P: positions are F/2P, widths go as √P. k is the median of the models for which pytorch-image-models
# publishes all three counts (487, 235 and 14 of them); half of them lie within 37, 25 and 20 % of it.
ACTIVATIONS = {"convnet": 8.1, "vision transformer": 9.0, "mlp": 5.0}
_STAGES = 4
# A transformer layer has four products, whose outputs are nine widths: query-key-value 3, output 1, up 4, down 1.
_PRODUCTS, _WIDTHS = 4, 9
# Heads of 64, as all of ViT, DeiT and most others have; each token sees as many others as lie, by ratio, halfway between
# Swin's window (49) and all of an image (197).
_PER_HEAD, _KEYS = 64, 98


def summary(
    flop: float, activations: float | None, parameters: float, kind: str, name: str, layers: int = 60
) -> Workload:
    """A workload with exactly those counts, of the usual form of its kind.

    Args:
        flop: forward, of one sample; a multiply-add is 2.
        activations: elements that the convolutions and products of one sample write forward; None for what
            models of that size usually have.
        parameters: all of them.
        kind: ``convnet``, ``vision transformer`` or ``mlp``.
        name: of the model.
        layers: convolutions or products; the nearest multiple of 4 is taken.

    Raises:
        DataError: a count is not above zero, or there is no such kind.
    """
    checks.one_of(f"model {name}", "kind", kind, ACTIVATIONS)
    checks.positive(f"model {name}", flop=flop, activations=activations, parameters=parameters, layers=layers)
    facts = list(_facts(kind, activations is None))
    if activations is None:
        activations = ACTIVATIONS[kind] * flop / math.sqrt(parameters)
        facts.insert(0, _assumed_activations(activations, kind))
    of_stage = max(1, round(layers / _STAGES))
    counts = (flop, activations, parameters, of_stage)
    blocks = _pyramid(*counts) if kind == "convnet" else _stack(*counts, kind)
    sampled = kind != "mlp"
    return Workload(
        name=name,
        family=kind,
        blocks=tuple(blocks),
        tokens_per_sample=1,
        unit="images" if sampled else "samples",
        input="image" if sampled else "",
        guessed_shape=True,
        facts=tuple(facts),
    )


def _facts(kind: str, unknown: bool) -> Iterable[Fact]:
    form = "a pyramid of four stages" if kind == "convnet" else "a flat stack of products"
    counts = "FLOP and parameters" if unknown else "FLOP, activations and parameters"
    yield Fact(name="shape", value=form, origin=Origin.ASSUMED, why=f"only the {counts} are known")


def _assumed_activations(activations: float, kind: str) -> Fact:
    return Fact(
        name="activations",
        value=f"{units.count(activations)} elements",
        origin=Origin.ASSUMED,
        why=f"{ACTIVATIONS[kind]:g} · FLOP / √parameters, the median of {kind} models in pytorch-image-models",
    )


def _pyramid(flop: float, activations: float, parameters: float, convolutions: int) -> Iterable[Block]:
    positions = 85.0 * flop / (8.0 * parameters)
    channels = activations / (15.0 / 8.0 * convolutions * positions)
    window = parameters / (85.0 * convolutions * channels**2)
    for stage in range(_STAGES):
        yield from _stage(f"stage {stage + 1}", positions / 4**stage, channels * 2**stage, window, convolutions)


def _stage(name: str, positions: float, channels: float, window: float, convolutions: int) -> Iterable[Block]:
    """Convolutions, each with its norm and activation, and a residual sum after every third."""
    size = positions * channels
    one: tuple[Operator, ...] = (
        Convolution(
            name="convolution",
            positions=positions,
            window=window,
            inputs=channels,
            outputs=channels,
            input_elements=size,
            output_elements=size,
        ),
        Elementwise(
            name="norm", kind=ElementwiseKind.BATCH_NORM, elements=size, passes=3, split=Split.NONE, saved=size
        ),
        Elementwise(name="activation", kind=ElementwiseKind.ACTIVATION, elements=size, passes=2, split=Split.NONE),
    )
    total = Elementwise(name="residual sum", kind=ElementwiseKind.RESIDUAL, elements=size, passes=3, split=Split.NONE)
    threes, rest = divmod(convolutions, 3)
    if threes:
        yield Block(name=name, operators=(*one * 3, total), repeat=threes, boundary=size)
    if rest:
        yield Block(name=f"{name}, last", operators=one, repeat=rest, boundary=size)


def _stack(flop: float, activations: float, parameters: float, layers: int, kind: str) -> Iterable[Block]:
    products = _PRODUCTS * layers
    inner = flop / (2.0 * activations)
    rows = flop / (2.0 * parameters)
    columns = parameters / (products * inner)
    product = MatMul(name="product", rows=rows, inner=inner, columns=columns, split=Split.NONE)
    # As in ``families.transformer.lowering``: a norm, what it passes on, and the same again before the activation.
    size = rows * columns * _PRODUCTS / _WIDTHS
    norm = Elementwise(name="norm", kind=ElementwiseKind.NORM, elements=size, passes=4, split=Split.NONE, saved=size)
    passed = Elementwise(name="input", elements=size, passes=1, split=Split.NONE, saved=size)
    activation = Elementwise(
        name="activation",
        kind=ElementwiseKind.ACTIVATION,
        elements=4 * size,
        passes=2,
        split=Split.NONE,
        saved=8 * size,
    )
    seen = () if kind != "vision transformer" else _seen(size)
    operators = (norm, passed, product, *seen, product, norm, passed, product, activation, product)
    yield Block(name="layer", operators=operators, repeat=layers, boundary=size)


def _seen(size: float) -> Iterable[Operator]:
    """What attention moves beside its products, whose FLOP are among those that are counted: queries, keys, values and
    outputs go from one layout to another, and scores through a softmax."""
    yield Elementwise(name="layouts", elements=4 * size, passes=2, split=Split.NONE)
    yield Elementwise(
        name="softmax",
        kind=ElementwiseKind.ACTIVATION,
        function=Function.SOFTMAX,
        elements=size * _KEYS / _PER_HEAD,
        passes=5,
        split=Split.NONE,
    )
