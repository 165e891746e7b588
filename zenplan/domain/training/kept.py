"""Kept: what software holds in a device's memory for a step, beyond what the layout and the precision say."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

from zenplan.domain.precision import Precision
from zenplan.domain.software import Software

# What may lie in the host's memory instead of the device's.
OFFLOADED: Final = ("activations", "optimizer")
# Bytes of a logit at the peak: 16 bits, and its fp32 copy, for which the loss is computed, which a compiled loss keeps
# to. A fused one works on 16 bits and makes their gradient beside them. In plain PyTorch, log-softmax and gradient are
# two more (torchtitan before and after its loss was compiled, 2024 and 2025; llm-foundry's runs, which all fitted).
# Patched models keep whole ones in 16 bits, their copy in fp32 and the gradient in its place (Unsloth).
_LOGIT_BYTES: Final = {
    Software.COMPILED: 6.0,
    Software.JAX: 6.0,
    Software.XLA: 6.0,
    Software.FUSED: 4.0,
    Software.PATCHED: 8.0,
    Software.EAGER: 14.0,
    None: 10.0,
}
# Of a weight in 8 bits: as it is, and transposed for the backward pass (Transformer Engine, te.Linear).
_NARROW_COPIES: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What is held, by software. Sizes are bytes.

    Attributes:
        gradient_bytes: of the gradient of a parameter that trains: 4 where it is accumulated in fp32.
        logit_bytes: of a logit at the peak; 0 where the loss is computed in parts and no logits are written (Liger,
            Hsu et al. 2024; cut cross-entropy, Wijmans et al. 2024).
        gate: the activated gate of a feed-forward network is kept beside its inputs and its product, which a fused
            gate makes again from them (Megatron-Core, ``bias_swiglu_fusion``).
        rotated: queries, keys and values come out of one product, so that all of it stays for the sake of the values
            beside the queries and keys that were turned by their positions (Megatron-Core, nanotron, LitGPT).
        wide_norms: a norm keeps its input in fp32 and its output before the weight (LlamaRMSNorm of Transformers).
        narrow_inputs: products keep their inputs in the 8 bits that they were multiplied in (Transformer Engine).
        copies_bytes: of a product's weight in 8 bits, as it is and transposed, beside the one of 16; 0 where those two
            are all that there is.
        gathered: the inputs of tensor-parallel products stay as they were gathered, and not each device's part.
        wide_inputs: the inputs of recomputed layers are in fp32 from this ZeRO stage on; None for never. PEFT turns
            what is not in 4 bits into fp32 (``prepare_model_for_kbit_training``), and so does FSDP around adapters.
        update_copies: the update holds a copy of all weights that it changes (PyTorch's ``foreach`` AdamW).
        offload: of ``OFFLOADED``, what lies in the host's memory.
    """

    gradient_bytes: float = 4.0
    logit_bytes: float = 10.0
    gate: bool = True
    rotated: bool = False
    wide_norms: bool = False
    narrow_inputs: bool = False
    copies_bytes: float = 0.0
    gathered: bool = False
    wide_inputs: int | None = None
    update_copies: bool = False
    offload: frozenset[str] = frozenset()


@cache
def usual_kept(software: Software | None, precision: Precision, method: str) -> Kept:
    """What a kind of software keeps where nothing else is known of it.

    Megatron-Core and Transformer Engine stand for fused software, Transformers with PEFT for eager, and with kernels
    patched in for patched.
    """
    fused, transformers = software is Software.FUSED, software in (Software.EAGER, Software.PATCHED)
    # Products in 8 bits are Transformer Engine's here; torchao's keep their inputs as they come (torchtitan).
    narrow = fused and precision.matmul_dtype in ("fp8", "fp4")
    return Kept(
        gradient_bytes=4.0 if precision.master_bytes or precision.compute_bytes == 4 else 2.0,
        logit_bytes=_LOGIT_BYTES[software],
        gate=software in (Software.EAGER, None),
        rotated=fused,
        wide_norms=software is Software.EAGER,
        narrow_inputs=narrow,
        copies_bytes=_NARROW_COPIES if narrow else 0.0,
        wide_inputs={"lora": 3, "qlora": 0}.get(method) if transformers else None,
        update_copies=transformers,
    )
