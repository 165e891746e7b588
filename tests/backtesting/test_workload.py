"""What a row trained: its own shape, a preset, or a shape of its size."""

from typing import Any

import pytest

from zenplan.adapters.runs.rows import measured_run
from zenplan.adapters.tables.accelerators import read_accelerators
from zenplan.adapters.tables.models import read_models
from zenplan.backtesting.workload import run_workload
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.measured.run import MeasuredRun
from zenplan.domain.model.operators import Attention, Elementwise, MatMul
from zenplan.domain.model.workload import Workload
from zenplan.domain.provenance import Origin
from zenplan.domain.software import Software
from zenplan.errors import Skipped

CATALOGUE = Catalogue(accelerators=read_accelerators())
EMPTY = dict.fromkeys(
    (
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
    ),
    "",
)
GPT = {
    **EMPTY,
    "family": "decoder",
    "model": "GPT",
    "layers": "24",
    "width": "2048",
    "heads": "16",
    "vocab": "50257",
    "seq_len": "1024",
    "task": "pretrain",
}
BERT = {
    **GPT,
    "family": "encoder",
    "model": "BERT",
    "width": "768",
    "layers": "12",
    "heads": "12",
    "vocab": "30522",
    "seq_len": "512",
}
MIXTURE = {
    **GPT,
    "family": "moe-decoder",
    "model": "in-house",
    "layers": "32",
    "width": "4096",
    "heads": "32",
    "kv_heads": "8",
    "ff_width": "14336",
    "gated": "yes",
    "vocab": "32000",
    "params": "46.7e9",
    "active_params": "12.9e9",
}


def measured(cells: dict[str, str]) -> MeasuredRun:
    least = {"accelerator": "A100-SXM4-80GB", "devices": "1", "samples_per_s_per_device": "1"}
    return measured_run({**least, **cells}, CATALOGUE)


def workload(row: dict[str, str], software: Software | None = None, **cells: str) -> Workload:
    return run_workload(measured({**row, **cells}), software)


def product(load: Workload, name: str) -> MatMul:
    """The one product of that name; in layers that differ they are alike."""
    (found,) = {o for b in load.blocks for o in b.operators if isinstance(o, MatMul) and o.name == name}
    return found


def test_a_row_with_a_shape_has_that_shape() -> None:
    found = workload(GPT, ff_width="4096", kv_heads="4", gated="yes")
    assert (found.layers, found.tokens_per_sample, found.family) == (24, 1024, "decoder")
    # Queries of 16 heads, keys and values of 4 each, of 128; a gate beside the 4096.
    assert product(found, "attention query-key-value").columns == (16 + 4 + 4) * 128
    assert product(found, "feed-forward up").columns == 2 * 4096
    # With a gate the head has its own weight, without it is the embedding's.
    assert not product(found, "head").tied
    assert product(workload(GPT), "head").tied


def test_what_a_shape_leaves_out() -> None:
    # Heads of 128, keys and values for each, a feed-forward of four widths, and GPT-2's vocabulary.
    found = workload(GPT, heads="", vocab="")
    (attention,) = {o for b in found.blocks for o in b.operators if isinstance(o, Attention)}
    assert (attention.heads, attention.kv_heads, attention.key_dim) == (16, 16, 128)
    assert product(found, "feed-forward up").columns == 8192
    assert product(found, "head").columns == 50_304


@pytest.mark.parametrize(
    ("software", "printed", "entries"),
    [
        (Software.FUSED, "50257", 50_304),  # 393 · 128
        (Software.FUSED, "51200", 51_200),
        (Software.EAGER, "50257", 50_257),
        (Software.COMPILED, "50257", 50_257),
        (None, "50257", 50_257),
    ],
)
def test_megatron_class_software_pads_the_vocabulary(software: Software | None, printed: str, entries: int) -> None:
    assert product(workload(GPT, software, vocab=printed), "head").columns == entries


@pytest.mark.parametrize(("seq_len", "masked"), [("128", 20), ("512", 80)])
def test_bert_predicts_the_masked_positions(seq_len: str, masked: int) -> None:
    # Devlin et al. 2019: max_predictions_per_seq of the two phases.
    found = workload(BERT, seq_len=seq_len)
    assert product(found, "head").rows == product(found, "head transform").rows == masked
    (loss,) = {o for b in found.blocks for o in b.operators if isinstance(o, Elementwise) and o.name == "loss"}
    assert loss.elements == masked * 30_522
    # An empty task is pre-training. By name alone it is the same.
    bare = {**EMPTY, "family": "encoder", "model": "BERT-base", "seq_len": seq_len}
    for other in (workload(BERT, seq_len=seq_len, task=""), workload(bare)):
        assert product(other, "head").rows == product(other, "head transform").rows == masked
    # The layers see every position.
    assert product(found, "feed-forward up").rows == int(seq_len)


def test_fine_tuning_an_encoder_needs_next_to_no_head() -> None:
    assert product(workload(BERT, task="sft"), "head").rows == 1
    # A decoder predicts every token all the same.
    assert product(workload(GPT, task="sft"), "head").rows == 1024


