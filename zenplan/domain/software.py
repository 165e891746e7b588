"""Software: which kind of framework runs the step, as far as it changes how fast a device computes."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final


class Software(StrEnum):
    """How a framework turns operators into kernels."""

    EAGER = "eager"  # one operator, several kernels: models written operator by operator, as Hugging Face's
    FUSED = "fused"  # kernels fused by hand: Megatron-LM, NeMo, llm-foundry, Apex
    COMPILED = "compiled"  # torch.compile: torchtitan
    XLA = "xla"  # JAX, TensorFlow


# Words in a framework's name, the first that is found decides. PyTorch alone may be any of the first three.
_WORDS: Final = (
    (r"hugging ?face|\bhf\b|transformers|accelerate|\btrl\b|peft|llama-?factory|axolotl", Software.EAGER),
    (r"torch-?titan|torch\.?compile|inductor|\bcompiled\b|nanochat|nanogpt|gpt-?fast", Software.COMPILED),
    (r"jax|flax|tensorflow|\btf\b|xla|max-?text|levanter|t5x|paxml|keras", Software.XLA),
    (
        r"megatron|\bnemo\b|neox|\binterne|flash-?attn|llm-foundry|\bcomposer\b|\bapex\b|\blamb\b|deepspeed|"
        r"colossal|fairseq|llm\.c|transformer ?engine|metaseq|unsloth|\bliger|mxnet|hugectr|merlin|"
        r"torchrec|fbgemm|nvidia release",
        Software.FUSED,
    ),
)


def software_of(framework: str, compiled: str = "") -> Software | None:
    """The kind of a framework by its name; None where the name tells nothing.

    Args:
        framework: as a table of runs names it (``Megatron-LM v1.1``).
        compiled: ``yes`` where the table says that XLA or torch.compile was on, ``no`` that it was not.
    """
    name = framework.lower()
    kind = next((kind for words, kind in _WORDS if re.search(words, name)), None)
    # TensorFlow without XLA, and PyTorch alone without its compiler, run operator by operator.
    alone = kind is Software.XLA or (kind is None and "pytorch" in name)
    if alone and compiled.strip().lower() in ("no", "false", "0"):
        return Software.EAGER
    if compiled.strip().lower() in ("yes", "true", "1") and kind in (None, Software.EAGER):
        return Software.COMPILED
    return kind


def keras_software(backend: str, compiled: bool) -> Software:
    """The kind of Keras on a backend, with the step compiled or not."""
    if not compiled:
        return Software.EAGER
    return Software.COMPILED if backend == "torch" else Software.XLA
