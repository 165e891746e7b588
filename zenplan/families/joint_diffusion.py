"""Diffusion transformers that read image and text together: Stable Diffusion 3 and 3.5, FLUX.1.

Esser et al. 2024 (arXiv 2403.03206): each of the two has weights of its own, and attention is over both. The shapes:
Stability-AI/sd3.5 (``mmditx.py``) and black-forest-labs/flux (``src/flux/util.py``), as diffusers 0.42.1 counts them. They
learn on latents of 16 channels, an eighth of the image's side, and on texts that were encoded before.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from zenplan.domain.model.operators import Attention, ElementwiseKind, Operator, Role
from zenplan.domain.model.workload import Block, Workload
from zenplan.domain.provenance import Fact, Origin
from zenplan.families.named import Builder
from zenplan.families.parts import attention, block, dense, elementwise, side

_CHANNELS, _PATCH, _STRIDE, _STEP = 16, 2, 8, 256
_SEEN = _CHANNELS * _PATCH * _PATCH  # numbers of a patch
_TEXT = 4096  # width of T5-XXL's embeddings, beside which CLIP's are padded to it


@dataclass(frozen=True, slots=True, kw_only=True)
class Joint:
    """The numbers that define such a network.

    Attributes:
        layers: with weights of their own for image and text; ``shared`` ones after them have the same for both.
        width, heads: of both streams.
        pooled: width of what is said of the whole text.
        dual: the first of the layers, whose images have a second attention to themselves alone.
        normed: queries and keys are normed.
        guided: it is told how strong its guidance is to be.
        open: the last layer's text is not needed any more.
    """

    layers: int
    width: int
    heads: int
    pooled: int
    shared: int = 0
    dual: int = 0
    normed: bool = True
    guided: bool = False
    open: bool = True


def _told(name: str, width: int, times: int) -> list[Operator]:
    """Scales, shifts and gates that are made of the step and the text."""
    return [dense(f"{name} modulation", 1, width, times * width)]


def _scaled(name: str, rows: int, width: int) -> list[Operator]:
    """A norm without weights, then what it was told."""
    size = rows * width
    return [
        elementwise(ElementwiseKind.NORM, f"{name} norm", size, 3, kept=size),
        elementwise(ElementwiseKind.OTHER, f"{name} scale and shift", size, 2, kept=size),
    ]


def _gated(name: str, rows: int, width: int) -> list[Operator]:
    size = rows * width
    return [elementwise(ElementwiseKind.OTHER, f"{name} gate and sum", size, 3, kept=size)]


def _keys(name: str, rows: int, net: Joint) -> list[Operator]:
    """Queries, keys and values of a stream, the first two normed by head."""
    size = rows * net.width
    mixed = dense(f"{name} query-key-value", rows, net.width, 3 * net.width, role=Role.KEY_VALUE)
    norm = elementwise(
        ElementwiseKind.NORM,
        f"{name} query and key norm",
        2 * size,
        3,
        kept=2 * size,
        weights=2 * net.width / net.heads,
    )
    return [mixed, norm] if net.normed else [mixed]


def _attention(name: str, rows: int, net: Joint) -> Attention:
    return attention(name, net.heads, net.width // net.heads, rows)


def _feed(name: str, rows: int, width: int) -> list[Operator]:
    wide = 4 * width
    return [
        *_scaled(f"{name} feed-forward", rows, width),
        dense(f"{name} feed-forward up", rows, width, wide),
        elementwise(ElementwiseKind.ACTIVATION, f"{name} activation", rows * wide, 2, kept=rows * wide),
        dense(f"{name} feed-forward down", rows, wide, width),
        *_gated(f"{name} feed-forward", rows, width),
    ]


def _layer(net: Joint, image: int, text: int, *, dual: bool = False, last: bool = False) -> list[Operator]:
    """A layer of two streams; the ``last`` one's text is only attended to."""
    width = net.width
    operators = [
        *_told("image", width, 9 if dual else 6),
        *_told("text", width, 2 if last else 6),
        *_scaled("image", image, width),
        *_scaled("text", text, width),
        *_keys("image", image, net),
        *_keys("text", text, net),
        _attention("attention", image + text, net),
        dense("image output", image, width, width, role=Role.ATTENTION),
        *_gated("image", image, width),
    ]
    if dual:
        operators += [
            *_scaled("image alone", image, width),
            *_keys("image alone", image, net),
            _attention("attention of the image alone", image, net),
            dense("image alone output", image, width, width, role=Role.ATTENTION),
            *_gated("image alone", image, width),
        ]
    operators += _feed("image", image, width)
    if last:
        return operators
    out = dense("text output", text, width, width, role=Role.ATTENTION)
    return [*operators, out, *_gated("text", text, width), *_feed("text", text, width)]


