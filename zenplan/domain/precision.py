"""Number formats that a training step computes in, and which data-sheet peak each one runs at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# The dtypes for which an accelerator's data sheet states a dense peak.
DTYPES: Final = ("fp32", "tf32", "fp16", "bf16", "fp8", "fp4", "int8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """A training precision.

    Attributes:
        matmul_dtype: the data-sheet peak of the large matrix products.
        other_dtype: the peak of what stays in a wider format (attention, the head) under fp8 and fp4.
        compute_bytes: bytes of an activation or a computed weight.
        wide_share: of the layers' products, the share that stays in the wider format.
        master_bytes: bytes of the fp32 master weight kept beside the computed one; 0 when there is none.
        block_scaled: blocks of 32 share a scale, which the device's products must take.
    """

    name: str
    matmul_dtype: str
    other_dtype: str
    compute_bytes: int
    master_bytes: int
    wide_share: float = 0.0
    block_scaled: bool = False


PRECISIONS: Final = {
    name: Precision(
        name=name,
        matmul_dtype=matmul,
        other_dtype=other,
        compute_bytes=compute,
        master_bytes=master,
        wide_share=wide,
        block_scaled=scaled,
    )
    for name, matmul, other, compute, master, wide, scaled in (
        ("fp32", "fp32", "fp32", 4, 0, 0.0, False),
        ("tf32", "tf32", "tf32", 4, 0, 0.0, False),
        ("fp16", "fp16", "fp16", 2, 4, 0.0, False),
        ("bf16", "bf16", "bf16", 2, 4, 0.0, False),
        # Weights and the optimizer's states in bf16 alone, as libraries of fine-tuning load and train a model.
        ("bf16-pure", "bf16", "bf16", 2, 0, 0.0, False),
        ("fp8", "fp8", "bf16", 2, 4, 0.0, False),
        # The products run at the same rate.
        ("mxfp8", "fp8", "bf16", 2, 4, 0.0, True),
        # 15 % of the layers stay in bf16 for the sake of the loss (NVIDIA 2025, Pretraining LLMs with NVFP4). Its blocks
        # are of 16: what has the peak takes their scales.
        ("nvfp4", "fp4", "bf16", 2, 4, 0.15, False),
    )
}
