"""The layouts that a row can mean: one where it says all, every choice where it does not."""

from dataclasses import replace
from typing import Any

import pytest

from zenplan.adapters.tables.accelerators import read_accelerators
from zenplan.adapters.tables.coefficients import read_coefficients
from zenplan.backtesting.layouts import SoftwareTraits, candidate_layouts, interleaves
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.hardware.cluster import Cluster
from zenplan.domain.measured.run import MeasuredRun
from zenplan.domain.model.workload import Workload
from zenplan.domain.precision import PRECISIONS
from zenplan.domain.training.layout import Layout, Recompute
from zenplan.errors import Skipped
from zenplan.families.transformer.lowering import lower
from zenplan.families.transformer.shape import TransformerShape

A100 = Catalogue(accelerators=read_accelerators()).by_name("A100-SXM4-80GB")
EFFICIENCY = read_coefficients().of("Ampere", PRECISIONS["bf16"], None, "decoder")
PIPELINES = {"interleaves": False, "balances": False}
MODERN = SoftwareTraits(
    fused_attention=True, sequence=True, zero_stages=(0, 1, 2, 3), half=False, assumed=(), **PIPELINES
)
COMPILED = SoftwareTraits(fused_attention=True, sequence=True, zero_stages=(3,), half=True, assumed=(), **PIPELINES)
OLD = SoftwareTraits(fused_attention=False, sequence=False, zero_stages=(0, 1), half=False, assumed=(), **PIPELINES)
FULL: dict[str, Any] = {
    "framework": "Megatron-LM",
    "global_batch": 64,
    "micro_batch": 4,
    "dp": 2,
    "tp": 2,
    "pp": 2,
    "zero_stage": 1,
    "recompute": Recompute.NONE,
}


def measured(devices: int, said: dict[str, Any]) -> MeasuredRun:
    return MeasuredRun(accelerator=A100, devices=devices, precision=PRECISIONS["bf16"], family="decoder", **said)