def _shared(net: Joint, rows: int) -> list[Operator]:
    """A layer of both streams with the same weights, whose attention and feed-forward network work side by side."""
    width, wide = net.width, 4 * net.width
    return [
        *_told("both", width, 3),
        *_scaled("both", rows, width),
        *_keys("both", rows, net),
        dense("feed-forward up", rows, width, wide, kept=False),
        elementwise(ElementwiseKind.ACTIVATION, "activation", rows * wide, 2, kept=rows * wide),
        _attention("attention", rows, net),
        dense("output", rows, width + wide, width, role=Role.ATTENTION),
        *_gated("both", rows, width),
    ]


def _middle(net: Joint, image: int, text: int) -> list[Block]:
    size = (image + text) * net.width
    blocks = []
    if net.dual:
        blocks.append(block("layer with two attentions", _layer(net, image, text, dual=True), size, repeat=net.dual))
    alike = net.layers - net.dual - int(net.open)
    blocks.append(block("layer", _layer(net, image, text), size, repeat=alike))
    if net.open:
        blocks.append(block("last layer", _layer(net, image, text, last=True), image * net.width))
    if net.shared:
        blocks.append(block("shared layer", _shared(net, image + text), size, repeat=net.shared))
    return blocks


def _joint(name: str, net: Joint, /, *, image_size: int = 1024, words: int = 512) -> Workload:
    """The network at that image size; ``words``: tokens of the text, padded."""
    image = side(image_size, _STRIDE * _PATCH) ** 2
    width, size = net.width, image * net.width
    stem: list[Operator] = [
        dense("patches", image, _SEEN, width, first=True),
        dense("text", words, _TEXT, width, first=True),
    ]
    for what, inner in (("step", _STEP), *((("guidance", _STEP),) if net.guided else ()), ("pooled text", net.pooled)):
        stem += [dense(f"{what} 1", 1, inner, width, first=True), dense(f"{what} 2", 1, width, width)]
    head: list[Operator] = [
        *_told("final", width, 2),
        *_scaled("final", image, width),
        dense("noise", image, width, _SEEN),
        elementwise(ElementwiseKind.LOSS, "loss", image * _SEEN, 4, kept=image * _SEEN),
    ]
    why = "images and texts are encoded once, before the training"
    return Workload(
        name=name,
        family="diffusion",
        blocks=(
            block("patches", stem, size + words * width, place="first"),
            *_middle(net, image, words),
            block("head", head, 0, place="last"),
        ),
        tokens_per_sample=1,
        unit="images",
        facts=(Fact(name="input", value="latents", origin=Origin.ASSUMED, why=why),),
    )


_FLUX = Joint(layers=19, shared=38, width=3072, heads=24, pooled=768, open=False)
_GUIDED = Joint(layers=19, shared=38, width=3072, heads=24, pooled=768, open=False, guided=True)
_SD3 = Joint(layers=24, width=1536, heads=24, pooled=2048, normed=False)
_SD35_MEDIUM = Joint(layers=24, width=1536, heads=24, pooled=2048, dual=13)
_SD35_LARGE = Joint(layers=38, width=2432, heads=38, pooled=2048)

# How long they learned, and on what, is not published. Of their texts, 77 tokens are CLIP's and 77 are T5's (Esser et al.
# 2024, section 4); FLUX's are 512 of T5, schnell's 256 (black-forest-labs/flux).
MODELS: dict[str, Builder] = {
    "sd3-medium": partial(_joint, "sd3-medium", _SD3, words=154),
    "sd3.5-medium": partial(_joint, "sd3.5-medium", _SD35_MEDIUM, words=154),
    "sd3.5-large": partial(_joint, "sd3.5-large", _SD35_LARGE, words=154),
    "flux-dev": partial(_joint, "flux-dev", _GUIDED),
    "flux-schnell": partial(_joint, "flux-schnell", _FLUX, words=256),
}
