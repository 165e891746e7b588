"""Named configurations: as their libraries count them, by any of their names, and what stands for a bare family."""

from __future__ import annotations

import pytest

from zenplan.adapters.tables.named_configurations import COLUMNS, configurations_by_alias, read_named_configurations
from zenplan.commands.shared.known import known
from zenplan.commands.shared.tables import lowered
from zenplan.domain.model.workload import Workload
from zenplan.domain.provenance import Origin
from zenplan.errors import DataError, UnknownName, UsageError
from zenplan.families.bare_names import _ALSO, _TAKEN, size_of
from zenplan.families.transformer.presets import plain
from zenplan.plugins import load_plugins

FAMILIES = known(load_plugins({"ZENPLAN_PLUGINS": ""}), None, None).families


def model(name: str, **options: int) -> Workload:
    return lowered(FAMILIES, {"model": name, **options})


def test_parameters_are_those_of_the_library() -> None:
    for name, each in read_named_configurations().items():
        load = model(name)
        assert load.name == name
        assert load.parameters == pytest.approx(each.parameters, rel=2e-3), name
        told = {fact.name: fact for fact in load.facts}
        assert each.source in told["configuration"].why
        assert told["configuration"].origin is Origin.PUBLISHED


# Both towers of a pair, GFLOP and millions of parameters: mlfoundations/open_clip, docs/model_profile.csv.
PAIRS = {
    "clip-vit-l-14-336": (395.22, 427.94),
    "clip-vit-g-14": (581.15, 1366.68),
    "clip-vit-bigg-14": (1065.36, 2539.57),
    "siglip-base-16": (46.44, 203.16),
    "siglip-base-16-384": (123.15, 203.45),
    "siglip-large-16": (201.62, 652.15),
    "siglip-so400m": (723.48, 877.96),
    "siglip-so400m-224": (233.54, 877.36),
}
# GFLOP of one image of 518 pixels, of 15 s of speech, of 512 values read and 64 written: PyTorch's counter over the library
# of the row, on the meta device. Not one of their makers prints any.
COUNTED = {
    "dinov2-small": 93.393,
    "dinov2-base": 303.147,
    "dinov2-large": 1013.608,
    "dinov2-giant": 3566.686,
    "wav2vec2-base": 229.238,
    "wav2vec2-large": 594.568,
    "hubert-base": 229.238,
    "chronos-t5-tiny": 5.587,
    "chronos-t5-base": 125.577,
    "chronos-t5-large": 435.805,
}


@pytest.mark.parametrize("name", PAIRS)
def test_pairs_as_open_clip_profiles_them(name: str) -> None:
    gflop, millions = PAIRS[name]
    load = model(name)
    assert load.flop_per_sample == pytest.approx(1e9 * gflop, rel=0.01)
    assert load.parameters == pytest.approx(1e6 * millions, rel=1e-4)


@pytest.mark.parametrize("name", COUNTED)
def test_flop_as_counted(name: str) -> None:
    load = model(name)
    flop = sum(b.repeat * getattr(op, "full_flop", op.flop) for b in load.blocks for op in b.operators)
    assert flop == pytest.approx(1e9 * COUNTED[name], rel=0.01)


def test_active_parameters_are_the_published_ones() -> None:
    """MoonshotAI/Kimi-K2 and openai/gpt-oss, README.md: 32B and 3.6B; their embeddings are no product."""
    for name, billions in {"kimi-k2": 32, "gpt-oss-20b": 3.6}.items():
        assert model(name).active_parameters == pytest.approx(1e9 * billions, rel=0.02), name


def test_one_is_found_by_its_other_names() -> None:
    for alias, name in configurations_by_alias().items():
        assert model(alias).name == name
    for text in ("openai/gpt-oss-20b", "GPT-OSS-20B", "moonshotai/Kimi-K2-Instruct", "facebook/esm2_t33_650M_UR50D"):
        assert model(text).parameters > 0


def test_images_of_another_size_and_longer_texts() -> None:
    small, usual = model("dinov2-base", image_size=224), model("dinov2-base")
    assert (small.image_size, usual.image_size) == (224, 518)
    assert small.flop_per_sample < usual.flop_per_sample / 5
    assert model("esm2-8m", seq_len=512).tokens_per_sample == 512
    for name, options in (("dinov2-base", {"seq_len": 64}), ("esm2-8m", {"image_size": 64})):
        with pytest.raises(UsageError, match="has no --"):
            model(name, **options)
    with pytest.raises(UsageError, match="no parameter"):
        model("esm2-8m:layers=2")


def test_a_bare_family_takes_a_size_and_says_so() -> None:
    for bare in (*_TAKEN, *_ALSO, "YOLO", "Qwen", "meta-llama/Llama"):
        load = model(bare)
        first = load.facts[0]
        assert (first.name, first.origin) == ("model", Origin.ASSUMED), bare
        assert plain(load.name) in (plain(first.value), plain(str(size_of(bare)))), bare
        assert bare in first.why
    assert "yolo11n" in model("yolo").facts[0].why
    assert "there are also" in model("whisper").facts[0].why
    assert model("yolo:classes=3").parameters < model("yolo").parameters


def test_a_name_that_is_nobodys_suggests_its_own_kind() -> None:
    for name, begins in {"yolov13m": "yolo", "whisperr": "whisper", "qwen9-8b": "qwen", "lama3-8b": "llama"}.items():
        with pytest.raises(UnknownName) as caught:
            model(name)
        near = caught.value.hint.partition("?")[0].removeprefix("did you mean ").split(" or ")
        assert near, name
        assert all(each.startswith(begins) for each in near), (name, near)
    with pytest.raises(UnknownName) as caught:
        model("zzz")
    assert "did you mean" not in caught.value.hint


def test_a_broken_row_is_said() -> None:
    cells = dict.fromkeys(COLUMNS, "a") | {"aliases": "", "written": "", "parameters": "5", "config": "{}"}

    def read(**changes: str) -> None:
        row = cells | changes
        read_named_configurations(",".join(COLUMNS) + "\n" + ",".join(f'"{row[c]}"' for c in COLUMNS) + "\n")

    read()
    for column, text in (("config", "{"), ("config", "[]"), ("parameters", "0"), ("written", "x")):
        with pytest.raises(DataError):
            read(**{column: text})
