"""Stand-ins of every family of models: how near they are to their workloads, and that each backend steps them."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.session import told_once
from zenplan import documents
from zenplan.commands.shared import tables as inputs
from zenplan.domain.model.proxy import proxy_note
from zenplan.domain.model.workload import Workload
from zenplan.errors import DataError
from zenplan.plugins import load_plugins
from zenplan.worker.protocol import Blocks

SCRIPT = Path(__file__).with_name("proxy_models.py")
INSTALLED = [b for b in ("jax", "torch", "tensorflow") if importlib.util.find_spec(b)]
needs_keras = pytest.mark.skipif(not importlib.util.find_spec("keras") or not INSTALLED, reason="keras is missing")

# Within 2 % of the parameters and 5 % of the FLOP of training.
TRUE = (
    "gpt2-124m@64",
    "llama3-8b@64",
    "gemma3-1b@64",
    "pythia-160m@64",
    "bert-base@64",
    "t5-small@64",
    "mixtral-8x7b@64",
    "whisper-tiny:seconds=10,seq_len=64",
    "bert-base-classifier",
    "vit-tiny",
    "deit-base-distilled",
    "swin-tiny",
    "sam-vit-h:layers=6",
    "dit-s-2:layers=2",
    "stable-diffusion",
    "resnet18",
    "resnet50",
    "resnet50-v2",
    "resnext50-32x4d",
    "regnety-400mf",
    "vgg16",
    "alexnet",
    "densenet121",
    "inceptionv3",
    "mobilenet",
    "mobilenetv2",
    "mobilenetv3-small",
    "efficientnet-b0",
    "convnext-tiny",
    "retinanet-resnet50",
    "unet",
    "unet3d",
    "lstm",
    "gru",
    "simple-rnn",
    "gnmt",
    "rnn-t",
    "tacotron2",
    "mlp",
    "mixer-s16",
    "dlrm",
    "ncf",
    "wide-and-deep",
    "vae-cf",
    "gcn",
    "graphsage",
    "rgat",
    "se3-transformer",
)
# What is further off, and by how much: the ratio of parameters. A proxy model has 8 of 64 experts.
FAR = {"deepseek-v2-lite@64": 0.198, "olmoe-1b-7b@64": 0.185}

TINY = {
    "num_hidden_layers": 1,
    "hidden_size": 32,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 50,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
}
GPT2 = {"model_type": "gpt2", "n_layer": 1, "n_embd": 32, "n_head": 2, "vocab_size": 50, "n_positions": 32}
MIXTRAL = {"model_type": "mixtral", "num_local_experts": 4, "num_experts_per_tok": 2, **TINY}
STEPPED = (
    *(json.dumps(config) + "@8" for config in (GPT2, {"model_type": "llama", **TINY}, MIXTRAL)),
    "vit-tiny:image_size=32,layers=1",
    "convnet:depth=2,stages=2,width=4,image_size=16",
    "lstm:hidden=16,layers=1,vocab=50",
    "gru:hidden=16,layers=1,vocab=50",
    "mlp:widths=8x16x4",
    "ncf:users=20,items=20",
    "gcn:neighbours=3x2",
)


def workload(name: str, seq_len: int | None = None) -> Workload:
    return inputs.lowered(load_plugins({}).workloads(), {"model": name, "seq_len": seq_len})


def asked(backend: str, what: str, *models: str) -> str:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), what, *models],
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()[-1]


@cache
def answers(backend: str, what: str, *models: str) -> dict[str, Any]:
    """The same models each time that it is asked for this."""
    found: dict[str, Any] = json.loads(told_once(f"proxies-{backend}-{what}", lambda: asked(backend, what, *models)))
    return found


@needs_keras
@pytest.mark.parametrize("model", TRUE)
@pytest.mark.slow
def test_a_proxy_has_the_size_of_its_workload(model: str) -> None:
    row = answers(INSTALLED[0], "truth", *TRUE, *FAR)[model]
    assert row["unknown"] == []
    assert row["parameters"] == pytest.approx(1.0, abs=0.02)
    assert row["flop"] == pytest.approx(1.0, abs=0.05)


@needs_keras
@pytest.mark.parametrize("model", FAR)
def test_what_a_proxy_is_short_of(model: str) -> None:
    row = answers(INSTALLED[0], "truth", *TRUE, *FAR)[model]
    assert row["parameters"] == pytest.approx(FAR[model], abs=0.005)
    assert row["flop"] == pytest.approx(1.0, abs=0.05)


@needs_keras
@pytest.mark.parametrize("model", [*TRUE, *FAR])
def test_a_proxy_does_not_go_by_names(model: str) -> None:
    row = answers(INSTALLED[0], "names", *TRUE, *FAR)[model]
    assert row["own"] == row["other"]


@needs_keras
@pytest.mark.parametrize("backend", INSTALLED)
@pytest.mark.parametrize("model", STEPPED)
@pytest.mark.slow
def test_every_weight_of_a_proxy_learns(model: str, backend: str) -> None:
    row = answers(backend, "step", *STEPPED)[model]
    first, second = row["losses"]
    assert first != second
    assert row["moved"] == 1.0


def test_blocks_of_every_model_come_back_from_json() -> None:
    names = [name for family in load_plugins({}).workloads() for name in family.presets()]
    assert {"mixtral-8x7b", "resnet18", "lstm", "whisper-tiny"} <= set(names)
    for name in names:
        model = Blocks(name=name, blocks=workload(name).blocks)
        assert documents.decode(documents.encode(model), Blocks, "it") == model


@pytest.mark.parametrize(
    "wrong", [None, 3, [{}], [{"name": 5, "operators": []}], [{"name": "a", "operators": [{"type": "Nothing"}]}]]
)
def test_other_documents_are_no_blocks(wrong: Any) -> None:
    with pytest.raises(DataError, match=r"^these blocks: .* at `\$.blocks"):
        documents.decode(json.dumps({"kind": "blocks", "name": "m", "blocks": wrong}), Blocks, "these blocks")


@pytest.mark.parametrize(
    ("name", "seq_len", "said"),
    [
        ("gpt2-124m", None, "joined where the sizes fit"),
        ("mixtral-8x7b", 64, "experts get equal shares"),
        ("deepseek-v3", 64, "with 8 of 256 experts' weights"),
        ("mistral-7b", 8192, "in place of a window"),
    ],
)
def test_the_note_says_what_is_approximate(name: str, seq_len: int | None, said: str) -> None:
    assert said in proxy_note(workload(name, seq_len).blocks)


def test_the_note_says_nothing_that_is_not_so() -> None:
    note = proxy_note(workload("gpt2-124m").blocks)
    assert "experts" not in note
    assert "window" not in note
