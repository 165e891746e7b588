"""Rows of tables of runs, brought under the project's names."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenplan.adapters.runs.columns import MEASURED, NUMBERS, WHOLE, RunCells, run_cells
from zenplan.adapters.runs.shapes import gated
from zenplan.adapters.tables.accelerators import read_accelerators
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.errors import ZenplanError

PUBLISHED = Path(__file__).parents[3] / "benchmarks" / "published" / "language_models.csv"
CATALOGUE = Catalogue(accelerators=read_accelerators())
ROW = {
    "id": "a",
    "source": "paper",
    "family": "decoder",
    "model": "GPT",
    "params": "1.3e9",
    "layers": "24",
    "d_model": "2048",
    "heads": "16",
    "d_ff": "8192",
    "vocab": "50304",
    "seq_len": "2048",
    "accelerator": "A100-SXM4-80GB",
    "devices": "16",
    "network": "NVLink3 + 8x200G HDR IB/node",
    "precision": "bf16",
    "framework": "Megatron-LM",
    "global_batch": "256",
    "micro_batch": "4.0",
    "dp": "2",
    "tp": "4",
    "pp": "2",
    "zero_stage": "1",
    "recompute": "full",
    "tokens_per_s_per_device": "14000",
}


def cells(**changed: str) -> RunCells:
    return run_cells(ROW | changed, CATALOGUE)


def cells_or_reason(row: dict[str, str]) -> RunCells | str:
    try:
        return run_cells(row, CATALOGUE)
    except ZenplanError as error:
        return error.message


def test_a_row_gets_the_projects_columns() -> None:
    row = cells().row
    assert (row["width"], row["ff_width"], row["micro_batch"], row["zero_stage"]) == ("2048", "8192", "4", "1")
    assert float(row["network_gbit_per_s_per_device"]) == 200
    assert float(row["params"]) == 1.3e9
    # Every column is there, and what the row does not have is empty.
    assert row["cp"] == row["attention"] == row["samples_per_s_per_device"] == ""
    assert cells().assumed == cells().notes == ()
    assert cells(model="").row["model"] == "unnamed"


def test_the_projects_own_names_come_first() -> None:
    assert cells(width="1024").row["width"] == "1024"
    own = cells(network_gbit_per_s_per_device="50", node_devices="4").row
    assert (own["node_devices"], float(own["network_gbit_per_s_per_device"])) == ("4", 50)


def test_published_rows_stay_as_they_are() -> None:
    with PUBLISHED.open(newline="", encoding="utf-8") as file:
        published = list(csv.DictReader(file))
    found = [(before, cells_or_reason(before)) for before in published]
    skipped = [after for _, after in found if isinstance(after, str)]
    kept = [(before, after.row) for before, after in found if isinstance(after, RunCells)]
    assert len(kept) > 600
    assert all("devices" in reason for reason in skipped)
    for before, row in kept:
        # Those two are what people read, not what predicts.
        assert before.keys() - row.keys() == {"licence", "confidence"}
        for name in before.keys() & row.keys():
            same = before[name] == row[name] or math.isclose(float(before[name]), float(row[name]))
            assert same, (before["id"], name)


@pytest.mark.parametrize(
    ("text", "name"),
    [("a100", "A100-SXM4-80GB"), ("H100-SXM5-80GB", "H100-SXM5-80GB"), ("v100-32gb", "V100-SXM2-32GB")],
)
def test_accelerators_go_by_name_or_alias(text: str, name: str) -> None:
    assert cells(accelerator=text).row["accelerator"] == name


def test_a_form_factor_that_is_not_stated_is_said() -> None:
    found = cells(accelerator="A100-80GB-?")
    assert found.row["accelerator"] == "A100-SXM4-80GB"
    assert found.assumed == ("A100-80GB-?: the form factor is not stated: A100-SXM4-80GB",)


def test_nodes_give_the_devices_of_one() -> None:
    assert cells(network="", nodes="4").row["node_devices"] == "4"
    # Sixteen devices on three machines: no more than six on any.
    assert cells(network="", nodes="3").row["node_devices"] == "6"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"params": "seven"}, "params is not a number: 'seven'"),
        ({"params": "7X"}, "params knows no unit 'X': '7X'"),
        ({"tokens_per_s_per_device": "14000,5"}, "is not a number: '14000,5'"),
        ({"params": "1,30,000"}, "is not a number: '1,30,000'"),
        ({"nodes": "4", "node_devices": "8"}, "nodes · node_devices = 4 · 8 = 32, not 16 devices"),
        ({"ep": "2"}, "ep = 2, but a model of the family decoder has no experts"),
        ({"task": "inference"}, "task inference is no training"),
        ({"accelerator": "Inferentia2"}, "Inferentia2 is made for inference only"),
        ({"accelerator": "NVIDIA A100-SXM4-80GB MIG 1g.10gb"}, "is a slice of a device"),
        ({"accelerator": "NVIDIA H1000"}, "unknown accelerator 'NVIDIA H1000'; did you mean"),
        ({"layers": "24.5"}, "layers must be a whole number, not 24.5"),
        ({"devices": "0"}, "devices must be above zero and finite, not 0"),
        ({"devices": ""}, "devices is empty"),
        ({"tp": "-4"}, "tp must be above zero and finite, not -4"),
        ({"seq_len": "nan"}, "seq_len must be above zero and finite, not nan"),
        ({"tokens_per_s_per_device": "inf"}, "tokens_per_s_per_device must be above zero and finite"),
        ({"tokens_per_s_per_device": "0"}, "tokens_per_s_per_device must be above zero"),
        ({"layers": "1e9"}, "layers of 1e9 is beyond any run"),
        ({"seq_len": "9" * 400}, "seq_len must be above zero and finite, not 999"),
        ({"tokens_per_s_per_device": ""}, "no measurement"),
        ({"dp": "4"}, "tp·pp·dp = 32, not 16 devices"),
        ({"tp": "3", "dp": ""}, "tp·pp = 6, not 16 devices"),
        ({"cp": "3"}, "tp·pp·dp·cp = 48, not 16 devices"),
        ({"pp": "2", "vp": "13"}, "2 pipeline stages of 13 parts need more than 24 layers"),
        ({"heads": "2"}, "tp = 4 is more than heads = 2"),
        ({"micro_batch": "512"}, "micro_batch = 512 is more than global_batch = 256"),
        ({"ep": "32"}, "ep = 32 is more than devices = 16"),
        ({"zero_stage": "4"}, "zero_stage must be 0, 1, 2 or 3, not '4'"),
        ({"recompute": "maybe"}, "recompute must be none, selective, half or full, not 'maybe'"),
        ({"gated": "perhaps"}, "gated must be yes or no, not 'perhaps'"),
        ({"accelerator": ""}, "accelerator is empty"),
        ({"accelerator": "H100-SXM-80GB"}, "unknown accelerator 'H100-SXM-80GB'; did you mean H100-SXM5-80GB"),
        ({"family": "fuzzy"}, "family fuzzy cannot be predicted yet"),
        ({"family": "transformer", "sample_unit": "molecules"}, "transformer of molecules cannot be predicted yet"),
        ({"family": "cnn", "layout": "hwcn"}, "layout must be nhwc or nchw, not 'hwcn'"),
        ({"family": "cnn", "notes": "layout=chwn"}, "layout must be nhwc or nchw, not 'chwn'"),
        ({"image_size": "224.5"}, "image_size must be a whole number"),
        ({"flop_per_sample_fwd": "-1"}, "flop_per_sample must be above zero"),
        ({"family": "transformer", "model": "nobody-7b"}, "no published model has the name nobody-7b"),
    ],
)
def test_a_bad_cell_is_named(changed: dict[str, str], reason: str) -> None:
    with pytest.raises(ZenplanError) as caught:
        cells(**changed)
    assert reason in caught.value.message


def test_a_bare_transformer_is_found_by_its_name() -> None:
    bare = {
        "family": "transformer",
        "d_model": "",
        "layers": "",
        "heads": "",
        "d_ff": "",
        "vocab": "",
        "seq_len": "",
        "tp": "",
        "pp": "",
        "dp": "",
        "sample_unit": "sequences",
    }
    bert = cells(model="BERT-large", params="336000000", input="seq128", **bare).row
    assert (bert["family"], bert["layers"], bert["width"], bert["seq_len"]) == ("encoder", "24", "1024", "128")
    assert cells(model="BioBERT (BERT-base)", params="110000000", input="seq512", **bare).row["layers"] == "12"
    # The name alone is not enough: another size is another model.
    with pytest.raises(ZenplanError, match="no published model"):
        cells(model="BERT-large", params="110000000", **bare)


def test_measurements_that_do_not_agree_are_noted() -> None:
    assert cells(samples_per_s_per_device="6.85").notes == ()
    (note,) = cells(samples_per_s_per_device="13.7").notes
    assert note == "tokens_per_s_per_device is 0.50 times samples_per_s_per_device · seq_len"


LLAMA = {
    "family": "decoder",
    "model": "",
    "layers": "32",
    "width": "4096",
    "heads": "32",
    "kv_heads": "",
    "vocab": "32000",
    "ff_width": "11008",
    "params": "6.738e9",
}
GPT = LLAMA | {"ff_width": "16384", "vocab": "50257", "params": "6.65e9"}


@pytest.mark.parametrize(
    ("row", "answer"),
    [
        (LLAMA, "yes"),
        (GPT, "no"),
        # The parameters say it, whatever the name is.
        (GPT | {"model": "llama-like"}, "no"),
        (LLAMA | {"params": ""}, "no"),
        (LLAMA | {"params": "", "model": "Mixtral"}, "yes"),
        (LLAMA | {"params": "", "model": "Qwen3-8B"}, "yes"),
        (LLAMA | {"params": "", "model": "Nemotron-8B"}, "no"),
        (LLAMA | {"layers": ""}, ""),
    ],
)
def test_gated_by_parameters_else_by_family(row: dict[str, str], answer: str) -> None:
    assert gated(row) == answer


odd = st.sampled_from(["", "0", "-1", "nan", "inf", "1e308", "x", "3", "1e5", "²", "0x10", "1_0", " ", "1e-320"])


@given(
    st.dictionaries(st.sampled_from(sorted({*ROW, *WHOLE, *NUMBERS, "gated", "attention", "task"})), odd, max_size=6)
)
def test_whatever_comes_out_is_a_number_or_empty(changed: dict[str, str]) -> None:
    found = cells_or_reason(ROW | changed)
    if isinstance(found, str):
        assert found
        return
    row = found.row
    assert any(row[name] for name in MEASURED)
    for name in (*WHOLE, *NUMBERS):
        assert not row[name] or 0 < float(row[name]) < math.inf
        assert name not in WHOLE or not row[name] or row[name].isdecimal()


@pytest.mark.parametrize(
    ("column", "text", "plain"),
    [
        ("params", "1.3B", 1.3e9),
        ("params", "1,300,000,000", 1.3e9),
        ("tokens_per_s_per_device", "14k", 14_000),
        ("tokens_per_s_per_device", "11,000.5", 11_000.5),
        ("seq_len", "4k", 4096),
        ("seq_len", "4,096", 4096),
        ("vocab", "32k", 32_000),
        ("layers", "24.0", 24),
    ],
)
def test_numbers_as_people_write_them(column: str, text: str, plain: float) -> None:
    assert float(cells(**{column: text}).row[column]) == plain


def test_what_k_means_of_a_sequence_is_said() -> None:
    assert cells(seq_len="8K").assumed == ("seq_len of 8K: 8,192 tokens",)
    assert cells(seq_len="8192").assumed == ()


@pytest.mark.parametrize("text", ["N/A", "na", "-", "?", "null", "None", "—"])
def test_words_for_nothing_are_empty(text: str) -> None:
    row = cells(micro_batch=text, framework=text, precision=text, vocab=text, task=text, d_ff="8192", ff_width=text).row
    assert [row[n] for n in ("micro_batch", "framework", "precision", "vocab", "task")] == [""] * 5
    # A name that says nothing leaves the word to the other one.
    assert row["ff_width"] == "8192"
    with pytest.raises(ZenplanError, match="devices is empty"):
        cells(devices=text)


def test_none_is_an_answer_where_it_means_one() -> None:
    row = cells(attention="none", recompute="None", zero_stage="none").row
    assert (row["attention"], row["recompute"], row["zero_stage"]) == ("standard", "none", "0")


@pytest.mark.parametrize(
    ("text", "stage"),
    [("zero3", "3"), ("ZeRO-2", "2"), ("stage 1", "1"), ("zero_stage_3", "3"), ("FSDP", "3"), ("0.0", "0")],
)
def test_stages_of_zero(text: str, stage: str) -> None:
    assert cells(zero_stage=text).row["zero_stage"] == stage


@pytest.mark.parametrize(
    ("text", "word", "noted"),
    [
        ("flash", "flash", False),
        ("FlashAttention-2", "flash", False),
        ("sdpa", "flash", False),
        ("TE", "flash", False),
        ("cuDNN", "flash", False),
        ("xformers", "flash", False),
        ("eager", "standard", False),
        ("math", "standard", False),
        ("unfused", "standard", False),
        ("magic", "flash", True),
    ],
)
def test_words_for_attention(text: str, word: str, noted: bool) -> None:
    found = cells(attention=text)
    assert found.row["attention"] == word
    assert found.notes == (("attention 'magic' is not known: fused is taken",) if noted else ())


def test_words_for_the_task() -> None:
    words = {"Pre-Training": "pretrain", "fine-tuning": "sft", "SFT": "sft", "LoRA": "lora", "": ""}
    for text, word in words.items():
        found = cells(task=text)
        assert (found.row["task"], found.notes) == (word, ())
    odd_task = cells(task="dancing")
    assert odd_task.row["task"] == "pretrain"
    assert odd_task.notes == ("task 'dancing' is not known: pre-training is taken",)


def test_a_network_that_tells_nothing_is_noted() -> None:
    (note,) = cells(network="very fast").notes
    assert note == "network 'very fast' tells no speed: the usual one of A100-SXM4-80GB is taken"
    assert cells(network="NVLink3").notes == ()
    # Within a node there is none to cross.
    assert cells(network="very fast", devices="8", dp="1").notes == ()


@pytest.mark.parametrize(
    ("changed", "note"),
    [
        ({"heads": "18", "d_model": "2304"}, "tp = 4 does not divide heads = 18"),
        ({"kv_heads": "5"}, "kv_heads = 5 does not divide heads = 16"),
        ({"d_model": "2050"}, "heads = 16 does not divide width = 2050"),
        ({"cp": "2", "dp": "1", "seq_len": "2049"}, "cp = 2 does not divide seq_len = 2049"),
        ({"pp": "4", "dp": "1", "layers": "25"}, "pp = 4 does not divide layers = 25"),
        ({"pp": "2", "vp": "5", "layers": "25"}, "pp · vp = 10 does not divide layers = 25"),
    ],
)
def test_degrees_that_do_not_divide_are_noted(changed: dict[str, str], note: str) -> None:
    assert cells(**changed).notes == (note,)


def test_the_ends_of_a_model_may_count_as_layers() -> None:
    # BLOOM: 70 layers, the embedding and the head, in 12 stages.
    assert cells(layers="70", tp="1", pp="12", dp="1", devices="12").notes == ()


def test_a_node_may_be_in_use_in_part() -> None:
    part = {"devices": "4", "dp": "1", "tp": "4", "pp": "1", "nodes": "1", "node_devices": "8"}
    assert cells(**part).row["node_devices"] == "8"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("NVIDIA H100 80GB HBM3", "H100-SXM5-80GB"),
        ("NVIDIA A100-SXM4-80GB", "A100-SXM4-80GB"),
        ("NVIDIA H100", "H100-SXM5-80GB"),
        ("AMD MI300X", "MI300X"),
    ],
)
def test_accelerators_go_by_what_drivers_print(text: str, name: str) -> None:
    row = cells(accelerator=text, precision="bf16", network="8x200G").row
    assert row["accelerator"] == name


@pytest.mark.parametrize(
    ("family", "unit", "found"),
    [
        ("cnn", "images", "convnet"),
        ("transformer", "images", "vision transformer"),
        ("rnn", "tokens", "recurrent"),
        ("dlrm", "samples", "recommender"),
        ("mlp", "samples", "mlp"),
        ("gnn", "samples", "gnn"),
        ("Diffusion", "images", "diffusion"),
    ],
)
def test_other_families_have_one_name_each(family: str, unit: str, found: str) -> None:
    assert cells(family=family, sample_unit=unit).row["family"] == found


def test_an_image_its_flop_and_its_layout_are_read_from_where_tables_have_them() -> None:
    row = cells(
        family="cnn",
        sample_unit="images",
        input="224x224x3",
        flop_per_sample_fwd="8.2e9",
        activations_per_sample="11M",
        notes="timm MACs | layout=nhwc",
    ).row
    assert (row["image_size"], row["layout"], row["unit"]) == ("224", "nhwc", "images")
    assert (float(row["flop_per_sample"]), float(row["activations_per_sample"])) == (8.2e9, 11e6)
    assert cells(family="cnn", framework="pytorch-1.12-channels_last").row["layout"] == "nhwc"
    again = {"family": "diffusion", "recompute": "", "notes": "2*MACs | gradient_checkpointing=1; fast"}
    assert cells(**again).row["recompute"] == "full"
    assert cells(**again | {"recompute": "none"}).row["recompute"] == "none"
    # A picture that is no square has no one side; what the cell says comes first.
    assert cells(family="cnn", input="800x1333x3").row["image_size"] == ""
    assert cells(family="cnn", input="224x224x3", image_size="288", layout="NCHW").row["image_size"] == "288"


def test_a_speed_in_parts_of_a_sample_is_one_of_tokens() -> None:
    said = {"tokens_per_s_per_device": "", "samples_per_s_per_device": "80000", "flop_per_sample_fwd": "1.27e8"}
    row = cells(family="rnn", sample_unit="mel-frames", **said).row
    assert (float(row["tokens_per_s_per_device"]), row["samples_per_s_per_device"]) == (80_000, "")
    # The FLOP beside it are those of a part, and of how many parts a sample has the row says nothing.
    assert row["flop_per_sample"] == ""
    whole = cells(family="rnn", sample_unit="samples", **said).row
    assert (float(whole["samples_per_s_per_device"]), float(whole["flop_per_sample"])) == (80_000, 1.27e8)
