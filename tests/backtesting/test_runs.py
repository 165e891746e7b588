"""Rows of measured runs as plans, layouts and clusters; what is taken where a cell is empty."""

from typing import Any

import pytest

from zenplan.adapters.tables.accelerators import read_accelerators
from zenplan.adapters.tables.coefficients import read_coefficients
from zenplan.backtesting.runs import Run, measured_tokens_per_s, runs_of
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.software import Software
from zenplan.domain.training.layout import Recompute
from zenplan.errors import Skipped

CATALOGUE = Catalogue(accelerators=read_accelerators())
COEFFICIENTS = read_coefficients()
COLUMNS = (
    "family",
    "model",
    "params",
    "active_params",
    "layers",
    "width",
    "heads",
    "kv_heads",
    "ff_width",
    "gated",
    "vocab",
    "seq_len",
    "task",
    "accelerator",
    "devices",
    "node_devices",
    "network_gbit_per_s_per_device",
    "precision",
    "attention",
    "framework",
    "compiled",
    "global_batch",
    "micro_batch",
    "dp",
    "tp",
    "pp",
    "cp",
    "ep",
    "vp",
    "zero_stage",
    "recompute",
    "tokens_per_s_per_device",
    "samples_per_s_per_device",
)
# The least that a row has to say.
BARE = {
    **dict.fromkeys(COLUMNS, ""),
    "family": "decoder",
    "model": "in-house",
    "params": "1.3e9",
    "seq_len": "2048",
    "accelerator": "A100-SXM4-80GB",
    "devices": "8",
    "tokens_per_s_per_device": "15000",
}
FULL = {
    **BARE,
    "layers": "24",
    "width": "2048",
    "heads": "16",
    "vocab": "50257",
    "precision": "bf16",
    "attention": "flash",
    "attention_kernel": "FlashAttention-2",
    "framework": "Megatron-LM",
    "global_batch": "64",
    "micro_batch": "4",
    "dp": "4",
    "tp": "2",
    "pp": "1",
    "zero_stage": "1",
    "recompute": "selective",
    "task": "pretrain",
}


def one(row: dict[str, str], **cells: str) -> Run:
    (found,) = runs_of([{**row, **cells}], CATALOGUE, COEFFICIENTS)
    assert isinstance(found, Run), found.message
    return found


def why(row: dict[str, str], **cells: str) -> str:
    (found,) = runs_of([{**row, **cells}], CATALOGUE, COEFFICIENTS)
    assert not isinstance(found, Run)
    return found.message


def test_a_row_that_says_all_leaves_nothing_to_assume() -> None:
    run = one(FULL)
    assert (run.guessed, run.assumed, run.fits) == (False, (), True)
    (layout,) = run.layouts
    assert str(layout) == "dp4·tp2 mb4×4 ZeRO-1 recompute selective"
    assert (run.plan.global_batch, run.plan.software, run.plan.fused_attention) == (64, Software.FUSED, True)
    assert run.tokens_per_s == 15_000
    assert run.cluster.efficiency == COEFFICIENTS.of("Ampere", run.plan.precision, Software.FUSED, "decoder")


def test_each_empty_cell_is_told() -> None:
    run = one(BARE)
    assert run.guessed
    told = {text.partition(" is empty")[0] for text in run.assumed}
    assert told == {
        "attention",
        "attention_kernel",
        "global_batch",
        "micro_batch",
        "recompute",
        "zero_stage",
        "framework",
        "precision",
        "task",
    }
    assert run.plan.precision.name == "bf16"
    assert run.plan.software is None
    assert run.plan.fused_attention
    assert {layout.zero for layout in run.layouts} == {0, 1, 2, 3}


@pytest.mark.parametrize("name", ["global_batch", "micro_batch", "recompute", "zero_stage"])
def test_one_cell_of_the_layout_makes_it_guessed(name: str) -> None:
    run = one(FULL, **{name: ""})
    assert run.guessed
    assert [text.partition(" is empty")[0] for text in run.assumed] == [name]


