"""Rows of tables of runs, read into nouns."""

from __future__ import annotations

import csv
import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenplan.adapters.runs.rows import NUMBERS, WHOLE, measured_run
from zenplan.adapters.runs.shapes import gated
from zenplan.adapters.tables.accelerators import read_accelerators
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.measured.run import MeasuredRun
from zenplan.domain.training.layout import Recompute
from zenplan.errors import Skipped, ZenplanError

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


def read(**changed: str) -> MeasuredRun:
    return measured_run(ROW | changed, CATALOGUE)


def run_or_reason(row: dict[str, str]) -> MeasuredRun | str:
    try:
        return measured_run(row, CATALOGUE)
    except ZenplanError as error:
        return error.message


def test_a_row_is_read_under_the_projects_names() -> None:
    run = read()
    assert (run.width, run.ff_width, run.micro_batch, run.zero_stage) == (2048, 8192, 4, 1)
    assert (run.network_bytes_per_s, run.params) == (25e9, 1.3e9)
    # What the row does not have is unknown.
    assert run.cp is run.fused_attention is run.samples_per_s_per_device is None
    assert run.assumed == run.notes == ()
    assert read(model="").model == "unnamed"


def test_the_projects_own_names_come_first() -> None:
    assert read(width="1024").width == 1024
    own = read(network_gbit_per_s_per_device="50", node_devices="4")
    assert (own.node_devices, own.network_bytes_per_s) == (4, 6.25e9)


def test_published_rows_stay_as_they_are() -> None:
    with PUBLISHED.open(newline="", encoding="utf-8") as file:
        published = list(csv.DictReader(file))
    found = [(before, run_or_reason(before)) for before in published]
    skipped = [after for _, after in found if isinstance(after, str)]
    kept = [(before, after) for before, after in found if isinstance(after, MeasuredRun)]
    assert len(kept) > 600
    assert all("devices" in reason for reason in skipped)
    written = {
        "accelerator": lambda run: run.accelerator.name,
        "precision": lambda run: run.written_precision,
        "attention": lambda run: {None: "", True: "flash", False: "standard"}[run.fused_attention],
        "gated": lambda run: {None: "", True: "yes", False: "no"}[run.gated],
        "task": lambda run: run.written_task,
        "options": lambda run: ";".join(sorted(run.options)),
        "network_gbit_per_s_per_device": lambda run: run.network_bytes_per_s and run.network_bytes_per_s * 8e-9,
    }
    for before, run in kept:
        # Those two are what people read, not what predicts.
        for name in before.keys() - {"licence", "confidence"}:
            after = written[name](run) if name in written else getattr(run, name)
            text = "" if after is None else str(after)
            said = ";".join(sorted(before[name].split(";"))) if name == "options" else before[name]
            same = said == text or math.isclose(float(before[name]), float(text))
            assert same, (before["id"], name)


@pytest.mark.parametrize(
    ("text", "name"),
    [("a100", "A100-SXM4-80GB"), ("H100-SXM5-80GB", "H100-SXM5-80GB"), ("v100-32gb", "V100-SXM2-32GB")],
)
def test_accelerators_go_by_name_or_alias(text: str, name: str) -> None:
    assert read(accelerator=text, precision="").accelerator.name == name


def test_a_form_factor_that_is_not_stated_is_said() -> None:
    found = read(accelerator="A100-80GB-?")
    assert found.accelerator.name == "A100-SXM4-80GB"
    assert found.assumed == ("A100-80GB-?: the form factor is not stated: A100-SXM4-80GB",)


def test_nodes_give_the_devices_of_one() -> None:
    assert read(network="", nodes="4").node_devices == 4
    # Sixteen devices on three machines: no more than six on any.
    assert read(network="", nodes="3").node_devices == 6


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
        ({"pp": "2", "vp": "14"}, "2 pipeline stages of 14 parts need more than 24 layers"),
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
        read(**changed)
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
    bert = read(model="BERT-large", params="336000000", input="seq128", **bare)
    assert (bert.family, bert.layers, bert.width, bert.seq_len) == ("encoder", 24, 1024, 128)
    assert read(model="BioBERT (BERT-base)", params="110000000", input="seq512", **bare).layers == 12
    # The name alone is not enough: another size is another model.
    with pytest.raises(ZenplanError, match="no published model"):
        read(model="BERT-large", params="110000000", **bare)


def test_measurements_that_do_not_agree_are_noted() -> None:
    assert read(samples_per_s_per_device="6.85").notes == ()
    (note,) = read(samples_per_s_per_device="13.7").notes
    assert note == "tokens_per_s_per_device is 0.50 times samples_per_s_per_device · seq_len"


