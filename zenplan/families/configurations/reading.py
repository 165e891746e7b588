"""A model configuration to a workload: which kind of model it is, and what reads that kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zenplan.domain.provenance import Fact, Origin
from zenplan.errors import UsageError, shown
from zenplan.families.configurations.decoders import ANY_EXPERTS, DECODERS
from zenplan.families.configurations.encoders import BOTH, ENCODERS
from zenplan.families.configurations.fields import Fields, Known
from zenplan.families.configurations.language import shape_of
from zenplan.families.configurations.types import KEYS, ModelType
from zenplan.families.transformer.shape import TransformerShape

TYPES: Mapping[str, ModelType] = {**DECODERS, **ENCODERS, **BOTH}


def shape_from_config(
    config: Mapping[str, Any], seq_len: int | None = None, known: Known | None = None
) -> tuple[TransformerShape, tuple[Fact, ...]]:
    """The shape of a language model's configuration, and each default that was taken for a key that is absent.

    Args:
        config: a decoded ``config.json``.
        seq_len: tokens of one sequence; None for the model's reach, at most 8,192.
        known: what the reference library takes for absent keys.

    Raises:
        UsageError: the type is unknown and its keys are no decoder's, or a field is missing, wrong or does not go with
            another; the message names the field.
    """
    model_type, spec, _ = type_of(config)
    fields = Fields(config, model_type, (known or {}).get(model_type))
    shape, facts = shape_of(fields, spec, seq_len)
    return shape, facts


_UNKNOWN = "or say its size: --params, and --active-params of a mixture"
# What a decoder cannot do without.
_NEEDED = ("layers", "width", "heads", "vocab")


def type_of(config: Mapping[str, Any]) -> tuple[str, ModelType, bool]:
    """The type of a configuration, how it is read, and whether that is only by its keys.

    Raises:
        UsageError: it is none, or of an unknown type whose keys are no decoder's.
    """
    if not isinstance(config, Mapping):
        raise UsageError(f"the model configuration is {shown(config)}", "it must be a JSON object")
    model_type = config.get("model_type")
    if model_type is not None and not isinstance(model_type, str):
        raise UsageError(f"the model configuration has an unknown 'model_type': {shown(model_type)}", _UNKNOWN)
    if model_type in TYPES:
        return model_type, TYPES[model_type], False
    if any(all(config.get(key) is None for key in KEYS[role]) for role in _NEEDED):
        if model_type is None:
            raise UsageError("the model configuration has no 'model_type'", f"give it, {_UNKNOWN}")
        raise UsageError(
            f"the model configuration has an unknown 'model_type': {shown(model_type)}, and not a decoder's keys",
            _UNKNOWN,
        )
    latent = config.get("kv_lora_rank") is not None
    spec = ModelType(experts=ANY_EXPERTS, latent=latent, keys={"kv_heads": "", "head_dim": ""} if latent else {})
    return model_type or "decoder", spec, True


def guess_fact(model_type: str) -> Fact:
    """That a type is unknown, and read by its keys."""
    why = "this type is unknown: its keys are a decoder's, and it is read as one with gates and without biases"
    return Fact(name="model type", value=model_type, origin=Origin.ASSUMED, why=why)
