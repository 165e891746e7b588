"""State-space and linear-attention layers of model configurations, and which layers of a hybrid model are such.

What each is made of: Mamba (Gu & Dao 2023, arXiv 2312.00752), Mamba-2 (Dao & Gu 2024, arXiv 2405.21060), gated delta
networks (Yang et al. 2024, arXiv 2412.06464), Kimi Delta Attention (arXiv 2510.26692), RG-LRU (De et al. 2024, arXiv
2402.19427), RWKV (Peng et al. 2023, arXiv 2305.13048), mLSTM (Beck et al. 2024, arXiv 2405.04517), lightning attention
(Qin et al. 2024, arXiv 2401.04658).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from zenplan.errors import InputFileError
from zenplan.families.configurations.fields import MOST_ENTRIES, MOST_HEADS, MOST_LAYERS, Fields
from zenplan.families.configurations.types import Stack
from zenplan.families.transformer.shape import LayerKind, Mixer, Product

Sizes = Mapping[str, Any]
# Chunks of delta rules, in the kernels that they are trained with (fla-org/flash-linear-attention).
_CHUNK = 64


# --- mixers


def mamba(fields: Fields, sizes: Sizes, norms: bool = False, alone: bool = False) -> Mixer:
    """Mamba; ``norms``: of steps, keys and queries (Jamba); ``alone``: no feed-forward network has a width."""
    width = sizes["width"]
    inner = fields.needed("mamba_expand", "expand", default=2, most=1000) * width
    if alone and fields.raw("intermediate_size") is not None:
        inner = fields.needed("intermediate_size", most=MOST_ENTRIES)
    state = fields.needed("mamba_d_state", "state_size", default=16, most=MOST_HEADS)
    window = fields.needed("mamba_d_conv", "conv_kernel", default=4, most=1000)
    rank = fields.raw("mamba_dt_rank", "time_step_rank")
    rank = -(-width // 16) if not isinstance(rank, int) else fields.needed("mamba_dt_rank", "time_step_rank")
    bias = fields.flag("mamba_proj_bias", "use_bias")
    weights = inner * (state + 1 + int(fields.flag("mamba_conv_bias", "use_conv_bias", default=True)))
    return Mixer(
        name="mamba",
        products=(
            Product("mamba in", width, 2 * inner, bias),
            Product("mamba steps and states", inner, rank + 2 * state),
            Product("mamba steps", rank, inner, True),
            Product("mamba out", inner, width, bias),
        ),
        channels=inner,
        window=window,
        heads=inner,
        key_dim=state,
        weights=weights + (rank + 2 * state if norms else 0),
    )


def mamba2(fields: Fields, sizes: Sizes, norm: bool = True) -> Mixer:
    """Mamba-2; ``norm``: before the way out."""
    width = sizes["width"]
    heads = fields.needed("mamba_num_heads", "mamba_n_heads", "n_mamba_heads", "num_heads", most=MOST_HEADS)
    inner = fields.count("mamba_d_ssm") or fields.needed("mamba_expand", "expand", default=2, most=1000) * width
    names = ("mamba_head_dim", "mamba_d_head", "mamba_headdim", *(("head_dim",) if fields.has("state_size") else ()))
    # "auto" is what the other sizes leave.
    if isinstance(fields.raw(*names), int):
        inner = heads * fields.needed(*names)
    state = fields.needed("ssm_state_size", "mamba_d_state", "state_size", most=MOST_HEADS)
    groups = fields.needed("mamba_n_groups", "mamba_ngroups", "n_groups", default=1, most=MOST_HEADS)
    channels, bias = inner + 2 * groups * state, fields.flag("mamba_proj_bias", "use_bias", "add_bias_linear")
    conv_bias = fields.flag("mamba_conv_bias", "use_conv_bias", default=True)
    return Mixer(
        name="mamba",
        products=(
            Product("mamba in", width, inner + channels + heads, bias),
            Product("mamba out", inner, width, bias),
        ),
        channels=channels,
        window=fields.needed("mamba_d_conv", "conv_kernel", default=4, most=1000),
        heads=heads,
        key_dim=state,
        value_dim=max(1, inner // heads),
        groups=min(groups, heads),
        chunk=fields.needed("mamba_chunk_size", "chunk_size", default=256, most=MOST_HEADS),
        weights=3 * heads + (channels if conv_bias else 0) + (inner if norm else 0),
    )


def delta_net(fields: Fields, sizes: Sizes) -> Mixer:
    """A gated delta network."""
    width = sizes["width"]
    key_heads = fields.needed("linear_num_key_heads", default=sizes["heads"], most=MOST_HEADS)
    heads = fields.needed("linear_num_value_heads", default=sizes["heads"], most=MOST_HEADS)
    key = fields.needed("linear_key_head_dim", default=max(1, 3 * width // (4 * sizes["heads"])))
    value = fields.needed("linear_value_head_dim", default=2 * key)
    keys, values = key_heads * key, heads * value
    return Mixer(
        name="linear",
        products=(
            Product("linear query-key-value-gate", width, 2 * keys + 2 * values),
            Product("linear decays", width, 2 * heads),
            Product("linear out", values, width),
        ),
        channels=2 * keys + values,
        window=fields.needed("linear_conv_kernel_dim", default=4, most=1000),
        heads=heads,
        key_dim=key,
        value_dim=value,
        groups=min(key_heads, heads),
        chunk=_CHUNK,
        weights=2 * heads + value,
    )


def kimi_delta(fields: Fields, sizes: Sizes, low_rank: bool = True) -> Mixer:
    """Kimi Delta Attention; ``low_rank``: its gates go through the width of a head."""
    width = sizes["width"]
    head = fields.needed("linear_head_dim", "head_dim_linear", default=128)
    heads = fields.needed("linear_num_heads", default=sizes["heads"], most=MOST_HEADS)
    inner = heads * head
    gates = [Product("linear decay", width, inner), Product("linear gate", width, inner)]
    if low_rank:
        names = ("linear decay", "linear gate")
        gates = [p for n in names for p in (Product(f"{n} down", width, head), Product(f"{n} up", head, inner))]
    return Mixer(
        name="linear",
        products=(
            Product("linear query-key-value", width, 3 * inner),
            *gates,
            Product("linear step", width, heads),
            Product("linear out", inner, width),
        ),
        channels=3 * inner,
        window=fields.needed("linear_conv_kernel_dim", "short_conv_kernel_size", default=4, most=1000),
        heads=heads,
        key_dim=head,
        value_dim=head,
        groups=heads,
        chunk=_CHUNK,
        weights=heads + inner + head,
    )


def short_convolution(fields: Fields, sizes: Sizes) -> Mixer:
    """A gated convolution over the last few tokens (LFM2)."""
    width = sizes["width"]
    return Mixer(
        name="convolution",
        products=(Product("convolution in", width, 3 * width), Product("convolution out", width, width)),
        channels=width,
        window=fields.needed("conv_L_cache", default=3, most=1000),
    )


def lightning(fields: Fields, sizes: Sizes) -> Mixer:
    """Lightning attention: linear, with a decay of each head."""
    width, heads = sizes["width"], sizes["heads"]
    head = sizes["head_dim"] or width // heads
    inner = heads * head
    return Mixer(
        name="linear",
        products=(
            Product("linear query-key-value", width, 3 * inner),
            Product("linear gate", width, inner),
            Product("linear out", inner, width),
        ),
        heads=heads,
        key_dim=head,
        value_dim=head,
        groups=heads,
        chunk=fields.needed("block_size", default=256, most=MOST_HEADS),
        weights=inner,
    )


def gated_recurrence(fields: Fields, sizes: Sizes) -> Mixer:
    """RG-LRU between a convolution and a gate; its own gates see the channels of a head."""
    width = sizes["width"]
    inner = fields.needed("lru_width", default=width)
    head = max(1, inner // sizes["heads"])
    return Mixer(
        name="recurrent",
        products=(
            Product("recurrent in", width, 2 * inner, True),
            Product("recurrent gates", head, 2 * inner, True),
            Product("recurrent out", inner, width, True),
        ),
        channels=inner,
        window=fields.needed("conv1d_width", default=4, most=1000),
        heads=inner,
        weights=2 * inner,
    )


def time_mixing(fields: Fields, sizes: Sizes) -> Mixer:
    """RWKV's time mixing."""
    width = sizes["width"]
    inner = fields.needed("attention_hidden_size", default=width)
    return Mixer(
        name="recurrent",
        products=(Product("recurrent in", width, 3 * inner), Product("recurrent out", inner, width)),
        heads=inner,
        weights=2 * inner + 3 * width,
    )


