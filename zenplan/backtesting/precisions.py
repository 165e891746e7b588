"""The precision of a measured run, by the names that tables have for it."""

from __future__ import annotations

import re
from typing import Final

from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.precision import PRECISIONS, Precision
from zenplan.errors import Skipped
from zenplan.planning.physics.columns import can_run

# Names that tables use for what ``PRECISIONS`` has: mixed precision, scaling recipes of fp8 and fp4. The first that
# is found decides.
_WORDS: Final = (
    ("fp4", "nvfp4"),
    ("fp8-mx", "mxfp8"),
    ("mxfp8", "mxfp8"),
    ("fp8", "fp8"),
    ("bf16", "bf16"),
    ("bfloat16", "bf16"),
    ("fp16", "fp16"),
    ("float16", "fp16"),
    ("half", "fp16"),
    ("tf32", "tf32"),
    ("fp32", "fp32"),
    ("float32", "fp32"),
)
# Numbers of 16 bits that are computed with as 32: GeForce of Pascal multiplies in fp16 at a 64th of the speed (NVIDIA,
# CUDA Programming Guide, arithmetic throughput), and libraries do not.
_STORED: Final = Precision(name="fp16", matmul_dtype="fp32", other_dtype="fp32", compute_bytes=2, master_bytes=4)
# Which 16 bits they are is not said.
_MIXED: Final = re.compile(r"(auto)?(mixed|amp)([-_ ]?precision)?|16[-_ ]?mixed", re.IGNORECASE)


def precision_of(text: str, sheet: Accelerator) -> Precision:
    """The precision under the name that zenplan has for it; bf16 or what is before it where none is said.

    Raises:
        Skipped: it is not known, or the data sheet has no peak of it.
    """
    word = text.lower()
    name = next((name for part, name in _WORDS if part in word), None)
    if name is None and not unsaid(text):
        raise Skipped(f"precision '{text}' is not known")
    # Before bf16 there was fp16.
    precision = PRECISIONS[name or ("bf16" if sheet.peak("bf16") else "fp16")]
    if "pseudo" in word or (name == "fp16" and not can_run(sheet, precision)):
        precision = _STORED
    if not can_run(sheet, precision):
        raise Skipped(f"no {precision.name} peak in the data sheet of {sheet.name}")
    return precision


def unsaid(text: str) -> bool:
    """Whether the cell leaves open which precision it is: empty, or mixed without a type."""
    return not text or _MIXED.fullmatch(text) is not None


def stored(precision: Precision, sheet: Accelerator) -> str:
    """What is told where numbers are kept in a precision that the accelerator does not compute in; else empty."""
    if precision != _STORED:
        return ""
    return f"precision fp16 on {sheet.name}: kept in fp16, computed in fp32"
