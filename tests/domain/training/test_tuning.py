from typing import Any

import pytest

from zenplan.domain.training.stack import STACKS
from zenplan.domain.training.tuning import USUAL, TensorOverlap, Tuning, tuning_of
from zenplan.errors import DataError

NONE, BACKWARD, PIPELINED = TensorOverlap


@pytest.mark.parametrize(
    ("framework", "release", "tensor"),
    [
        ("Megatron-LM v1.1", "", NONE),
        ("Megatron-LM 2021", "", NONE),
        ("Megatron-DeepSpeed (BigScience)", "", NONE),
        ("Megatron-LM 2022", "", BACKWARD),
        ("Megatron-LM", "", BACKWARD),
        ("Primus (Megatron-LM, ROCm 7.1)", "", BACKWARD),
        ("NeMo Megatron", "23.08.03", BACKWARD),
        ("NeMo", "v25.04.02", PIPELINED),
        ("NeMo 24.07", "24.07", PIPELINED),
        ("Megatron-Bridge", "26.02", PIPELINED),
        ("Megatron-Core r0.8.0", "r0.8.0", BACKWARD),
        ("PyTorch FSDP", "", NONE),
        ("DeepSpeed", "", NONE),
    ],
)
def test_exchanges_are_overlapped_since_software_does_it(framework: str, release: str, tensor: TensorOverlap) -> None:
    assert tuning_of(framework, release).tensor is tensor


@pytest.mark.parametrize(
    ("framework", "apart"),
    [
        ("pytorch-1.12-cu113", True),
        ("PyTorch 1.4", True),
        ("pytorch-NGC20.06", True),
        ("pytorch-NGC22.09", True),
        ("pytorch-NGC24.10", False),
        ("pytorch-2.1", False),
        ("pytorch", False),
        ("tensorflow-1.15-NGC20.03", False),
    ],
)
def test_pytorch_updates_tensor_by_tensor_before_2_0(framework: str, apart: bool) -> None:
    assert tuning_of(framework).apart is apart


def test_megatron_sends_in_pieces_where_it_is_asked_to() -> None:
    assert tuning_of("Megatron-Core r0.8.0", options={"tp-overlap"}).tensor is PIPELINED


@pytest.mark.parametrize(
    ("framework", "release", "fused"),
    [
        ("Megatron-Core", "0.8.0", False),
        ("Megatron-Core", "0.12.0", True),
        ("NeMo 24.07", "24.07", False),
        ("NeMo", "v25.05.05", True),
        ("Megatron-Bridge", "25.09", True),
        ("Megatron-LM", "", False),
    ],
)
def test_mixtures_are_fused_since_megatron_core_0_11(framework: str, release: str, fused: bool) -> None:
    found = tuning_of(framework, release)
    assert (found.permutation, found.once_a_node, found.experts) == (fused, fused, fused)


@pytest.mark.parametrize(
    ("framework", "fused"), [("HF TRL", False), ("Hugging Face Trainer", False), ("Unsloth", True)]
)
def test_models_of_hugging_face_take_experts_one_after_the_other(framework: str, fused: bool) -> None:
    assert tuning_of(framework).permutation is fused


def test_whole_steps_are_replayed_since_june_of_2026() -> None:
    before, after = (tuning_of("Megatron-Bridge", release) for release in ("26.02.01", "26.08"))
    assert (before.grouped, before.replayed) == (False, 0.0)
    assert after.grouped
    assert after.replayed > 0.5


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("no-overlap", {"tensor": NONE, "data": False, "experts": False}),
        ("balanced-routing", {"balanced": True, "dropless": True}),
        ("token-drop", {"balanced": True, "dropless": False}),
    ],
)
def test_a_row_says_what_was_on_or_off(option: str, said: dict[str, Any]) -> None:
    found = tuning_of("Megatron-Bridge", "25.11", {option})
    assert {name: getattr(found, name) for name in said} == said


def test_deepep_sends_tokens_once_a_node_and_device() -> None:
    assert not tuning_of("Megatron-Core", "0.12.0").once_a_device
    assert tuning_of("Megatron-LM", options={"deepep"}).once_a_device
    assert not tuning_of("Megatron-LM").once_a_node
    assert tuning_of("Megatron-LM", options={"deepep"}).once_a_node


@pytest.mark.parametrize(
    ("framework", "wide"),
    [
        ("Megatron-LM 2024", True),
        ("Megatron-Core r0.8.0", True),
        ("Megatron-DeepSpeed (BigScience)", True),
        ("torchtitan", True),
        ("OLMo-core (PyTorch FSDP, torch.compile)", True),
        ("YaFSDP (PyTorch)", True),
        ("NeMo Megatron 23.08", False),
        ("Megatron-Bridge", False),
        ("PyTorch FSDP + torch.compile (fms-fsdp)", False),
        ("Hugging Face Trainer + DeepSpeed", False),
        ("MaxText (JAX)", False),
    ],
)
def test_whose_gradients_are_summed_in_fp32(framework: str, wide: bool) -> None:
    assert tuning_of(framework).sums_wide is wide


def test_early_software_reduces_gradients_last() -> None:
    names = ("Megatron-LM 2021", "Megatron-DeepSpeed", "Megatron-LM 2024", "NeMo Megatron 23.08", "PyTorch FSDP")
    assert [tuning_of(name).data for name in names] == [False, False, True, True, True]


def test_stacks_are_those_of_today() -> None:
    assert STACKS["nemo"].tuning.grouped
    assert STACKS["megatron"].tuning.permutation
    assert STACKS["hf-trainer"].tuning.tensor is NONE


def test_a_share_of_launches_is_0_to_1() -> None:
    assert Tuning() == USUAL
    for wrong in (-0.1, 1.1):
        with pytest.raises(DataError, match="replayed"):
            Tuning(replayed=wrong)
