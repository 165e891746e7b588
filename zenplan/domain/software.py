"""Software: which kind of framework runs the step, as far as it changes how fast a device computes."""

from __future__ import annotations

import re
from collections.abc import Set
from enum import StrEnum
from functools import cache
from typing import Final


class Software(StrEnum):
    """How a framework turns operators into kernels."""

    EAGER = "eager"  # one operator, several kernels: models written operator by operator, as Hugging Face's
    PATCHED = "patched"  # those models with fused kernels put in for norms, rotary positions, gates and losses
    FUSED = "fused"  # kernels fused by hand: Megatron-LM, NeMo, llm-foundry, Apex
    COMPILED = "compiled"  # torch.compile: torchtitan
    JAX = "jax"  # XLA on a whole step that is traced: MaxText, PaxML, T5X, Levanter, PyTorch/XLA
    XLA = "xla"  # TensorFlow


# Words in a framework's name, the first that is found decides. PyTorch alone may be eager, fused or compiled.
_WORDS: Final = (
    (r"unsloth|\bliger", Software.PATCHED),
    # Gaudi's graph compiler fuses what Hugging Face's models write operator by operator.
    (r"habana|synapse", Software.COMPILED),
    (
        r"hugging ?face|\bhf\b|transformers|accelerate|\btrl\b|peft|llama-?factory|axolotl|torchtune|lit-?gpt|qlora|"
        r"alpaca-?lora|(?<!megatron-)\bswift\b|xtuner|openrlhf|llama-(recipes|cookbook)",
        Software.EAGER,
    ),
    (r"torch-?titan|torch\.?compile|inductor|\bcompiled\b|nanochat|nanogpt|gpt-?fast", Software.COMPILED),
    (r"jax|flax|max-?text|levanter|t5x|paxml|easylm|py ?torch[-/ ]xla", Software.JAX),
    (r"tensorflow|\btf\b|xla", Software.XLA),
    (r"keras", Software.JAX),
    (
        r"megatron|\bnemo\b|neox|\binterne|flash-?attn|llm-foundry|\bcomposer\b|\bapex\b|\blamb\b|deepspeed|"
        r"colossal|fairseq|llm\.c|transformer ?engine|metaseq|mxnet|hugectr|merlin|torchrec|fbgemm|nvidia release",
        Software.FUSED,
    ),
)
# Options of fine-tuning software that put fused kernels in: IBM's fms-acceleration, Liger, Unsloth.
FUSED_KERNELS: Final = frozenset(("fast-kernels", "liger", "unsloth"))


def software_of(framework: str, compiled: str = "", options: Set[str] = frozenset()) -> Software | None:
    """The kind of a framework by its name; None where the name tells nothing.

    Args:
        framework: as a table of runs names it (``Megatron-LM v1.1``).
        compiled: ``yes`` where the table says that XLA or torch.compile was on, ``no`` that it was not.
        options: of the software, one word each, as a table of runs has them.
    """
    name = framework.lower()
    kind = _by_name(name)
    # TensorFlow without XLA, and PyTorch alone without its compiler, run operator by operator.
    alone = kind in (Software.XLA, Software.JAX) or (kind is None and "pytorch" in name)
    if alone and compiled.strip().lower() in ("no", "false", "0"):
        return Software.EAGER
    if compiled.strip().lower() in ("yes", "true", "1") and kind in (None, Software.EAGER):
        return Software.COMPILED
    return Software.PATCHED if kind is Software.EAGER and options & FUSED_KERNELS else kind


@cache
def _by_name(name: str) -> Software | None:
    return next((kind for words, kind in _WORDS if re.search(words, name)), None)


def compiles(backend: str, compiled: bool | None) -> bool:
    """Whether a compiler sees the whole step of Keras: as was asked for, or as is usual for the backend."""
    return backend != "torch" if compiled is None else compiled


def keras_software(backend: str, compiled: bool) -> Software:
    """The kind of Keras on a backend, with the step compiled or not."""
    if not compiled:
        return Software.EAGER
    return {"torch": Software.COMPILED, "jax": Software.JAX}.get(backend, Software.XLA)