def gpt(layers: int, width: int) -> Workload:
    """12 · layers · width² parameters, nearly."""
    return lower(
        TransformerShape(layers=layers, width=width, heads=width // 128, ff_width=4 * width, vocab=1024, seq_len=1024),
        "gpt",
    )


# About 1.2e9 parameters, whose 18 bytes each fit one device, and 64e9, whose 1.2 TB do not by far.
SMALL, LARGE = gpt(24, 2048), gpt(80, 8192)


def cluster(devices: int = 8) -> Cluster:
    return Cluster(
        accelerator=A100,
        efficiency=EFFICIENCY,
        node_devices=min(devices, 8),
        nodes=-(-devices // 8),
        network_bytes_per_s=25e9,
    )


def layouts(
    devices: int = 8, workload: Workload = SMALL, traits: SoftwareTraits = MODERN, said: Any = FULL, **more: Any
) -> tuple[Layout, ...]:
    return candidate_layouts(measured(devices, {**said, **more}), cluster(devices), workload, traits)


def test_a_row_that_says_all_is_one_layout() -> None:
    expected = Layout(dp=2, tp=2, pp=2, micro_batch=4, accumulation=8, zero=1, even=True)
    assert layouts() == (expected,)
    # Virtual stages are of pipelines; without dp it is the rest of the devices.
    assert layouts(vp=3)[0].interleave == 3
    assert layouts(vp=3, pp=None, dp=4)[0].interleave == 1
    (rest,) = layouts(devices=64, dp=None, cp=2, ep=4)
    assert (rest.dp, rest.cp, rest.ep) == (8, 2, 4)


@pytest.mark.parametrize(
    ("cells", "product"), [({"dp": 4}, 16), ({"dp": 1}, 4), ({"dp": None, "tp": 3}, 6), ({"cp": 2}, 16)]
)
def test_degrees_that_do_not_make_the_devices(cells: Any, product: int) -> None:
    with pytest.raises(Skipped, match=rf"= {product}, not 8 devices"):
        layouts(**cells)


def test_a_batch_below_one_micro_batch() -> None:
    with pytest.raises(Skipped, match="global batch 7 is below"):
        layouts(global_batch=7)
    assert layouts(global_batch=8)[0].accumulation == 1
    # A batch that is no whole number of micro-batches has one that is not full.
    assert layouts(global_batch=17)[0].accumulation == 3
    # Where the micro-batch is not printed, the ones that the batch allows.
    assert {one.micro_batch for one in layouts(global_batch=8, micro_batch=None)} == {1, 2, 4}


def test_experts_lie_within_a_pipeline_stage() -> None:
    # Of 8 devices in two stages, 4 are in each.
    assert layouts(ep=4)[0].ep == 4
    with pytest.raises(Skipped, match="ep = 8 is more than the 4 devices of a pipeline stage"):
        layouts(ep=8)


@pytest.mark.parametrize(("pp", "dp", "accumulation"), [(None, 4, 1), (2, 2, 16), (4, 1, 32)])
def test_without_a_global_batch_the_pipeline_is_filled(pp: int | None, dp: int, accumulation: int) -> None:
    (one,) = layouts(global_batch=None, pp=pp, dp=dp)
    assert one.accumulation == accumulation


def test_quantized_weights_go_with_everything_recomputed() -> None:
    assert {one.recompute for one in layouts(recompute=None, task="qlora")} == {Recompute.FULL}
    assert {one.recompute for one in layouts(recompute=Recompute.NONE, task="qlora")} == {Recompute.NONE}


@pytest.mark.parametrize(
    ("recompute", "traits", "meant"),
    [
        (None, MODERN, {Recompute.NONE, Recompute.SELECTIVE, Recompute.FULL}),
        (Recompute.SELECTIVE, MODERN, {Recompute.SELECTIVE}),
        (Recompute.SELECTIVE, COMPILED, {Recompute.HALF}),
        (Recompute.FULL, COMPILED, {Recompute.FULL}),
        (Recompute.NONE, COMPILED, {Recompute.NONE}),
    ],
)
def test_what_is_recomputed(recompute: Recompute | None, traits: SoftwareTraits, meant: set[Recompute]) -> None:
    assert {one.recompute for one in layouts(recompute=recompute, traits=traits)} == meant


@pytest.mark.parametrize(
    ("framework", "printed", "stages"),
    [
        ("Megatron-LM", 2, [2]),
        ("Megatron-LM", 0, [0]),
        ("NeMo 24.07", 0, [1]),  # its recipes divide the optimizer's state and do not print it
        ("Megatron-Bridge", 0, [1]),
        ("NeMo 24.07", 3, [3]),
    ],
)
def test_printed_zero_stages(framework: str, printed: int, stages: list[int]) -> None:
    assert [one.zero for one in layouts(framework=framework, zero_stage=printed)] == stages


@pytest.mark.parametrize(
    ("traits", "pp", "stages"),
    [
        (MODERN, None, [0, 1, 2, 3]),
        (OLD, None, [0, 1]),
        (COMPILED, None, [3]),
        # Pipelines keep gradients whole: only the optimizer's state is divided.
        (MODERN, 2, [0, 1]),
        (COMPILED, 2, [1]),
    ],
)
def test_zero_stages_that_are_not_printed(traits: SoftwareTraits, pp: int | None, stages: list[int]) -> None:
    assert [one.zero for one in layouts(traits=traits, zero_stage=None, dp=None, pp=pp)] == stages


def test_old_software_divides_no_sequences() -> None:
    assert [layouts(traits=traits)[0].sequence for traits in (MODERN, OLD)] == [True, False]


def test_what_no_device_can_hold_was_divided_somehow() -> None:
    # 64e9 parameters on 16 devices; 80 layers. tp is a power of two within a node, pp divides what is left.
    said = {"global_batch": 64, "micro_batch": 1, "recompute": Recompute.FULL}
    found = layouts(16, LARGE, said=said)
    degrees = {(one.tp, one.pp) for one in found}
    assert degrees == {(t, p) for t in (1, 2, 4, 8) for p in (1, 2, 4, 8, 16) if t * p <= 16}
    assert all(one.devices == 16 for one in found)
    assert {one.zero for one in found if one.pp == 1} == {0, 1, 2, 3}
    assert {one.zero for one in found if one.pp > 1} == {0, 1}
    # Stages need not have as many layers.
    found = layouts(24, LARGE, said={**said, "global_batch": 96})
    assert {(one.pp, one.even) for one in found} == {(p, p in (2, 4, 8)) for p in (1, 2, 3, 4, 6, 8, 12, 24)}


def test_of_what_was_divided_somehow_a_printed_dp_is_kept() -> None:
    said = {"global_batch": 64, "micro_batch": 1, "recompute": Recompute.FULL, "dp": 2}
    found = layouts(16, LARGE, said=said)
    assert {(one.dp, one.tp, one.pp) for one in found} == {(2, 1, 8), (2, 2, 4), (2, 4, 2), (2, 8, 1)}


def test_no_tensor_group_lies_across_nodes() -> None:
    said = {"global_batch": 64, "micro_batch": 1, "recompute": Recompute.FULL}
    four = Cluster(accelerator=A100, efficiency=EFFICIENCY, node_devices=4, nodes=4, network_bytes_per_s=25e9)
    assert {one.tp for one in candidate_layouts(measured(16, said), four, LARGE, MODERN)} == {1, 2, 4}


def test_a_model_that_fits_was_not_divided() -> None:
    said = {"global_batch": 64, "micro_batch": 1, "recompute": Recompute.FULL, "zero_stage": 0}
    (one,) = layouts(16, SMALL, said=said)
    assert (one.dp, one.tp, one.pp) == (16, 1, 1)


def test_a_printed_layout_is_the_whole_where_zero_divides_the_states() -> None:
    said = {"global_batch": 64, "micro_batch": 1, "recompute": Recompute.FULL, "zero_stage": 3}
    (one,) = layouts(16, LARGE, said=said)
    assert (one.dp, one.zero) == (16, 3)


def test_a_stage_that_cannot_hold_it_is_not_believed() -> None:
    # 64e9 parameters over four devices are 288 GB each with all of their states, of which 80 GB fit.
    cells: dict[str, Any] = {"dp": 4, "tp": 4, "pp": None, "zero_stage": None}
    assert {one.zero for one in layouts(16, LARGE, **cells)} == {0, 1, 2, 3}
    assert {one.tp for one in layouts(16, LARGE, **cells)} == {4}
    # A stage that the row says is taken, whatever it needs.
    for model in (SMALL, LARGE):
        assert {one.zero for one in layouts(16, model, **cells | {"zero_stage": 0})} == {0}


def test_virtual_stages_that_nothing_says_are_those_that_fit_where_no_software_is_named() -> None:
    free = replace(MODERN, interleaves=True)
    assert {one.interleave for one in layouts(traits=free)} == {1, 2, 3, 4, 6, 12}
    assert {one.interleave for one in layouts(traits=MODERN)} == {1}
    # One micro-batch fills no two stages.
    assert {one.interleave for one in layouts(traits=free, global_batch=8)} == {1}
    # 126 layers on 16 stages have parts of one layer, two of which are the ends of the model.
    found = layouts(128, gpt(126, 2048), free, dp=8, tp=1, pp=16, global_batch=1024)
    assert {(one.interleave, one.even) for one in found} == {(v, False) for v in (1, 2, 4, 8)}


def test_a_row_can_say_that_its_pipeline_had_virtual_stages_and_not_how_many() -> None:
    assert not interleaves(measured(8, FULL))
    assert interleaves(measured(8, FULL | {"options": frozenset({"interleaved"})}))
    assert interleaves(measured(8, FULL | {"framework": ""}))


def test_stages_are_equal_where_they_can_be_but_for_software_that_balances_them() -> None:
    assert layouts(pp=2)[0].even
    assert not layouts(pp=2, traits=replace(MODERN, balances=True))[0].even
    assert not layouts(pp=1, dp=4)[0].even
