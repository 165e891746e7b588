"""How a row says that a model was fine-tuned: the method, the bits of what is frozen, the adapters."""

from typing import Any

import pytest

from zenplan.adapters.tables.accelerators import read_accelerators
from zenplan.adapters.tables.coefficients import read_coefficients
from zenplan.backtesting.runs import Run, runs_of
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.software import Software
from zenplan.planning.explain.method import QLORA_WEIGHT_BYTES

CATALOGUE = Catalogue(accelerators=read_accelerators())
COEFFICIENTS = read_coefficients()
ROW = {
    "model": "llama2-7b",
    "family": "decoder",
    "seq_len": "2048",
    "accelerator": "A100-SXM4-80GB",
    "devices": "1",
    "precision": "bf16",
    "framework": "LLaMA-Factory",
    "micro_batch": "4",
    "global_batch": "4",
    "recompute": "full",
    "tokens_per_s_per_device": "3000",
}
# PEFT prints them for Llama-2-7B at rank 16 on all linear layers.
ALL = 39_976_960


def run(**cells: str) -> Run:
    (found,) = runs_of([ROW | cells], CATALOGUE, COEFFICIENTS)
    assert isinstance(found, Run), found.message
    return found


@pytest.mark.parametrize(
    ("task", "method", "each"),
    [
        ("qlora", "qlora", QLORA_WEIGHT_BYTES),
        ("QLoRA-SFT", "qlora", QLORA_WEIGHT_BYTES),
        ("4-bit LoRA", "qlora", QLORA_WEIGHT_BYTES),
        ("FSDP QLoRA", "qlora", QLORA_WEIGHT_BYTES),
        ("lora", "lora", 2.0),
        ("LoRA r=16", "lora", 2.0),
        ("DoRA", "lora", 2.0),
        ("sft", "full", 2.0),
        ("full finetuning", "full", 2.0),
    ],
)
def test_the_task_says_the_method(task: str, method: str, each: float) -> None:
    plan = run(task=task).plan
    assert (plan.method, plan.weight_bytes) == (method, each)
    assert (plan.workload.trainable_parameters == ALL) == (method != "full")


@pytest.mark.parametrize(
    ("cells", "method", "bits"),
    [
        ({"options": "nf4;packed"}, "qlora", 4.127),
        ({"options": "gptq"}, "qlora", 4.15625),
        ({"options": "int8"}, "lora", 8),
        ({"precision": "bf16 + 4-bit NF4"}, "qlora", 4.127),
        ({"precision": "bf16 (8-bit base)"}, "lora", 8),
        ({"precision": "bf16"}, "lora", 16),
    ],
)
def test_words_of_a_lora_row_say_in_how_many_bits_the_rest_is_kept(
    cells: dict[str, str], method: str, bits: float
) -> None:
    plan = run(task="lora", **cells).plan
    assert plan.method == method
    assert 8 * plan.weight_bytes == pytest.approx(bits)


def test_the_format_of_frozen_weights_says_nothing_of_full_training() -> None:
    plan = run(task="sft", options="nf4").plan
    assert (plan.method, plan.weight_bytes) == ("full", 2.0)


@pytest.mark.parametrize("column", ["lora_rank", "lora_r", "rank"])
def test_the_rank_is_that_of_the_row(column: str) -> None:
    assert run(task="lora", **{column: "64"}).plan.workload.trainable_parameters == 4 * ALL
    assert not any("rank" in said for said in run(task="lora", **{column: "64"}).assumed)
    assert any("lora_rank is empty: 16" in said for said in run(task="lora").assumed)


@pytest.mark.parametrize(
    ("targets", "of_a_layer"),
    [
        ("all-linear", 4 * 8192 + 3 * (4096 + 11_008)),
        ("q_proj,k_proj,v_proj,o_proj", 4 * 8192),
        ("attention", 4 * 8192),
        ("linear_qkv", 3 * 8192),
        ("q_proj;k_proj;v_proj;o_proj;gate_proj;up_proj;down_proj", 4 * 8192 + 3 * (4096 + 11_008)),
    ],
)
def test_which_products_have_adapters(targets: str, of_a_layer: int) -> None:
    assert run(task="lora", lora_targets=targets).plan.workload.trainable_parameters == 32 * 16 * of_a_layer


@pytest.mark.parametrize(
    ("framework", "targets"),
    [("NeMo 24.07", "query-key-value"), ("HF TRL + fms-acceleration", "attention"), ("Unsloth", "all")],
)
def test_where_the_row_does_not_say_it_is_what_the_software_does(framework: str, targets: str) -> None:
    (said,) = [said for said in run(task="lora", framework=framework).assumed if "lora_targets" in said]
    assert said.startswith(f"lora_targets is empty: {targets}, as ")


def test_an_optimizer_among_the_options_is_taken() -> None:
    names = [run(task="lora", options=o).plan.optimizer.name for o in ("", "paged-adamw-8bit;packed", "adafactor")]
    assert names == ["adamw", "adamw-8bit", "adafactor"]


def test_runs_of_one_model_with_the_same_adapters_share_it() -> None:
    one, other, wider = run(task="lora"), run(task="lora", micro_batch="2"), run(task="lora", lora_rank="32")
    assert one.plan.workload is other.plan.workload
    assert wider.plan.workload is not one.plan.workload


def test_fused_kernels_among_the_options_make_it_another_kind() -> None:
    def kind(**cells: Any) -> Software | None:
        return run(task="lora", **cells).plan.software

    assert (kind(), kind(options="liger"), kind(framework="Unsloth")) == (
        Software.EAGER,
        Software.PATCHED,
        Software.PATCHED,
    )


def test_a_card_on_slow_lanes_has_no_link_and_a_quarter_of_pcie() -> None:
    two = {"accelerator": "RTX-3090", "devices": "2", "global_batch": "8", "task": "qlora"}
    plain, slow = run(**two), run(**two, options="slow-pcie")
    assert (plain.cluster.linked_devices, slow.cluster.linked_devices) == (2, 1)
    assert slow.cluster.pcie_bytes_per_s == plain.cluster.pcie_bytes_per_s / 4
