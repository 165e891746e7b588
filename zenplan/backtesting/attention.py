"""Which kernel of attention a measured run had: as its row names it, or as its software had at its time."""

from __future__ import annotations

import re
from typing import Final

from zenplan.domain.fit.attention import KERNELS, AttentionKernel, cudnn, usual_kernel
from zenplan.domain.measured.run import MeasuredRun
from zenplan.domain.software import Software
from zenplan.domain.training.traits import Trait, traits_of

# What tables call a kernel; the first that is found decides. "flash" alone does not say which.
_NAMED: Final = (
    (r"flash[- ]?attention[- ]?4|\bfa-?4|flash[- ]?4", "fa4"),
    (r"flash[- ]?attention[- ]?3|\bfa-?3|flash[- ]?3", "fa3"),
    (r"flash[- ]?attention[- ]?2|\bfa-?2|flash[- ]?2", "fa2"),
    (r"flash[- ]?attention[- ]?1|\bfa-?1|flash[- ]?1", "fa1"),
    (r"cudnn|\bte\b|transformer ?engine", "cudnn"),
    (r"xformers|memory[- ]efficient", "xformers"),
    (r"splash|pallas", "splash"),
    (r"triton|flex", "triton"),
    (r"\bck\b|composable|aiter", "ck"),
)
# No fused kernel, whatever else a row says of its attention.
_UNFUSED: Final = re.compile(r"pre-?flash|standard|unfused|\bmath\b")
# FlashAttention-2 came out in July 2023.
_FIRST_ONLY: Final = 2022
# torchtitan asks PyTorch for cuDNN's attention first since 2025; PyTorch by itself takes FlashAttention-2.
_CUDNN_IN_PYTORCH: Final = 2025
_YEAR: Final = re.compile(r"\b(?:20)?(2\d)\.(?:0[1-9]|1[0-2])\b|\b20(2\d)\b")


def names_unfused(kernel: str) -> bool:
    """Whether the name of a kernel is that of no fused one."""
    return bool(_UNFUSED.search(kernel.lower()))


def attention_kernel(run: MeasuredRun, software: Software | None) -> tuple[AttentionKernel, str]:
    """The kernel, and what was taken where the row does not name it.

    Args:
        run: of which attention is fused.
        software: the kind of its framework.
    """
    architecture, said = run.accelerator.architecture, run.attention_kernel.lower()
    for words, name in _NAMED:
        if re.search(words, said):
            return cudnn(architecture) if name == "cudnn" else KERNELS[name], ""
    usual = usual_kernel(architecture, software)
    year = _year(f"{run.framework} {run.release}")
    early = software is Software.COMPILED and year is not None and year < _CUDNN_IN_PYTORCH
    if usual is cudnn(architecture) and (early or Trait.FLASH_PACKAGE in traits_of(run.framework)):
        usual = KERNELS["fa2"]
    if usual.name == "fa2" and year is not None and year <= _FIRST_ONLY:
        usual = KERNELS["fa1"]
    told = f"is {run.attention_kernel}" if said else "is empty"
    return usual, f"attention_kernel {told}: {usual.what}, as that software has on {architecture}"


def _year(text: str) -> int | None:
    """The year of a release, as in ``24.07`` and ``2023``; None where none stands there."""
    found = _YEAR.search(text)
    return 2000 + int(found[1] or found[2]) if found else None
