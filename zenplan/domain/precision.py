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
        kept_bytes: bytes of an activation kept for the backward pass. Under fp8 the inputs of products are kept
            in 8 bits and the rest in 16 (Transformer Engine), about half of each.
        master_bytes: bytes of the fp32 master weight kept beside the computed one; 0 when there is none.
    """

    name: str
    matmul_dtype: str
    other_dtype: str
    compute_bytes: int
    kept_bytes: float
    master_bytes: int


PRECISIONS: Final = {
    p.name: p
    for p in (
        Precision(
            name="fp32",
            matmul_dtype="fp32",
            other_dtype="fp32",
            compute_bytes=4,
            kept_bytes=4,
            master_bytes=0,
        ),
        Precision(
            name="tf32",
            matmul_dtype="tf32",
            other_dtype="tf32",
            compute_bytes=4,
            kept_bytes=4,
            master_bytes=0,
        ),
        Precision(
            name="fp16",
            matmul_dtype="fp16",
            other_dtype="fp16",
            compute_bytes=2,
            kept_bytes=2,
            master_bytes=4,
        ),
        Precision(
            name="bf16",
            matmul_dtype="bf16",
            other_dtype="bf16",
            compute_bytes=2,
            kept_bytes=2,
            master_bytes=4,
        ),
        Precision(
            name="fp8",
            matmul_dtype="fp8",
            other_dtype="bf16",
            compute_bytes=2,
            kept_bytes=1.5,
            master_bytes=4,
        ),
    )
}