LLAMA: dict[str, Any] = {
    "family": "decoder",
    "model": "",
    "layers": 32,
    "width": 4096,
    "heads": 32,
    "kv_heads": None,
    "vocab": 32000,
    "ff_width": 11008,
    "params": 6.738e9,
}
GPT = LLAMA | {"ff_width": 16384, "vocab": 50257, "params": 6.65e9}


@pytest.mark.parametrize(
    ("known", "answer"),
    [
        (LLAMA, True),
        (GPT, False),
        # The parameters say it, whatever the name is.
        (GPT | {"model": "llama-like"}, False),
        (LLAMA | {"params": None}, False),
        (LLAMA | {"params": None, "model": "Mixtral"}, True),
        (LLAMA | {"params": None, "model": "Qwen3-8B"}, True),
        (LLAMA | {"params": None, "model": "Nemotron-8B"}, False),
        (LLAMA | {"layers": None}, None),
    ],
)
def test_gated_by_parameters_else_by_family(known: dict[str, Any], answer: bool | None) -> None:
    assert gated(known) is answer


odd = st.sampled_from(["", "0", "-1", "nan", "inf", "1e308", "x", "3", "1e5", "²", "0x10", "1_0", " ", "1e-320"])


@given(
    st.dictionaries(st.sampled_from(sorted({*ROW, *WHOLE, *NUMBERS, "gated", "attention", "task"})), odd, max_size=6)
)
def test_whatever_comes_out_is_a_number_or_unknown(changed: dict[str, str]) -> None:
    run = run_or_reason(ROW | changed)
    if isinstance(run, str):
        assert run
        return
    assert run.tokens_per_s_per_device or run.samples_per_s_per_device
    fields = {field.name for field in dataclasses.fields(MeasuredRun)}
    assert {*WHOLE, *NUMBERS} - fields == {"nodes", "network_gbit_per_s_per_device"}
    for name in ({*WHOLE, *NUMBERS} & fields) | {"network_bytes_per_s"}:
        value = getattr(run, name)
        assert value is None or 0 < value < math.inf
        assert name not in WHOLE or value is None or isinstance(value, int)


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
    assert getattr(read(**{column: text}), column) == plain


def test_what_k_means_of_a_sequence_is_said() -> None:
    assert read(seq_len="8K").assumed == ("seq_len of 8K: 8,192 tokens",)
    assert read(seq_len="8192").assumed == ()


@pytest.mark.parametrize("text", ["N/A", "na", "-", "?", "null", "None", "—"])
def test_words_for_nothing_are_empty(text: str) -> None:
    run = read(micro_batch=text, framework=text, precision=text, vocab=text, task=text, d_ff="8192", ff_width=text)
    assert run.micro_batch is run.vocab is None
    assert run.framework == run.written_precision == run.task == run.written_task == ""
    # A name that says nothing leaves the word to the other one.
    assert run.ff_width == 8192
    with pytest.raises(ZenplanError, match="devices is empty"):
        read(devices=text)


def test_none_is_an_answer_where_it_means_one() -> None:
    run = read(attention="none", recompute="None", zero_stage="none")
    assert (run.fused_attention, run.recompute, run.zero_stage) == (False, Recompute.NONE, 0)


@pytest.mark.parametrize(
    ("text", "stage"),
    [("zero3", 3), ("ZeRO-2", 2), ("stage 1", 1), ("zero_stage_3", 3), ("FSDP", 3), ("0.0", 0)],
)
def test_stages_of_zero(text: str, stage: int) -> None:
    assert read(zero_stage=text).zero_stage == stage


@pytest.mark.parametrize(
    ("text", "fused", "noted"),
    [
        ("flash", True, False),
        ("FlashAttention-2", True, False),
        ("sdpa", True, False),
        ("TE", True, False),
        ("cuDNN", True, False),
        ("xformers", True, False),
        ("eager", False, False),
        ("math", False, False),
        ("unfused", False, False),
        ("magic", True, True),
    ],
)
def test_words_for_attention(text: str, fused: bool, noted: bool) -> None:
    found = read(attention=text)
    assert found.fused_attention is fused
    assert found.notes == (("attention 'magic' is not known: fused is taken",) if noted else ())


def test_words_for_the_task() -> None:
    words = {"Pre-Training": "pretrain", "fine-tuning": "sft", "SFT": "sft", "LoRA": "lora", "": ""}
    for text, word in words.items():
        found = read(task=text)
        assert (found.task, found.notes, found.written_task) == (word, (), text)
    odd_task = read(task="dancing")
    assert odd_task.task == "pretrain"
    assert odd_task.notes == ("task 'dancing' is not known: pre-training is taken",)


