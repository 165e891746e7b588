"""How a measured run was fine-tuned: with which adapters, and in how many bits the frozen weights are kept.

Where the row does not say which products have adapters, it is what its software does by default.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

from zenplan.domain.measured.run import MeasuredRun
from zenplan.domain.model.workload import Workload
from zenplan.domain.training.plan import OPTIMIZERS, Optimizer
from zenplan.planning.explain.method import DEFAULT_RANK, QLORA_WEIGHT_BYTES, Targets, with_adapters

# Bytes of a frozen weight by the word for its format: GPTQ and AWQ have a scale of 16 bits and a zero of 4 for each 128
# weights (Frantar et al. 2022, section 4), LLM.int8 a scale for each row.
_KEPT: Final = {
    **dict.fromkeys(("nf4", "fp4", "int4", "4bit", "qlora"), QLORA_WEIGHT_BYTES),
    **dict.fromkeys(("gptq", "awq"), (4.0 + 20.0 / 128.0) / 8.0),
    **dict.fromkeys(("int8", "8bit"), 1.0),
}
_FOUR_BITS: Final = 0.6
_OPTIMIZERS: Final = {"adamw-8bit": re.compile(r"adamw?[-_]?8[-_]?bit"), "adafactor": re.compile("adafactor")}
# Which products have adapters by default, by words in the name of the software; the first that is found decides.
_DEFAULTS: Final = (
    # NVIDIA/NeMo:nemo/collections/llm/recipes/llama3_8b.py in performance mode, and before it
    # examples/nlp/language_modeling/tuning/conf/megatron_gpt_finetuning_config.yaml.
    (r"\bnemo\b|bridge", Targets.QUERY_KEY_VALUE, "as NeMo's recipes for speed"),
    # foundation-model-stack/fms-acceleration:scripts/benchmarks/scenarios.yaml.
    (r"fms|\btrl\b", Targets.ATTENTION, "as fms-acceleration's benchmarks"),
    # huggingface/peft:src/peft/utils/constants.py.
    (r"habana|optimum|peft", Targets.QUERY_KEY_VALUE, "the default of PEFT"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTuning:
    """What is trained of a model, and how the rest is kept.

    Attributes:
        workload: with its adapters.
        method: one of ``domain.training.plan.METHODS``.
        weight_bytes: of a frozen weight.
        optimizer: where the row's options name one.
        assumed: what the row does not say, and what was taken.
    """

    workload: Workload
    method: str
    weight_bytes: float
    optimizer: Optimizer | None
    assumed: tuple[str, ...] = ()


def fine_tuned(run: MeasuredRun, workload: Workload) -> FineTuning:
    """The run's model as it was trained: whole, or with adapters."""
    words = _words(run.options, run.written_precision)
    plain = FineTuning(
        workload=workload, method="full", weight_bytes=run.precision.compute_bytes, optimizer=_optimizer(words)
    )
    if run.task not in ("lora", "qlora"):
        return plain
    targets, why = _targets(run)
    kept = _KEPT["qlora"] if run.task == "qlora" else plain.weight_bytes
    kept = next((size for word, size in _KEPT.items() if word in words), kept)
    said = [f"lora_targets is empty: {targets}, {why}"] if why else []
    if not run.lora_rank:
        said.append(f"lora_rank is empty: {DEFAULT_RANK}")
    return replace(
        plain,
        workload=_adapted(workload, run.lora_rank or DEFAULT_RANK, targets),
        method="qlora" if kept < _FOUR_BITS else "lora",
        weight_bytes=min(kept, plain.weight_bytes),
        assumed=tuple(said),
    )


@cache
def _adapted(workload: Workload, rank: int, targets: Targets) -> Workload:
    """One workload for all runs of a model with such adapters, so that they are predicted together."""
    return with_adapters(workload, rank, targets)


@cache
def _words(options: frozenset[str], written_precision: str) -> frozenset[str]:
    """Options, and parts of what stands under the precision (``bnb-nf4``, ``4-bit``)."""
    written = re.sub(r"(\d)[-_ ]bits?\b", r"\1bit", written_precision.lower())
    return options | set(re.findall(r"[a-z0-9]+", written))


@cache
def _optimizer(words: frozenset[str]) -> Optimizer | None:
    found = (OPTIMIZERS[name] for name, pattern in _OPTIMIZERS.items() if any(map(pattern.search, words)))
    return next(found, None)


def _targets(run: MeasuredRun) -> tuple[Targets, str]:
    """Which products have adapters, and why it is taken so where the row does not say."""
    cell = run.lora_targets.lower()
    if cell:
        if re.search(r"all|mlp|gate|up_|fc|w1|linear(?!_qkv|_proj|_q\b)", cell):
            return Targets.ALL, ""
        return (
            Targets.ATTENTION
            if re.search(r"attention|attn|o_proj|linear_proj|out|dense|wo\b", cell)
            else Targets.QUERY_KEY_VALUE
        ), ""
    name = run.framework.lower()
    found = ((targets, why) for words, targets, why in _DEFAULTS if re.search(words, name))
    return next(found, (Targets.ALL, "as QLoRA, and most software for it"))
