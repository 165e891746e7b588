"""Decoders among the ``model_type``s of Hugging Face: one row of a table for each.

The names of keys and the defaults are those of the configuration classes of transformers 5.24; further defaults are in
``zenplan/data/huggingface.json``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from zenplan.families.configurations.fields import Fields
from zenplan.families.configurations.hybrids import STACKS
from zenplan.families.configurations.types import ExpertKeys, ModelType
from zenplan.families.transformer.shape import LayerKind

_GPT2_KEYS = {"layers": "n_layer", "width": "n_embd", "heads": "n_head", "ff_width": "n_inner", "reach": "n_positions"}
_MPT_KEYS = {
    "layers": "n_layers",
    "width": "d_model",
    "heads": "n_heads",
    "ff_width": "expansion_ratio",
    "reach": "max_seq_len",
}


def gpt(**given: Any) -> ModelType:
    """A model of the GPT kind: no gate, biases everywhere, one key-value head for each head."""
    base: dict[str, Any] = {"gated": False, "biases": True, "norm_biases": True, "keys": {}} | given
    base["keys"] = {"kv_heads": "", "head_dim": ""} | base["keys"]
    return ModelType(**base)


def _bigcode(fields: Fields, sizes: Mapping[str, Any]) -> Mapping[str, Any]:
    """StarCoder's kind: all heads share one of keys and values."""
    return {"kv_heads": 1 if fields.flag("multi_query", default=True) else sizes["heads"]}


def _lfm2(fields: Fields, sizes: Mapping[str, Any]) -> Mapping[str, Any]:
    """LFM2: two thirds of what is given, in whole parts of a block."""
    ff_width = sizes["ff_width"]
    if not fields.flag("block_auto_adjust_ff_dim", default=True):
        return {}
    ff_width = int(int(2 * ff_width / 3) * fields.number("block_ffn_dim_multiplier", default=1.0))
    return {"ff_width": whole_parts(ff_width, fields.needed("block_multiple_of", default=256))}


def _xlstm(fields: Fields, sizes: Mapping[str, Any]) -> Mapping[str, Any]:
    ff_width = int(sizes["width"] * fields.number("ffn_proj_factor", default=2.667))
    return {"ff_width": whole_parts(ff_width, fields.needed("ffn_round_up_to_multiple_of", default=64))}


