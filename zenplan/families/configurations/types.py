"""How one ``model_type`` of Hugging Face writes its shape: what a row of the tables of types says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from zenplan.domain.model.operators import Operator
from zenplan.families.configurations.fields import DERIVED, REQUIRED, Fields
from zenplan.families.transformer.shape import LayerKind, Product

# Role to the keys that hold it, the usual one first: what the types of the library, and their aliases, call it.
KEYS: Mapping[str, tuple[str, ...]] = {
    "layers": ("num_hidden_layers", "n_layer", "n_layers", "num_layers"),
    "width": ("hidden_size", "n_embd", "d_model", "n_embed", "dim", "embed_dim", "model_dim"),
    "heads": ("num_attention_heads", "n_head", "n_heads", "num_heads"),
    "kv_heads": ("num_key_value_heads", "num_kv_heads", "n_kv_heads", "n_head_kv", "multi_query_group_num"),
    "head_dim": ("head_dim", "attention_head_dim", "kv_channels"),
    "ff_width": ("intermediate_size", "ffn_hidden_size", "ffn_dim", "n_inner", "d_ff", "ffn_hidden_dim", "hidden_dim"),
    "vocab": ("vocab_size", "padded_vocab_size"),
    "reach": (
        "max_position_embeddings",
        "n_positions",
        "max_sequence_length",
        "max_seq_len",
        "seq_length",
        "n_ctx",
        "model_max_length",
    ),
}
# The same of a mixture of experts.
EXPERT_KEYS: Mapping[str, tuple[str, ...]] = {
    "count": ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts", "num_routed_experts"),
    "active": (
        "num_experts_per_tok",
        "num_experts_per_token",
        "moe_k",
        "moe_topk",
        "moe_top_k",
        "num_experts_per_topk",
        "top_k_experts",
        "experts_per_token",
        "top_k",
    ),
    "width": ("moe_intermediate_size", "expert_ffn_hidden_size", "moe_ffn_hidden_size", "expert_intermediate_size"),
    "shared_width": (
        "shared_expert_intermediate_size",
        "shared_intermediate_size",
        "shared_experts_intermediate_size",
        "moe_shared_expert_intermediate_size",
        "share_expert_dim",
    ),
    "shared_count": ("n_shared_experts", "num_shared_experts", "num_shared_expert", "moe_num_shared_experts"),
    "first_dense": ("first_k_dense_replace", "num_dense_layers", "moe_layer_start_index", "first_num_dense_layers"),
    "step": ("decoder_sparse_step", "interleave_moe_layer_step", "moe_layer_freq", "moe_layer_interval"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpertKeys:
    """Where a type has its mixture of experts: of a key that is empty, it has no such thing.

    Attributes:
        count, active, width: keys, the usual one first.
        shared_count: how many shared experts of that same width there are (DeepSeek).
        shared_width: the width of the one shared expert (Qwen).
        first_dense: how many first layers are dense; ``step`` and ``only_dense`` name dense layers otherwise.
        anywhere: any key that some type has for it is taken, and the one that is given says which layers are dense.
        router_bias, biases: the router has biases; each expert has.
        shared_gate: one weight for each of the width says how much of the shared expert counts.
        shared: how many shared experts there always are.
    """

    count: tuple[str, ...] = EXPERT_KEYS["count"]
    active: tuple[str, ...] = ("num_experts_per_tok",)
    width: tuple[str, ...] = ("moe_intermediate_size",)
    shared_count: str = ""
    shared_width: str = ""
    first_dense: str = ""
    step: str = ""
    only_dense: str = ""
    anywhere: bool = False
    router_bias: bool = False
    biases: bool = False
    shared_gate: bool = False
    shared: int = 0


# A bias that a type has, has not, or has where a key says so; None: as its other products.
Bias = bool | str | None
# Operators beside the embedding's, and beside the head's.
Outside = tuple[tuple[Operator, ...], tuple[Operator, ...]]
# The layers of a type that mixes its tokens in several ways: from its fields, its sizes and the window of each layer.
Stack = Callable[[Fields, Mapping[str, Any]], tuple[LayerKind, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelType:
    """One ``model_type``.

    Attributes:
        keys: role to the key that holds it, where it is not the usual one; an empty key: there is none.
        defaults: role to what Hugging Face takes for an absent key, REQUIRED or DERIVED.
        tied: Hugging Face's default of ``tie_word_embeddings``.
        ff_multiple: feed-forward width in widths, where the configuration gives none.
        several_widths: the feed-forward width may be a list, of each layer.
        positions: entries of the learned position table beyond its reach; None where there is no table.
        dropout: the key of the hidden dropout and its default; a type without one is trained without.
        window: ``sliding_window``'s default; ``window_every`` n: each n-th layer has full attention.
        window_switch: the key that has to be true for the window to count, from ``max_window_layers`` on.
        latent: multi-head latent attention (DeepSeek); ``indexer``: it chooses its keys by a small attention before.
        qkv_bias, out_bias, ff_bias, head_bias: of queries, keys and values; of what leads out of attention; of the
            feed-forward network; of the head.
        norms: of a layer. ``qk_norm``: of queries and keys, one scale for a ``head``, for ``heads`` or all their
            ``width``; ``qk_switch``: where this key says so.
        gate: attention is multiplied by a gate for each of its outputs (``width``) or for each head (``heads``).
        sinks: each head has a score of its own.
        embedding_norm: the embedding goes through a norm.
        inner_norms: norms inside, before the last product of attention and of the feed-forward network (BitNet).
        stack: what says the kind of each layer.
        adjust: sizes that follow from others in a way of this type's own.
        outside: operators beside the embedding and beside the head, from fields, sizes and tokens.
        encoder_products: beside those of an encoder-decoder's encoder layers.
        pooler: of the first token, where no word is predicted. headless: no word ever is.
    """

    family: str = "decoder"
    keys: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    gated: bool = True
    tied: bool = False
    biases: bool = False
    norm_biases: bool = False
    ff_multiple: int = 0
    several_widths: bool = False
    positions: int | None = None
    segments: bool = False
    head_transform: bool = False
    dropout: tuple[str, float] | None = None
    window: int | None = None
    window_every: int = 0
    window_switch: str = ""
    experts: ExpertKeys | None = None
    latent: bool = False
    indexer: bool = False
    qkv_bias: Bias = None
    out_bias: Bias = None
    ff_bias: Bias = None
    head_bias: Bias = False
    norms: int = 2
    qk_norm: str = ""
    qk_switch: str = ""
    gate: str = ""
    sinks: bool = False
    embedding_norm: bool = False
    inner_norms: bool = False
    stack: Stack | None = None
    adjust: Callable[[Fields, Mapping[str, Any]], Mapping[str, Any]] | None = None
    outside: Callable[[Fields, Mapping[str, Any], int], Outside] | None = None
    encoder_products: Callable[[Mapping[str, Any]], tuple[Product, ...]] | None = None
    pooler: bool = False
    headless: bool = False

    def key(self, role: str) -> str:
        """The key of a role, empty where this type has none."""
        return self.keys.get(role, KEYS[role][0])

    def names(self, role: str) -> tuple[str, ...]:
        """The keys of a role: this type's own one, and what others call it; none where it has none."""
        own = self.key(role)
        return tuple(dict.fromkeys((own, *KEYS[role]))) if own else ()

    def default(self, role: str) -> Any:
        """What is taken for an absent key: a value, REQUIRED or DERIVED."""
        usual = {"kv_heads": DERIVED, "head_dim": DERIVED, "reach": 2048}
        return self.defaults.get(role, usual.get(role, REQUIRED))
