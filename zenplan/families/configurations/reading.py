"""A model configuration to a workload: which kind of model it is, and what reads that kind."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from zenplan.domain.model.workload import Workload
from zenplan.domain.provenance import Fact, Origin
from zenplan.errors import DataError, InputFileError, UsageError, shown
from zenplan.families.configurations.crossing import MLLAMA
from zenplan.families.configurations.decoders import ANY_EXPERTS, DECODERS
from zenplan.families.configurations.detection import detector
from zenplan.families.configurations.encoders import BOTH, ENCODERS
from zenplan.families.configurations.fields import Fields, Known, inner_config
from zenplan.families.configurations.gemma import GEMMA
from zenplan.families.configurations.heads import with_head
from zenplan.families.configurations.images import IMAGES
from zenplan.families.configurations.language import shape_of
from zenplan.families.configurations.other_forms import flat, from_llama_params, is_llama_params
from zenplan.families.configurations.projectors import PROJECTORS
from zenplan.families.configurations.sound import WAVES
from zenplan.families.configurations.stages import STAGED
from zenplan.families.configurations.towers import hearing_alone, pairs, seeing, seeing_alone, whisper
from zenplan.families.configurations.types import KEYS, ModelType
from zenplan.families.transformer.lowering import lower
from zenplan.families.transformer.samples import PROTEINS
from zenplan.families.transformer.shape import TransformerShape

TYPES: Mapping[str, ModelType] = {**DECODERS, **GEMMA, **ENCODERS, **BOTH}
TYPES = {**TYPES, "mllama_text_model": MLLAMA, "mllama": MLLAMA}
DETECTORS = ("detr", "table-transformer")


PAIRS = ("clip", "siglip", "siglip2", "metaclip_2", "chinese_clip", "altclip")


def workload_from_config(
    config: Mapping[str, Any], seq_len: int | None = None, known: Known | None = None, images: int | None = None
) -> tuple[Workload, TransformerShape | None]:
    """The workload of a configuration, and the shape of its language model, where it is one.

    Args:
        config: a decoded ``config.json``.
        seq_len: tokens of one sequence; None for the model's reach, at most 8,192.
        known: what the reference library takes for absent keys.
        images: of a sequence, for a language model that sees; None for one.

    Raises:
        UsageError: as of ``shape_from_config``; or it is no language model that sees the images.
    """
    with _fitting():
        return _workload(_written(config), seq_len, known or {}, images)


def _workload(
    config: Mapping[str, Any], seq_len: int | None, known: Known, images: int | None
) -> tuple[Workload, TransformerShape | None]:
    model_type = config.get("model_type")
    if isinstance(model_type, str):
        fields = Fields(config, model_type, known.get(model_type))
        if _has_towers(config, model_type) and model_type not in PAIRS:
            shape, facts = _inner_text(config, fields, seq_len, known)
            return seeing(config, fields, (shape, facts), known, images), shape
        if not images:
            alone = _no_language(config, fields, seq_len, known)
            if alone is not None:
                return alone, None
    if images:
        raise _no_images(str(model_type or "decoder"))
    shape, facts = _text(config, seq_len, known)
    load = lower(shape, str(model_type or "decoder"), facts)
    return replace(load, data_kind=_KINDS.get(load.name, "")), shape


def _no_language(config: Mapping[str, Any], fields: Fields, seq_len: int | None, known: Known) -> Workload | None:
    """The workload of a type that is no language model; None of any other."""
    kind = fields.model_type
    if kind in PAIRS:
        return pairs(config, fields, known)
    if kind == "whisper":
        return whisper(fields, seq_len)
    alone: tuple[tuple[Container[str], Callable[[Fields], Workload]], ...] = (
        (IMAGES, seeing_alone),
        (STAGED, lambda each: STAGED[kind](each)),
        (DETECTORS, detector),
        (WAVES, hearing_alone),
    )
    return next((read(fields) for kinds, read in alone if kind in kinds), None)


@contextmanager
def _fitting() -> Iterator[None]:
    """Sizes that are right each by itself, and make no model together, are the user's slip."""
    try:
        yield
    except DataError as error:
        raise InputFileError(f"the model configuration does not fit together: {error}", "check its sizes") from error


def shape_from_config(
    config: Mapping[str, Any], seq_len: int | None = None, known: Known | None = None
) -> tuple[TransformerShape, tuple[Fact, ...]]:
    """The shape of a language model's configuration, and each default that was taken for a key that is absent.

    Args:
        config: a decoded ``config.json``; of one with towers, the language model's part is taken.
        seq_len: tokens of one sequence; None for the model's reach, at most 8,192.
        known: what the reference library takes for absent keys.

    Raises:
        UsageError: the type is unknown and its keys are no decoder's, or a field is missing, wrong or does not go with
            another; the message names the field.
    """
    with _fitting():
        return _text(_written(config), seq_len, known or {})


def _written(config: Any) -> Mapping[str, Any]:
    """The configuration as Hugging Face writes it.

    Raises:
        UsageError: it is no object, or one of an adapter.
    """
    if not isinstance(config, Mapping):
        raise InputFileError(f"the model configuration is {shown(config)}", "it must be a JSON object")
    if config.get("peft_type") is not None:
        raise _no_base(config)
    if is_llama_params(config):
        return from_llama_params(config)
    named = config.get("model_type")
    # A type that cannot be shown is an unknown one.
    return flat({**config, "model_type": plain_name(named)} if isinstance(named, str) and named else config)


