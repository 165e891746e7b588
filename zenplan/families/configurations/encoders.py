"""Encoders and encoder-decoders of text among the ``model_type``s of Hugging Face."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zenplan.domain.model.operators import Operator
from zenplan.families.configurations.decoders import gpt
from zenplan.families.configurations.extras import few, norm, product, table
from zenplan.families.configurations.fields import MOST_ENTRIES, MOST_LAYERS, Fields
from zenplan.families.configurations.types import ModelType, Outside
from zenplan.families.transformer.shape import LayerKind, Product

Given = Mapping[str, Any]
_None: tuple[Operator, ...] = ()


def encoder(**given: Any) -> ModelType:
    """A model of BERT's kind."""
    base: dict[str, Any] = {
        "family": "encoder",
        "tied": True,
        "positions": 0,
        "segments": True,
        "head_transform": True,
        "defaults": {"reach": 512},
        "dropout": ("hidden_dropout_prob", 0.1),
    }
    return gpt(**(base | given))


def _exact(**given: Any) -> ModelType:
    """The same, with the norm of its embedding and the biases of its head; a pooler where nothing is predicted."""
    return encoder(**({"embedding_norm": True, "head_bias": True, "pooler": True} | given))


def _pooled(fields: Fields, sizes: Given, tokens: int) -> Outside:
    """A pooler beside the head."""
    return _None, (product("pooler", 1, sizes["width"], sizes["width"]),)


def _pages(fields: Fields, sizes: Given, tokens: int) -> Outside:
    """LayoutLM: where a word stands on its page."""
    width, entries = sizes["width"], fields.needed("max_2d_position_embeddings", default=1024)
    tables = tuple(table(f"{axis} position", entries, width, tokens) for axis in ("x", "y", "height", "width"))
    return tables, (product("pooler", 1, width, width),)


