"""BEVFormer (Li et al. 2022, arXiv 2203.17270): six cameras and the frames before, to a map seen from above, to boxes.

The shapes: fundamentalvision/BEVFormer (``projects/configs/bevformer``). A sample is a frame of all cameras; frames before
it go through the same network without a gradient, as in a step of its training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from zenplan.domain.model.operators import (
    Convolution,
    Elementwise,
    ElementwiseKind,
    MatMul,
    Operator,
    Split,
)
from zenplan.domain.model.workload import Block, Usual, Workload
from zenplan.domain.provenance import Fact, Origin
from zenplan.families.images.maps import image
from zenplan.families.images.residual import DEPTHS, Residual, stages, stem
from zenplan.families.named import Builder
from zenplan.families.parts import attention, block, convolution, dense, elementwise, loss

_CAMERAS, _WIDTH, _WIDE, _HEADS = 6, 256, 512, 8
_CODE, _DECODER = 10, 6  # numbers of a box, layers of the decoder
# A cell of the map is taken by the cameras that see it, each of which is padded to the one that sees the most.
_SEEN = 1.5
NUSCENES = Usual(
    dataset="nuScenes, its 28,130 training frames",
    samples=28_130,
    epochs=24,
    global_batch=8,
    optimizer="adamw",
    source="fundamentalvision/BEVFormer, README.md and docs/getting_started.md: 24 passes on 8 GPUs of one frame",
    task="detection",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What one size has that another has not.

    Attributes:
        depth: of the residual network, of whose last ``levels`` maps one more is made where there are several;
            ``deformable``: its last two stages look where they learned to.
        height, width: of each camera's image, padded to 32. cells: along a side of the map.
    """

    depth: int
    height: int
    width: int
    cells: int
    levels: int
    layers: int
    deformable: bool = True

    @property
    def maps(self) -> int:
        """That the map from above looks at."""
        return self.levels + 1 if self.levels > 1 else 1


def _bevformer(name: str, size: Size, /, *, frames: int = 4, queries: int = 900, classes: int = 10) -> Workload:
    """A frame and the ``frames`` - 1 before it; ``queries``: boxes that it finds."""
    seen, positions = _cameras(size)
    rows = size.cells**2
    encoder = block("encoder layer", _encoder_layer(size, rows, positions), rows * _WIDTH, repeat=size.layers)
    places = _places(size, rows)
    once = [*seen, block("places", places, rows * _WIDTH), encoder]
    before = [_without_gradient(each, frames - 1) for each in once] if frames > 1 else []
    decoder = block("decoder layer", _decoder_layer(queries, rows, classes), queries * _WIDTH, repeat=_DECODER)
    asked: list[Operator] = [
        elementwise(ElementwiseKind.OTHER, "queries", queries * _WIDTH, 2, weights=2.0 * queries * _WIDTH),
        dense("reference points", queries, _WIDTH, 3),
    ]
    why = "each cell of the map in the images of so many cameras, padding counted; BEVFormer's code cuts them so"
    return Workload(
        name=name,
        family="convnet",
        blocks=(*before, *once, block("queries", asked, queries * _WIDTH), replace(decoder, place="last")),
        tokens_per_sample=1,
        unit="frames",
        usual=NUSCENES,
        input="image",
        facts=(
            Fact(name="cameras", value=str(_CAMERAS), origin=Origin.PUBLISHED, why="nuScenes"),
            Fact(name="cameras that see a cell", value=str(_SEEN), origin=Origin.ASSUMED, why=why),
        ),
    )


def _cameras(size: Size) -> tuple[list[Block], int]:
    """All images through the residual network and its pyramid; and how many positions come of them. The images lie one
    under the other: their height is a multiple of what the network divides it by."""
    x = image((_CAMERAS * size.height, size.width))
    x.net.counts_statistics, x.net.frozen, x.net.frozen_norms = False, True, True
    net = Residual(blocks=DEPTHS[size.depth], first=size.deformable)
    levels = stages(stem(x), net, frozen=1)[-size.levels :]
    narrow = [level.block("pyramid").conv(_WIDTH, bias=True) for level in levels]
    for index in range(len(narrow) - 2, -1, -1):
        narrow[index] = narrow[index].plus(narrow[index + 1].enlarge(narrow[index].size))
    found = [level.conv(_WIDTH, 3, 1, 1, bias=True) for level in narrow]
    if size.maps > size.levels:
        found.append(found[-1].conv(_WIDTH, 3, 2, 1, bias=True))
    blocks = [replace(each, place="middle") for each in x.net.workload("cameras", NUSCENES).blocks]
    offsets = _offsets(size) if size.deformable else []
    return [*blocks, *offsets], sum(level.positions for level in found)


def _offsets(size: Size) -> list[Block]:
    """What says where the 3 × 3 convolutions of the last two stages look, and how much of each place they take."""
    blocks = []
    for stage, stride in ((2, 16), (3, 32)):
        channels = 64 * 2**stage
        positions = _CAMERAS * size.height * size.width // stride**2
        operators: list[Operator] = [
            convolution("offsets", channels, 27, (3, 3), positions, kept=0.0),
            elementwise(ElementwiseKind.OTHER, "sampling", 9 * positions * channels, 5, kept=27 * positions),
        ]
        count = DEPTHS[size.depth][stage]
        blocks.append(block(f"offsets of stage {stage + 1}", operators, positions * channels, repeat=count))
    return blocks