def test_a_network_that_tells_nothing_is_noted() -> None:
    (note,) = read(network="very fast").notes
    assert note == "network 'very fast' tells no speed: the usual one of A100-SXM4-80GB is taken"
    assert read(network="NVLink3").notes == ()
    # Within a node there is none to cross.
    assert read(network="very fast", devices="8", dp="1").notes == ()


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
    assert read(**changed).notes == (note,)


def test_the_ends_of_a_model_may_count_as_layers() -> None:
    # BLOOM: 70 layers, the embedding and the head, in 12 stages.
    assert read(layers="70", tp="1", pp="12", dp="1", devices="12").notes == ()


def test_a_node_may_be_in_use_in_part() -> None:
    part = {"devices": "4", "dp": "1", "tp": "4", "pp": "1", "nodes": "1", "node_devices": "8"}
    assert read(**part).node_devices == 8


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
    assert read(accelerator=text, precision="bf16", network="8x200G").accelerator.name == name


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
    assert read(family=family, sample_unit=unit).family == found


def test_an_image_its_flop_and_its_layout_are_read_from_where_tables_have_them() -> None:
    run = read(
        family="cnn",
        sample_unit="images",
        input="224x224x3",
        flop_per_sample_fwd="8.2e9",
        activations_per_sample="11M",
        notes="timm MACs | layout=nhwc",
    )
    assert (run.image_size, run.channels_last, run.unit) == (224, True, "images")
    assert (run.flop_per_sample, run.activations_per_sample) == (8.2e9, 11e6)
    assert read(family="cnn", framework="pytorch-1.12-channels_last").channels_last
    again = {"family": "diffusion", "recompute": "", "notes": "2*MACs | gradient_checkpointing=1; fast"}
    assert read(**again).recompute is Recompute.FULL
    assert read(**again | {"recompute": "none"}).recompute is Recompute.NONE
    # A picture that is no square has no one side; what the cell says comes first.
    assert read(family="cnn", input="800x1333x3").image_size is None
    own = read(family="cnn", input="224x224x3", image_size="288", layout="NCHW")
    assert (own.image_size, own.channels_last) == (288, False)


def test_a_speed_in_parts_of_a_sample_is_one_of_tokens() -> None:
    said = {"tokens_per_s_per_device": "", "samples_per_s_per_device": "80000", "flop_per_sample_fwd": "1.27e8"}
    run = read(family="rnn", sample_unit="mel-frames", **said)
    assert (run.tokens_per_s_per_device, run.samples_per_s_per_device) == (80_000, None)
    # The FLOP beside it are those of a part, and of how many parts a sample has the row says nothing.
    assert run.flop_per_sample is None
    whole = read(family="rnn", sample_unit="samples", **said)
    assert (whole.samples_per_s_per_device, whole.flop_per_sample) == (80_000, 1.27e8)


NAMED = {
    "devices": "1",
    "accelerator": "a100",
    "precision": "fp16",
    "samples_per_s_per_device": "9",
    "micro_batch": "8",
}


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("ResNet-50", "convnet"),
        ("resnet50d", "convnet"),
        ("YOLOv8n", "convnet"),
        ("ViT-B/16", "vision transformer"),
        ("DLRM", "recommender"),
        ("BERT-Base", "encoder"),
        ("bert-base-uncased", "encoder"),
        ("GPT-2 medium", "decoder"),
        ("t5-base", "encoder-decoder"),
        ("Mixtral-8x7B", "moe-decoder"),
    ],
)
def test_the_name_is_enough(model: str, family: str) -> None:
    run = measured_run(NAMED | {"model": model}, CATALOGUE)
    assert run.family == family
    assert any(text.startswith(f"family is empty: {family}, as ") for text in run.assumed)


def test_an_unknown_name_is_a_decoder_only_with_a_shape() -> None:
    for cells in ({"model": "my-net"}, {"model": "my-net", "params": "25e6"}, {}, {"model": "net", "layers": "5"}):
        with pytest.raises(Skipped, match="family is empty, "):
            measured_run(NAMED | cells, CATALOGUE)
    images = {"model": "my-net", "params": "25e6", "seq_len": "197", "sample_unit": "images"}
    with pytest.raises(Skipped, match="family is empty"):
        measured_run(NAMED | images, CATALOGUE)
    shaped = read(family="", model="my-own-7b")
    assert shaped.family == "decoder"
    assert "family is empty: decoder, as it has the shape of one" in shaped.assumed


def test_a_named_model_has_its_own_length() -> None:
    run = measured_run(NAMED | {"model": "gpt2"}, CATALOGUE)
    assert run.seq_len == 1024
    assert "seq_len is empty: 1,024, as gpt2 is trained with" in run.assumed
    assert measured_run(NAMED | {"model": "gpt2", "seq_len": "512"}, CATALOGUE).seq_len == 512
