"""The table of configurations: what Hugging Face's library builds of each, and what is read of it here."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from zenplan.adapters.tables.configurations import read_type_defaults
from zenplan.domain.model.workload import Workload
from zenplan.errors import UsageError
from zenplan.families.configurations.reading import shape_from_config, workload_from_config

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "configurations.py"
# As reported, of the reference library without weights; what is in the table is built again by the script.
REPORTED = {
    "kimi-k2": 1_026_408_209_408,
    "granite-3.1-2b": 2_533_531_648,
    "smollm3-3b": 3_075_098_624,
    "olmo-3-7b": 7_298_011_136,
    "starcoder2-3b": 3_030_371_328,
    "glm-4-9b": 9_400_279_040,
    "falcon-7b": 6_921_720_704,
    "xlm-roberta-base": 278_295_186,
    "modernbert-base": 149_655_232,
    "electra-small": 13_546_682,
    "bart-large": 406_291_456,
    "whisper-small": 241_734_912,
    "gpt-oss-20b": 20_914_757_184,
    "glm-4.5-air": 106_852_245_504,
    "llama-4-scout": 108_641_793_536,
    "mistral-small-3.1-24b": 24_011_361_280,
    "qwen2.5-vl-7b": 8_292_166_656,
    "mamba-2.8b": 2_768_345_600,
    "falcon-h1-7b": 7_585_513_568,
    "gemma-3-4b": 4_300_079_472,
    "gemma-3-4b-untied": 4_971_331_952,
    "bloom-560m-alias": 559_214_592,
    "gpt2-xl-alias": 1_557_611_200,
}


@pytest.fixture(scope="module")
def table() -> ModuleType:
    spec = importlib.util.spec_from_file_location("configurations", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["configurations"] = module
    spec.loader.exec_module(module)
    return module


def load(config: Mapping[str, Any], seq_len: int | None = 512) -> Workload:
    return workload_from_config(config, seq_len, read_type_defaults())[0]


def test_nearly_all_are_read_and_those_have_the_parameters_of_the_reference(table: ModuleType) -> None:
    found = list(table.compared())
    assert len(found) >= 190
    assert len({row.config["model_type"] for row, *_ in found}) >= 140
    off = {row.name: off for row, off, _ in found if off is not None}
    assert len(off) >= table.READ * len(found)
    assert {name: each for name, each in off.items() if abs(each) > table.NEAR} == {}
    counts = {row.name: row.parameters for row, *_ in found}
    assert {name: counts[name] for name in REPORTED} == REPORTED


def test_forward_flop_are_those_of_the_reference(table: ModuleType) -> None:
    flop = {row.name: flop for row, _, flop in table.compared() if flop is not None}
    assert len(flop) >= 40
    assert {name: each for name, each in flop.items() if abs(each) > table.NEAR_FLOP} == {}


@pytest.mark.parametrize("tied", [True, False])
def test_mt5_has_a_head_of_its_own_where_its_file_says_so(tied: bool) -> None:
    config = {"model_type": "mt5", "d_model": 512, "d_kv": 64, "d_ff": 1024, "num_layers": 8, "num_heads": 6}
    config |= {"vocab_size": 250112, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": tied}
    assert load(config).parameters == pytest.approx(172.1e6 if tied else 300.2e6, rel=1e-3)


def test_defaults_are_read_from_the_bundled_file() -> None:
    every = read_type_defaults()
    assert every["gpt2"].aliases["hidden_size"] == "n_embd"
    assert every["llava"].parts["vision_config"][0] == "clip_vision_model"
    assert "head_dim" not in every["llama"].values  # it follows from width and heads


def test_a_text_configuration_inside_another_may_leave_out_its_defaults() -> None:
    inner = load({"model_type": "llava", "text_config": {"model_type": "llama"}, "vision_config": {}})
    assert inner.parameters > 6.7e9
    with pytest.raises(UsageError, match="num_hidden_layers"):
        load({"model_type": "llama"})


VISION = {"hidden_size": 1152, "image_size": 896, "intermediate_size": 4304, "num_attention_heads": 16}
VISION |= {"num_hidden_layers": 27, "patch_size": 14, "vision_use_head": False}
TEXT = {"model_type": "gemma3_text", "hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 34}


def test_a_tower_is_work_and_told() -> None:
    both, text = load({"model_type": "gemma3", "text_config": TEXT, "vision_config": VISION}), load(TEXT)
    assert both.parameters - text.parameters == pytest.approx(419.8e6, rel=5e-3)
    assert both.flop_per_sample > text.flop_per_sample + 2 * 400e6 * 4096
    assert next(f for f in both.facts if f.name == "images a sequence").value == "1"
    more = load({"model_type": "gemma3", "text_config": TEXT, "vision_config": VISION | {"num_hidden_layers": 54}})
    assert more.parameters > both.parameters


def test_a_tower_of_an_unknown_type_is_left_out_and_said() -> None:
    vision = {"model_type": "another_tower", "hidden_size": 8}
    found = load({"model_type": "some_vl", "text_config": TEXT, "vision_config": vision})
    assert next(f for f in found.facts if f.name == "image tower").value == "left out"


@pytest.mark.parametrize(
    "wrong", [{"vision_config": 7}, {"vision_config": VISION | {"patch_size": 0}}, {"text_config": 3}]
)
def test_a_wrong_part_is_refused(wrong: dict[str, Any]) -> None:
    config = {"model_type": "gemma3", "text_config": TEXT, "vision_config": VISION} | wrong
    with pytest.raises(UsageError):
        load(config)


def test_a_scan_costs_what_its_state_and_length_say() -> None:
    rows = {row["name"]: row["config"] for row in _rows()}
    mamba, hybrid = load(rows["mamba-130m"]), load(rows["granite-4.0-h-tiny"])
    assert [op.name for b in mamba.blocks for op in b.operators if type(op).__name__ == "Scan"] == ["mamba scan"]
    # Without attention twice the tokens are twice the work; with some of it more.
    assert load(rows["mamba-130m"], 1024).flop_per_sample == pytest.approx(2 * mamba.flop_per_sample)
    assert load(rows["granite-4.0-h-tiny"], 1024).flop_per_sample > 2 * hybrid.flop_per_sample


def _rows() -> list[dict[str, Any]]:
    import csv

    with SCRIPT.with_name("published").joinpath("configurations.csv").open(encoding="utf-8", newline="") as file:
        return [{"name": r["name"], "config": json.loads(r["config"])} for r in csv.DictReader(file)]


def test_layers_with_the_weights_of_another_are_work_all_the_same() -> None:
    rows = {row["name"]: row["config"] for row in _rows()}
    albert, shallow = load(rows["albert-base-v2"]), load(rows["albert-base-v2"] | {"num_hidden_layers": 6})
    assert albert.parameters == shallow.parameters
    assert albert.flop_per_sample > 1.5 * shallow.flop_per_sample


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("BertModel", 768 * 769),
        ("BertForTokenClassification", 9 * 769),
        ("BertForSequenceClassification", 768 * 769 + 9 * 769),
    ],
)
def test_the_class_says_what_the_head_is(kind: str, more: int) -> None:
    rows = {row["name"]: row["config"] for row in _rows()}
    labels = {"id2label": {str(n): str(n) for n in range(9)}}
    bert = rows["bert-base-uncased"]
    plain = load(bert | {"architectures": ["BertModel"]}).parameters - 768 * 769
    assert load(bert | labels | {"architectures": [kind]}).parameters == plain + more


def test_the_shape_is_that_of_the_workload_in_every_row() -> None:
    """A model with towers has one language model, whoever asks for it."""
    known, towers = read_type_defaults(), 0
    for row in _rows():
        load, shape = workload_from_config(row["config"], 512, known)
        if shape is not None:
            assert shape_from_config(row["config"], 512, known)[0] == shape, row["name"]
            towers += any(b.name.endswith("projector") for b in load.blocks)
    assert towers >= 10


# As their makers say: of what the reference library cannot build, or builds with weights that there are none of.
MADE: dict[str, tuple[dict[str, Any], float, float]] = {
    "dbrx": (
        {"d_model": 6144, "n_heads": 48, "n_layers": 40, "max_seq_len": 32768, "vocab_size": 100352}
        | {"attn_config": {"kv_n_heads": 8, "rope_theta": 500000}}
        | {"ffn_config": {"ffn_hidden_size": 10752, "moe_num_experts": 16, "moe_top_k": 4}},
        132e9,
        36e9,
    ),
    "longcat_flash": (
        {"num_layers": 28, "hidden_size": 6144, "num_attention_heads": 64, "ffn_hidden_size": 12288, "moe_topk": 12}
        | {"n_routed_experts": 512, "zero_expert_num": 256, "expert_ffn_hidden_size": 2048, "vocab_size": 131072}
        | {
            "q_lora_rank": 1536,
            "kv_lora_rank": 512,
            "qk_nope_head_dim": 128,
            "qk_rope_head_dim": 64,
            "v_head_dim": 128,
        },
        560e9,
        27e9,
    ),
}


@pytest.mark.parametrize("kind", MADE)
def test_mixtures_have_the_parameters_that_their_makers_say(kind: str) -> None:
    config, every, active = MADE[kind]
    found = load({"model_type": kind} | config)
    assert found.parameters == pytest.approx(every, rel=0.005)
    assert found.active_parameters == pytest.approx(active, rel=0.02)


def test_layers_that_attend_to_images_take_no_tokens_of_the_text() -> None:
    config = next(row["config"] for row in _rows() if row["name"] == "llama-3.2-11b-vision")
    known = read_type_defaults()
    none, one, two = (workload_from_config(config, 128, known, images)[0] for images in (0, 1, 2))
    assert one.image_tokens == two.image_tokens == 0
    assert (one.images, two.images) == (1, 2)
    text = [b.flop * b.repeat for b in two.blocks if b.part == "text"]
    assert sum(text) > sum(b.flop * b.repeat for b in one.blocks if b.part == "text")
    assert none.parameters == one.parameters == two.parameters
