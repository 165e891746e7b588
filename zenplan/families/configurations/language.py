"""From a Hugging Face configuration of a language model to a shape.

The tables in ``decoders`` and ``encoders`` say where each ``model_type`` keeps what.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from zenplan.domain.model.operators import Operator
from zenplan.domain.provenance import Fact, Origin
from zenplan.errors import InputFileError, shown
from zenplan.families.configurations.extras import few, norm, product
from zenplan.families.configurations.fields import (
    MOST_ENTRIES,
    MOST_HEADS,
    MOST_LAYERS,
    MOST_WIDTH,
    Fields,
)
from zenplan.families.configurations.mixtures import experts_of, feeds_of
from zenplan.families.configurations.types import Bias, ModelType, Outside
from zenplan.families.transformer.shape import (
    LatentAttention,
    LayerKind,
    Product,
    TransformerShape,
    check_seq_len,
    with_seq_len,
)

# Llama 3 (arXiv 2407.21783, section 3.4) trained nearly all of its tokens at 8,192 and reached its 131,072
# only at the end; a reach beyond that says what a model can read, not what it is trained on.
USUAL_SEQ_LEN = 8192


def shape_of(
    fields: Fields, spec: ModelType, seq_len: int | None = None, tied: bool | None = None
) -> tuple[TransformerShape, tuple[Fact, ...]]:
    """The shape of a configuration of this type, and each default that was taken for a key that is absent.

    Args:
        seq_len: tokens of one sequence; None for the model's reach, at most 8,192.
        tied: whether the head has the embedding's weights, where the configuration around it says so.

    Raises:
        InputFileError: a field is missing, wrong or does not go with another; the message names the field.
    """
    if seq_len is not None:
        check_seq_len(seq_len)
    sizes = _sizes(fields, spec)
    reach = _reach(fields, spec)
    tokens = seq_len or _usual_seq_len(fields, reach)
    given: dict[str, Any] = {
        "family": spec.family,
        "seq_len": tokens,
        "gated": _gated(fields, spec),
        "tied": fields.switch("tie_word_embeddings", spec.tied) if tied is None else tied,
        "norm_biases": spec.norm_biases,
        "head_transform": spec.head_transform,
        "headless": spec.headless,
        "dropout": spec.dropout is not None and fields.ratio(*spec.dropout) > 0,
        "positions": 0 if spec.positions is None else reach + spec.positions,
        "segments": fields.needed("type_vocab_size", default=2, least=0) if spec.segments else 0,
        "windows": windows_of(fields, spec, sizes["layers"], tokens),
        **_encoder(fields, spec, sizes, tokens),
    }
    given |= _experts(fields, spec, sizes)
    narrow = _narrow(fields, spec, sizes["width"])
    if narrow is not None:
        given["embedding_width"] = narrow
    if sizes.pop("positionless", False):
        given["positions"] = 0
    given |= _beyond(fields, spec, sizes, given)
    shape = TransformerShape(**(sizes | given))
    shape, grown = with_seq_len(shape, tokens)
    return shape, (*fields.facts, *grown)


def _sizes(fields: Fields, spec: ModelType) -> dict[str, Any]:
    """Layers, widths, heads and vocabulary, each checked against the others."""

    def read(role: str, most: int) -> int | None:
        names = spec.names(role)
        # Written as null it is derived, even where Hugging Face has a number for an absent key.
        if not names or fields.null(*names):
            return None
        return fields.whole(*names, default=spec.default(role), most=most)

    layers = _layers(fields, spec)
    width = fields.needed(*spec.names("width"), hard=True)
    heads = _heads(fields, spec, width)
    kv_heads, head_dim = read("kv_heads", MOST_HEADS), read("head_dim", MOST_WIDTH)
    if head_dim is None and width % heads and not spec.latent:
        raise InputFileError(
            f"the model configuration's '{spec.key('heads')}' of {heads} does not divide "
            f"its '{spec.key('width')}' of {width}",
            "give 'head_dim', or correct one of the two",
        )
    if kv_heads and heads % kv_heads:
        raise InputFileError(
            f"the model configuration's '{spec.key('kv_heads')}' of {kv_heads} does not divide "
            f"its '{spec.key('heads')}' of {heads}",
            "each key-value head serves the same number of heads",
        )
    sizes = {
        "layers": layers,
        "width": width,
        "heads": heads,
        "kv_heads": kv_heads,
        "head_dim": head_dim,
        "ff_width": _ff_width(fields, spec, width),
        "vocab": fields.needed(*spec.names("vocab"), default=spec.default("vocab"), most=MOST_ENTRIES),
    }
    return sizes | dict(spec.adjust(fields, sizes)) if spec.adjust else sizes


def _layers(fields: Fields, spec: ModelType) -> int:
    """As many as are given; where each is named, as many as there are names."""
    names = spec.names("layers")
    if fields.raw(*names) is None:
        for key in ("layers_block_type", "hybrid_override_pattern"):
            named = fields.raw(key)
            if isinstance(named, list | str) and 0 < len(named) <= MOST_LAYERS:
                return len(named)
    return fields.needed(*names, most=MOST_LAYERS, hard=True)


def _heads(fields: Fields, spec: ModelType, width: int) -> int:
    """Attention heads; of a model without attention, parts of 64 channels."""
    names = spec.names("heads")
    if names:
        return fields.needed(*names, default=spec.default("heads"), most=MOST_HEADS)
    return width // 64 if width % 64 == 0 else 1


def _ff_width(fields: Fields, spec: ModelType, width: int) -> int:
    key = spec.key("ff_width")
    if not key:
        return max(1, spec.ff_multiple) * width
    if key == "expansion_ratio":
        return fields.needed(key, default=spec.ff_multiple, most=1000) * width
    names = spec.names("ff_width")
    if spec.several_widths and isinstance(fields.raw(*names), list):
        return max(fields.numbers(*names, most=MOST_ENTRIES, longest=MOST_LAYERS))
    if spec.ff_multiple and fields.raw(*names) is None:
        return fields.needed(key, default=spec.ff_multiple * width, most=MOST_ENTRIES)
    return fields.needed(*names, default=spec.default("ff_width"), most=MOST_ENTRIES)


def _reach(fields: Fields, spec: ModelType) -> int:
    """The longest sequence that the configuration speaks of."""
    names = spec.names("reach")
    if not names:
        return int(spec.default("reach"))
    return fields.needed(*names, default=spec.default("reach"), most=MOST_ENTRIES)


def _usual_seq_len(fields: Fields, reach: int) -> int:
    if reach <= USUAL_SEQ_LEN:
        why = "the longest sequence that the configuration speaks of"
        fields.facts.append(Fact(name="sequence length", value=str(reach), origin=Origin.DERIVED, why=why))
        return reach
    why = f"the model reaches {reach:,}, but nearly all training is on shorter sequences (as Llama 3's was)"
    fields.facts.append(Fact(name="sequence length", value=str(USUAL_SEQ_LEN), origin=Origin.ASSUMED, why=why))
    return USUAL_SEQ_LEN


def _gated(fields: Fields, spec: ModelType) -> bool:
    """T5 and its kin say it in a text, ``gated-gelu``; elsewhere the type settles it."""
    if spec.key("ff_width") != "d_ff" or spec.family != "encoder-decoder":
        return spec.gated
    return fields.text("feed_forward_proj", default="relu").startswith("gated")


def _encoder(fields: Fields, spec: ModelType, sizes: Mapping[str, Any], tokens: int) -> dict[str, Any]:
    """An encoder-decoder's ``num_layers`` is the encoder's; the decoder has as many where it says nothing."""
    if spec.family != "encoder-decoder":
        return {}
    decoder = fields.raw("num_decoder_layers", "decoder_layers")
    layers = (
        sizes["layers"] if decoder is None else fields.needed("num_decoder_layers", "decoder_layers", most=MOST_LAYERS)
    )
    return {"layers": layers, "encoder_layers": sizes["layers"], "encoder_seq_len": tokens}


def windows_of(fields: Fields, spec: ModelType, layers: int, tokens: int) -> tuple[int | None, ...]:
    """The sliding window of each layer; () where none is shorter than a sequence."""
    if fields.null("sliding_window"):
        return ()
    window = fields.raw("sliding_window")
    if window is None and spec.window is None:
        return ()
    if spec.window_switch and not fields.switch(spec.window_switch, default=False):
        return ()
    window = fields.needed("sliding_window", default=spec.window, most=MOST_ENTRIES, least=0)
    if window >= tokens or not window:
        return ()
    kinds = fields.texts("layer_types", layers)
    if kinds is not None:
        return tuple(window if kind == "sliding_attention" else None for kind in kinds)
    if spec.window_every:
        every = fields.needed("sliding_window_pattern", default=spec.window_every, most=MOST_LAYERS)
        return tuple(None if (layer + 1) % every == 0 else window for layer in range(layers))
    first = fields.needed("max_window_layers", default=0, least=0) if spec.window_switch else 0
    return tuple(window if layer >= first else None for layer in range(layers))


def _experts(fields: Fields, spec: ModelType, sizes: Mapping[str, Any]) -> dict[str, Any]:
    """The mixture of experts and the latent attention, where the type has them."""
    found: dict[str, Any] = {}
    if spec.latent:
        found["latent"] = latent = _latent(fields)
        # One head of latent attention has its own width; the model's width is no multiple of it.
        found["head_dim"] = latent.nope_dim + latent.rope_dim
    experts = experts_of(fields, spec.experts, sizes)
    if experts is not None:
        found["experts"] = experts
    return found


def _latent(fields: Fields) -> LatentAttention:
    # A q_lora_rank of null says that queries are not compressed; an absent one is 1,536.
    compressed = not fields.null("q_lora_rank")
    if not fields.has("q_lora_rank") and fields.known("kv_lora_rank") and not fields.known("q_lora_rank"):
        compressed = False
    return LatentAttention(
        query_rank=fields.needed("q_lora_rank", default=1536) if compressed else 0,
        kv_rank=fields.needed("kv_lora_rank", default=512),
        rope_dim=fields.needed("qk_rope_head_dim", default=64),
        nope_dim=fields.needed("qk_nope_head_dim", default=128),
        value_dim=fields.needed("v_head_dim", default=128),
    )


def _narrow(fields: Fields, spec: ModelType, width: int) -> int | None:
    """The width of the token embedding, where another than the model's is given; OPT-350m's is told, not modelled."""
    narrow = fields.raw("word_embed_proj_dim")
    if narrow is not None and narrow != width:
        why = f"the configuration's {shown(narrow)} is not modelled: the token embedding counts as full width"
        fields.facts.append(Fact(name="word_embed_proj_dim", value=str(width), origin=Origin.ASSUMED, why=why))
    if spec.family != "encoder":
        return None
    narrow = fields.count("embedding_size", "input_embedding_size", most=MOST_WIDTH)
    return narrow if narrow and narrow != width else None


# --- what is beyond the plain layer


def has(fields: Fields, bias: Bias, usual: bool) -> bool:
    """Whether there is such a bias."""
    if bias is None:
        return usual
    return fields.flag(bias) if isinstance(bias, str) else bias


def _beyond(fields: Fields, spec: ModelType, sizes: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Biases, norms and gates that a plain layer has not, and layers of several kinds."""
    biases = [has(fields, bias, spec.biases) for bias in (spec.qkv_bias, spec.out_bias, spec.ff_bias)]
    alike = len(set(biases)) == 1
    found: dict[str, Any] = {"biases": biases[0] if alike else False}
    products, further = _products(fields, spec, sizes), _norm_weights(fields, spec, sizes, given)
    weights = further if alike else further + _bias_weights(sizes, given, *biases)
    attention = LayerKind(weights=weights, products=products)
    first, last = _outside(fields, spec, sizes, given)
    if spec.encoder_products is not None:
        found["encoder_products"] = spec.encoder_products(sizes)
    if first:
        found["first"] = first
    if last:
        found["last"] = last
    kinds = _kinds(fields, spec, sizes, given, attention)
    if kinds:
        found |= {"kinds": kinds, "windows": ()}
    return found


