"""What leads from a tower to the language model: products, and how many tokens are left of an image or sound."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from zenplan.domain.model.operators import Operator
from zenplan.families.configurations.extras import few, norm, product
from zenplan.families.configurations.fields import MOST_HEADS, Fields
from zenplan.families.configurations.images import Tower

# The outer fields, the fields of the tower, the tower, the width of the language model: operators, and tokens left.
Projector = Callable[[Fields, Fields, Tower, int], tuple[list[Operator], int]]


def two_layers(outer: Fields, inner: Fields, tower: Tower, width: int) -> tuple[list[Operator], int]:
    """LLaVA: two products, over the layers of the tower that are named."""
    layers = outer.raw("vision_feature_layer", "vision_feature_layers") or outer.known("vision_feature_layers")
    wide = tower.width * (len(layers) if isinstance(layers, list) and layers else 1)
    bias = outer.flag("multimodal_projector_bias", default=True)
    operators = [product("projector 1", tower.tokens, wide, width, bias=bias)]
    operators.append(product("projector 2", tower.tokens, width, width, bias=bias))
    if outer.model_type in ("llava_next", "llava_next_video", "llava_onevision"):
        operators.append(few("new line", width))
    return operators, tower.tokens


def _gemma(outer: Fields, inner: Fields, tower: Tower, width: int) -> tuple[list[Operator], int]:
    tokens = outer.count("mm_tokens_per_image", default=256)
    operators = [norm("projector norm", tokens, tower.width, bias=False)]
    return [*operators, product("projector", tokens, tower.width, width, bias=False)], tokens


def _paligemma(outer: Fields, inner: Fields, tower: Tower, width: int) -> tuple[list[Operator], int]:
    return [product("projector", tower.tokens, tower.width, width)], tower.tokens


def _mistral(outer: Fields, inner: Fields, tower: Tower, width: int) -> tuple[list[Operator], int]:
    """Patches are merged by twos in both directions."""
    merged = outer.count("spatial_merge_size", default=2, most=MOST_HEADS) or 1
    bias, tokens = outer.flag("multimodal_projector_bias"), max(1, tower.tokens // merged**2)
    return [
        norm("projector norm", tower.tokens, tower.width, bias=False),
        product("patch merger", tokens, merged**2 * tower.width, tower.width, bias=False),
        product("projector 1", tokens, tower.width, width, bias=bias),
        product("projector 2", tokens, width, width, bias=bias),
    ], tokens


def _qwen(outer: Fields, inner: Fields, tower: Tower, width: int) -> tuple[list[Operator], int]:
    """Patches are merged by twos in both directions; Qwen3-VL does so for some layers in the middle too."""
    merged = inner.count("spatial_merge_size", default=2, most=MOST_HEADS) or 1
    wide, tokens = merged**2 * tower.width, max(1, tower.tokens // merged**2)
    left = inner.count("out_hidden_size") or (inner.count("hidden_size") if inner.raw("embed_dim") else 0) or width
    deep = inner.raw("deepstack_visual_indexes")
    deep = inner.known("deepstack_visual_indexes") if deep is None else deep
    operators: list[Operator] = [norm("merger norm", tower.tokens, tower.width, bias="qwen2_5" not in inner.model_type)]
    for number in range(1 + (len(deep) if isinstance(deep, list) else 0)):
        name = f"merger {number + 1}"
        operators += [product(f"{name} up", tokens, wide, wide), product(f"{name} down", tokens, wide, left)]
        operators += [norm(f"{name} norm", tokens, wide)] if number else []
    return operators, tokens


def _shuffled(outer: Fields, inner: Fields, tower: Tower, width: int) -> tuple[list[Operator], int]:
    """Idefics 3: neighbours become one token, and one product."""
    factor = outer.count("scale_factor", default=2, most=MOST_HEADS) or 1
    tokens = max(1, tower.tokens // factor**2)
    return [product("projector", tokens, factor**2 * tower.width, width, bias=False)], tokens


def _internvl(outer: Fields, inner: Fields, tower: Tower, width: int) -> tuple[list[Operator], int]:
    wide, tokens = 4 * tower.width, max(1, tower.tokens // 4)
    operators = [norm("projector norm", tokens, wide), product("projector 1", tokens, wide, width)]
    return [*operators, product("projector 2", tokens, width, width)], tokens


def _glm(outer: Fields, inner: Fields, tower: Tower, width: int) -> tuple[list[Operator], int]:
    """GLM-4V: a convolution merges patches, then a gated network."""
    merged = inner.count("spatial_merge_size", default=2, most=MOST_HEADS) or 1
    tokens, left = max(1, tower.tokens // merged**2), inner.count("out_hidden_size") or width
    ff_width = inner.needed("intermediate_size", default=4 * left)
    return [
        product("merger", tokens, merged**2 * tower.width, left),
        product("projector", tokens, left, left, bias=False),
        norm("projector norm", tokens, left),
        product("projector up", tokens, left, 2 * ff_width, bias=False),
        product("projector down", tokens, ff_width, left, bias=False),
    ], tokens


def _llama4(outer: Fields, inner: Fields, tower: Tower, width: int) -> tuple[list[Operator], int]:
    """Llama 4: patches are shuffled into fewer, wider ones, which go through two products and one."""
    ratio = inner.number("pixel_shuffle_ratio", default=0.5) or 0.5
    tokens, wide = max(1, round(tower.tokens * ratio**2)), round(tower.width / ratio**2)
    between, left = (
        inner.needed("projector_input_dim", default=4096),
        inner.needed("projector_output_dim", default=4096),
    )
    given = inner.needed("vision_output_dim", default=left)
    return [
        product("adapter 1", tokens, wide, between, bias=False),
        product("adapter 2", tokens, between, left, bias=False),
        product("projector", tokens, given, width, bias=False),
    ], tokens


def _perceiver(outer: Fields, inner: Fields, tower: Tower, width: int) -> tuple[list[Operator], int]:
    """Idefics 2: a gated network into the width of the language model, and a few layers in which latents see it."""
    perceiver = outer.raw("perceiver_config")
    perceiver = Fields(perceiver if isinstance(perceiver, Mapping) else {}, "idefics2_perceiver", inner=True)
    latents, depth = perceiver.needed("resampler_n_latents", default=64), perceiver.needed("resampler_depth", default=3)
    heads, kv_heads = (
        perceiver.needed("resampler_n_heads", default=16),
        perceiver.needed("num_key_value_heads", default=4),
    )
    head, text = perceiver.needed("resampler_head_dim", default=96), outer.count("text_ff_width", default=14336)
    operators = [
        product("connector up", tower.tokens, tower.width, 2 * text, bias=False),
        product("connector down", tower.tokens, text, width, bias=False),
        few("latents", latents * width),
    ]
    for _ in range(min(depth, 100)):
        operators += [
            product("resampler query", latents, width, heads * head, bias=False),
            product("resampler key-value", latents + tower.tokens, width, 2 * kv_heads * head, bias=False),
            product("resampler out", latents, heads * head, width, bias=False),
            product("resampler up", latents, width, 8 * width, bias=False),
            product("resampler down", latents, 4 * width, width, bias=False),
            few("resampler norms", 3 * width),
        ]
    return operators, latents


def _audio(outer: Fields, inner: Fields, tower: Tower, width: int) -> tuple[list[Operator], int]:
    """Qwen2-Audio: every two tokens are averaged."""
    tokens = max(1, tower.tokens // 2)
    return [product("projector", tokens, tower.width, width)], tokens


def _voxtral(outer: Fields, inner: Fields, tower: Tower, width: int) -> tuple[list[Operator], int]:
    """Voxtral: four tokens become one."""
    wide = inner.needed("intermediate_size", default=4 * tower.width)
    tokens = max(1, tower.tokens * tower.width // wide)
    operators = [product("projector 1", tokens, wide, width, bias=False)]
    return [*operators, product("projector 2", tokens, width, width, bias=False)], tokens


def _crossing(outer: Fields, inner: Fields, tower: Tower, width: int) -> tuple[list[Operator], int]:
    """Llama 3.2 Vision: no token of the text is the image's; what leaves some layers of the tower goes into one product."""
    wide = inner.needed("vision_output_dim", default=6 * tower.width)
    return [product("projector", tower.tokens, wide, width)], 0