def whole_parts(size: int, part: int) -> int:
    """The size, rounded up to a multiple of a part: at least one."""
    return max(1, -(-size // part)) * part


def _falcon(fields: Fields, sizes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Falcon: its new architecture has several heads of keys and values, the one before it one or as many as queries."""
    if fields.flag("new_decoder_architecture"):
        kv_heads = fields.needed("num_kv_heads", "n_head_kv", default=sizes["heads"])
        return {"kv_heads": kv_heads}
    return {"kv_heads": 1 if fields.flag("multi_query", default=True) else sizes["heads"]}


def _twice(fields: Fields, sizes: Mapping[str, Any]) -> tuple[LayerKind, ...]:
    """LongCat: a layer is attention and a feed-forward network twice, with experts beside the first of the two."""
    kind: LayerKind = sizes["attention"]
    return (replace(kind, feed="experts"), replace(kind, feed="dense")) * (int(sizes["layers"]) // 2)


_QWEN_EXPERTS: dict[str, Any] = {
    "count": ("num_experts", "num_local_experts"),
    "step": "decoder_sparse_step",
    "only_dense": "mlp_only_layers",
}
_DEEPSEEK_EXPERTS = ExpertKeys(
    count=("n_routed_experts", "num_local_experts"),
    shared_count="n_shared_experts",
    first_dense="first_k_dense_replace",
)
# Any key that some type has for its experts, their layers, the shared one.
ANY_EXPERTS = ExpertKeys(anywhere=True)
_WIDTH_OF_EXPERTS = ExpertKeys(anywhere=True, width=("intermediate_size",))
_QWEN_WINDOW: dict[str, Any] = {"window": 4096, "window_switch": "use_sliding_window"}
_NO_HEADS = {"kv_heads": "", "head_dim": ""}
_NOTHING = {**_NO_HEADS, "heads": "", "ff_width": ""}
_LLAMA: dict[str, Any] = {"qkv_bias": "attention_bias", "out_bias": "attention_bias", "ff_bias": "mlp_bias"}
_GEMMA3 = ModelType(
    tied=True,
    window=4096,
    window_every=6,
    # Gemma 3's published files leave out whatever equals the default, so these are no mistakes.
    defaults={"vocab": 262208, "heads": 8, "kv_heads": 4, "head_dim": 256, "reach": 131072},
)
_LATENT = ModelType(keys=_NO_HEADS, latent=True, experts=ANY_EXPERTS)
_SPARSE = ModelType(keys=_NO_HEADS, latent=True, indexer=True, experts=ANY_EXPERTS)
_DELTA = ModelType(
    qk_norm="head",
    gate="width",
    stack=STACKS["delta"],
    experts=ExpertKeys(anywhere=True, shared_gate=True),
    # A mixture has no dense layers whose width would be given.
    defaults={"ff_width": 1},
)

_READ_BEFORE: Mapping[str, ModelType] = {
    "bloom": gpt(
        tied=True,
        ff_multiple=4,
        keys={"layers": "n_layer", "heads": "n_head", "ff_width": "", "reach": ""},
        dropout=("hidden_dropout", 0.0),
    ),
    "deepseek_v2": ModelType(keys=_NO_HEADS, experts=_DEEPSEEK_EXPERTS, latent=True),
    "deepseek_v3": ModelType(keys=_NO_HEADS, experts=_DEEPSEEK_EXPERTS, latent=True, defaults={"reach": 4096}),
    "gemma": ModelType(tied=True, defaults={"kv_heads": 16, "head_dim": 256, "reach": 8192}),
    "gemma2": ModelType(
        tied=True, window=4096, window_every=2, defaults={"kv_heads": 4, "head_dim": 256, "reach": 8192}
    ),
    "gemma3_text": _GEMMA3,
    "gpt2": gpt(
        tied=True, keys=_GPT2_KEYS, ff_multiple=4, positions=0, dropout=("resid_pdrop", 0.1), defaults={"reach": 1024}
    ),
    "gpt_neox": gpt(dropout=("hidden_dropout", 0.0)),
    "gptj": gpt(keys=_GPT2_KEYS, ff_multiple=4, biases=False, dropout=("resid_pdrop", 0.0)),
    "llama": ModelType(**_LLAMA),
    "mistral": ModelType(defaults={"kv_heads": 8, "reach": 131072}, window=4096),
    "mixtral": ModelType(
        defaults={"kv_heads": 8, "reach": 131072},
        experts=ExpertKeys(count=("num_local_experts", "num_experts"), width=("intermediate_size",)),
    ),
    "mpt": gpt(tied=True, biases=False, norm_biases=False, ff_multiple=4, keys=_MPT_KEYS),
    "olmo": ModelType(),
    "olmo2": ModelType(),
    "olmoe": ModelType(
        experts=ExpertKeys(count=("num_experts", "num_local_experts"), width=("intermediate_size",)),
        defaults={"reach": 4096},
    ),
    "opt": gpt(tied=True, keys={"ff_width": "ffn_dim"}, positions=2, dropout=("dropout", 0.1)),
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
}

_DENSE: Mapping[str, ModelType] = {
    "apertus": ModelType(gated=False, qk_norm="head"),
    "arcee": ModelType(gated=False, **_LLAMA),
    "biogpt": gpt(tied=True, positions=2),
    "bitnet": ModelType(inner_norms=True),
    "codegen": gpt(keys=_GPT2_KEYS, ff_multiple=4, qkv_bias=False, out_bias=False, ff_bias=True, head_bias=True),
    "cohere": ModelType(tied=True, norms=1, qk_norm="heads", qk_switch="use_qk_norm", qkv_bias="attention_bias"),
    "cohere2": ModelType(tied=True, norms=1, window=4096, window_every=4, qkv_bias="attention_bias"),
    "ctrl": gpt(keys={**_GPT2_KEYS, "ff_width": "dff"}, tied=True, head_bias=True),
    "cwm": ModelType(window=8192, window_every=4, **_LLAMA),
    "diffllama": ModelType(**_LLAMA),
    "ernie4_5": ModelType(qkv_bias="use_bias", out_bias="use_bias", ff_bias="use_bias"),
    "exaone4": ModelType(qk_norm="head", window=4096, window_every=4),
    "gemma3": _GEMMA3,
    "glm": ModelType(qkv_bias="attention_bias"),
    "glm4": ModelType(qkv_bias="attention_bias", norms=4),
    "falcon": gpt(
        keys={"layers": "num_hidden_layers", "ff_width": "ffn_hidden_size"},
        tied=True,
        ff_multiple=4,
        qkv_bias="bias",
        out_bias="bias",
        ff_bias="bias",
        adjust=_falcon,
    ),
    "gpt_bigcode": gpt(keys=_GPT2_KEYS, tied=True, ff_multiple=4, positions=0, adjust=_bigcode),
    "gpt_neo": gpt(
        keys={"layers": "num_layers", "heads": "num_heads"}, tied=True, ff_multiple=4, positions=0, qkv_bias=False
    ),
    "gpt_neox_japanese": gpt(ff_multiple=4, biases=False),
    "granite": ModelType(**_LLAMA),
    "granite_swa": ModelType(sinks=True, window=128, **_LLAMA),
    "helium": ModelType(**_LLAMA),
    "hunyuan_v1_dense": ModelType(qk_norm="head", qkv_bias="attention_bias", out_bias="attention_bias"),
    "hyperclovax": ModelType(norms=4, **_LLAMA),
    "jais2": ModelType(gated=False, norm_biases=True, **_LLAMA),
    "minicpm3": ModelType(keys=_NO_HEADS, latent=True),
    "ministral": ModelType(window=4096),
    "ministral3": ModelType(),
    "moshi": ModelType(keys={"ff_width": "ffn_dim"}, adjust=lambda fields, sizes: {"ff_width": sizes["ff_width"] // 2}),
    "nanochat": ModelType(gated=False),
    "nemotron": ModelType(gated=False, norm_biases=True, **_LLAMA),
    "olmo3": ModelType(qk_norm="width", window=4096, window_every=4),
    "openai-gpt": gpt(keys=_GPT2_KEYS, tied=True, ff_multiple=4, positions=0),
    "persimmon": gpt(),
    "seed_oss": ModelType(qkv_bias="attention_bias", out_bias="attention_out_bias", ff_bias="mlp_bias"),
    "smollm3": ModelType(tied=True, **_LLAMA),
    "stablelm": ModelType(
        norm_biases=True, qkv_bias="use_qkv_bias", out_bias=False, qk_norm="heads", qk_switch="qk_layernorm"
    ),
    "starcoder2": ModelType(
        gated=False, norm_biases=True, tied=True, qkv_bias="use_bias", out_bias="use_bias", ff_bias="use_bias"
    ),
    "vaultgemma": ModelType(tied=True, window=4096, window_every=2),
    "xglm": gpt(keys={"heads": "attention_heads", "ff_width": "ffn_dim", "width": "d_model"}, tied=True),
    "youtu": ModelType(keys=_NO_HEADS, latent=True, tied=True),
}

_MIXTURES: Mapping[str, ModelType] = {
    "afmoe": ModelType(norms=4, qk_norm="head", gate="width", experts=ANY_EXPERTS),
    "aria_text": ModelType(experts=_WIDTH_OF_EXPERTS),
    "axk1": _LATENT,
    "beam": ModelType(norms=4, qk_norm="head", gate="width", experts=ANY_EXPERTS),
    "cohere2_moe": ModelType(tied=True, norms=1, window=4096, window_every=4, experts=ANY_EXPERTS),
    "dbrx": ModelType(
        keys={**_MPT_KEYS, "ff_width": "ffn_hidden_size", "kv_heads": "kv_n_heads", "head_dim": ""},
        experts=ExpertKeys(count=("moe_num_experts",), active=("moe_top_k",), width=("ffn_hidden_size",)),
    ),
    "deepseek_v32": _SPARSE,
    "dots1": ModelType(qk_norm="head", experts=ANY_EXPERTS),
    "ernie4_5_moe": ModelType(qkv_bias="use_bias", out_bias="use_bias", ff_bias="use_bias", experts=ANY_EXPERTS),
    "exaone_moe": ModelType(qk_norm="head", experts=ANY_EXPERTS, window=4096, window_every=4),
    "flex_olmo": ModelType(qk_norm="width", experts=_WIDTH_OF_EXPERTS),
    "flint": ModelType(qk_norm="head", sinks=True, experts=ANY_EXPERTS),
    "glm4_moe": ModelType(qkv_bias="attention_bias", qk_norm="head", qk_switch="use_qk_norm", experts=ANY_EXPERTS),
    "glm4_moe_lite": _LATENT,
    "glm_moe_dsa": _SPARSE,
    "gpt_oss": ModelType(
        qkv_bias=True,
        out_bias=True,
        sinks=True,
        window=128,
        window_every=2,
        experts=ExpertKeys(anywhere=True, width=("intermediate_size",), biases=True, router_bias=True),
    ),
    "granitemoe": ModelType(experts=_WIDTH_OF_EXPERTS),
    "granitemoe_swa": ModelType(experts=_WIDTH_OF_EXPERTS, sinks=True),
    "granitemoeshared": ModelType(experts=_WIDTH_OF_EXPERTS),
    "hunyuan_v1_moe": ModelType(qk_norm="head", experts=_WIDTH_OF_EXPERTS),
    "hy_v3": ModelType(qk_norm="head", experts=ANY_EXPERTS),
    "kimi_k2": ModelType(keys=_NO_HEADS, experts=_DEEPSEEK_EXPERTS, latent=True, defaults={"reach": 4096}),
    "kolibri1": ModelType(qk_norm="head", norms=4, experts=ANY_EXPERTS, defaults={"ff_width": 1}),
    "laguna": ModelType(qk_norm="head", gate="heads", experts=ANY_EXPERTS),
    "llama4_text": ModelType(
        keys={"ff_width": "intermediate_size_mlp"},
        experts=ExpertKeys(anywhere=True, width=("intermediate_size",), shared=1),
    ),
    "longcat_flash": ModelType(
        keys={**_NO_HEADS, "layers": "num_layers", "ff_width": "ffn_hidden_size"},
        latent=True,
        experts=ExpertKeys(anywhere=True, shared_width="ffn_hidden_size"),
        adjust=lambda fields, sizes: {"layers": 2 * sizes["layers"]},
        stack=_twice,
    ),
    "mellum": ModelType(qk_norm="head", experts=ANY_EXPERTS),
    "minimax_m2": ModelType(qk_norm="width", experts=_WIDTH_OF_EXPERTS),
    "phimoe": ModelType(
        norm_biases=True,
        head_bias="lm_head_bias",
        qkv_bias="attention_bias",
        out_bias="attention_bias",
        experts=_WIDTH_OF_EXPERTS,
    ),
    "sarvam_moe": ModelType(qk_norm="head", qk_switch="use_qk_norm", experts=ANY_EXPERTS),
    "solar_open": ModelType(experts=ANY_EXPERTS, defaults={"ff_width": 1}),
}

_HYBRIDS: Mapping[str, ModelType] = {
    "bailing_hybrid": ModelType(
        keys=_NO_HEADS, latent=True, gate="heads", experts=ANY_EXPERTS, stack=STACKS["bailing"]
    ),
    "bamba": ModelType(stack=STACKS["bamba"], **_LLAMA),
    "falcon_h1": ModelType(stack=STACKS["falcon_h1"], **_LLAMA),
    "falcon_mamba": ModelType(keys=_NOTHING, tied=True, stack=STACKS["mamba"]),
    "granitemoehybrid": ModelType(experts=_WIDTH_OF_EXPERTS, stack=STACKS["bamba"]),
    "jamba": ModelType(experts=_WIDTH_OF_EXPERTS, stack=STACKS["jamba"]),
    "kimi_linear": ModelType(keys=_NO_HEADS, latent=True, experts=ANY_EXPERTS, stack=STACKS["kimi"]),
    "lfm2": ModelType(
        tied=True, qk_norm="head", stack=STACKS["convolution"], keys={"ff_width": "block_ff_dim"}, adjust=_lfm2
    ),
    "lfm2_moe": ModelType(tied=True, qk_norm="head", stack=STACKS["convolution"], experts=ANY_EXPERTS),
    "mamba": ModelType(keys=_NOTHING, tied=True, stack=STACKS["mamba"]),
    "mamba2": ModelType(keys=_NOTHING, stack=STACKS["mamba2"]),
    "minimax": ModelType(experts=_WIDTH_OF_EXPERTS, stack=STACKS["lightning"]),
    "nemotron_h": ModelType(gated=False, experts=ANY_EXPERTS, stack=STACKS["nemotron_h"]),
    "olmo_hybrid": ModelType(qk_norm="width", stack=STACKS["delta"]),
    "qwen3_5_moe_text": _DELTA,
    "qwen3_5_text": ModelType(qk_norm="head", gate="width", stack=STACKS["delta"]),
    "qwen3_next": _DELTA,
    "recurrent_gemma": ModelType(
        tied=True,
        stack=STACKS["recurrent_gemma"],
        qkv_bias=False,
        out_bias=False,
        ff_bias=True,
        adjust=lambda fields, sizes: {"ff_width": max(1, sizes["ff_width"] // 2)},
    ),
    "rwkv": ModelType(
        keys={**_NO_HEADS, "heads": "", "reach": "context_length"},
        gated=False,
        norm_biases=True,
        ff_multiple=4,
        stack=STACKS["rwkv"],
    ),
    "xlstm": ModelType(keys={**_NO_HEADS, "ff_width": ""}, stack=STACKS["xlstm"], adjust=_xlstm),
    "zamba": ModelType(tied=True, stack=STACKS["zamba"]),
    "zamba2": ModelType(tied=True, stack=STACKS["zamba"]),
}

# Types that are another one under a name of their own.
_ALIKE = {
    "apertus1p5_text": "apertus",
    "exaone": "llama",
    "internlm3": "llama",
    "iquestcoder": "llama",
    "gpt-sw3": "gpt2",
    "sarvam_mla": "deepseek_v3",
    "kimi_k25_text": "deepseek_v3",
    "code_llama": "llama",
    "internlm2": "llama",
    "yi": "llama",
    "aquila": "llama",
    "baichuan": "llama",
    "internlm": "llama",
    "minicpm": "llama",
    "decilm": "llama",
    "phi4": "phi3",
    "qwen2_vl_text": "qwen2",
    "qwen2_5_vl_text": "qwen2",
    "qwen3_vl_text": "qwen3",
    "qwen3_vl_moe_text": "qwen3_moe",
    "glm4v_text": "glm4",
    "glm4v_moe_text": "glm4_moe",
    "kimi_k25": "deepseek_v3",
    "openelm": "llama",
}

DECODERS: Mapping[str, ModelType] = {**_READ_BEFORE, **_DENSE, **_MIXTURES, **_HYBRIDS}
DECODERS = {**DECODERS, **{name: DECODERS[like] for name, like in _ALIKE.items()}}
