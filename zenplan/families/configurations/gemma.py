"""Gemma 3n and Gemma 4: layers that have the keys and values of another, and a small table of words for each layer.

Gemma 3n carries its tokens in several streams (AltUp, Baykal et al. 2023, arXiv 2301.13310), and has a thin product beside
each layer (LAuReL, Menghani et al. 2024, arXiv 2411.07501).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zenplan.domain.model.operators import Operator
from zenplan.families.configurations.extras import norm, product, table
from zenplan.families.configurations.fields import MOST_ENTRIES, MOST_HEADS, MOST_LAYERS, Fields
from zenplan.families.configurations.types import ExpertKeys, ModelType, Outside
from zenplan.families.transformer.shape import LayerKind, Product

Sizes = Mapping[str, Any]
# Of the layers that see everything, where the configuration does not say (transformers 5.24, Gemma4TextConfig).
_GLOBAL_HEAD = 512


def _names(fields: Fields, layers: int, every: int) -> list[str]:
    """What each layer sees; where nothing says it, each ``every``-th sees everything, and so does the last."""
    named = fields.texts("layer_types", layers)
    if named is not None:
        return named
    return ["sliding" if (n + 1) % every and n + 1 < layers else "full_attention" for n in range(layers)]


def _inputs(fields: Fields, width: int) -> tuple[tuple[Product, ...], float]:
    """What a layer's own table adds to it: two products and a norm."""
    narrow = fields.count("hidden_size_per_layer_input")
    if not narrow:
        return (), 0.0
    return (Product("layer input gate", width, narrow), Product("layer input", narrow, width)), float(width)


def _tables(fields: Fields, sizes: Sizes, tokens: int) -> tuple[Operator, ...]:
    narrow = fields.count("hidden_size_per_layer_input")
    if not narrow:
        return ()
    entries, wide = fields.count("vocab_size_per_layer_input") or sizes["vocab"], sizes["layers"] * narrow
    return (
        table("words of each layer", entries, wide, tokens),
        product("layer inputs", tokens, sizes["width"], wide, bias=False),
        norm("norm of layer inputs", tokens * sizes["layers"], narrow, bias=False),
    )


def _fourth(fields: Fields, sizes: Sizes) -> tuple[LayerKind, ...]:
    layers, width, windows = sizes["layers"], sizes["width"], sizes["windows"]
    shared = layers - min(layers, fields.count("num_kv_shared_layers", most=MOST_LAYERS))
    same = fields.flag("attention_k_eq_v")
    heads = fields.count("num_global_key_value_heads", most=MOST_HEADS) if same else 0
    head = fields.needed("global_head_dim", default=_GLOBAL_HEAD) if layers else _GLOBAL_HEAD
    products, further = _inputs(fields, width)
    mixed = "experts" in sizes["feeds"]
    # Three more norms around the experts, and scales of the router.
    further += (4.0 * width + fields.count("num_experts", most=MOST_HEADS)) if mixed else 0.0
    found = []
    for number, (name, feed) in enumerate(zip(_names(fields, layers, 6), sizes["feeds"], strict=True)):
        full, own = name == "full_attention", number < shared
        each = head if full else sizes["head_dim"]
        wide = fields.flag("use_double_wide_mlp") and not own
        found.append(
            LayerKind(
                feed=feed,
                window=None if full else windows[number],
                head_dim=each,
                kv_heads=(heads or None) if full else None,
                ff_width=2 * sizes["ff_width"] if wide else None,
                projected=(1 if same and full else 2) if own else 0,
                products=products,
                weights=2.0 * width + each * (2 if own else 1) + further,
            )
        )
    return tuple(found)


def _third(fields: Fields, sizes: Sizes) -> tuple[LayerKind, ...]:
    layers, width, windows = sizes["layers"], sizes["width"], sizes["windows"]
    shared = layers - min(layers, fields.count("num_kv_shared_layers", most=MOST_LAYERS))
    rank, streams = fields.needed("laurel_rank", default=64), fields.needed("altup_num_inputs", default=4, most=100)
    products, further = _inputs(fields, width)
    products += (
        Product("laurel down", width, rank),
        Product("laurel up", rank, width),
        Product("streams", width, streams),
        Product("streams again", width, streams, tied=True),
        Product("prediction of streams", streams, streams**2),
        Product("correction of streams", streams, streams),
    )
    widths: list[int] = [sizes["ff_width"]] * layers
    if isinstance(fields.raw("intermediate_size"), list):
        given = fields.numbers("intermediate_size", most=MOST_ENTRIES, longest=MOST_LAYERS)
        widths = (given * layers)[:layers]
    head = sizes["head_dim"]
    return tuple(
        LayerKind(
            window=None if name == "full_attention" else windows[n],
            ff_width=widths[n],
            projected=2 if n < shared else 0,
            products=products,
            # Two more norms of the layer, that of LAuReL, the norm and the scale of the streams.
            weights=5.0 * width + head * (2 if n < shared else 1) + further,
        )
        for n, name in enumerate(_names(fields, layers, 5))
    )


def _fourth_outside(fields: Fields, sizes: Sizes, tokens: int) -> Outside:
    return _tables(fields, sizes, tokens), ()


def _third_outside(fields: Fields, sizes: Sizes, tokens: int) -> Outside:
    width, streams = sizes["width"], fields.needed("altup_num_inputs", default=4, most=100)
    to = [product(f"to stream {n}", tokens, width, width, bias=False) for n in range(1, streams)]
    back = [product(f"from stream {n}", tokens, width, width, bias=False) for n in range(1, streams)]
    return (*_tables(fields, sizes, tokens), *to), tuple(back)


_BOTH: dict[str, Any] = {"tied": True, "window": 512, "defaults": {"head_dim": 256, "reach": 32768}}
_EXPERTS = ExpertKeys(
    anywhere=True, count=("num_experts",), active=("top_k_experts",), shared_width="intermediate_size"
)
GEMMA: Mapping[str, ModelType] = {
    "gemma3n_text": ModelType(**_BOTH, window_every=5, several_widths=True, stack=_third, outside=_third_outside),
    "gemma4_text": ModelType(**_BOTH, window_every=6, experts=_EXPERTS, stack=_fourth, outside=_fourth_outside),
}
GEMMA = {**GEMMA, "gemma3n": GEMMA["gemma3n_text"], "gemma4": GEMMA["gemma4_text"]}