@pytest.mark.parametrize(
    ("printed", "gpu", "name"),
    [
        ("bf16", "A100-SXM4-80GB", "bf16"),
        ("BF16-mixed", "A100-SXM4-80GB", "bf16"),
        ("fp16 (mixed)", "V100-SXM2-32GB", "fp16"),
        ("TF32", "A100-SXM4-80GB", "tf32"),
        ("fp32", "V100-SXM2-32GB", "fp32"),
        ("FP8-CS", "H100-SXM5-80GB", "fp8"),
        ("mxfp8", "B200-SXM-180GB", "mxfp8"),
        ("FP8-MX", "B200-SXM-180GB", "mxfp8"),
        ("nvfp4", "B200-SXM-180GB", "nvfp4"),
        ("MXFP4", "B200-SXM-180GB", "nvfp4"),
        ("bfloat16", "A100-SXM4-80GB", "bf16"),
        ("float16", "A100-SXM4-80GB", "fp16"),
        ("half", "A100-SXM4-80GB", "fp16"),
        ("mixed", "A100-SXM4-80GB", "bf16"),
        ("amp", "V100-SXM2-32GB", "fp16"),
        ("", "A100-SXM4-80GB", "bf16"),
        ("", "V100-SXM2-32GB", "fp16"),  # before bf16
        ("fp8 with bf16", "H100-SXM5-80GB", "fp8"),  # what is wide under fp8 is bf16
    ],
)
def test_names_of_precisions(printed: str, gpu: str, name: str) -> None:
    assert one(FULL, precision=printed, accelerator=gpu).plan.precision.name == name


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"precision": "nvfp4"}, "no nvfp4 peak in the data sheet of A100-SXM4-80GB"),
        ({"precision": "int4"}, "precision 'int4' is not known"),
        ({"precision": "fp8"}, "no fp8 peak in the data sheet of A100-SXM4-80GB"),
        ({"precision": "bf16", "accelerator": "V100-SXM2-32GB"}, "no bf16 peak"),
        ({"ep": "16"}, "ep = 16 is more than devices = 8"),
        ({"accelerator": "Z9000"}, "Z9000"),
        ({"seq_len": ""}, "no seq_len"),
        ({"dp": "3"}, "not 8 devices"),
        ({"global_batch": "15"}, "below one micro-batch"),
        ({"tokens_per_s_per_device": ""}, "no measurement"),
        ({"width": "", "params": ""}, "neither a shape nor params"),
    ],
)
def test_rows_that_are_no_runs_say_why(cells: dict[str, str], reason: str) -> None:
    assert reason in why(FULL, **cells)


def test_a_lora_row_trains_adapters_of_the_usual_rank() -> None:
    run, full = one(FULL, task="lora"), one(FULL)
    # Hu et al. 2021, section 4.1: rank · (in + out) beside each product of 24 layers of width 2048.
    pairs = (*[(2048, 2048)] * 4, (2048, 8192), (8192, 2048))
    adapters = 24 * 16 * sum(inner + columns for inner, columns in pairs)
    assert run.plan.method == "lora"
    assert run.plan.workload.trainable_parameters == adapters
    assert run.plan.workload.parameters == full.plan.workload.parameters + adapters
    assert run.assumed == (
        "lora_targets is empty: all, as QLoRA, and most software for it",
        "lora_rank is empty: 16",
    )
    assert (run.layouts, run.guessed) == (full.layouts, False)


def test_one_bad_row_does_not_stop_the_others() -> None:
    rows = [FULL, {**FULL, "accelerator": "Z9000"}, {**FULL, "devices": "16", "dp": "8"}]
    first, bad, last = runs_of(rows, CATALOGUE, COEFFICIENTS)
    assert isinstance(first, Run)
    assert isinstance(bad, Skipped)
    assert bad.message.startswith("unknown accelerator 'Z9000'")
    assert isinstance(last, Run)
    assert [first.devices, last.devices] == [8, 16]


