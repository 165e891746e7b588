"""An adapter's configuration: the model that it is of, its rank and its products."""

from __future__ import annotations

from typing import Any

import pytest

from zenplan.adapters.tables.models import read_models
from zenplan.commands.shared.adapters import adapter_of, names_of, targets_of
from zenplan.commands.shared.request import asked
from zenplan.commands.shared.training_plan import training_plan
from zenplan.domain.model.operators import MatMul, Role
from zenplan.domain.provenance import Origin
from zenplan.domain.training.plan import TrainingPlan
from zenplan.errors import UsageError
from zenplan.families.configurations.reading import workload_from_config
from zenplan.families.transformer.family import TransformerFamily
from zenplan.planning.explain.method import Targets

FAMILIES = (TransformerFamily(presets=read_models, reader=lambda *given: workload_from_config(*given[:2])),)
LORA: dict[str, Any] = {"peft_type": "LORA", "r": 64, "base_model_name_or_path": "meta-llama/Llama-3.1-8B-Instruct"}


def ask(**given: Any) -> TrainingPlan:
    return training_plan(asked(None, {"samples": "1k", **given})[1], FAMILIES)


def thin(found: TrainingPlan) -> set[float]:
    operators = [op for block in found.workload.blocks for op in block.operators]
    return {op.inner for op in operators if isinstance(op, MatMul) and op.role is Role.ADAPTER and "up" in op.name[-2:]}


def test_the_base_is_known_by_name_and_the_rank_is_the_adapters() -> None:
    found = ask(config=LORA | {"target_modules": ["q_proj", "v_proj"]})
    assert found.method == "lora"
    assert found.workload.name == "llama3-8b"
    assert thin(found) == {64.0}
    (fact,) = [f for f in found.facts if f.name == "adapters"]
    assert (fact.origin, "64" in fact.value) == (Origin.GIVEN, True)
    twice = ask(config=LORA | {"r": 128, "target_modules": ["q_proj", "v_proj"]})
    trained = twice.workload.trainable_parameters
    assert trained == pytest.approx(2 * found.workload.trainable_parameters)


def test_a_model_and_a_method_that_are_given_come_first() -> None:
    found = ask(config=LORA | {"base_model_name_or_path": "me/unheard-of"}, model="mistral-7b", method="qlora")
    assert (found.workload.name, found.method) == ("mistral-7b", "qlora")
    assert thin(found) == {64.0}


def test_what_dora_adds_is_said() -> None:
    (fact,) = [f for f in ask(config=LORA | {"use_dora": True}).facts if f.name == "adapters"]
    assert "DoRA" in fact.why


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        *(({"peft_type": kind}, kind) for kind in ("IA3", "PROMPT_TUNING", "PREFIX_TUNING", "VERA", "ADALORA")),
        ({"peft_type": 7}, "7"),
        *(({"r": rank}, "rank") for rank in (0, -1, 1.5, "8", True, None, 10**9)),
        ({"target_modules": 3}, "target_modules"),
        ({"target_modules": [1]}, "target_modules"),
        ({"base_model_name_or_path": None}, "which model"),
        ({"base_model_name_or_path": "me/unheard-of"}, "unheard-of"),
    ],
)
def test_others_are_refused_in_a_line(changes: dict[str, Any], word: str) -> None:
    with pytest.raises(UsageError, match=word) as error:
        ask(config=LORA | changes)
    assert error.value.hint
    assert "\n" not in error.value.message + error.value.hint


def test_all_of_the_model_is_not_an_adapter() -> None:
    with pytest.raises(UsageError, match="contradict"):
        ask(config=LORA, method="full")


@pytest.mark.parametrize(
    ("modules", "targets"),
    [
        (None, Targets.QUERY_KEY_VALUE),
        (["q_proj", "v_proj"], Targets.QUERY_KEY_VALUE),
        (["query_key_value"], Targets.QUERY_KEY_VALUE),
        (["q_proj", "k_proj", "v_proj", "o_proj"], Targets.ATTENTION),
        ("all-linear", Targets.ALL),
        (["q_proj", "down_proj"], Targets.ALL),
    ],
)
def test_modules_are_products_of_a_layer(modules: Any, targets: Targets) -> None:
    assert targets_of(adapter_of(LORA | {"target_modules": modules})) is targets


@pytest.mark.parametrize(
    "base", ["Qwen/Qwen3-8B-Instruct-AWQ", "C:\\models\\Qwen3-8B", "Qwen3-8B", "/a/Qwen3-8B-v0.3/"]
)
def test_names_lose_what_says_how_a_model_was_tuned(base: str) -> None:
    assert list(names_of(base))[-1] == "Qwen3-8B"
