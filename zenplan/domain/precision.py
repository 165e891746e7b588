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
        cast_passes: bytes that a cast moves for each element of a product's operand: it is read wide and written
            narrow, once for each orientation that has scales of its own, and read once more where a scale must be known
            before.
        products: of the speed of products with one scale for a tensor, what those with finer scales reach.
    """

    name: str
    matmul_dtype: str
    other_dtype: str
    compute_bytes: int
    master_bytes: int
    wide_share: float = 0.0
    block_scaled: bool = False
    cast_passes: float = 3.0
    products: float = 1.0


# Products with a scale for each row scale their sums at the end, those with blocks sum up again after every 128: what
# that costs is our assumption.
_FINER = 0.95

PRECISIONS: Final = {
    p.name: p
    for p in (
        Precision(name="fp32", matmul_dtype="fp32", other_dtype="fp32", compute_bytes=4, master_bytes=0),
        Precision(name="tf32", matmul_dtype="tf32", other_dtype="tf32", compute_bytes=4, master_bytes=0),
        Precision(name="fp16", matmul_dtype="fp16", other_dtype="fp16", compute_bytes=2, master_bytes=4),
        Precision(name="bf16", matmul_dtype="bf16", other_dtype="bf16", compute_bytes=2, master_bytes=4),
        # Weights and the optimizer's states in bf16 alone, as libraries of fine-tuning load and train a model.
        Precision(name="bf16-pure", matmul_dtype="bf16", other_dtype="bf16", compute_bytes=2, master_bytes=0),
        # A scale for each tensor, of this step or of those before.
        Precision(name="fp8", matmul_dtype="fp8", other_dtype="bf16", compute_bytes=2, master_bytes=4),
        # A scale for each row: every operand is cast along its rows and along its columns, each after its largest value.
        Precision(
            name="fp8-rowwise",
            matmul_dtype="fp8",
            other_dtype="bf16",
            compute_bytes=2,
            master_bytes=4,
            cast_passes=6.0,
            products=_FINER,
        ),
        # A scale for each 128 of a row, or 128 by 128 of a weight (DeepSeek-V3, arXiv 2412.19437, section 3.3).
        Precision(
            name="fp8-block",
            matmul_dtype="fp8",
            other_dtype="bf16",
            compute_bytes=2,
            master_bytes=4,
            cast_passes=6.0,
            products=_FINER,
        ),
        # A scale for each 32, which the device takes: both orientations are written.
        Precision(
            name="mxfp8",
            matmul_dtype="fp8",
            other_dtype="bf16",
            compute_bytes=2,
            master_bytes=4,
            block_scaled=True,
            cast_passes=4.0,
        ),
        # 15 % of the layers stay in bf16 for the sake of the loss (NVIDIA 2025, Pretraining LLMs with NVFP4). Its blocks
        # are of 16: what has the peak takes their scales.
        Precision(
            name="nvfp4",
            matmul_dtype="fp4",
            other_dtype="bf16",
            compute_bytes=2,
            master_bytes=4,
            wide_share=0.15,
        ),
    )
}