def test_electra_trains_a_generator_of_a_third_beside_it() -> None:
    # It says of each position whether it was replaced: beside its layers that is as good as no head.
    alone, both = workload(BERT, task="sft"), workload(BERT, model="ELECTRA-base")
    assert both.blocks[len(both.blocks) // 2 :] == alone.blocks
    generator = Workload(name="g", family="encoder", blocks=both.blocks[: len(both.blocks) // 2], tokens_per_sample=1)
    assert (generator.layers, both.layers) == (12, 24)
    # Clark et al. 2020, table 6: width 256, 4 heads of 64, feed-forward 1024.
    (attention,) = {o for b in generator.blocks for o in b.operators if isinstance(o, Attention)}
    assert (attention.heads, attention.key_dim) == (4, 64)
    assert (product(generator, "feed-forward up").inner, product(generator, "feed-forward up").columns) == (256, 1024)
    assert both.parameters == alone.parameters + generator.parameters
    # The generator predicts the masked positions, as BERT does.
    assert product(generator, "head").rows == 80


def test_experts_from_two_parameter_counts() -> None:
    # Mixtral's figures: 32 layers of experts of 4096 × 14336 × 3 are 5.64e9, and 1.6e9 are not experts: 46.7e9 have
    # 8 of them, 12.9e9 two.
    found = workload(MIXTURE)
    up = product(found, "experts up")
    assert (found.family, up.experts, up.active) == ("moe-decoder", 8, 2)
    assert found.parameters == pytest.approx(46.7e9, rel=0.01)


def test_a_mixture_of_a_known_name_is_its_preset() -> None:
    preset = read_models()["mixtral-8x7b"].shape
    rows: Any = ({}, {"layers": "", "width": ""}, {"params": "1", "active_params": ""})
    for cells in rows:
        found = workload({**MIXTURE, "model": "Mixtral 8x7B (base)", "seq_len": "2048", **cells})
        assert preset.experts is not None
        assert (product(found, "experts up").experts, found.layers) == (preset.experts.count, preset.layers)
        assert found.tokens_per_sample == 2048


def test_a_dense_model_of_a_known_name_has_its_windows() -> None:
    cells = {"family": "decoder", "layers": "32", "width": "4096", "heads": "32", "kv_heads": "8", "ff_width": "14336"}
    given: Any = {**MIXTURE, **cells, "gated": "yes", "seq_len": "32768", "active_params": "", "params": "7.24e9"}
    (window,) = {
        o.window
        for b in workload({**given, "model": "Mistral 7B"}).blocks
        for o in b.operators
        if isinstance(o, Attention)
    }
    assert window == 4096
    # One of another depth is another model, and so is one of another name.
    for other in ({"model": "Mistral 7B", "layers": "16"}, {"model": "Llama 2"}):
        found = workload({**given, **other})
        assert {o.window for b in found.blocks for o in b.operators if isinstance(o, Attention)} == {None}


@pytest.mark.parametrize("cells", [{"active_params": ""}, {"params": ""}, {"ff_width": ""}, {"layers": ""}])
def test_a_mixture_that_cannot_be_worked_out(cells: Any) -> None:
    with pytest.raises(Skipped, match="experts of in-house are not in the table"):
        workload(MIXTURE, **cells)


@pytest.mark.parametrize("cells", [{"active_params": "50e9"}, {"active_params": "1.7e9"}])
def test_parameters_that_make_no_whole_experts(cells: Any) -> None:
    with pytest.raises(Skipped, match="do not make whole experts"):
        workload(MIXTURE, **cells)


def test_a_row_without_a_shape_has_one_of_its_size() -> None:
    found = workload({**EMPTY, "family": "decoder", "model": "in-house", "params": "7e9", "seq_len": "2048"})
    assert found.parameters == pytest.approx(7e9, rel=0.15)
    # It is told, so that the interval can be wider.
    assert [f.origin for f in found.facts if f.name == "shape"] == [Origin.ASSUMED]
    assert found.guessed_shape
    assert not workload(GPT).guessed_shape


def test_t5_has_a_quarter_of_its_input_to_predict() -> None:
    row = {**EMPTY, "family": "encoder-decoder", "params": "3e9", "seq_len": "512"}
    found, other = workload(row, model="mT5"), workload(row, model="BART")
    assert [found.tokens_per_sample, other.tokens_per_sample] == [128, 512]
    assert {"encoder layer", "layer"} <= {b.name for b in found.blocks}
    assert found.parameters == pytest.approx(3e9, rel=0.15)
    assert [f.origin for f in found.facts] == [Origin.ASSUMED]


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ({"seq_len": ""}, "no seq_len"),
        ({"layers": ""}, "neither a shape nor params"),
        ({"width": "", "family": "encoder"}, "neither a shape nor params"),
        ({"family": "encoder-decoder"}, "neither a shape nor params"),
    ],
)
def test_a_row_that_says_too_little(cells: Any, why: str) -> None:
    with pytest.raises(Skipped, match=why):
        workload({**GPT, "model": "in-house", **cells})


def test_rows_of_one_model_share_it() -> None:
    # Other cells do not matter, nor does software that pads alike.
    rows = ({**GPT, "devices": "8"}, {**GPT, "devices": "64"})
    first, second = (run_workload(measured(row), kind) for row, kind in zip(rows, (Software.EAGER, None), strict=True))
    assert first is second
