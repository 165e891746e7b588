"""``estimate``, ``layouts`` and ``workloads`` for models that are not language models, and what is wrong with them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from zenplan.domain.model.operators import MatMul, Split
from zenplan.domain.model.workload import Block, Workload
from zenplan.errors import UsageError

SCHEMAS = Path(__file__).parents[3] / "zenplan" / "data" / "schemas"
Call = Callable[..., Any]
RESNET = ("estimate", "--model", "resnet50", "--gpu", "h100", "--gpus", "8", "--provider", "aws")
BY_FLOP = ("--params", "25.6M", "--flops-per-sample", "8.2e9")
DENSE = MatMul(name="dense", rows=1, inner=1000, columns=1000, split=Split.NONE)
COUNTED = Workload(
    name="mine",
    family="keras",
    blocks=(Block(name="dense", operators=(DENSE,), repeat=8),),
    tokens_per_sample=1,
    unit="samples",
)


def complaint(ended: Any, code: int = 2) -> str:
    """The error, once nothing but one error and at most one hint was said."""
    lines = ended.err.splitlines()
    assert (ended.code, ended.out) == (code, ""), ended
    assert len(lines) in (1, 2), ended.err
    assert lines[0].startswith("error: ")
    assert all(line.startswith("hint: ") for line in lines[1:])
    assert "a fault in zenplan" not in ended.err
    return str(ended.err)


@pytest.fixture
def document(called: Call) -> Callable[..., dict[str, Any]]:
    """The JSON of a command line, once its schema says that it is one."""

    def asked(schema: str, *argv: str) -> dict[str, Any]:
        ended = called(*argv, "--format", "json")
        assert ended.code == 0, ended.err
        parsed: dict[str, Any] = json.loads(ended.out)
        (file,) = SCHEMAS.glob(f"{schema}-*.json")
        rules = json.loads(file.read_text(encoding="utf-8"))
        assert [e.message for e in Draft202012Validator(rules).iter_errors(parsed)] == []
        return parsed

    return asked


@pytest.fixture
def keras(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """What counting a Keras model comes to, without Keras: a workload, or an error."""

    def comes_to(answer: Workload | UsageError) -> None:
        def counted(target: str, **_: Any) -> Workload:
            if isinstance(answer, UsageError):
                raise answer
            return replace(answer, name=target, backend="jax")

        monkeypatch.setattr("zenplan.commands.shared.counting.keras_workload", counted)

    return comes_to


# --- what is answered


def test_images_are_what_it_speaks_of(called: Call) -> None:
    assert called(*RESNET).out.startswith(
        "Training resnet50 (25.6M parameters) on 115M images (90 × 1.28M) takes about"
    )
    ended = called(*RESNET, "--details")
    assert ended.code == 0
    assert " images/s, MFU " in ended.out
    assert "tokens" not in ended.out
    # A cell of the table may be broken into lines.
    assert re.search(r"^samples +1\.28M,\s.*\n? *ImageNet-1k ", ended.out, re.MULTILINE)
    for text in ("256 images", "sgd-momentum", "channels last"):
        assert text in ended.out


def test_the_document_has_the_unit_and_the_samples(document: Callable[..., dict[str, Any]]) -> None:
    found = document("estimate", *RESNET)
    assert (found["workload"]["unit"], found["workload"]["tokens_per_sample"]) == ("images", 1)
    assert found["plan"]["samples"] == found["plan"]["tokens"] == 90 * 1_281_167
    quote = found["quotes"][0]
    batch = found["plan"]["global_batch_samples"]
    assert quote["samples_per_s"] == pytest.approx(batch / quote["step"]["total_s"]["mid"])
    language = document("estimate", "estimate", "--params", "1e9", "--top", "1")
    assert language["workload"]["unit"] == "tokens"
    length = language["workload"]["tokens_per_sample"]
    assert language["plan"]["samples"] * length == pytest.approx(language["plan"]["tokens"])
    assert [quote["input"] for quote in language["quotes"]] == [None]


def test_larger_images_take_more(document: Callable[..., dict[str, Any]]) -> None:
    plain, larger = (
        document("estimate", *RESNET, *more)
        for more in (("--batch", "2048"), ("--batch", "2048", "--image-size", "448"))
    )
    ratio = larger["workload"]["forward_flop_per_sample"] / plain["workload"]["forward_flop_per_sample"]
    assert ratio == pytest.approx(4.0, rel=0.02)
    assert larger["workload"]["parameters"] == plain["workload"]["parameters"]
    assert larger["quotes"][0]["samples_per_s"] < 0.5 * plain["quotes"][0]["samples_per_s"]


def test_data_and_batch_may_be_given(document: Callable[..., dict[str, Any]]) -> None:
    found = document("estimate", *RESNET, "--samples", "1.2M", "--epochs", "10", "--batch", "1024")
    assert (found["plan"]["samples"], found["plan"]["global_batch_samples"]) == (12e6, 1024)
    language = document("estimate", "estimate", "--params", "1e9", "--samples", "1M", "--batch", "512", "--top", "1")
    # A million documents of 700 tokens, packed.
    assert language["plan"]["tokens"] == pytest.approx(7e8)
    assert language["plan"]["global_batch_samples"] == 512


def test_a_model_known_by_its_flop(document: Callable[..., dict[str, Any]]) -> None:
    argv = ("estimate", *BY_FLOP, "--activations-per-sample", "11.1M", "--samples", "1.2M", "--epochs", "90")
    found = document("estimate", *argv, "--gpu", "h100")
    assert found["workload"]["parameters"] == pytest.approx(25.6e6)
    assert found["workload"]["forward_flop_per_sample"] == pytest.approx(8.2e9)
    assert (found["workload"]["unit"], found["plan"]["samples"]) == ("samples", 108e6)
    assumed = {fact["name"] for fact in found["inputs"] if fact["origin"] == "assumed"}
    assert {"kind", "shape", "global batch"} <= assumed


def test_a_keras_model(document: Callable[..., dict[str, Any]], keras: Callable[..., None]) -> None:
    keras(COUNTED)
    argv = ("--keras", "pkg:build", "--gpu", "h100", "--gpus", "8")
    found = document("estimate", "estimate", *argv, "--samples", "1.2M", "--epochs", "90")
    assert (found["workload"]["name"], found["workload"]["parameters"]) == ("pkg:build", 8e6)
    facts = {fact["name"]: fact for fact in found["inputs"]}
    assert (facts["Keras model"]["value"], facts["Keras model"]["origin"]) == ("pkg:build", "given")
    assert facts["software"]["value"] == "jax"
    assert document("layouts", "layouts", *argv, "--batch", "512")["plan"]["global_batch_samples"] == 512


def test_layouts_of_a_step(document: Callable[..., dict[str, Any]], called: Call) -> None:
    argv = ("layouts", "--model", "resnet50", "--gpu", "H100-SXM5-80GB", "--gpus", "8", "--batch", "2048")
    found = document("layouts", *argv)
    assert found["workload"]["unit"] == "images"
    for layout in found["layouts"]:
        assert layout["samples_per_s"] == pytest.approx(2048 / layout["step"]["total_s"])
        assert layout["tokens_per_s_per_device"] == pytest.approx(layout["samples_per_s"] / 8)
    told = called(*argv).out
    assert "images/s" in told
    assert "for a million images at" in told
    assert "token" not in told


# --- the input pipeline


def test_processors_that_cannot_keep_up_are_told_of(called: Call, document: Callable[..., dict[str, Any]]) -> None:
    argv = ("estimate", "--model", "resnet50", "--gpu", "RTX-4090", "--gpus", "1")
    quotes = document("estimate", *argv)["quotes"]
    short = [q for q in quotes if q["input"] and q["input"]["share"] < 1]
    assert short
    for quote in short:
        assert quote["input"]["prepared_samples_per_s"] == pytest.approx(125 * quote["input"]["vcpus"])
        assert quote["input"]["share"] * quote["samples_per_s"] == pytest.approx(
            quote["input"]["prepared_samples_per_s"]
        )
    for more, named in (((), "the cheapest"), (("--details",), "#")):
        told = " ".join(called(*argv, *more).out.split())
        assert f"The input pipeline of {named}" in told
        assert "vCPUs decode about" in told
        assert "as long as they need" in told


def test_processors_that_keep_up_are_not(called: Call) -> None:
    ended = called(
        "estimate",
        "--model",
        "resnet50",
        "--image-size",
        "1024",
        "--gpu",
        "a100-80gb",
        "--gpus",
        "8",
        "--provider",
        "aws",
    )
    assert ended.code == 0
    assert "input pipeline" not in ended.out


# --- the list of models


def test_models_are_listed_by_family(called: Call, document: Callable[..., dict[str, Any]]) -> None:
    found = document("workloads", "workloads")["workloads"]
    by_name = {each["name"]: each for each in found}
    assert (by_name["resnet50"]["plugin_family"], by_name["resnet50"]["unit"]) == ("convnet", "images")
    assert by_name["llama3-8b"]["unit"] == "tokens"
    told = called("workloads").out.splitlines()
    titles = list(dict.fromkeys(each["plugin_family"] for each in found))
    assert [line for line in told if line in titles] == titles


@pytest.mark.parametrize(
    ("family", "kinds"),
    [
        ("convnet", {"convnet"}),
        ("Convnet", {"convnet"}),
        ("transformer", {"decoder", "encoder", "encoder-decoder", "moe-decoder"}),
        ("encoder", {"encoder"}),
    ],
)
def test_one_family(family: str, kinds: set[str], document: Callable[..., dict[str, Any]]) -> None:
    found = document("workloads", "workloads", "--family", family)["workloads"]
    assert {each["family"] for each in found} == kinds


def test_one_model_at_another_size(document: Callable[..., dict[str, Any]]) -> None:
    plain, larger, deeper = (
        document("workload", "workloads", "show", *argv)
        for argv in (("resnet50",), ("ResNet_50", "--image-size", "448"), ("resnet50:classes=10",))
    )
    assert larger["forward_flop_per_sample"] == pytest.approx(4 * plain["forward_flop_per_sample"], rel=0.02)
    assert deeper["parameters"] == plain["parameters"] - 990 * 2049
    first = plain["operators"][0]
    assert (first["kind"], first["shape"]) == ("convolution", "12544×147×64, window 49")


# --- what is wrong


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("--model", "resnet51"), "did you mean resnet50"),
        (("--model", "resnet50:depht=3"), "it has image_size"),
        (("--model", "resnet50:image_size=big"), "image_size of resnet50"),
        (("--model", "resnet50:image_size=0"), "image_size of resnet50"),
        (("--model", "resnet50:image_size=1.5"), "whole number"),
        (("--model", "resnet50", "--image-size", "0"), "--image-size"),
        (("--model", "resnet50", "--image-size", "22.5"), "--image-size must be a whole number"),
        (("--model", "resnet50", "--image-size", "1e9"), "--image-size"),
        (("--model", "resnet50", "--tokens", "1e9"), "--samples 1.2M"),
        (("--model", "resnet50", "--dataset-size", "1TB"), "--samples 1.2M"),
        (("--model", "resnet50", "--global-batch", "1M"), "--batch 256"),
        (("--model", "resnet50", "--seq-len", "128"), "resnet50 has no --seq-len"),
        (("--model", "resnet50", "--batch", "0"), "--batch"),
        (("--model", "resnet50", "--batch", "2.5"), "--batch must be a whole number"),
        (("--model", "resnet50", "--samples", "many"), "--samples"),
        (("--model", "resnet50", "--samples", "-5"), "--samples"),
        (("--model", "resnet50", "--samples", "1e16"), "--samples"),
        (("--model", "resnet50", "--samples", "1e15", "--epochs", "1e9"), "beyond what zenplan plans for"),
        (("--model", "resnet50", "--params", "1e9"), "--params and --model contradict"),
        (("--model", "resnet50", "--params", "1e9"), "--config config.json, --keras m:build"),
        (("--model", "resnet50", "--method", "lora"), "nothing of resnet50 would be trained"),
        (("--params", "1e9", "--image-size", "224"), "--image-size does not go with --params"),
        (("--params", "1e9", "--activations-per-sample", "1M"), "--flops-per-sample"),
        (("--params", "1e9", "--samples", "1M", "--tokens", "1B"), "--tokens and --samples contradict"),
        (("--params", "1e9", "--batch", "8", "--global-batch", "1M"), "--global-batch and --batch contradict"),
        (BY_FLOP, "nothing says how much data there is"),
        ((*BY_FLOP, "--tokens", "1e9"), "--samples 1.2M"),
        ((*BY_FLOP, "--active-params", "1e6"), "--active-params does not go with --flops-per-sample"),
        (("--params", "1e6", "--flops-per-sample", "0"), "--flops-per-sample"),
        (("--params", "1e6", "--flops-per-sample", "1e19"), "--flops-per-sample"),
        (("--params", "1e6", "--flops-per-sample", "much"), "--flops-per-sample"),
        (("--flops-per-sample", "1e9"), "nothing says what to train"),
    ],
    ids=" ".join,
)
def test_a_request_that_cannot_be_meant(argv: tuple[str, ...], said: str, called: Call) -> None:
    assert said in complaint(called("estimate", *argv))


@pytest.mark.parametrize(
    ("argv", "ways"),
    [
        (("resnet50", "--image-size", "30000"), "more --gpus, devices with more memory, or a smaller --image-size"),
        (
            ("vit-large", "--image-size", "11200"),
            "more --gpus, devices with more memory, a smaller --image-size, or --method lora or qlora",
        ),
        (("dlrm-dcnv2",), "more --gpus, or devices with more memory"),
        (("gnmt", "--seq-len", "100K"), "more --gpus, devices with more memory, or a shorter --seq-len"),
    ],
    ids=str,
)
def test_what_does_not_fit_says_what_would_help_that_model(argv: tuple[str, ...], ways: str, called: Call) -> None:
    for command in ("estimate", "layouts"):
        ended = called(command, "--model", *argv, "--gpu", "t4", "--gpus", "1", "--precision", "fp16")
        assert complaint(ended, 3).splitlines()[1] == f"hint: {ways}"


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("workloads", "--family", "convet"), "did you mean convnet"),
        (("workloads", "show", "resnet5O"), "did you mean resnet50"),
        (("workloads", "show", "llama3-8b", "--image-size", "224"), "image_size"),
        (("workloads", "show", "resnet50", "--image-size", "x"), "--image-size"),
        (("layouts", "--model", "resnet50", "--gpu", "h100", "--gpus", "8", "--global-batch", "1M"), "--batch"),
    ],
    ids=" ".join,
)
def test_a_list_that_cannot_be_meant(argv: tuple[str, ...], said: str, called: Call) -> None:
    assert said in complaint(called(*argv))


def test_a_keras_model_that_cannot_be_counted(called: Call, keras: Callable[..., None]) -> None:
    keras(UsageError("pkg does not import: no module named pkg", "look at its spelling"))
    assert "no module named pkg" in complaint(called("estimate", "--keras", "pkg:build", "--samples", "1M"))
    keras(COUNTED)
    assert "nothing says how much data" in complaint(called("estimate", "--keras", "pkg:build"))
    frozen = replace(COUNTED, blocks=(Block(name="b", operators=(replace(DENSE, trainable=False),)),))
    keras(frozen)
    assert "all of its layers are frozen" in complaint(called("estimate", "--keras", "p:b", "--samples", "1M"))


def test_a_slip_in_another_flag_does_not_wait_for_keras(called: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def counted(target: str, **_: Any) -> Workload:
        raise AssertionError(f"{target} was counted")

    monkeypatch.setattr("zenplan.commands.shared.counting.keras_workload", counted)
    assert "--samples" in complaint(called("estimate", "--keras", "pkg:build", "--samples", "x"))


@pytest.mark.skipif(
    not (find_spec("keras") and any(map(find_spec, ("jax", "torch", "tensorflow")))),
    reason="needs Keras and one of its backends",
)
def test_a_keras_model_from_its_builder_to_its_price(zenplan: Any) -> None:
    (zenplan.cwd / "mine.py").write_text(
        "import keras\n\ndef build():\n    return keras.Sequential([keras.Input((784,)), keras.layers.Dense(10)])\n",
        encoding="utf-8",
    )
    ended = zenplan(
        "estimate", "--keras", "mine:build", "--samples", "60K", "--top", "1", "--format", "json", timeout=300
    )
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)
    assert found["workload"]["parameters"] == 7850
    assert found["workload"]["forward_flop_per_sample"] == 2 * 7840
    assert found["plan"]["samples"] == 60_000
    gone = zenplan("estimate", "--keras", "nowhere:build", "--samples", "60K", timeout=300)
    assert "nowhere" in complaint(gone, gone.code)
    assert gone.code in (1, 2)