def matrix_lstm(fields: Fields, sizes: Sizes) -> Mixer:
    """mLSTM of xLSTM-7B."""
    width, heads = sizes["width"], sizes["heads"]
    keys = int(width * fields.number("qk_dim_factor", default=0.5))
    values = int(width * fields.number("v_dim_factor", default=1.0))
    return Mixer(
        name="recurrent",
        products=(
            Product("recurrent query-key-value-gate", width, 2 * keys + 2 * values),
            Product("recurrent gates", width, 2 * heads, True),
            Product("recurrent out", values, width),
        ),
        heads=heads,
        key_dim=max(1, keys // heads),
        value_dim=max(1, values // heads),
        groups=heads,
        chunk=fields.needed("chunk_size", default=64, most=MOST_HEADS),
        weights=values,
    )


# --- which layers are such

_ATTENTION = ("attention", "full_attention", "sliding_attention", "chunked_attention", "hybrid")


def kinds_of_layers(fields: Fields, layers: int) -> list[str] | None:
    """What the configuration calls each layer; None where it does not."""
    for key in ("layer_types", "layers_block_type"):
        found = fields.texts(key, layers)
        if found is not None:
            return found
    return None


def _attends(fields: Fields, sizes: Sizes, usual: Callable[[int], bool]) -> list[bool]:
    """Which layers have attention: as the configuration lists them, else as ``usual`` says of a layer's number."""
    layers = sizes["layers"]
    named = kinds_of_layers(fields, layers)
    if named is not None:
        return [name in _ATTENTION for name in named]
    for key, first in (("attn_layer_indices", 0), ("full_attn_idxs", 0), ("full_attn_layers", 1)):
        given = fields.raw(key)
        if given is not None:
            chosen = set(fields.numbers(key, least=0, longest=MOST_LAYERS) if given else ())
            return [layer + first in chosen for layer in range(layers)]
    return [usual(layer) for layer in range(layers)]


def _mixed(mixer: Mixer, sizes: Sizes, attends: list[bool], usual: LayerKind | None = None) -> tuple[LayerKind, ...]:
    """Layers with attention where it is, and the mixer in the others."""
    other = replace(usual or LayerKind(), attention=False, mixer=mixer)
    template: LayerKind = sizes["attention"]
    return tuple(
        replace(template if own else other, feed=feed, window=window if own else None)
        for own, feed, window in zip(attends, sizes["feeds"], sizes["windows"], strict=True)
    )


def _every(step_key: str, default: int) -> Callable[[Fields], Callable[[int], bool]]:
    def usual(fields: Fields) -> Callable[[int], bool]:
        step = fields.needed(step_key, default=default, most=MOST_LAYERS)
        return lambda layer: (layer + 1) % step == 0

    return usual


def _hybrid(mixer: Callable[[Fields, Sizes], Mixer], usual: Callable[[Fields], Callable[[int], bool]]) -> Stack:
    def stack(fields: Fields, sizes: Sizes) -> tuple[LayerKind, ...]:
        return _mixed(mixer(fields, sizes), sizes, _attends(fields, sizes, usual(fields)))

    return stack


def pure(mixer: Callable[[Fields, Sizes], Mixer]) -> Stack:
    """Each layer is the mixer alone."""

    def stack(fields: Fields, sizes: Sizes) -> tuple[LayerKind, ...]:
        return (LayerKind(attention=False, feed="none", mixer=mixer(fields, sizes)),) * int(sizes["layers"])

    return stack


def _jamba(fields: Fields, sizes: Sizes) -> tuple[LayerKind, ...]:
    period = fields.needed("attn_layer_period", default=8, most=MOST_LAYERS)
    offset = fields.count("attn_layer_offset", default=4)
    attends = _attends(fields, sizes, lambda layer: layer % period == offset % period)
    return _mixed(mamba(fields, sizes, norms=True), sizes, attends)


def _falcon_h1(fields: Fields, sizes: Sizes) -> tuple[LayerKind, ...]:
    mixer = mamba2(fields, sizes, norm=fields.flag("mamba_rms_norm"))
    return (replace(sizes["attention"], mixer=mixer),) * int(sizes["layers"])


_MIXERS = ("mamba", "mamba2", "linear_attention")
_LETTERS = {"M": "mamba", "*": "attention", "-": "mlp", "E": "moe"}


def _nemotron_h(fields: Fields, sizes: Sizes) -> tuple[LayerKind, ...]:
    pattern = fields.raw("hybrid_override_pattern")
    if isinstance(pattern, str):
        named = [_LETTERS.get(letter, "") for letter in pattern]
    else:
        named = kinds_of_layers(fields, sizes["layers"]) or []
    if "" in named or len(named) != sizes["layers"]:
        raise InputFileError(
            "the model configuration does not say what each of its layers is", "give 'layers_block_type', one each"
        )
    alone = LayerKind(attention=False, feed="none")
    latent = fields.count("moe_latent_size")
    down = Product("expert latent", sizes["width"], 2 * latent) if latent else None
    kinds = {
        "attention": replace(sizes["attention"], feed="none"),
        "mlp": replace(alone, feed="dense"),
        "moe": replace(alone, feed="experts", products=(down,) if down else ()),
    }
    if any(name in _MIXERS for name in named):
        kinds |= dict.fromkeys(_MIXERS, replace(alone, mixer=mamba2(fields, sizes)))
    return tuple(kinds.get(name, kinds["attention"]) for name in named)


def _rwkv(fields: Fields, sizes: Sizes) -> tuple[LayerKind, ...]:
    width = sizes["width"]
    receptance = Product("feed-forward receptance", width, width)
    kind = LayerKind(attention=False, mixer=time_mixing(fields, sizes), products=(receptance,), weights=2.0 * width)
    return (kind,) * int(sizes["layers"])


def _xlstm(fields: Fields, sizes: Sizes) -> tuple[LayerKind, ...]:
    return (LayerKind(attention=False, mixer=matrix_lstm(fields, sizes)),) * int(sizes["layers"])


def _recurrent_gemma(fields: Fields, sizes: Sizes) -> tuple[LayerKind, ...]:
    pattern = fields.raw("block_types", "_block_types")
    if not isinstance(pattern, list) or not pattern:
        pattern = ["recurrent", "recurrent", "attention"]
    attends = _attends(fields, sizes, lambda layer: pattern[layer % len(pattern)] == "attention")
    return _mixed(gated_recurrence(fields, sizes), sizes, attends)


def _shared(fields: Fields, sizes: Sizes) -> tuple[LayerKind, ...]:
    """Zamba: some layers put the tokens, and the embedding beside them, through one transformer layer that they share
    (or through one of a few), and its output through a product of their own."""
    width, second = sizes["width"], fields.model_type == "zamba2"
    mixer = mamba2(fields, sizes) if second else mamba(fields, sizes)
    layers = sizes["layers"]
    named = kinds_of_layers(fields, layers)
    if named is not None:
        places = [layer for layer, name in enumerate(named) if name == "hybrid"]
    elif fields.raw("hybrid_layer_ids") or second:
        places = [n for n in fields.numbers("hybrid_layer_ids", least=0, longest=MOST_LAYERS) if n < layers]
    else:
        period, offset = fields.needed("attn_layer_period", default=6), fields.count("attn_layer_offset", default=4)
        places = [2, *(n + 3 for n in range(layers - 3) if n % period == offset)]
    inner = fields.count("attention_hidden_size", default=2 * width)
    copies = fields.count("num_mem_blocks", default=1) if second else 1
    products = [Product("shared layer out", width, width)]
    if second:
        rank = fields.needed("adapter_rank", default=128)
        products += [Product("adapter down", width, rank), Product("adapter up", rank, 2 * sizes["ff_width"])]
    # Its queries, keys and values come from twice the width.
    wider = Product("shared layer embedding", width, 3 * inner)
    head = max(1, inner // sizes["heads"])
    first = LayerKind(head_dim=head, mixer=mixer, products=(*products, wider), weights=width)
    again = replace(first, products=(*products, replace(wider, tied=True)), weights=0.0, owned=False)
    own = LayerKind(attention=False, feed="none", mixer=mixer)
    kinds = dict.fromkeys(places, again) | dict.fromkeys(places[:copies], first)
    return tuple(kinds.get(layer, own) for layer in range(layers))


STACKS: Mapping[str, Stack] = {
    "delta": _hybrid(delta_net, _every("full_attention_interval", 4)),
    "kimi": _hybrid(kimi_delta, _every("full_attention_interval", 4)),
    "bailing": _hybrid(lambda f, s: kimi_delta(f, s, low_rank=False), _every("layer_group_size", 6)),
    "lightning": _hybrid(lightning, _every("attn_type_interval", 2)),
    "convolution": _hybrid(short_convolution, lambda fields: lambda layer: True),
    "mamba": pure(lambda f, s: mamba(f, s, alone=True)),
    "mamba2": pure(mamba2),
    "bamba": _hybrid(mamba2, lambda fields: lambda layer: False),
    "jamba": _jamba,
    "falcon_h1": _falcon_h1,
    "nemotron_h": _nemotron_h,
    "rwkv": _rwkv,
    "xlstm": _xlstm,
    "recurrent_gemma": _recurrent_gemma,
    "zamba": _shared,
}
