"""How each ``model_type`` of Hugging Face writes its shape: one row of a table for each.

The names of keys and the defaults are those of the configuration classes of transformers 5.23.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

REQUIRED = "required"  # no default is used: the size of the model hangs on it
DERIVED = "derived"  # absent or null: it follows from the others

_KEYS = {
    "layers": "num_hidden_layers",
    "width": "hidden_size",
    "heads": "num_attention_heads",
    "kv_heads": "num_key_value_heads",
    "head_dim": "head_dim",
    "ff_width": "intermediate_size",
    "vocab": "vocab_size",
    "reach": "max_position_embeddings",
}
_GPT2_KEYS = {"layers": "n_layer", "width": "n_embd", "heads": "n_head", "ff_width": "n_inner", "reach": "n_positions"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpertKeys:
    """The keys of a mixture of experts; an empty key says that this type has no such thing.

    Attributes:
        shared_count: how many shared experts of that same width there are (DeepSeek).
        shared_width: the width of the one shared expert (Qwen).
        first_dense: how many first layers are dense; ``step`` and ``only_dense`` name dense layers otherwise.
    """

    count: tuple[str, ...]
    width: str
    active: str = "num_experts_per_tok"
    shared_count: str = ""
    shared_width: str = ""
    first_dense: str = ""
    step: str = ""
    only_dense: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelType:
    """One ``model_type``.

    Attributes:
        keys: role to the key that holds it, where it is not the usual one; an empty key: there is none.
        defaults: role to what Hugging Face takes for an absent key, REQUIRED or DERIVED.
        tied: Hugging Face's default of ``tie_word_embeddings``.
        ff_multiple: feed-forward width in widths, where the configuration gives none.
        positions: entries of the learned position table beyond its reach; None where there is no table.
        dropout: the key of the hidden dropout and its default; a type without one is trained without.
        window: ``sliding_window``'s default; ``window_every`` n: each n-th layer has full attention.
        window_switch: the key that has to be true for the window to count, from ``max_window_layers`` on.
        latent: multi-head latent attention (DeepSeek).
    """

    family: str = "decoder"
    keys: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    gated: bool = True
    tied: bool = False
    biases: bool = False
    norm_biases: bool = False
    ff_multiple: int = 0
    positions: int | None = None
    segments: bool = False
    head_transform: bool = False
    dropout: tuple[str, float] | None = None
    window: int | None = None
    window_every: int = 0
    window_switch: str = ""
    experts: ExpertKeys | None = None
    latent: bool = False

    def key(self, role: str) -> str:
        """The key of a role, empty where this type has none."""
        return self.keys.get(role, _KEYS[role])

    def default(self, role: str) -> Any:
        """What is taken for an absent key: a value, REQUIRED or DERIVED."""
        usual = {"kv_heads": DERIVED, "head_dim": DERIVED, "reach": 2048}
        return self.defaults.get(role, usual.get(role, REQUIRED))


def _gpt(**given: Any) -> ModelType:
    """A decoder of the GPT kind: no gate, biases everywhere, one key-value head for each head."""
    base: dict[str, Any] = {"gated": False, "biases": True, "norm_biases": True, "keys": {}} | given
    base["keys"] = {"kv_heads": "", "head_dim": ""} | base["keys"]
    return ModelType(**base)


def _encoder(**given: Any) -> ModelType:
    base: dict[str, Any] = {
        "family": "encoder",
        "tied": True,
        "positions": 0,
        "segments": True,
        "head_transform": True,
        "defaults": {"reach": 512},
        "dropout": ("hidden_dropout_prob", 0.1),
    }
    return _gpt(**(base | given))


_QWEN_EXPERTS: dict[str, Any] = {
    "count": ("num_experts", "num_local_experts"),
    "width": "moe_intermediate_size",
    "step": "decoder_sparse_step",
    "only_dense": "mlp_only_layers",
}
_DEEPSEEK_EXPERTS = ExpertKeys(
    count=("n_routed_experts", "num_local_experts"),
    width="moe_intermediate_size",
    shared_count="n_shared_experts",
    first_dense="first_k_dense_replace",
)
_QWEN_WINDOW: dict[str, Any] = {"window": 4096, "window_switch": "use_sliding_window"}
_DEEPSEEK_KEYS = {"kv_heads": "", "head_dim": ""}
_GEMMA3 = ModelType(
    tied=True,
    window=4096,
    window_every=6,
    # Gemma 3's published files leave out whatever equals the default, so these are no mistakes.
    defaults={"vocab": 262208, "heads": 8, "kv_heads": 4, "head_dim": 256, "reach": 131072},
)

TYPES: Mapping[str, ModelType] = {
    "bert": _encoder(),
    "bloom": _gpt(
        tied=True,
        ff_multiple=4,
        keys={"layers": "n_layer", "heads": "n_head", "ff_width": "", "reach": ""},
        dropout=("hidden_dropout", 0.0),
    ),
    "deepseek_v2": ModelType(keys=_DEEPSEEK_KEYS, experts=_DEEPSEEK_EXPERTS, latent=True),
    "deepseek_v3": ModelType(keys=_DEEPSEEK_KEYS, experts=_DEEPSEEK_EXPERTS, latent=True, defaults={"reach": 4096}),
    "distilbert": _encoder(
        segments=False,
        dropout=("dropout", 0.1),
        keys={"layers": "n_layers", "width": "dim", "heads": "n_heads", "ff_width": "hidden_dim"},
    ),
    "gemma": ModelType(tied=True, defaults={"kv_heads": 16, "head_dim": 256, "reach": 8192}),
    "gemma2": ModelType(
        tied=True, window=4096, window_every=2, defaults={"kv_heads": 4, "head_dim": 256, "reach": 8192}
    ),
    "gemma3": _GEMMA3,
    "gemma3_text": _GEMMA3,
    "gpt2": _gpt(
        tied=True, keys=_GPT2_KEYS, ff_multiple=4, positions=0, dropout=("resid_pdrop", 0.1), defaults={"reach": 1024}
    ),
    "gpt_neox": _gpt(dropout=("hidden_dropout", 0.0)),
    "gptj": _gpt(keys=_GPT2_KEYS, ff_multiple=4, biases=False, dropout=("resid_pdrop", 0.0)),
    "llama": ModelType(),
    "mistral": ModelType(defaults={"kv_heads": 8, "reach": 131072}, window=4096),
    "mixtral": ModelType(
        defaults={"kv_heads": 8, "reach": 131072},
        experts=ExpertKeys(count=("num_local_experts", "num_experts"), width="intermediate_size"),
    ),
    "mpt": _gpt(
        tied=True,
        biases=False,
        norm_biases=False,
        ff_multiple=4,
        keys={
            "layers": "n_layers",
            "width": "d_model",
            "heads": "n_heads",
            "ff_width": "expansion_ratio",
            "reach": "max_seq_len",
        },
    ),
    "olmo": ModelType(),
    "olmo2": ModelType(),
    "olmoe": ModelType(
        experts=ExpertKeys(count=("num_experts", "num_local_experts"), width="intermediate_size"),
        defaults={"reach": 4096},
    ),
    "opt": _gpt(tied=True, keys={"ff_width": "ffn_dim"}, positions=2, dropout=("dropout", 0.1)),
    "phi": ModelType(gated=False, biases=True, norm_biases=True, dropout=("resid_pdrop", 0.0)),
    "phi3": ModelType(defaults={"reach": 4096}),
    "qwen2": ModelType(defaults={"kv_heads": 32, "reach": 32768}, **_QWEN_WINDOW),
    "qwen2_moe": ModelType(
        defaults={"kv_heads": 16, "reach": 32768},
        experts=ExpertKeys(shared_width="shared_expert_intermediate_size", **_QWEN_EXPERTS),
        **_QWEN_WINDOW,
    ),
    "qwen3": ModelType(defaults={"kv_heads": 32, "head_dim": 128, "reach": 32768}, **_QWEN_WINDOW),
    "qwen3_moe": ModelType(
        defaults={"kv_heads": 4, "reach": 32768}, experts=ExpertKeys(**_QWEN_EXPERTS), **_QWEN_WINDOW
    ),
    "roberta": _encoder(),
    "t5": ModelType(
        family="encoder-decoder",
        gated=False,
        tied=True,
        dropout=("dropout_rate", 0.1),
        keys={
            "layers": "num_layers",
            "width": "d_model",
            "heads": "num_heads",
            "kv_heads": "",
            "head_dim": "d_kv",
            "ff_width": "d_ff",
            "reach": "n_positions",
        },
        defaults={"head_dim": 64, "reach": 512},
    ),
}
