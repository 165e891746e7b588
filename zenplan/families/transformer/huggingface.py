"""From a Hugging Face model configuration (its decoded ``config.json``) to a shape.

The table in ``huggingface_types`` says where each ``model_type`` keeps what. What a shape has no place for
(norms on queries and keys, biases on some products only) is left out: below 0.01 % of the parameters.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from zenplan.domain.provenance import Fact, Origin
from zenplan.errors import DataError, UsageError, nearest, shown
from zenplan.families.transformer.huggingface_types import DERIVED, REQUIRED, TYPES, ModelType
from zenplan.families.transformer.lowering import (
    Experts,
    LatentAttention,
    TransformerShape,
    check_seq_len,
    with_seq_len,
)

# --- fields of a configuration

# Beyond these a number is a mistake, and lowering so many layers would take minutes.
MOST_LAYERS = 10_000
MOST_HEADS = 100_000
MOST_WIDTH = 10_000_000
MOST_ENTRIES = 100_000_000


class ConfigFields:
    """The fields of one configuration; ``facts`` grows by each default that is used."""

    def __init__(self, config: Mapping[str, Any], model_type: str) -> None:
        """``model_type`` is named in errors and assumptions."""
        self._config = config
        self._model_type = model_type
        self.facts: list[Fact] = []

    def raw(self, *keys: str) -> Any:
        """The value of the first of the keys that is there and not null, else None."""
        return next((self._config[key] for key in keys if self._config.get(key) is not None), None)

    def has(self, key: str) -> bool:
        """Whether the key is written at all, be it as null."""
        return key in self._config

    def whole(self, *keys: str, default: Any = REQUIRED, most: int = MOST_WIDTH, least: int = 1) -> int | None:
        """A whole number from ``least`` to ``most``; None where it is absent and to be derived.

        Raises:
            UsageError: absent and required, or something else than such a number.
        """
        value = self.raw(*keys)
        if value is None:
            return self._absent(keys[0], default)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self.wrong(keys[0], value, f"a whole number from {least} to {most:,}")
        return value

    def needed(self, *keys: str, default: Any = REQUIRED, most: int = MOST_WIDTH, least: int = 1) -> int:
        """As ``whole``, of a field that cannot be derived."""
        value = self.whole(*keys, default=default, most=most, least=least)
        if value is None:
            raise self._missing(keys[0])
        return value

    def switch(self, key: str, default: bool) -> bool:
        """True or false."""
        value = self.raw(key)
        if value is None:
            self._assume(key, default)
            return default
        if not isinstance(value, bool):
            raise self.wrong(key, value, "true or false")
        return value

    def ratio(self, key: str, default: float) -> float:
        """A number from 0 to 1."""
        value = self.raw(key)
        if value is None:
            self._assume(key, default)
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise self.wrong(key, value, "a number from 0 to 1")
        return float(value)

    def text(self, key: str, default: str) -> str:
        """A text."""
        value = self.raw(key)
        if value is None:
            self._assume(key, default)
            return default
        if not isinstance(value, str):
            raise self.wrong(key, value, "a text")
        return value

    def texts(self, key: str, length: int) -> list[str] | None:
        """A list of that many texts; None where there is none."""
        value = self.raw(key)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise self.wrong(key, value, "a list of texts")
        if len(value) != length:
            raise UsageError(
                f"the model configuration's '{key}' lists {len(value)} layers of {length}",
                "it has one entry for each layer",
            )
        return value

    def wrong(self, key: str, value: Any, wanted: str) -> UsageError:
        """The error for a value that is not what its key holds."""
        text = "not a number (NaN)" if isinstance(value, float) and math.isnan(value) else shown(value)
        return UsageError(f"the model configuration's '{key}' is {text}", f"it must be {wanted}")

    def _absent(self, key: str, default: Any) -> int | None:
        if default == REQUIRED:
            raise self._missing(key)
        if default == DERIVED:
            return None
        self._assume(key, default)
        return int(default)

    def _missing(self, key: str) -> UsageError:
        return UsageError(
            f"the model configuration has no '{key}'", f"a configuration of type '{self._model_type}' needs it"
        )

    def _assume(self, key: str, value: Any) -> None:
        why = f"Hugging Face default for {self._model_type}: the configuration does not say"
        self.facts.append(Fact(name=key, value=shown(value), origin=Origin.ASSUMED, why=why))


# --- shapes
# Llama 3 (arXiv 2407.21783, section 3.4) trained nearly all of its tokens at 8,192 and reached its 131,072
# only at the end; a reach beyond that says what a model can read, not what it is trained on.
USUAL_SEQ_LEN = 8192


def shape_from_config(
    config: Mapping[str, Any], seq_len: int | None = None
) -> tuple[TransformerShape, tuple[Fact, ...]]:
    """The shape of a configuration, and each default that was taken for a key that is absent.

    Args:
        config: a decoded ``config.json``; of a multi-modal one its ``text_config`` is taken.
        seq_len: tokens of one sequence; None for the model's reach, at most 8,192.

    Raises:
        UsageError: the type is unknown, or a field is missing, wrong or does not go with another; the
            message names the field.
    """
    if seq_len is not None:
        check_seq_len(seq_len)
    model_type, spec, config = _type_of(config)
    fields = ConfigFields(config, model_type)
    sizes = _sizes(fields, spec)
    reach = _reach(fields, spec)
    tokens = seq_len or _usual_seq_len(fields, reach)
    given: dict[str, Any] = {
        "family": spec.family,
        "seq_len": tokens,
        "gated": _gated(fields, spec, model_type),
        "tied": fields.switch("tie_word_embeddings", spec.tied),
        "biases": spec.biases,
        "norm_biases": spec.norm_biases,
        "head_transform": spec.head_transform,
        "dropout": spec.dropout is not None and fields.ratio(*spec.dropout) > 0,
        "positions": 0 if spec.positions is None else reach + spec.positions,
        "segments": fields.needed("type_vocab_size", default=2) if spec.segments else 0,
        "windows": _windows(fields, spec, sizes["layers"], tokens),
        **_encoder(fields, spec, sizes, tokens),
    }
    given |= _experts(fields, spec, sizes)
    _tell_projection(fields, sizes["width"])
    try:
        shape = TransformerShape(**(sizes | given))
    except DataError as error:
        raise UsageError(f"the model configuration does not fit together: {error}", "check its sizes") from error
    shape, grown = with_seq_len(shape, tokens)
    return shape, (*fields.facts, *grown)


def _type_of(config: Mapping[str, Any]) -> tuple[str, ModelType, Mapping[str, Any]]:
    if not isinstance(config, Mapping):
        raise UsageError(f"the model configuration is {shown(config)}", "it must be a JSON object")
    model_type = config.get("model_type")
    if model_type is None:
        raise UsageError("the model configuration has no 'model_type'", f"known: {', '.join(sorted(TYPES))}")
    if not isinstance(model_type, str) or model_type not in TYPES:
        near = nearest(model_type, TYPES) if isinstance(model_type, str) else []
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(sorted(TYPES))}"
        raise UsageError(f"the model configuration has an unknown 'model_type': {shown(model_type)}", hint)
    text = config.get("text_config")
    if isinstance(text, Mapping):
        config = text
    return model_type, TYPES[model_type], config


def _sizes(fields: ConfigFields, spec: ModelType) -> dict[str, Any]:
    """Layers, widths, heads and vocabulary, each checked against the others."""

    def read(role: str, most: int) -> int | None:
        key = spec.key(role)
        # Written as null it is derived, even where Hugging Face has a number for an absent key.
        if not key or (fields.has(key) and fields.raw(key) is None):
            return None
        return fields.whole(key, default=spec.default(role), most=most)

    layers = fields.needed(spec.key("layers"), most=MOST_LAYERS)
    width = fields.needed(spec.key("width"))
    heads = fields.needed(spec.key("heads"), default=spec.default("heads"), most=MOST_HEADS)
    kv_heads, head_dim = read("kv_heads", MOST_HEADS), read("head_dim", MOST_WIDTH)
    if head_dim is None and width % heads and not spec.latent:
        raise UsageError(
            f"the model configuration's '{spec.key('heads')}' of {heads} does not divide "
            f"its '{spec.key('width')}' of {width}",
            "give 'head_dim', or correct one of the two",
        )
    if kv_heads and heads % kv_heads:
        raise UsageError(
            f"the model configuration's '{spec.key('kv_heads')}' of {kv_heads} does not divide "
            f"its '{spec.key('heads')}' of {heads}",
            "each key-value head serves the same number of heads",
        )
    return {
        "layers": layers,
        "width": width,
        "heads": heads,
        "kv_heads": kv_heads,
        "head_dim": head_dim,
        "ff_width": _ff_width(fields, spec, width),
        "vocab": fields.needed(spec.key("vocab"), default=spec.default("vocab"), most=MOST_ENTRIES),
    }


def _ff_width(fields: ConfigFields, spec: ModelType, width: int) -> int:
    key = spec.key("ff_width")
    if not key:
        return spec.ff_multiple * width
    if key == "expansion_ratio":
        return fields.needed(key, default=spec.ff_multiple, most=1000) * width
    default = spec.ff_multiple * width if spec.ff_multiple else spec.default("ff_width")
    return fields.needed(key, default=default, most=MOST_ENTRIES)


def _reach(fields: ConfigFields, spec: ModelType) -> int:
    """The longest sequence that the configuration speaks of."""
    key = spec.key("reach")
    if not key:
        return int(spec.default("reach"))
    return fields.needed(key, default=spec.default("reach"), most=MOST_ENTRIES)


def _usual_seq_len(fields: ConfigFields, reach: int) -> int:
    if reach <= USUAL_SEQ_LEN:
        why = "the longest sequence that the configuration speaks of"
        fields.facts.append(Fact(name="sequence length", value=str(reach), origin=Origin.DERIVED, why=why))
        return reach
    why = f"the model reaches {reach:,}, but nearly all training is on shorter sequences (as Llama 3's was)"
    fields.facts.append(Fact(name="sequence length", value=str(USUAL_SEQ_LEN), origin=Origin.ASSUMED, why=why))
    return USUAL_SEQ_LEN


def _gated(fields: ConfigFields, spec: ModelType, model_type: str) -> bool:
    """T5 says it in a text, ``gated-gelu``; elsewhere the type settles it."""
    if model_type != "t5":
        return spec.gated
    return fields.text("feed_forward_proj", default="relu").startswith("gated")


def _encoder(fields: ConfigFields, spec: ModelType, sizes: Mapping[str, Any], tokens: int) -> dict[str, Any]:
    """An encoder-decoder's ``num_layers`` is the encoder's; the decoder has as many where it says nothing."""
    if spec.family != "encoder-decoder":
        return {}
    decoder = fields.raw("num_decoder_layers")
    layers = sizes["layers"] if decoder is None else fields.needed("num_decoder_layers", most=MOST_LAYERS)
    return {"layers": layers, "encoder_layers": sizes["layers"], "encoder_seq_len": tokens}


def _windows(fields: ConfigFields, spec: ModelType, layers: int, tokens: int) -> tuple[int | None, ...]:
    """The sliding window of each layer; () where none is shorter than a sequence."""
    if fields.has("sliding_window") and fields.raw("sliding_window") is None:
        return ()
    window = fields.raw("sliding_window")
    if window is None and spec.window is None:
        return ()
    if spec.window_switch and not fields.switch(spec.window_switch, default=False):
        return ()
    window = fields.needed("sliding_window", default=spec.window, most=MOST_ENTRIES)
    if window >= tokens:
        return ()
    kinds = fields.texts("layer_types", layers)
    if kinds is not None:
        return tuple(window if kind == "sliding_attention" else None for kind in kinds)
    if spec.window_every:
        every = fields.needed("sliding_window_pattern", default=spec.window_every, most=MOST_LAYERS)
        return tuple(None if (layer + 1) % every == 0 else window for layer in range(layers))
    first = fields.needed("max_window_layers", default=0, least=0) if spec.window_switch else 0
    return tuple(window if layer >= first else None for layer in range(layers))


def _experts(fields: ConfigFields, spec: ModelType, sizes: Mapping[str, Any]) -> dict[str, Any]:
    """The mixture of experts and the latent attention, where the type has them."""
    found: dict[str, Any] = {}
    if spec.latent:
        found["latent"] = latent = _latent(fields)
        # One head of latent attention has its own width; the model's width is no multiple of it.
        found["head_dim"] = latent.nope_dim + latent.rope_dim
    keys = spec.experts
    if keys is None:
        return found
    count = fields.needed(*keys.count, most=MOST_HEADS)
    active = fields.needed(keys.active, most=MOST_HEADS)
    if active > count:
        raise UsageError(
            f"the model configuration's '{keys.active}' of {active} is above its {count} experts",
            f"give at most '{keys.count[0]}'",
        )
    width = fields.needed(keys.width, most=MOST_ENTRIES)
    shared = fields.needed(keys.shared_width, default=0, least=0) if keys.shared_width else 0
    if keys.shared_count:
        shared = width * (fields.whole(keys.shared_count, default=0, least=0, most=1000) or 0)
    dense = _dense_layers(fields, spec, sizes["layers"])
    if dense < sizes["layers"]:
        found["experts"] = Experts(count=count, active=active, width=width, shared_width=shared, dense_layers=dense)
    return found


def _dense_layers(fields: ConfigFields, spec: ModelType, layers: int) -> int:
    """How many layers keep the plain network; which ones they are changes nothing that is computed."""
    keys = spec.experts
    if keys is None:
        return layers
    if keys.first_dense:
        return min(fields.needed(keys.first_dense, default=0, least=0), layers)
    step = fields.needed(keys.step, default=1) if keys.step and fields.has(keys.step) else 1
    only = fields.raw(keys.only_dense) if keys.only_dense else None
    if only is None:
        only = []
    if not isinstance(only, list) or any(isinstance(i, bool) or not isinstance(i, int) for i in only):
        raise fields.wrong(keys.only_dense, only, "a list of layer numbers")
    dense = set(only)
    return sum(layer in dense or (layer + 1) % step != 0 for layer in range(layers))


def _latent(fields: ConfigFields) -> LatentAttention:
    # A q_lora_rank of null says that queries are not compressed; an absent one is 1,536.
    compressed = not (fields.has("q_lora_rank") and fields.raw("q_lora_rank") is None)
    return LatentAttention(
        query_rank=fields.needed("q_lora_rank", default=1536) if compressed else 0,
        kv_rank=fields.needed("kv_lora_rank", default=512),
        rope_dim=fields.needed("qk_rope_head_dim", default=64),
        nope_dim=fields.needed("qk_nope_head_dim", default=128),
        value_dim=fields.needed("v_head_dim", default=128),
    )


def _tell_projection(fields: ConfigFields, width: int) -> None:
    """OPT-350m projects a narrower embedding; a shape has one width."""
    narrow = fields.raw("word_embed_proj_dim")
    if narrow is not None and narrow != width:
        why = f"the configuration's {shown(narrow)} is not modelled: the token embedding counts as full width"
        fields.facts.append(Fact(name="word_embed_proj_dim", value=str(width), origin=Origin.ASSUMED, why=why))
