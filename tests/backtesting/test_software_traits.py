"""What a run's software did at its time, where its row does not say."""

from typing import Any

import pytest

from zenplan.adapters.tables.accelerators import read_accelerators
from zenplan.backtesting.layouts import SoftwareTraits, software_traits
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.measured.run import MeasuredRun
from zenplan.domain.precision import PRECISIONS
from zenplan.domain.software import Software, software_of
from zenplan.domain.training.layout import Recompute

CATALOGUE = Catalogue(accelerators=read_accelerators())


def traits(
    framework: str = "PyTorch",
    fused_attention: bool | None = None,
    gpu: str = "A100-SXM4-80GB",
    precision: str = "bf16",
    recompute: Recompute = Recompute.NONE,
    release: str = "",
) -> SoftwareTraits:
    run = MeasuredRun(
        accelerator=CATALOGUE.by_name(gpu),
        devices=8,
        precision=PRECISIONS[precision],
        family="decoder",
        framework=framework,
        fused_attention=fused_attention,
        recompute=recompute,
        release=release,
    )
    return software_traits(run, software_of(framework))


@pytest.mark.parametrize(
    ("framework", "fused", "why"),
    [
        ("PyTorch", True, "fused"),
        ("", True, "fused"),
        ("torchtitan 2024-12", True, "fused"),
        ("Megatron-LM 2020", False, "older than FlashAttention"),
        ("Megatron-LM v1.1", False, "older than FlashAttention"),
        ("Megatron-DeepSpeed (BigScience)", False, "older than FlashAttention"),
        ("Megatron-LM", False, "default of Megatron-LM"),
        ("NeMo Megatron", False, "default of Megatron-LM"),
        ("Megatron-LM 2023", False, "default of Megatron-LM"),
        ("Megatron-LM 2024-06", True, "fused"),
        ("Megatron-Core", True, "fused"),
        ("Megatron-Bridge", True, "fused"),
        ("NeMo 24.07", True, "fused"),
        ("Megatron-DeepSpeed (Intel Gaudi)", True, "fused"),
        ("mesh-transformer-jax (JAX 0.2.12)", False, "as XLA computes it"),
        ("Levanter (JAX 0.4.30)", True, "fused"),
    ],
)
def test_attention_where_the_row_does_not_say(framework: str, fused: bool, why: str) -> None:
    found = traits(framework)
    assert found.fused_attention is fused
    (said,) = found.assumed
    assert said.startswith("attention is ")
    assert why in said


@pytest.mark.parametrize(
    ("release", "fused"), [("2.9", False), ("2.18.0", False), ("2.19.0", True), ("2.21", True), ("", True)]
)
def test_trainium_has_a_kernel_of_attention_since_2_19(release: str, fused: bool) -> None:
    assert traits("NeuronX Distributed", gpu="Trainium1", release=release).fused_attention is fused


def test_a_row_that_says_is_believed() -> None:
    for fused in (True, False):
        found = traits("Megatron-LM", fused)
        assert (found.fused_attention, found.assumed) == (fused, ())


@pytest.mark.parametrize("gpu", ["V100-SXM2-32GB", "P100-SXM2-16GB"])
def test_no_fused_kernel_for_old_devices(gpu: str) -> None:
    found = traits(fused_attention=True, gpu=gpu, precision="fp16")
    assert not found.fused_attention
    assert "no fused kernel for" in found.assumed[0]
    assert traits(fused_attention=False, gpu=gpu, precision="fp16").assumed == ()


@pytest.mark.parametrize(("precision", "fused"), [("fp32", False), ("tf32", False), ("fp16", True), ("fp8", True)])
def test_fused_kernels_are_for_16_bits(precision: str, fused: bool) -> None:
    # Under fp8 attention stays in 16 bits.
    found = traits(fused_attention=True, gpu="H100-SXM5-80GB", precision=precision)
    assert found.fused_attention is fused
    assert (precision in "".join(found.assumed)) is not fused


def test_sequence_parallelism_came_with_fused_attention_and_selective_recomputation() -> None:
    # Korthikanti et al. 2022 brought both; what is older has neither.
    assert not traits("Megatron-LM v1.1").sequence
    assert not traits("Megatron-LM", False, recompute=Recompute.FULL).sequence
    assert traits("Megatron-LM", False, recompute=Recompute.SELECTIVE).sequence
    assert traits("Megatron-LM", True).sequence


@pytest.mark.parametrize(
    ("framework", "stages"),
    [
        ("Megatron-LM", (0, 1)),
        ("Megatron-DeepSpeed", (0, 1, 2, 3)),
        ("Composer/llm-foundry", (0, 1, 2, 3)),
        ("HuggingFace", (0, 1, 2, 3)),
        ("in-house", (0, 1, 2, 3)),
        ("torchtitan 2024-12", (3,)),
        ("MaxText", (0, 3)),
    ],
)
def test_zero_stages_that_software_offers(framework: str, stages: tuple[int, ...]) -> None:
    assert traits(framework).zero_stages == stages


def test_selective_means_every_second_product_under_a_compiler() -> None:
    def half(framework: Any) -> bool:
        return traits(framework).half

    assert [half(name) for name in ("torchtitan", "Megatron-LM", "HuggingFace", "MaxText")] == [
        True,
        False,
        False,
        False,
    ]
    assert software_of("torchtitan") is Software.COMPILED