def test_samples_are_sequences() -> None:
    run = one(FULL, tokens_per_s_per_device="", samples_per_s_per_device="7.5")
    assert run.tokens_per_s == 7.5 * 2048
    with pytest.raises(Skipped, match="no measured"):
        measured_tokens_per_s(run.measured.without_measurement(), 2048)


@pytest.mark.parametrize(
    ("cells", "nodes", "node", "network_bytes_per_s"),
    [
        ({}, 1, 8, None),
        ({"devices": "4", "dp": "2"}, 1, 4, None),
        ({"devices": "4", "dp": "2", "node_devices": "8"}, 1, 4, None),  # half of a machine
        ({"devices": "16", "dp": "8"}, 2, 8, 25e9),  # a DGX A100 has 200 Gbit/s for each device
        ({"devices": "16", "dp": "8", "network_gbit_per_s_per_device": "100"}, 2, 8, 12.5e9),
        ({"devices": "8", "node_devices": "4", "network_gbit_per_s_per_device": "40"}, 2, 4, 5e9),
        ({"network_gbit_per_s_per_device": "100"}, 1, 8, None),  # within a node there is nothing to cross
        ({"devices": "12", "dp": "6", "global_batch": "48"}, 2, 8, 25e9),  # the last node is half in use
    ],
)
def test_devices_are_in_nodes(cells: dict[str, str], nodes: int, node: int, network_bytes_per_s: float | None) -> None:
    cluster = one(FULL, **cells).cluster
    assert (cluster.nodes, cluster.node_devices, cluster.network_bytes_per_s) == (nodes, node, network_bytes_per_s)
    assert cluster.devices == int(cells.get("devices", 8))


def test_of_the_layouts_that_a_row_can_mean_those_that_fit() -> None:
    # 1.3e9 parameters on one device are 23 GB of states: a micro-batch of 64 does not fit beside them, one of 1 does.
    cells = {"devices": "1", "dp": "1", "tp": "", "micro_batch": "", "zero_stage": "0", "recompute": "none"}
    run = one(FULL, **cells)
    assert run.fits
    kept = {layout.micro_batch for layout in run.layouts}
    assert 1 in kept
    assert 64 not in kept


def test_of_none_that_fits_the_leanest() -> None:
    # 40e9 parameters over two tensor-parallel devices: 36 GB of 16-bit weights on each, and more than twice that beside.
    cells = {
        "layers": "64",
        "width": "7168",
        "heads": "56",
        "devices": "2",
        "dp": "1",
        "micro_batch": "",
        "recompute": "",
        "zero_stage": "1",
    }
    run = one(FULL, **cells)
    assert not run.fits
    (layout,) = run.layouts
    assert (layout.micro_batch, layout.recompute) == (1, Recompute.FULL)


def test_old_devices_and_software_have_plain_attention() -> None:
    v100: dict[str, Any] = {"accelerator": "V100-SXM2-32GB", "precision": "fp16"}
    assert not one(FULL, **v100).plan.fused_attention
    assert "no fused kernel for Volta" in one(FULL, **v100).assumed[0]
    old = one(FULL, attention="", framework="Megatron-LM v1.1", recompute="full")
    assert not old.plan.fused_attention
    assert not old.layouts[0].sequence


def test_what_is_taken_for_words_that_say_nothing_is_told() -> None:
    run = one(FULL, framework="homebrew", precision="mixed")
    assert run.plan.software is None
    assert run.assumed == (
        "framework homebrew is not known: the average of all software",
        "precision is mixed: bf16, or fp16 before it",
    )


def test_a_compiler_is_a_kind_of_software() -> None:
    run = one(FULL, framework="PyTorch", compiled="yes")
    assert run.plan.software is Software.COMPILED
    assert run.layouts[0].recompute is Recompute.HALF
    assert one(FULL, framework="PyTorch").layouts[0].recompute is Recompute.SELECTIVE
