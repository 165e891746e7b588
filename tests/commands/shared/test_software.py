"""``--software``: what names software and what a kind, what is usual, what it cannot do, and what would."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from zenplan.commands.shared.training_plan import training_plan
from zenplan.domain.answer.answer import Answer
from zenplan.domain.model.workload import Workload
from zenplan.domain.precision import PRECISIONS
from zenplan.domain.software import Software
from zenplan.domain.training.layout import Layout
from zenplan.domain.training.plan import TrainingPlan
from zenplan.domain.training.request import Request
from zenplan.domain.training.stack import STACKS, Stack
from zenplan.errors import NoFit, UnknownName, UsageError
from zenplan.plugins import load_plugins

Ask = Callable[..., Answer]
ADAPTERS = ("lora", "qlora")
PLUGINS = load_plugins({"ZENPLAN_PLUGINS": ""})

each_stack = pytest.mark.parametrize("stack", STACKS.values(), ids=list(STACKS))


def plan(**options: Any) -> TrainingPlan:
    return training_plan(Request(**{"model": "llama3-8b", "tokens": 1e8, **options}), PLUGINS.workloads())


def said(made: TrainingPlan) -> tuple[str, str, str]:
    """Value, origin and reason of what a plan says of its software."""
    (fact,) = (f for f in made.facts if f.name == "software")
    return fact.value, fact.origin, fact.why


def counted(backend: str) -> Workload:
    """A model that was counted on a backend of Keras."""
    return replace(plan().workload, backend=backend, facts=())


def layouts(answer: Answer) -> list[Layout]:
    return [ranked.quote.estimate.layout for ranked in answer.ranked]


# --- which


@each_stack
def test_a_name_is_its_kind_and_restricts(stack: Stack) -> None:
    made = plan(software=stack.name)
    assert (made.stack, made.software) == (stack, stack.kind)
    value, origin, why = said(made)
    assert (value, origin) == (stack.name, "given")
    assert stack.layouts("full") in why
    assert str(stack.kind) in why
    assert ("wider interval" in why) is not stack.fitted


@pytest.mark.parametrize("kind", Software)
@pytest.mark.parametrize("method", ["full", *ADAPTERS])
def test_a_kind_restricts_nothing(kind: Software, method: str) -> None:
    made = plan(software=str(kind), method=method)
    assert (made.stack, made.software, said(made)[0]) == (None, kind, kind)


@pytest.mark.parametrize("method", ADAPTERS)
@pytest.mark.parametrize("model", ["llama3-8b", "qwen2.5-7b", "mixtral-8x7b", "bert-large", "vit-large"])
def test_adapters_are_trained_with_what_people_have(model: str, method: str) -> None:
    made = plan(model=model, method=method, tokens=None, samples=1e4)
    assert made.stack is STACKS["hf-trainer"]
    assert said(made)[:2] == ("hf-trainer", "assumed")


def test_what_is_usual_can_do_what_is_asked_for() -> None:
    for method, precision in itertools.product(ADAPTERS, PRECISIONS):
        made = plan(method=method, precision=precision)
        assert made.stack is None or made.stack.trains(method, precision)


def test_full_training_and_keras_are_as_their_kind() -> None:
    assert plan().stack is None
    assert plan(model="resnet50", tokens=None).stack is None
    for backend, method in itertools.product(("jax", "torch", "tensorflow"), ("full", "lora")):
        assert plan(model=None, keras=counted(backend), method=method).stack is None


@pytest.mark.parametrize(("backend", "kind"), [("jax", "jax"), ("torch", "eager"), ("tensorflow", "xla")])
def test_keras_is_of_the_kind_of_its_backend(backend: str, kind: str) -> None:
    made = plan(model=None, keras=counted(backend), software="keras")
    assert (made.stack, made.software) == (STACKS["keras"], kind)
    # Others do not run on the backend that a model was counted on.
    assert plan(model=None, keras=counted(backend), software="megatron").software is Software.FUSED


def test_a_name_that_nobody_has_is_told_the_nearest() -> None:
    with pytest.raises(UnknownName) as caught:
        plan(software="axolot")
    assert "axolotl" in caught.value.hint


# --- what it cannot do


def hinted(error: UsageError | NoFit) -> list[str]:
    return [name for name in re.findall(r"[\w-]+", error.hint) if name in STACKS]


@each_stack
def test_a_method_or_precision_that_it_lacks_is_refused_with_who_has_it(stack: Stack) -> None:
    refused = 0
    for method, precision in itertools.product(("full", *ADAPTERS), PRECISIONS):
        options = {"method": method, "precision": precision}
        if stack.trains(method, precision):
            assert plan(software=stack.name, **options).stack is stack
            continue
        refused += 1
        with pytest.raises(UsageError, match=stack.name) as caught:
            plan(software=stack.name, **options)
        names = hinted(caught.value)
        assert names or all(not s.trains(method, precision) for s in STACKS.values())
        assert all(plan(software=name, **options).stack for name in names)
    assert refused


def test_more_devices_than_it_runs_on_are_a_usage_error() -> None:
    limited = [s for s in STACKS.values() if s.most_devices]
    assert limited
    for stack in limited:
        most = stack.most_devices or 0
        assert plan(software=stack.name, gpus=most).stack is stack
        with pytest.raises(UsageError, match=f"{most} devices at most") as caught:
            plan(software=stack.name, gpus=most + 1)
        assert all(plan(software=name, gpus=most + 1).stack for name in hinted(caught.value))


# --- what is planned


@pytest.mark.parametrize("method", ADAPTERS)
@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("llama3-8b", {"gpu": "l40s", "gpus": 2}),
        ("llama3-8b", {"gpu": "h100", "gpus": 8}),
        ("llama3-70b", {"gpu": "h100", "gpus": 16}),
        ("mixtral-8x7b", {"gpu": "h100", "gpus": 64}),
        ("qwen2.5-7b", {}),
    ],
)
def test_adapters_are_laid_out_by_data_alone(ask: Ask, method: str, model: str, options: dict[str, Any]) -> None:
    answer = ask(model=model, method=method, tokens=4e7, top=20, **options)
    for layout in layouts(answer):
        assert (layout.tp, layout.pp, layout.cp, layout.ep, layout.interleave) == (1, 1, 1, 1, 1)


@each_stack
def test_no_quote_has_what_the_software_lacks(ask: Ask, stack: Stack) -> None:
    for method in stack.methods:
        for layout in layouts(ask(model="llama3-8b", method=method, tokens=4e7, software=stack.name, top=30)):
            for parallelism in ("tp", "pp", "cp", "ep"):
                assert getattr(layout, parallelism) == 1 or stack.has(parallelism, method)
            assert layout.zero in stack.zero
            assert layout.recompute in stack.recompute
            assert layout.devices <= (stack.usual_devices or layout.devices)


def test_software_for_one_device_has_several_only_where_they_are_asked_for(ask: Ask) -> None:
    options = {"model": "llama3-8b", "method": "qlora", "tokens": 4e7, "software": "unsloth"}
    # B200 are rented by eight too: those that it does not use stand idle, and are paid for.
    assert {each.devices for each in layouts(ask(**options, gpu="b200", top=50))} == {1}
    for layout in layouts(ask(**options, gpu="h100", gpus=8)):
        assert (layout.dp, layout.zero) == (8, 0)


@pytest.mark.parametrize("command", ["estimate", "layouts"])
def test_what_does_not_fit_says_which_software_could(answer: Callable[..., Any], command: str) -> None:
    asked = (command, "--model", "llama3-8b", "--gpu", "h100", "--gpus", "8")
    ended = answer(*asked, "--software", "unsloth")
    assert ended.code == 3
    (error, hint) = ended.err.splitlines()
    assert error.startswith("error: does not fit")
    assert "more --gpus" not in hint
    names = [name for name in STACKS if name in hint]
    assert names
    assert all(answer(*asked, "--software", name).code == 0 for name in names)


def test_software_whose_layouts_may_run_out_of_memory_is_no_way_out(answer: Callable[..., Any]) -> None:
    asked = ("layouts", "--model", "llama3-70b", "--method", "qlora", "--gpu", "rtx3090", "--gpus", "2")
    ended = answer(*asked)
    assert ended.code == 3
    assert not [name for name in STACKS if f" {name} " in ended.err.splitlines()[1]]
    tight = answer(*asked[:-1], "3", "--software", "maxtext")
    assert (tight.code, "may run out" in " ".join(tight.out.split())) == (0, True)


def test_what_no_software_fits_on_one_device_may_be_divided_over_more(answer: Callable[..., Any]) -> None:
    asked = ("estimate", "--model", "llama3-70b", "--tokens", "1B")
    ended = answer(*asked, "--software", "unsloth")
    assert ended.code == 3
    names = [name for name in STACKS if name in ended.err.splitlines()[1]]
    assert names
    assert all(answer(*asked, "--software", name).code == 0 for name in names)


@pytest.mark.parametrize("command", ["estimate", "layouts"])
def test_json_has_the_name_beside_the_kind(answer: Callable[..., Any], command: str) -> None:
    asked = (command, "--model", "llama3-8b", "--gpu", "h100", "--gpus", "8", "--format", "json")
    # Adapters are not trained on an amount that nobody named; a step alone has none.
    asked += ("--tokens", "10M") if command == "estimate" else ()
    for more, kind, name in (
        ((), "fused", None),
        (("--method", "lora"), "eager", "hf-trainer"),
        (("--software", "maxtext"), "jax", "maxtext"),
        (("--method", "lora", "--software", "patched"), "patched", None),
    ):
        document = json.loads(answer(*asked, *more).out)
        assert (document["plan"]["software"], document["plan"]["stack"]) == (kind, name)


@pytest.mark.parametrize("command", ["estimate", "layouts"])
def test_help_has_every_name(answer: Callable[..., Any], command: str) -> None:
    words = set(re.findall(r"[\w-]+", answer(command, "--help").out))
    assert {*STACKS, *Software} <= words


def test_it_is_a_setting(called: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ("estimate", "--model", "llama3-8b", "--tokens", "1B", "--format", "json")
    monkeypatch.setenv("ZENPLAN_SOFTWARE", "deepspeed")
    assert json.loads(called(*asked).out)["plan"]["stack"] == "deepspeed"
    monkeypatch.setenv("ZENPLAN_SOFTWARE", "deepsped")
    ended = called(*asked)
    assert ended.code == 2
    assert "deepspeed" in ended.err