def _queries(outer: Fields, inner: Fields, tower: Tower, width: int) -> tuple[list[Operator], int]:
    """BLIP-2: a few learned queries go through layers, some of which attend to the tower."""
    given = outer.raw("qformer_config")
    former = Fields(given if isinstance(given, Mapping) else {}, "blip_2_qformer", inner=True)
    rows, wide = outer.count("num_query_tokens", default=32), former.needed("hidden_size", default=768)
    ff_width, every = (
        former.needed("intermediate_size", default=3072),
        former.needed("cross_attention_frequency", default=2, most=MOST_HEADS),
    )
    operators: list[Operator] = [few("queries", rows * wide), norm("queries norm", rows, wide)]
    for layer in range(former.needed("num_hidden_layers", default=12, most=1000)):
        operators += [product("query-key-value", rows, wide, 3 * wide), product("out", rows, wide, wide)]
        operators.append(norm("norm", rows, wide))
        if layer % every == 0:
            operators += [product("cross query", rows, wide, wide), product("cross out", rows, wide, wide)]
            operators += [product("cross key-value", tower.tokens, tower.width, 2 * wide), norm("norm", rows, wide)]
        operators += [product("up", rows, wide, ff_width), product("down", rows, ff_width, wide)]
        operators.append(norm("norm", rows, wide))
    return [*operators, product("language projection", rows, wide, width)], rows


