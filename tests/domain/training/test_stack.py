"""Software by name: what is said of it has a source, and the page of limits says the same.

``ZENPLAN_REGENERATE=1 pytest tests/domain/training/test_stack.py`` writes the tables of ``docs/limits.md``.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from zenplan.domain.precision import PRECISIONS
from zenplan.domain.software import Software, software_of
from zenplan.domain.training.layout import Recompute
from zenplan.domain.training.plan import METHODS
from zenplan.domain.training.stack import STACKS, Stack, stack_for
from zenplan.errors import DataError

PAGE = Path(__file__).parents[3] / "docs" / "limits.md"
_MARKED = re.compile(r"(?<=<!-- software -->\n).*(?=<!-- /software -->)", re.DOTALL)

each_stack = pytest.mark.parametrize("stack", STACKS.values(), ids=list(STACKS))


@each_stack
def test_names_are_those_of_the_program_and_none_is_a_kind(stack: Stack) -> None:
    assert STACKS[stack.name] is stack
    assert stack.name not in tuple(Software)
    assert set(stack.methods) <= set(METHODS)
    assert set(stack.precisions) <= set(PRECISIONS)
    # A row of measured runs that names it is of the same kind, where its name tells any.
    assert software_of(stack.name) in (None, stack.kind)


@each_stack
def test_every_fact_has_a_source(stack: Stack) -> None:
    wanted = {"parallel", "zero", "recompute", "methods", "precisions"}
    assert stack.sources.keys() == wanted | ({"devices"} if stack.most_devices else set())
    for source in stack.sources.values():
        assert re.search(r"\w+/[\w.-]+(:|/)[\w/.-]+", source), source


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"parallel": ("dp",)},
        {"apart": (("tp", "xp"),)},
        {"parallel": (), "adapter_parallel": ("tp",)},
        {"zero": (1, 2)},
        {"recompute": (Recompute.FULL,)},
        {"usual_devices": 1},
    ],
)
def test_nonsense_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(DataError):
        replace(STACKS["hf-trainer"], **changes)


def test_what_it_has_may_be_less_with_adapters() -> None:
    stack = replace(STACKS["megatron"], parallel=("tp", "cp"), adapter_parallel=("cp",), zero=(0, 2))
    assert [stack.has("tp", method) for method in METHODS] == [True, False, False]
    assert [stack.layouts(method) for method in ("full", "lora")] == ["dp, tp, cp, ZeRO-2", "dp, cp, ZeRO-2"]


def test_it_divides_a_model_by_zero_or_by_a_parallelism() -> None:
    plain = replace(STACKS["megatron"], parallel=("tp",), adapter_parallel=(), zero=(0,))
    assert [plain.divides(method) for method in ("full", "lora")] == [True, False]
    assert replace(plain, zero=(0, 3)).divides("lora")


@pytest.mark.parametrize("method", [m for m in METHODS if m != "full"])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_what_stands_for_fine_tuning_can_do_it_on_any_number_of_devices(method: str, precision: str) -> None:
    stack = stack_for(method, precision)
    able = [s for s in STACKS.values() if s.trains(method, precision) and s.most_devices is None]
    assert stack is (able[0] if able else None)


def tables() -> str:
    """What each stack can run, and where that is read."""
    text = "\n| `--software` | stands nearest to | layouts | with adapters | recomputes | methods | precisions |\n"
    text += "|---|---|---|---|---|---|---|\n"
    for s in STACKS.values():
        full = s.layouts("full") + (", hybrid" if s.hybrid else "") + (", virtual stages" if s.interleaves else "")
        full += ", equal stages" if s.equal_stages else ""
        if s.most_devices:
            full += f", {s.most_devices} devices at most"
        adapters = ", ".join(("dp", *s.adapter_parallel)) if len(s.methods) > 1 else "–"
        again = ", ".join(r for r in s.recompute if r is not Recompute.NONE)
        kind = f"`{s.kind}`" + ("" if s.fitted else ", interval wider")
        text += f"| `{s.name}` | {kind} | {full} | {adapters} | {again} | {', '.join(s.methods)} |"
        text += f" {', '.join(s.precisions)} |\n"
    text += "\n| `--software` | what | read in |\n|---|---|---|\n"
    for s in STACKS.values():
        places: dict[str, list[str]] = {}
        for what, source in s.sources.items():
            places.setdefault(source, []).append(what)
        text += "".join(f"| `{s.name}` | {', '.join(what)} | {source} |\n" for source, what in places.items())
    return f"{text}\n"


def test_the_page_of_limits_says_what_each_can_run() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert _MARKED.search(page)
    made = _MARKED.sub(lambda _: tables(), page)
    if os.environ.get("ZENPLAN_REGENERATE"):
        PAGE.write_text(made, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == made, "stale: ZENPLAN_REGENERATE=1 pytest tests/domain/training"