def _has_towers(config: Mapping[str, Any], model_type: str) -> bool:
    """Whether a language model is a part of it; older files of such types write that part flat."""
    return model_type in PROJECTORS or isinstance(config.get("text_config"), Mapping)


def _text(config: Mapping[str, Any], seq_len: int | None, known: Known) -> tuple[TransformerShape, tuple[Fact, ...]]:
    """The language model of a configuration, alone or in one with towers."""
    model_type = config.get("model_type")
    if isinstance(model_type, str) and _has_towers(config, model_type):
        return _inner_text(config, Fields(config, model_type, known.get(model_type)), seq_len, known)
    model_type, spec, guessed = type_of(config)
    return _shaped(Fields(config, model_type, known.get(model_type)), spec, guessed, seq_len, None)


def _shaped(
    fields: Fields, spec: ModelType, guessed: bool, seq_len: int | None, tied: bool | None
) -> tuple[TransformerShape, tuple[Fact, ...]]:
    shape, facts = shape_of(fields, spec, seq_len, tied)
    if guessed:
        shape, facts = replace(shape, guessed=True), (guess_fact(fields.model_type), *facts)
    return with_head(shape, spec, fields), facts


def _inner_text(
    config: Mapping[str, Any], outer: Fields, seq_len: int | None, known: Known
) -> tuple[TransformerShape, tuple[Fact, ...]]:
    """The language model inside a configuration, which older files write flat, beside the towers."""
    text, usual, own = inner_config(config, outer.model_type, "text_config", known)
    inner = config if text is None else text
    named = None if text is None else text.get("model_type")
    kind = next((k for k in (named, usual, outer.model_type) if isinstance(k, str) and k in TYPES), None)
    if kind is None:
        kind, spec, guessed = type_of(inner)
    else:
        spec, guessed = TYPES[kind], False
    if text is None and outer.raw("num_hidden_layers", "hidden_size") is None:
        inner = own
    tied = config.get("tie_word_embeddings")
    if tied is not None and not isinstance(tied, bool):
        raise outer.wrong("tie_word_embeddings", tied, "true or false")
    if tied is None and not isinstance(inner.get("tie_word_embeddings"), bool):
        tied = outer.known("tie_word_embeddings")
    fields = Fields(inner, kind, known.get(kind), inner=True)
    return _shaped(fields, spec, guessed, seq_len, tied)


def _no_images(model_type: str) -> UsageError:
    return UsageError(
        f"--images says how many a language model sees in a sequence, and '{plain_name(model_type)}' is none that sees",
        "leave it out; --samples counts the images of other models",
    )


def _no_base(config: Mapping[str, Any]) -> UsageError:
    """An adapter's configuration says how little is trained, and not of what."""
    base = config.get("base_model_name_or_path")
    of = f" of {plain_name(base)}" if isinstance(base, str) else ""
    return InputFileError(
        f"the configuration is that of an adapter{of}, which has no shape of a model",
        "give the model, --model NAME or its own config.json, with --method lora",
    )


# Types that take other sequences than text.
_KINDS = {"esm": PROTEINS}
_UNKNOWN = "or say its size: --params, and --active-params of a mixture"
# What a decoder cannot do without.
_NEEDED = ("layers", "width", "heads", "vocab")


def type_of(config: Mapping[str, Any]) -> tuple[str, ModelType, bool]:
    """The type of a configuration, how it is read, and whether that is only by its keys.

    Raises:
        UsageError: it is of an unknown type whose keys are no decoder's.
    """
    model_type = config.get("model_type")
    if model_type is not None and not isinstance(model_type, str):
        raise InputFileError(f"the model configuration has an unknown 'model_type': {shown(model_type)}", _UNKNOWN)
    if model_type is not None and model_type in TYPES:
        return model_type, TYPES[model_type], False
    if any(all(config.get(key) is None for key in KEYS[role]) for role in _NEEDED):
        if model_type is None:
            raise InputFileError("the model configuration has no 'model_type'", f"give it, {_UNKNOWN}")
        raise InputFileError(
            f"the model configuration has an unknown 'model_type': {shown(model_type)}, and not a decoder's keys",
            _UNKNOWN,
        )
    latent = config.get("kv_lora_rank") is not None
    spec = ModelType(experts=ANY_EXPERTS, latent=latent, keys={"kv_heads": "", "head_dim": ""} if latent else {})
    return model_type or "decoder", spec, True


def plain_name(model_type: str) -> str:
    """A type's name as it is shown: at most 40 characters, on one line."""
    return "".join(c if c.isprintable() else " " for c in model_type[:40]).strip() or "unknown"


def guess_fact(model_type: str) -> Fact:
    """That a type is unknown, and read by its keys."""
    why = "this type is unknown: its keys are a decoder's, and it is read as one with gates and without biases"
    return Fact(name="model type", value=plain_name(model_type), origin=Origin.ASSUMED, why=why)
