"""Stacks of dense layers, from softmax regression to MLP-Mixer."""

from __future__ import annotations

from functools import partial

from zenplan.domain.model.operators import ElementwiseKind, Operator
from zenplan.domain.model.workload import Usual, Workload
from zenplan.errors import UsageError
from zenplan.families.named import Builder
from zenplan.families.parts import block, convolution, dense, elementwise, loss, side, stack
from zenplan.units import digits_of

MNIST = Usual(
    dataset="MNIST",
    samples=60_000,
    epochs=10,
    global_batch=128,
    optimizer="sgd",
    source="LeCun et al. 1998, the data set; keras.io, mnist_convnet, the batch",
    task="tables",
)
IMAGENET = Usual(
    dataset="ImageNet-1k",
    samples=1_281_167,
    epochs=300,
    global_batch=4096,
    optimizer="adamw",
    source="Tolstikhin et al. 2021, table 3",
)
_MOST_LAYERS, _MOST_WIDTH = 1000, 10**9


def _widths(text: str) -> tuple[int, ...]:
    """``784x512x10`` as numbers.

    Raises:
        UsageError: it is not two to 1001 whole numbers above zero.
    """
    parts = text.lower().split("x")
    widths = [digits_of(part, _MOST_WIDTH) for part in parts]
    if None in widths:
        raise UsageError(f"widths of mlp cannot be '{text}'", "write whole numbers as in: 784x512x10")
    if not 2 <= len(parts) <= _MOST_LAYERS + 1:
        raise UsageError(f"an mlp of {len(parts) - 1} layers is not planned for", "write 2 to 1001 widths")
    return tuple(filter(None, widths))


def _mlp(name: str, /, *, widths: str = "784x512x512x10") -> Workload:
    """Dense layers of these widths, from the inputs to the classes."""
    sizes = _widths(widths)
    operators = [*stack(sizes, last=True), loss(1, sizes[-1])]
    return Workload(
        name=name,
        family="mlp",
        blocks=(block("layers", operators, 0),),
        tokens_per_sample=1,
        unit="samples",
        usual=MNIST if sizes[0] == 784 else None,
    )


def _regression(*, inputs: int = 784, classes: int = 10) -> Workload:
    """Softmax regression: one product."""
    return _mlp("softmax-regression", widths=f"{inputs}x{classes}")


def _mixing(name: str, rows: int, inner: int, columns: int) -> list[Operator]:
    """Norm, a dense layer up, GELU, one down and the sum with what came in; ``rows`` do not see each other."""
    size = rows * inner
    return [
        elementwise(ElementwiseKind.NORM, f"{name} norm", size, 4, kept=2 * size),
        dense(f"{name} up", rows, inner, columns, kept=False),
        elementwise(ElementwiseKind.ACTIVATION, f"{name} activation", rows * columns, kept=rows * columns),
        dense(f"{name} down", rows, columns, inner),
    ]


def _mixer(
    name: str,
    /,
    *,
    layers: int = 12,
    width: int = 768,
    patch: int = 16,
    tokens: int = 384,
    channels: int = 3072,
    image_size: int = 224,
    classes: int = 1000,
) -> Workload:
    """MLP-Mixer: products over the patches, then over the channels."""
    positions = side(image_size, patch) ** 2
    size = positions * width
    layer: list[Operator] = [
        *_mixing("token", width, positions, tokens),
        # The patches go to the end and back: copies.
        elementwise(ElementwiseKind.OTHER, "transposes", size, 4, weights=4 * width),
        *_mixing("channel", positions, width, channels),
    ]
    stem: list[Operator] = [
        convolution("patches", 3, width, (patch, patch), positions, input_positions=image_size**2, first=True)
    ]
    head: list[Operator] = [
        elementwise(ElementwiseKind.NORM, "norm and mean", size, 4, kept=size, weights=2 * width),
        dense("head", 1, width, classes),
        loss(1, classes),
    ]
    blocks = (
        block("patches", stem, size),
        block("layer", layer, size, repeat=layers),
        block("head", head, 0, place="last"),
    )
    return Workload(
        name=name, family="mlp", blocks=blocks, tokens_per_sample=1, unit="images", usual=IMAGENET, input="image"
    )


MODELS: dict[str, Builder] = {
    "mlp": partial(_mlp, "mlp"),
    "softmax-regression": _regression,
    "mixer-s16": partial(_mixer, "mixer-s16", layers=8, width=512, tokens=256, channels=2048),
    "mixer-b16": partial(_mixer, "mixer-b16"),
    "mixer-l16": partial(_mixer, "mixer-l16", layers=24, width=1024, tokens=512, channels=4096),
}
