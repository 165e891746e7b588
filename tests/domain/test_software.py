"""Which kind of framework a name stands for."""

import pytest

from zenplan.domain.software import Software, keras_software, software_of

EAGER, PATCHED, FUSED, COMPILED = Software.EAGER, Software.PATCHED, Software.FUSED, Software.COMPILED
JAX, XLA = Software.JAX, Software.XLA


@pytest.mark.parametrize(
    ("framework", "kind"),
    [
        ("HuggingFace", EAGER),
        ("Hugging Face Trainer", EAGER),
        ("HF+DeepSpeed", EAGER),  # the model is Hugging Face's, whoever divides its states
        ("LLaMA-Factory", EAGER),
        ("Megatron-LM v1.1", FUSED),
        ("Megatron-DeepSpeed (BigScience)", FUSED),
        ("NeMo 24.07", FUSED),
        ("Composer/llm-foundry", FUSED),
        ("GPT-NeoX", FUSED),
        ("PyTorch + Transformer Engine", FUSED),
        ("llm.c", FUSED),
        ("torchtitan 2024-12", COMPILED),
        ("TorchTitan", COMPILED),
        ("PyTorch torch.compile", COMPILED),
        ("nanochat", COMPILED),
        ("TRL + PEFT", EAGER),
        ("torchtune 0.4", EAGER),
        ("Hugging Face Trainer + DeepSpeed (ms-swift)", EAGER),
        ("Megatron-LM (Megatron-SWIFT 2025)", FUSED),
        ("LitGPT", EAGER),
        ("Axolotl", EAGER),
        ("PyTorch FSDP + HF (fsdp_qlora)", EAGER),
        ("Unsloth 2025.3", PATCHED),
        ("LLaMA-Factory (Unsloth)", PATCHED),
        ("HF Trainer + Liger Kernel", PATCHED),
        ("optimum-habana (HF Trainer)", COMPILED),
        ("MaxText", JAX),
        ("PaxML (JAX) + TransformerEngine", JAX),
        ("Levanter", JAX),
        ("EasyLM", JAX),
        ("PyTorch/XLA", JAX),
        ("PyTorch XLA 2.5", JAX),
        ("TensorFlow2 BERT (LAMB)", XLA),
        ("TF 1.15", XLA),
        ("Keras 3 on JAX", JAX),
        ("Keras 3 TensorFlow", XLA),
        ("keras", JAX),
        ("", None),
        ("in-house", None),
        ("PaddlePaddle", None),
        ("PyTorch FSDP", None),  # may be any of the first three
    ],
)
def test_a_name_tells_the_kind(framework: str, kind: Software | None) -> None:
    assert software_of(framework) is kind


@pytest.mark.parametrize("yes", ["yes", "True", " 1 "])
def test_a_compiler_changes_what_would_run_operator_by_operator(yes: str) -> None:
    assert [software_of(name, yes) for name in ("Hugging Face", "PyTorch FSDP", "")] == [COMPILED] * 3
    # Kernels fused by hand, and XLA, are what they were.
    assert [software_of(name, yes) for name in ("Megatron-LM", "MaxText", "TF 2.2")] == [FUSED, JAX, XLA]


def test_options_put_fused_kernels_into_hugging_face_models_alone() -> None:
    names = ("HF TRL", "Axolotl", "Megatron-LM", "")
    for option in ("liger", "fast-kernels", "unsloth"):
        kinds = [software_of(name, options=frozenset((option, "packed"))) for name in names]
        assert kinds == [PATCHED, PATCHED, FUSED, None]
    assert software_of("HF TRL", options=frozenset(("packed", "nf4"))) is EAGER


def test_keras_has_the_kind_of_its_backend() -> None:
    assert [keras_software(b, compiled=True) for b in ("torch", "jax", "tensorflow")] == [COMPILED, JAX, XLA]
    assert {keras_software(b, compiled=False) for b in ("torch", "jax", "tensorflow")} == {EAGER}


@pytest.mark.parametrize("unknown", ["", "maybe"])
def test_without_a_word_on_a_compiler_the_name_stands(unknown: str) -> None:
    names = ("Hugging Face", "PyTorch FSDP", "TensorFlow 2.2", "")
    assert [software_of(name, unknown) for name in names] == [EAGER, None, XLA, None]


@pytest.mark.parametrize("no", ["no", "false", "0"])
def test_without_its_compiler_a_framework_runs_operator_by_operator(no: str) -> None:
    names = ("PyTorch FSDP", "TensorFlow 2.2", "Megatron-LM", "")
    assert [software_of(name, no) for name in names] == [EAGER, EAGER, FUSED, None]