def _shuffled_twice(outer: Fields, inner: Fields, tower: Tower, width: int) -> tuple[list[Operator], int]:
    """Aya Vision, Command A Vision, LFM2-VL: neighbours become one token, which goes through two products; of the first
    two models the first is a gate."""
    factor = outer.count("downsample_factor", default=2, most=MOST_HEADS) or 1
    tokens, wide = max(1, tower.tokens // factor**2), factor**2 * tower.width
    gated, bias = outer.model_type != "lfm2_vl", outer.flag("projector_bias", default=True)
    between = outer.needed(
        "alignment_intermediate_size", "projector_hidden_size", default=2 * width if gated else width
    )
    normed = outer.model_type == "aya_vision" or outer.flag("projector_use_layernorm")
    return [
        *([norm("projector norm", tokens, wide)] if normed else []),
        product("projector 1", tokens, wide, between, bias=bias),
        product("projector 2", tokens, max(1, between // 2) if gated else between, width, bias=bias),
    ], tokens


def _gemma4(outer: Fields, inner: Fields, tower: Tower, width: int) -> tuple[list[Operator], int]:
    """Gemma 4: each token is the mean of neighbours."""
    tokens = max(1, tower.tokens // inner.needed("pooling_kernel_size", default=3, most=100) ** 2)
    return [product("projector", tokens, tower.width, width, bias=False)], tokens


PROJECTORS: Mapping[str, Projector] = {
    "llava": two_layers,
    "llava_next": two_layers,
    "llava_next_video": two_layers,
    "llava_onevision": two_layers,
    "vipllava": two_layers,
    "gemma3": _gemma,
    "gemma4": _gemma4,
    "mllama": _crossing,
    "blip-2": _queries,
    "aya_vision": _shuffled_twice,
    "cohere2_vision": _shuffled_twice,
    "lfm2_vl": _shuffled_twice,
    "paligemma": _paligemma,
    "mistral3": _mistral,
    "qwen2_vl": _qwen,
    "qwen2_5_vl": _qwen,
    "qwen3_vl": _qwen,
    "qwen3_vl_moe": _qwen,
    "qwen3_5": _qwen,
    "qwen3_5_moe": _qwen,
    "idefics2": _perceiver,
    "idefics3": _shuffled,
    "smolvlm": _shuffled,
    "internvl": _internvl,
    "glm4v": _glm,
    "glm4v_moe": _glm,
    "llama4": _llama4,
    "qwen2_audio": _audio,
    "voxtral": _voxtral,
}
