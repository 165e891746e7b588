"""Configurations that Hugging Face did not write: Llama's ``params.json``, and what the header of a file of weights says."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from zenplan.errors import InputFileError
from zenplan.families.configurations.decoders import whole_parts
from zenplan.families.configurations.fields import Fields

# GGUF's names of architectures, where Hugging Face has another for the type.
_GGUF_TYPES = {
    "qwen2moe": "qwen2_moe",
    "qwen3moe": "qwen3_moe",
    "gemma3": "gemma3_text",
    "deepseek2": "deepseek_v3",
    "gptneox": "gpt_neox",
    "gpt-oss": "gpt_oss",
    "falcon-h1": "falcon_h1",
    "command-r": "cohere",
    "starcoder": "gpt_bigcode",
}
# Key of a configuration to the key of GGUF, behind the architecture.
_GGUF_KEYS = {
    "num_hidden_layers": "block_count",
    "hidden_size": "embedding_length",
    "intermediate_size": "feed_forward_length",
    "num_attention_heads": "attention.head_count",
    "num_key_value_heads": "attention.head_count_kv",
    "head_dim": "attention.key_length",
    "max_position_embeddings": "context_length",
    "num_experts": "expert_count",
    "num_local_experts": "expert_count",
    "n_routed_experts": "expert_count",
    "num_experts_per_tok": "expert_used_count",
    "moe_intermediate_size": "expert_feed_forward_length",
    "first_k_dense_replace": "leading_dense_block_count",
    "n_shared_experts": "expert_shared_count",
    "q_lora_rank": "attention.q_lora_rank",
    "kv_lora_rank": "attention.kv_lora_rank",
    "qk_rope_head_dim": "rope.dimension_count",
    "v_head_dim": "attention.value_length",
}


# Types whose sizes stand in objects inside.
_INSIDE: Mapping[str, Sequence[str]] = {"dbrx": ("attn_config", "ffn_config")}


def flat(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The configuration with what stands in objects inside it, of types that write it so."""
    kind = config.get("model_type")
    parts = [config.get(key) for key in _INSIDE.get(kind, ())] if isinstance(kind, str) else []
    inner = {key: value for part in parts if isinstance(part, Mapping) for key, value in part.items()}
    return {**inner, **config} if inner else config


def is_llama_params(config: Mapping[str, Any]) -> bool:
    """Whether it is a ``params.json``, as Meta and Mistral publish it beside their weights."""
    return "model_type" not in config and all(key in config for key in ("dim", "n_layers", "n_heads"))


def from_llama_params(config: Mapping[str, Any]) -> dict[str, Any]:
    """The same as Hugging Face writes it.

    Raises:
        InputFileError: a size is missing, wrong, or the vocabulary is not said.
    """
    fields = Fields(config, "params.json")
    width, heads = fields.needed("dim"), fields.needed("n_heads")
    ff_width = fields.count("hidden_dim")
    if not ff_width:
        # Two thirds of four widths, times what is given, in whole parts (meta-llama/llama: llama/model.py, FeedForward).
        part = fields.needed("multiple_of", default=256)
        ff_width = int(int(8 * width / 3) * fields.number("ffn_dim_multiplier", default=1.0))
        ff_width = whole_parts(ff_width, part)
    vocab = config.get("vocab_size")
    if vocab == -1:
        # Llama and Llama 2 leave it to their tokenizer, of 32,000 words.
        vocab = 32_000
    found = {
        "model_type": "llama",
        "hidden_size": width,
        "intermediate_size": ff_width,
        "num_hidden_layers": fields.needed("n_layers"),
        "num_attention_heads": heads,
        "num_key_value_heads": fields.needed("n_kv_heads", default=heads),
        "vocab_size": vocab,
        "tie_word_embeddings": False,
    }
    moe = config.get("moe")
    if isinstance(moe, Mapping):
        found |= {"model_type": "mixtral", "num_local_experts": moe.get("num_experts"), "sliding_window": None}
        found["num_experts_per_tok"] = moe.get("num_experts_per_tok")
    if fields.raw("head_dim") is not None:
        found["head_dim"] = fields.needed("head_dim")
    return found


def from_gguf(values: Mapping[str, Any], tensors: Sequence[str], vocab: int | None) -> dict[str, Any]:
    """A configuration from the keys of a GGUF file, the names of its tensors, and the words of its tokenizer.

    Raises:
        InputFileError: it does not say which architecture it is.
    """
    kind = values.get("general.architecture")
    if not isinstance(kind, str):
        raise InputFileError("the GGUF file does not say its architecture", "give the config.json of the model")
    found: dict[str, Any] = {"model_type": _GGUF_TYPES.get(kind, kind.replace("-", "_"))}
    for key, name in _GGUF_KEYS.items():
        value = values.get(f"{kind}.{name}")
        if isinstance(value, list):
            value = max((v for v in value if isinstance(v, int)), default=None)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            found[key] = value
    words = values.get(f"{kind}.vocab_size") or vocab
    if words:
        found["vocab_size"] = words
    if found.get("qk_rope_head_dim") and found.get("head_dim") and found.get("kv_lora_rank"):
        found["qk_nope_head_dim"] = found["head_dim"] - found["qk_rope_head_dim"]
    called = values.get("general.name")
    return found | {"tie_word_embeddings": "output.weight" not in tensors, "_name_or_path": called}


_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.(\d+)\.")


def from_shapes(shapes: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    """A configuration from the names and shapes of a decoder's weights, as Hugging Face names those of Llama and its kin.

    Raises:
        InputFileError: they are not those of such a decoder, or only a part of one.
    """

    def ending(name: str) -> Sequence[int] | None:
        return next((shape for key, shape in shapes.items() if key.endswith(name)), None)

    table, query, key = (ending(n) for n in ("embed_tokens.weight", "q_proj.weight", "k_proj.weight"))
    up, experts = ending("mlp.up_proj.weight"), ending("experts.0.up_proj.weight") or ending("experts.0.w3.weight")
    layers = {int(m.group(1)) for name in shapes if (m := _LAYER.search(name))}
    if not (table and query and key and (up or experts) and layers) or any(len(s) != 2 for s in (table, query, key)):
        raise InputFileError(
            "the weights are not named as those of a decoder, or are a part of them", "give the config.json beside them"
        )
    norm = ending("q_norm.weight")
    # What the names do not say: the width of a head, unless its norm has it; 128 is the usual one of a billion or more.
    head = norm[0] if norm and len(norm) == 1 and norm[0] < query[0] else 128 if query[0] % 128 == 0 else 64
    ff_width = up or experts or (1,)
    found = {
        "model_type": "qwen3" if norm else "llama",
        "hidden_size": table[1],
        "vocab_size": table[0],
        "intermediate_size": ff_width[0],
        "num_hidden_layers": max(layers) + 1,
        "num_attention_heads": max(1, query[0] // head),
        "num_key_value_heads": max(1, key[0] // head),
        "head_dim": head,
        "tie_word_embeddings": ending("lm_head.weight") is None,
    }
    if experts:
        numbers = (re.search(r"experts\.(\d+)\.", name) for name in shapes)
        count = max(int(m.group(1)) for m in numbers if m) + 1
        found |= {"model_type": "mixture of unknown type", "num_experts": count, "num_experts_per_tok": min(8, count)}
        found["moe_intermediate_size"] = experts[0]
    return found