def _bias_weights(sizes: Mapping[str, Any], given: Mapping[str, Any], qkv: bool, out: bool, ff: bool) -> float:
    heads, width = sizes["heads"], sizes["width"]
    head = sizes["head_dim"] or width // heads
    up = sizes["ff_width"] * (2 if given["gated"] else 1)
    return float(
        (heads + 2 * (sizes["kv_heads"] or heads)) * head * qkv
        + width * out
        + (up + width) * ff * ("experts" not in given)
    )


def _norm_weights(fields: Fields, spec: ModelType, sizes: Mapping[str, Any], given: Mapping[str, Any]) -> float:
    """Norms beyond two of a layer, those of queries and keys, the scores of sinks; a mixture's few weights."""
    heads, width, twice = sizes["heads"], sizes["width"], 2 if spec.norm_biases else 1
    kv, head = sizes["kv_heads"] or heads, sizes["head_dim"] or width // heads
    weights: float = float(max(0, spec.norms - 2) * width * twice) + heads * spec.sinks
    if spec.qk_norm and (not spec.qk_switch or fields.flag(spec.qk_switch)):
        weights += float(2 * head if spec.qk_norm == "head" else (heads + kv) * head)
    if spec.inner_norms:
        weights += float(heads * head + sizes["ff_width"])
    experts, keys = given.get("experts"), spec.experts
    if experts is not None and keys is not None:
        weights += float(experts.count * keys.router_bias + width * keys.shared_gate)
        weights += float(experts.count * (2 * experts.width + width) * keys.biases)
    return weights


