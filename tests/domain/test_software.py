"""Which kind of framework a name stands for."""

import pytest

from zenplan.domain.software import Software, software_of

EAGER, FUSED, COMPILED, XLA = Software.EAGER, Software.FUSED, Software.COMPILED, Software.XLA


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
        ("MaxText", XLA),
        ("PyTorch/XLA", XLA),
        ("TensorFlow2 BERT (LAMB)", XLA),
        ("TF 1.15", XLA),
        ("Keras 3 on JAX", XLA),
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
    assert [software_of(name, yes) for name in ("Megatron-LM", "MaxText")] == [FUSED, XLA]


@pytest.mark.parametrize("unknown", ["", "maybe"])
def test_without_a_word_on_a_compiler_the_name_stands(unknown: str) -> None:
    names = ("Hugging Face", "PyTorch FSDP", "TensorFlow 2.2", "")
    assert [software_of(name, unknown) for name in names] == [EAGER, None, XLA, None]


@pytest.mark.parametrize("no", ["no", "false", "0"])
def test_without_its_compiler_a_framework_runs_operator_by_operator(no: str) -> None:
    names = ("PyTorch FSDP", "TensorFlow 2.2", "Megatron-LM", "")
    assert [software_of(name, no) for name in names] == [EAGER, EAGER, FUSED, None]