def _places(size: Size, rows: int) -> list[Operator]:
    """The map's own vectors, where they are, which camera and level is which, and how the car moved."""
    tables = 2 * size.cells * _WIDTH / 2 + size.maps * _WIDTH + _CAMERAS * _WIDTH
    return [
        elementwise(ElementwiseKind.OTHER, "map and places", rows * _WIDTH, 3, weights=rows * _WIDTH + tables),
        dense("movement 1", 1, 18, _WIDTH // 2, first=True),
        dense("movement 2", 1, _WIDTH // 2, _WIDTH),
        _norm("movement norm", 1),
    ]


def _norm(name: str, rows: float) -> Elementwise:
    return elementwise(ElementwiseKind.NORM, name, rows * _WIDTH, 4, kept=rows * _WIDTH, weights=2 * _WIDTH)


def _deformable(name: str, rows: float, inner: int, points: int, values: float, out: float) -> list[Operator]:
    """Attention to ``points`` places around each of ``rows``, of all heads together."""
    taken = rows * points * _WIDTH / _HEADS
    return [
        dense(f"{name} offsets", rows, inner, 2 * points),
        dense(f"{name} weights", rows, inner, points, kept=False),
        dense(f"{name} values", values, _WIDTH, _WIDTH),
        # Each place is interpolated from four neighbours.
        elementwise(ElementwiseKind.OTHER, f"{name} sampling", taken, 5, kept=3 * rows * points),
        dense(f"{name} output", out, _WIDTH, _WIDTH),
    ]


def _feed(rows: float) -> list[Operator]:
    return [
        dense("feed-forward up", rows, _WIDTH, _WIDE),
        elementwise(ElementwiseKind.ACTIVATION, "activation", rows * _WIDE, 2, kept=rows * _WIDE),
        dense("feed-forward down", rows, _WIDE, _WIDTH),
        _norm("feed-forward norm", rows),
    ]


def _encoder_layer(size: Size, rows: int, positions: int) -> list[Operator]:
    """The map looks at its last state and at itself, then at the cameras."""
    return [
        *_deformable("time", rows, 2 * _WIDTH, 2 * _HEADS * 4, 2 * rows, rows),
        _norm("time norm", rows),
        *_deformable("cameras", _SEEN * rows, _WIDTH, _HEADS * size.maps * 8, positions, rows),
        _norm("cameras norm", rows),
        *_feed(rows),
    ]


def _decoder_layer(queries: int, rows: int, classes: int) -> list[Operator]:
    """Boxes see each other, then the map; each layer says what it found."""
    said: list[Operator] = []
    for number in (1, 2):
        said += [dense(f"class {number}", queries, _WIDTH, _WIDTH), _norm(f"class norm {number}", queries)]
        said.append(dense(f"box {number}", queries, _WIDTH, _WIDTH))
    return [
        dense("query-key-value", queries, _WIDTH, 3 * _WIDTH),
        attention("attention", _HEADS, _WIDTH // _HEADS, queries),
        dense("attention output", queries, _WIDTH, _WIDTH),
        _norm("attention norm", queries),
        *_deformable("map", queries, _WIDTH, _HEADS * 4, rows, queries),
        _norm("map norm", queries),
        *_feed(queries),
        *said,
        dense("classes", queries, _WIDTH, classes),
        dense("boxes", queries, _WIDTH, _CODE),
        loss(queries, classes + _CODE),
    ]


def _without_gradient(done: Block, times: int) -> Block:
    """The same work on frames before, with the weights of the block and nothing kept."""
    return replace(done, name=f"{done.name}, before", operators=tuple(_forward(op, times) for op in done.operators))


def _forward(op: Operator, times: int) -> Operator:
    if isinstance(op, Convolution):
        inner = op.window * op.inputs / op.groups
        op = MatMul(name=op.name, rows=op.positions, inner=inner, columns=op.outputs, split=Split.NONE)
    if isinstance(op, MatMul):
        return replace(op, rows=times * op.rows, tied=True, trainable=False, input_gradient=False, saved=0.0)
    if isinstance(op, Elementwise):
        return replace(op, elements=times * op.elements, saved=0.0, weights=0.0, trainable=False)
    return op


_SIZES: Mapping[str, Size] = {
    "tiny": Size(depth=50, height=480, width=800, cells=50, levels=1, layers=3, deformable=False),
    "small": Size(depth=101, height=736, width=1280, cells=150, levels=1, layers=3),
    "base": Size(depth=101, height=928, width=1600, cells=200, levels=3, layers=6),
}


def bevformer_models() -> Mapping[str, Builder]:
    """Names to builders."""
    frames = {"tiny": 3, "small": 3, "base": 4}
    return {
        f"bevformer-{name}": partial(_bevformer, f"bevformer-{name}", size, frames=frames[name])
        for name, size in _SIZES.items()
    }
