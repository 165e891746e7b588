"""Which kernel of attention a measured run had."""

from typing import Any

import pytest

from zenplan.adapters.tables.accelerators import read_accelerators
from zenplan.backtesting.attention import attention_kernel
from zenplan.backtesting.layouts import software_traits
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.measured.run import MeasuredRun
from zenplan.domain.precision import PRECISIONS
from zenplan.domain.software import software_of

CATALOGUE = Catalogue(accelerators=read_accelerators())


def run(framework: str = "", gpu: str = "H100-SXM5-80GB", **cells: Any) -> MeasuredRun:
    sheet, precision = CATALOGUE.by_name(gpu), PRECISIONS["bf16"]
    return MeasuredRun(
        accelerator=sheet, devices=8, precision=precision, family="decoder", framework=framework, **cells
    )


@pytest.mark.parametrize(
    ("said", "gpu", "kernel"),
    [
        ("flash/cuDNN", "H100-SXM5-80GB", "cudnn-9"),
        ("TE fused", "B200-SXM-180GB", "cudnn-10"),
        ("cudnn", "A100-SXM4-80GB", "fa2"),
        ("FlashAttention-3", "H100-SXM5-80GB", "fa3"),
        ("fa2", "H100-SXM5-80GB", "fa2"),
        ("flash attention 2", "RTX-4090", "fa2"),
        ("xformers", "A100-SXM4-80GB", "xformers"),
        ("splash", "TPU-v5p", "splash"),
        ("CK", "MI300X", "ck"),
    ],
)
def test_a_row_that_names_it_is_believed(said: str, gpu: str, kernel: str) -> None:
    found, assumed = attention_kernel(run(gpu=gpu, attention_kernel=said), None)
    assert (found.name, assumed) == (kernel, "")


@pytest.mark.parametrize(
    ("framework", "release", "gpu", "kernel"),
    [
        ("NeMo", "24.07", "H100-SXM5-80GB", "cudnn-9"),
        ("Megatron-Bridge", "25.09", "B200-SXM-180GB", "cudnn-10"),
        ("MaxText (JAX)", "", "H100-SXM5-80GB", "cudnn-9"),
        ("Megatron-DeepSpeed", "", "H100-SXM5-80GB", "fa2"),
        ("HF TRL", "", "H100-SXM5-80GB", "fa2"),
        ("torchtitan 2024-12", "", "H100-SXM5-80GB", "fa2"),
        ("torchtitan", "", "H100-SXM5-80GB", "cudnn-9"),
        ("torchtitan 2025-06", "", "B200-SXM-180GB", "cudnn-10"),
        ("NeMo", "24.07", "A100-SXM4-80GB", "fa2"),
        ("flash-attn", "2022", "A100-SXM4-80GB", "fa1"),
        ("HF Trainer", "2023", "A100-SXM4-80GB", "fa2"),
        ("Primus", "25.09", "MI300X", "ck"),
    ],
)
def test_the_software_and_its_year_say_it_where_the_row_does_not(
    framework: str, release: str, gpu: str, kernel: str
) -> None:
    # "flash" says that attention was fused, and not in which of them.
    row = run(framework, gpu, release=release, attention_kernel="flash")
    found, assumed = attention_kernel(row, software_of(framework))
    assert found.name == kernel
    assert assumed.startswith("attention_kernel is flash: ")


def test_the_name_of_no_fused_kernel_wins() -> None:
    row = run("Megatron-LM 2022", fused_attention=True, attention_kernel="fused softmax (pre-flash)")
    found = software_traits(row, software_of("Megatron-LM 2022"))
    assert not found.fused_attention
    assert "pre-flash" in found.assumed[0]