def _products(fields: Fields, spec: ModelType, sizes: Mapping[str, Any]) -> tuple[Product, ...]:
    heads, width = sizes["heads"], sizes["width"]
    if spec.indexer:
        index, parts = fields.needed("index_head_dim", default=128), fields.needed("index_n_heads", default=64)
        rank = fields.count("q_lora_rank") or width
        return (
            Product("indexer query", rank, index * parts),
            Product("indexer key", width, index),
            Product("indexer weights", width, parts),
        )
    if not spec.gate:
        return ()
    columns = heads if spec.gate == "heads" else heads * (sizes["head_dim"] or width // heads)
    return (Product("attention gate", width, columns),)


def _kinds(
    fields: Fields, spec: ModelType, sizes: Mapping[str, Any], given: Mapping[str, Any], attention: LayerKind
) -> tuple[LayerKind, ...]:
    """Each layer in turn; () where all are as the shape says."""
    if spec.family == "encoder-decoder":
        return _wider_decoder(fields, sizes, int(given["layers"]))
    if not (spec.stack or attention.weights or attention.products):
        return ()
    layers = sizes["layers"]
    plain = feeds_of(fields, spec.experts, layers) if "experts" in given else ("dense",) * layers
    windows = given["windows"] or (None,) * layers
    if spec.stack is not None:
        return spec.stack(fields, {**sizes, "feeds": plain, "windows": windows, "attention": attention})
    return tuple(replace(attention, feed=feed, window=window) for feed, window in zip(plain, windows, strict=True))


def _wider_decoder(fields: Fields, sizes: Mapping[str, Any], layers: int) -> tuple[LayerKind, ...]:
    """A decoder whose layers differ from the encoder's in heads or feed-forward width."""
    ff_width = fields.count("decoder_ffn_dim", default=sizes["ff_width"]) or sizes["ff_width"]
    heads = fields.count("decoder_attention_heads", default=sizes["heads"]) or sizes["heads"]
    if (ff_width, heads) == (sizes["ff_width"], sizes["heads"]):
        return ()
    # T5's heads have a width of their own.
    head = sizes["head_dim"] or max(1, sizes["width"] // heads)
    return (LayerKind(ff_width=ff_width, heads=heads, kv_heads=heads, head_dim=head),) * layers


def _outside(fields: Fields, spec: ModelType, sizes: Mapping[str, Any], given: Mapping[str, Any]) -> Outside:
    """What follows the embedding, and what the head has beside its product."""
    first: tuple[Operator, ...] = ()
    last: tuple[Operator, ...] = ()
    tokens, narrow = given["seq_len"], given.get("embedding_width") or sizes["width"]
    if spec.embedding_norm:
        first += (norm("embedding norm", tokens, narrow, bias=spec.norm_biases),)
    if narrow != sizes["width"]:
        first += (product("embedding projection", tokens, narrow, sizes["width"]),)
    if has(fields, spec.head_bias, False) and not spec.headless:
        last += (few("head bias", sizes["vocab"]),)
    if spec.outside is not None:
        before, after = spec.outside(fields, sizes, tokens)
        first, last = first + before, last + after
    return first, last
