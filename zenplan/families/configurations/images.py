"""Towers that see images: a vision transformer of a configuration, to blocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from zenplan.domain.model.operators import ElementwiseKind, Operator
from zenplan.domain.model.workload import Block
from zenplan.errors import InputFileError
from zenplan.families.configurations.extras import few, norm, product
from zenplan.families.configurations.fields import MOST_ENTRIES, MOST_HEADS, MOST_LAYERS, Fields
from zenplan.families.parts import block, convolution, elementwise
from zenplan.families.transformer.lowering import layers_of
from zenplan.families.transformer.shape import TransformerShape

# Patches of a side where a model takes images of any size: 32 × 32 of them, as an image of 448 pixels in patches of 14.
USUAL_SIDE = 32
MOST_SIDE = 1000
# Tokens of an image by default (the model card of Gemma 4: 70, 140, 280, 560 or 1,120).
GEMMA4_TOKENS = 280


@dataclass(frozen=True, slots=True, kw_only=True)
class Tower:
    """An encoder of images or sound.

    Attributes:
        blocks: of one image, or one piece of sound.
        tokens: that leave it, ``width`` wide; of images they lie in ``side`` rows.
        heads: of its attention.
        facts: what was assumed.
    """

    blocks: tuple[Block, ...]
    tokens: int
    width: int
    heads: int
    side: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageType:
    """How a type of vision transformer differs from the plain one, which has biases everywhere.

    Attributes:
        extra: tokens beside the patches. ``registers``: the key of how many more there are.
        positions: ``learned`` for each token, or each patch (``patches``); ``none``.
        patch_bias: of the patches. ``frames``: the key of how many frames a patch goes through.
        before, after: norms in front of and behind the layers.
        scales: each layer scales what it adds.
        norms: of a layer; ``head_norms``: of queries and keys beside them.
        gated, norm_biases, qkv_bias, out_bias, ff_bias: as of a transformer; a text is the key that says it.
        pooling: a layer of attention that makes one token of all, where ``vision_use_head`` is true.
        width_keys, ff_key: of its width and feed-forward width, where they have other names. channels: of what it sees.
        mask: a token stands for what is hidden. doubled: a classifier sees the first token and the mean of all.
        pooler: a product over the first token, of the model without a head.
        ff_ratio: feed-forward width in widths, where neither width nor ratio is given.
    """

    extra: int = 0
    registers: str = ""
    positions: str = "learned"
    patch_bias: bool = True
    frames: str = ""
    before: bool = False
    after: bool = True
    scales: bool = False
    norms: int = 2
    head_norms: bool = False
    gated: bool = False
    norm_biases: bool = True
    qkv_bias: bool | str = True
    out_bias: bool | str = True
    ff_bias: bool | str = True
    pooling: bool = False
    pooler: bool = False
    mask: bool = False
    ff_ratio: float = 4.0
    doubled: bool = False
    ff_key: str = "intermediate_size"
    width_keys: tuple[str, ...] = ("hidden_size", "embed_dim")
    channels: int = 3


_VIT = ImageType(extra=1, qkv_bias="qkv_bias", pooler=True)
_SIGLIP = ImageType(positions="patches", pooling=True)
_CLIP = ImageType(extra=1, patch_bias=False, before=True)
_DINO = ImageType(extra=1, qkv_bias="qkv_bias", scales=True, mask=True, doubled=True)
_IDEFICS = ImageType(positions="patches")
_QWEN = ImageType(positions="none", patch_bias=False, frames="temporal_patch_size", after=False)

IMAGES: Mapping[str, ImageType] = {
    "vit": _VIT,
    "deit": replace(_VIT, extra=2),
    "vit_mae": replace(_VIT, pooler=False),
    "vit_msn": replace(_VIT, pooler=False),
    "ijepa": replace(_VIT, extra=0, pooler=False),
    "dpt": _VIT,
    "beit": ImageType(extra=1, positions="none", scales=True, after=True),
    "data2vec-vision": ImageType(extra=1, positions="none", scales=True, after=True),
    "dinov2": _DINO,
    "dinov2_with_registers": replace(_DINO, registers="num_register_tokens"),
    "dinov3_vit": ImageType(
        extra=1, registers="num_register_tokens", positions="none", scales=True, mask=True, gated=False
    ),
    "audio-spectrogram-transformer": replace(_VIT, extra=2, pooler=False, channels=1),
    "videomae": ImageType(positions="none", frames="tubelet_size", after=False),
    "siglip_vision_model": _SIGLIP,
    "siglip2_vision_model": _SIGLIP,
    "clip_vision_model": _CLIP,
    "metaclip_2_vision_model": _CLIP,
    "blip_vision_model": ImageType(extra=1),
    "blip_2_vision_model": ImageType(extra=1, qkv_bias="qkv_bias"),
    "instructblip_vision_model": ImageType(extra=1, qkv_bias="qkv_bias"),
    "git_vision_model": _CLIP,
    "idefics2_vision": _IDEFICS,
    "idefics3_vision": _IDEFICS,
    "smolvlm_vision": _IDEFICS,
    "internvl_vision": ImageType(extra=1, scales=True, after=False, qkv_bias="attention_bias"),
    "pixtral": ImageType(
        positions="none",
        patch_bias=False,
        before=True,
        after=False,
        gated=True,
        norm_biases=False,
        qkv_bias=False,
        out_bias=False,
        ff_bias=False,
    ),
    "qwen2_vl_vision": replace(_QWEN, width_keys=("embed_dim",)),
    "qwen2_5_vl_vision": replace(_QWEN, gated=True, norm_biases=False),
    "qwen3_vl_vision": replace(_QWEN, patch_bias=True, positions="table"),
    "qwen3_vl_moe_vision": replace(_QWEN, patch_bias=True, positions="table"),
    "qwen3_5_vision": replace(_QWEN, patch_bias=True, positions="table"),
    "qwen3_5_moe_vision": replace(_QWEN, patch_bias=True, positions="table"),
    "glm4v_vision": ImageType(
        positions="patches",
        frames="temporal_patch_size",
        before=True,
        gated=True,
        norm_biases=False,
        qkv_bias="attention_bias",
        out_bias=False,
        ff_bias=False,
        ff_key="out_hidden_size",
    ),
    "gemma4_vision": ImageType(
        positions="axes",
        patch_bias=False,
        after=False,
        gated=True,
        norm_biases=False,
        norms=4,
        head_norms=True,
        qkv_bias=False,
        out_bias=False,
        ff_bias=False,
    ),
    "llama4_vision_model": ImageType(extra=1, patch_bias=False, before=True),
}
IMAGES = {**IMAGES, "glm4v_moe_vision": IMAGES["glm4v_vision"]}


def image_tower(fields: Fields, kind: ImageType, name: str = "") -> Tower:
    """The tower over one image.

    Args:
        fields: of its configuration.
        kind: its row.
        name: in front of its blocks' names.

    Raises:
        InputFileError: a field is missing or wrong, or fields do not go together.
    """
    width = fields.needed(*kind.width_keys)
    heads = fields.needed(
        "num_attention_heads", "num_heads", "attention_heads", default=max(1, width // 64), most=MOST_HEADS
    )
    layers = fields.needed("num_hidden_layers", "depth", "num_layers", most=MOST_LAYERS)
    patch, channels = (
        fields.edge("patch_size", default=16),
        fields.needed("num_channels", "in_channels", "in_chans", default=kind.channels),
    )
    side, patches = _patches(fields, patch)
    extra = kind.extra + (fields.count(kind.registers, most=MOST_HEADS) if kind.registers else 0)
    frames = fields.edge(kind.frames, default=2) if kind.frames else 1
    tokens, prefix = patches + extra, f"{name} " if name else ""
    stem: list[Operator] = [
        convolution(
            f"{prefix}patches",
            channels * frames,
            width,
            (patch, patch),
            patches,
            input_positions=patches * patch * patch,
            bias=kind.patch_bias,
            first=True,
        ),
        *_places(fields, kind, prefix, width, patches, extra),
    ]
    if kind.before:
        stem.append(norm(f"{prefix}norm before", tokens, width, bias=kind.norm_biases))
    middle = _layers(fields, kind, prefix, (layers, width, heads, tokens))
    blocks = [block(f"{prefix}patches", stem, tokens * width, place="first"), middle]
    last: list[Operator] = [norm(f"{prefix}norm after", tokens, width, bias=kind.norm_biases)] if kind.after else []
    if kind.pooling and fields.flag("vision_use_head", default=True):
        last += _pooling(prefix, tokens, width, fields.needed("intermediate_size", default=4 * width))
    if last:
        blocks.append(block(f"{prefix}norm", last, tokens * width))
    return Tower(blocks=tuple(blocks), tokens=patches, width=width, heads=heads, side=side)


def _patches(fields: Fields, patch: int) -> tuple[int, int]:
    """Rows of patches, and how many patches there are."""
    if fields.raw("max_length") is not None or fields.model_type == "audio-spectrogram-transformer":
        across = (fields.needed("num_mel_bins", default=128) - patch) // fields.needed(
            "frequency_stride", default=10
        ) + 1
        along = (fields.needed("max_length", default=1024) - patch) // fields.needed("time_stride", default=10) + 1
        return max(1, across), max(1, across) * max(1, along)
    if fields.model_type == "gemma4_vision":
        # As many tokens as are left of an image by default, and the patches that each is the mean of.
        return 0, GEMMA4_TOKENS * fields.needed("pooling_kernel_size", default=3, most=100) ** 2
    if fields.raw("image_size") is None and not fields.known("image_size"):
        return USUAL_SIDE, USUAL_SIDE**2
    sizes = fields.raw("image_size") or fields.known("image_size")
    if isinstance(sizes, list | tuple) and len(sizes) == 2 and all(isinstance(n, int) and n > 0 for n in sizes):
        return max(1, sizes[0] // patch), max(1, sizes[0] // patch) * max(1, sizes[1] // patch)
    side = fields.edge("image_size") // patch
    if not 1 <= side <= MOST_SIDE:
        raise InputFileError(
            f"the model configuration's images are not cut into patches of {patch}",
            "check 'image_size' and 'patch_size'",
        )
    return side, side * side


def _places(fields: Fields, kind: ImageType, prefix: str, width: int, patches: int, extra: int) -> list[Operator]:
    """Tokens that are learned, and a table of positions."""
    learned = {"learned": patches + kind.extra, "patches": patches, "none": 0}
    table = learned.get(kind.positions, 0)
    if kind.positions == "table":
        table = fields.count("num_position_embeddings", default=0)
    if kind.positions == "patches":
        table = fields.count("num_patches", default=patches) or patches
    if kind.positions == "axes":
        # Of each of the two axes.
        table = 2 * fields.count("position_embedding_size", default=10_240)
    if kind.positions == "none" and fields.flag("use_absolute_position_embeddings"):
        table = patches + kind.extra
    if fields.model_type == "internvl_vision" and not fields.flag("use_absolute_position_embeddings", default=True):
        table = 0
    weights = (table + extra + int(kind.mask)) * width
    size = (patches + extra) * width
    return [elementwise(ElementwiseKind.OTHER, f"{prefix}positions", size, 3, weights=weights)]


def _layers(fields: Fields, kind: ImageType, prefix: str, sizes: tuple[int, int, int, int]) -> Block:
    layers, width, heads, tokens = sizes
    given = fields.raw(kind.ff_key) or (None if fields.raw("mlp_ratio") else fields.known(kind.ff_key))
    ff_width = (
        fields.needed(kind.ff_key, most=MOST_ENTRIES)
        if given
        else int(width * fields.number("mlp_ratio", default=kind.ff_ratio))
    )
    gated = kind.gated or fields.flag("use_swiglu_ffn", "use_gated_mlp")
    if fields.flag("use_swiglu_ffn"):
        ff_width = (int(ff_width * 2 / 3) + 7) // 8 * 8
    biases = [
        fields.flag(b, default=True) if isinstance(b, str) else b for b in (kind.qkv_bias, kind.out_bias, kind.ff_bias)
    ]
    shape = TransformerShape(
        family="encoder",
        layers=layers,
        width=width,
        heads=heads,
        ff_width=max(1, ff_width),
        vocab=1,
        seq_len=tokens,
        gated=gated,
        biases=all(biases),
        norm_biases=kind.norm_biases,
    )
    middle = layers_of(shape)[0]
    weights = (2 * width if kind.scales else 0) + (kind.norms - 2) * width + 2 * (width // heads) * kind.head_norms
    if not all(biases):
        up = ff_width * (2 if gated else 1)
        weights += 3 * width * biases[0] + width * biases[1] + (up + width) * biases[2]
    further = (few(f"{prefix}scales and biases", weights),) if weights else ()
    return replace(middle, name=f"{prefix}layer", operators=(*middle.operators, *further))


def _pooling(prefix: str, tokens: int, width: int, ff_width: int) -> list[Operator]:
    """SigLIP's pooling: one learned query sees all tokens, and goes through a feed-forward network."""
    return [
        few(f"{prefix}query", width),
        product(f"{prefix}pooling query", 1, width, width),
        product(f"{prefix}pooling key-value", tokens, width, 2 * width),
        product(f"{prefix}pooling out", 1, width, width),
        norm(f"{prefix}pooling norm", 1, width),
        product(f"{prefix}pooling up", 1, width, ff_width),
        product(f"{prefix}pooling down", 1, ff_width, width),
    ]


def standalone(fields: Fields, kind: ImageType, architecture: str, classes: int) -> tuple[Tower, Block]:
    """The tower by itself, and the head that its class has."""
    tower = image_tower(fields, kind)
    width = tower.width
    plain = architecture.endswith("Model")
    last: list[Operator] = []
    if plain and kind.pooler and architecture != "":
        last.append(product("pooler", 1, width, width))
    elif not plain:
        last.append(product("classifier", 1, width * (2 if kind.doubled else 1), classes))
    if not last:
        last.append(elementwise(ElementwiseKind.OTHER, "output", tower.tokens * width, 1))
    return tower, block("head", last, 0, place="last")