def _page_images(fields: Fields, sizes: Given, tokens: int) -> Outside:
    """LayoutLMv3: where a word stands on its page, and the patches of its image."""
    width, entries = sizes["width"], fields.needed("max_2d_position_embeddings", default=1024)
    part, shape = fields.needed("coordinate_size", default=128), fields.needed("shape_size", default=128)
    patch, channels = fields.edge("patch_size", default=16), fields.needed("num_channels", default=3)
    patches = (fields.edge("input_size", default=224) // patch) ** 2
    tables = [
        table(f"{a} position", entries, n, tokens) for a, n in zip("xyhw", (part, part, shape, shape), strict=True)
    ]
    tables.append(product("patches", patches, patch * patch * channels, width))
    tables.append(few("positions of patches", (patches + 2) * width + 4 * width))
    return tuple(tables), _None


def _turned(fields: Fields, sizes: Given, tokens: int) -> Outside:
    """RoFormer: sines and cosines of positions, which count as weights."""
    reach = fields.needed("max_position_embeddings", default=1536)
    return (few("sines of positions", reach * max(1, sizes["width"] // sizes["heads"])),), _None


def _cells(fields: Fields, sizes: Given, tokens: int) -> Outside:
    """TAPAS: where a word stands in its table, in several ways."""
    entries = fields.numbers("type_vocab_sizes", least=0)
    tables = tuple(table(f"cell {n}", max(1, each), sizes["width"], tokens) for n, each in enumerate(entries, 1))
    return tables, _None


def _positive(fields: Fields, key: str) -> int:
    """A number above zero; 0 where there is none, which some write as -1."""
    value = fields.raw(key)
    return fields.needed(key, most=MOST_ENTRIES) if isinstance(value, int) and value > 0 else 0


def _relative(fields: Fields, sizes: Given, tokens: int) -> Outside:
    """DeBERTa: a table of relative positions, with a norm; a convolution beside the first layer of the largest."""
    if not fields.flag("relative_attention"):
        return _None, _None
    width = sizes["width"]
    span = _positive(fields, "position_buckets") or _positive(fields, "max_relative_positions")
    span = span or fields.count("max_position_embeddings", default=512)
    found = [few("relative positions", 2 * span * width)]
    if "layer_norm" in str(fields.raw("norm_rel_ebd") or ""):
        found.append(norm("norm of relative positions", 2 * span, width))
    kernel = fields.count("conv_kernel_size")
    if kernel:
        found.append(product("convolution", tokens, kernel * width, width))
        found.append(norm("norm of the convolution", tokens, width))
    return tuple(found), _None


def _relative_kinds(fields: Fields, sizes: Given) -> tuple[LayerKind, ...]:
    """Queries and keys of relative positions: products of their own, or those of the words."""
    width, template = sizes["width"], sizes["attention"]
    products: tuple[Product, ...] = ()
    shared = fields.flag("share_att_key") and fields.model_type == "deberta-v2"
    if fields.flag("relative_attention") and not shared:
        kinds = str(fields.raw("pos_att_type") or "")
        pairs = (("c2p", "position key", False), ("p2c", "position query", True))
        products = tuple(Product(name, width, width, bias) for key, name, bias in pairs if key in kinds)
    kind = LayerKind(weights=template.weights, products=products)
    return (kind,) * int(sizes["layers"])


def _unplaced(fields: Fields, sizes: Given) -> Given:
    return {"positionless": not fields.flag("position_biased_input", default=True)}


def _albert(fields: Fields, sizes: Given) -> tuple[LayerKind, ...]:
    """Layers of a group have the same weights."""
    groups = max(1, fields.count("num_hidden_groups", default=1, most=MOST_LAYERS))
    layers = int(sizes["layers"])
    first = [LayerKind()] * min(groups, layers)
    return (*first, *(LayerKind(owned=False),) * (layers - len(first)))


def _global(fields: Fields, sizes: Given) -> tuple[LayerKind, ...]:
    """Longformer: queries, keys and values of their own for the few tokens that see all; the others see a window."""
    window = fields.raw("attention_window")
    window = window[0] if isinstance(window, list) and window else window
    window = min(window, MOST_ENTRIES) if isinstance(window, int) and window > 0 else 512
    width = sizes["width"]
    kind = LayerKind(window=2 * window, products=(Product("global query-key-value", width, 3 * width, True),))
    return (kind,) * int(sizes["layers"])


def _modern(fields: Fields, sizes: Given) -> tuple[LayerKind, ...]:
    """ModernBERT: two of three layers see a window."""
    window, every = (
        fields.needed("local_attention", default=128),
        fields.needed("global_attn_every_n_layers", default=3),
    )
    weights = sizes["attention"].weights
    return tuple(
        LayerKind(weights=weights, window=None if layer % every == 0 else window) for layer in range(sizes["layers"])
    )


_MODERN: dict[str, Any] = {
    "biases": False,
    "qkv_bias": "attention_bias",
    "out_bias": "attention_bias",
    "ff_bias": "mlp_bias",
    "norm_biases": False,
    "gated": True,
    "segments": False,
    "positions": None,
    "embedding_norm": True,
    "head_bias": True,
    "dropout": None,
}
_TABLE_OF_FOUR = {"layers": "n_layers", "width": "emb_dim", "heads": "n_heads", "ff_width": ""}

ENCODERS: Mapping[str, ModelType] = {
    "bert": encoder(pooler=True),
    "distilbert": encoder(
        segments=False,
        dropout=("dropout", 0.1),
        keys={"layers": "n_layers", "width": "dim", "heads": "n_heads", "ff_width": "hidden_dim"},
    ),
    "roberta": encoder(pooler=True),
    "albert": _exact(stack=_albert, embedding_norm=True),
    "big_bird": _exact(outside=_pooled),
    "camembert": _exact(),
    "data2vec-text": _exact(),
    "deberta": _exact(pooler=False, outside=_relative, stack=_relative_kinds, adjust=_unplaced),
    "deberta-v2": _exact(pooler=False, outside=_relative, stack=_relative_kinds, adjust=_unplaced),
    "electra": _exact(pooler=False),
    "ernie": _exact(),
    "esm": _exact(
        segments=False,
        embedding_norm=False,
        adjust=lambda fields, sizes: {
            "positionless": str(fields.raw("position_embedding_type") or "absolute") != "absolute"
        },
    ),
    "eurobert": ModelType(
        family="encoder", qkv_bias="attention_bias", out_bias="attention_bias", ff_bias="mlp_bias", tied=False
    ),
    "flaubert": _exact(keys=_TABLE_OF_FOUR, ff_multiple=4, segments=False, head_transform=False, pooler=False),
    "gte": _exact(gated=True, positions=None, ff_bias=False),
    "jina_embeddings_v3": _exact(positions=None),
    "layoutlm": _exact(outside=_pages),
    "layoutlmv3": _exact(outside=_page_images, headless=True, pooler=False),
    "longformer": _exact(stack=_global),
    "megatron-bert": _exact(embedding_norm=False),
    "modernbert": encoder(**_MODERN, stack=_modern),
    "modernbert-decoder": encoder(**{**_MODERN, "family": "decoder"}, stack=_modern),
    "mpnet": _exact(segments=False),
    "nomic_bert": _exact(gated=True, positions=None, biases=False, pooler=False),
    "nystromformer": _exact(pooler=False),
    "roberta-prelayernorm": _exact(),
    "roformer": _exact(positions=None, pooler=False, outside=_turned),
    "tapas": _exact(segments=False, outside=_cells),
    "xlm": _exact(keys=_TABLE_OF_FOUR, ff_multiple=4, segments=False, head_transform=False, pooler=False),
    "xlm-roberta": _exact(),
    "xlm-roberta-xl": _exact(embedding_norm=False),
}


# --- encoder-decoders


def _two_tables(extra: int, norms: bool = False, learned: bool = True) -> Any:
    """Positions of the encoder beside those of the decoder, and norms of the embedding and of what leaves both."""

    def outside(fields: Fields, sizes: Given, tokens: int) -> Outside:
        width = sizes["width"]
        own = fields.count("max_encoder_position_embeddings", "max_position_embeddings", default=1024)
        found: list[Operator] = [table("encoder positions", own + extra, width, tokens)] if learned else []
        if norms:
            found += [norm(f"{side} embedding norm", tokens, width) for side in ("encoder", "decoder")]
        return tuple(found), _None

    return outside


_BART_KEYS = {
    "layers": "encoder_layers",
    "width": "d_model",
    "heads": "encoder_attention_heads",
    "ff_width": "encoder_ffn_dim",
}


def _both(**given: Any) -> ModelType:
    """An encoder-decoder of BART's kind."""
    base: dict[str, Any] = {
        "family": "encoder-decoder",
        "tied": True,
        "positions": 0,
        "dropout": ("dropout", 0.1),
        "keys": _BART_KEYS,
        "defaults": {"reach": 1024},
    }
    return gpt(**(base | given))


def _relative_tables(each_layer: bool = False) -> Any:
    """T5's few weights for how far apart two tokens are, of the encoder and of the decoder, or of each layer."""

    def outside(fields: Fields, sizes: Given, tokens: int) -> Outside:
        entries = fields.count("relative_attention_num_buckets", default=32) * sizes["heads"]
        layers = 2 * int(sizes["layers"]) if each_layer else 2
        return (
            few("relative positions", layers * entries),
            norm("encoder norm", tokens, sizes["width"], bias=False),
        ), ()

    return outside


_T5_KEYS = {
    "layers": "num_layers",
    "width": "d_model",
    "heads": "num_heads",
    "kv_heads": "",
    "head_dim": "d_kv",
    "ff_width": "d_ff",
    "reach": "n_positions",
}


def _t5(**given: Any) -> ModelType:
    base: dict[str, Any] = {
        "family": "encoder-decoder",
        "gated": False,
        "tied": True,
        "dropout": ("dropout_rate", 0.1),
        "keys": _T5_KEYS,
        "defaults": {"head_dim": 64, "reach": 512},
    }
    return ModelType(**(base | given))


BOTH: Mapping[str, ModelType] = {
    "t5": _t5(),
    "mt5": _t5(outside=_relative_tables()),
    "umt5": _t5(outside=_relative_tables(each_layer=True)),
    "longt5": _t5(outside=_relative_tables()),
    "bart": _both(positions=2, outside=_two_tables(2, norms=True)),
    "bigbird_pegasus": _both(
        qkv_bias="use_bias", out_bias="use_bias", ff_bias=True, outside=_two_tables(0, norms=True)
    ),
    "blenderbot": _both(outside=_two_tables(0)),
    "blenderbot-small": _both(outside=_two_tables(0, norms=True)),
    "led": _both(
        outside=_two_tables(0, norms=True),
        keys={**_BART_KEYS, "reach": "max_decoder_position_embeddings"},
        encoder_products=lambda sizes: (Product("global query-key-value", sizes["width"], 3 * sizes["width"], True),),
    ),
    "m2m_100": _both(positions=None, outside=_two_tables(0, learned=False)),
    "marian": _both(outside=_two_tables(0)),
    "mbart": _both(positions=2, outside=_two_tables(2, norms=True)),
    "mvp": _both(positions=2, outside=_two_tables(2, norms=True)),
    "pegasus": _both(outside=_two_tables(0)),
    "pegasus_x": _both(positions=None, outside=_two_tables(0, learned=False)),
    "plbart": _both(positions=2, outside=_two_tables(2, norms=True)),
}
