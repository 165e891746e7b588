"""What a run's software could do at its time: fused attention, sequence parallelism, ZeRO stages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.precision import Precision
from zenplan.domain.software import Software
from zenplan.domain.training.layout import Recompute

# Frameworks by name or year from before FlashAttention (May 2022). BigScience trained until then.
_BEFORE_FLASH = re.compile(r"bigscience|megatron\S* v1\.\d|\b20(1[5-9]|20|21)\b")
# No fused attention kernel was made for these.
_NO_FLASH = ("Kepler", "Maxwell", "Pascal", "Volta")
# Megatron-LM and NeMo kept fused attention off by default until NeMo 24.
_MODERN_MEGATRON = re.compile(r"nemo 2[4-9]|bridge|core|202[4-9]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Era:
    """What a run's software did, or could do where the row does not say.

    Attributes:
        fused_attention: attention ran in a fused kernel.
        sequence: what lies between tensor-parallel products was divided too (Korthikanti et al. 2022).
        zero_stages: ZeRO stages that the software offered.
        half: selective recomputation computes every second product again (torchtitan), not attention alone.
        assumed: what was taken, and why.
    """

    fused_attention: bool
    sequence: bool
    zero_stages: tuple[int, ...]
    half: bool
    assumed: tuple[str, ...]


def era_of(row: Mapping[str, str], sheet: Accelerator, precision: Precision, software: Software | None) -> Era:
    """The era of a row, by its software's name, its device and its precision."""
    name = row["framework"].lower()
    fused, why = _fused(row["attention"], name, sheet, precision)
    stages: tuple[int, ...] = (0, 1, 2, 3)
    if software is Software.FUSED and "deepspeed" not in name and "foundry" not in name:
        stages = (0, 1)
    elif software is Software.COMPILED:
        stages = (3,)
    elif software is Software.XLA:
        stages = (0, 3)
    return Era(
        fused_attention=fused,
        sequence=fused or row["recompute"] == Recompute.SELECTIVE,
        zero_stages=stages,
        half=software is Software.COMPILED,
        assumed=(why,) if why else (),
    )


def _fused(attention: str, name: str, sheet: Accelerator, precision: Precision) -> tuple[bool, str]:
    """Whether attention was fused, and why it is taken so where the row does not say or cannot be right."""
    if sheet.architecture in _NO_FLASH:
        return (
            False,
            "" if attention == "standard" else f"attention is standard: no fused kernel for {sheet.architecture}",
        )
    if precision.other_dtype in ("fp32", "tf32"):
        return (
            False,
            "" if attention == "standard" else f"attention is standard: no fused kernel in {precision.other_dtype}",
        )
    if attention == "standard":
        return False, ""
    if _BEFORE_FLASH.search(name):
        return False, "attention is standard: the software is older than FlashAttention"
    if attention:
        return True, ""
    if re.search("megatron|nemo", name) and not _MODERN_MEGATRON.search(name):
        return False, "attention is empty: standard, the default of Megatron-LM and NeMo until 2024"
    return True, "attention is empty: fused"


def channels_last(row: Mapping[str, str], precision: Precision, software: Software | None) -> tuple[bool, str]:
    """Whether feature maps lie with their channels last, as tensor cores take them, and why it is taken so.

    PyTorch keeps channels first where nobody asks, also in NVIDIA's containers. TensorFlow turns 16-bit ones, but not
    those of several replicas in one process; what is tuned by hand has them last. Without tensor cores it makes no
    difference.
    """
    layout, name = row.get("layout", ""), row["framework"].lower()
    if layout or row["family"] != "convnet" or precision.other_dtype == "fp32":
        return layout != "nchw", ""
    if "pytorch" in name and software is not Software.FUSED:
        return False, "layout is empty: channels first, the default of PyTorch"
    if "tf_cnn_benchmarks" in row["model"] and (precision.other_dtype == "tf32" or _replicated(row, software)):
        return False, "layout is empty: channels first, the default of tf_cnn_benchmarks"
    return True, "layout is empty: channels last, as tensor cores take them"


def _replicated(row: Mapping[str, str], software: Software | None) -> bool:
    """Whether one process runs operator by operator on several devices."""
    return software is Software.EAGER and int(row["devices"]) > 1
