"""What a run's software kept in memory, by its name and its options, where that is not what its kind usually keeps."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from functools import cache
from typing import Any

from zenplan.domain.measured.run import MeasuredRun
from zenplan.domain.precision import Precision
from zenplan.domain.software import Software
from zenplan.domain.training.kept import Kept, usual_kept
from zenplan.domain.training.traits import Trait, traits_of

# A loss that is computed in parts writes no logits; a fused kernel over whole ones, as Unsloth's, has them in 16 bits,
# their copy in fp32 and the gradient in its place.
_NO_LOGITS, _FAST_LOGIT_BYTES = ("liger", "cut-cross-entropy", "chunked-loss"), 8.0
_FAST = ("fast-kernels", "liger", "unsloth")


# Their recipes with Megatron-FSDP on superchips send activations of layers to the processor's memory (perf_recipes,
# ``cpu_offloading_num_layers`` of llama3.py and llama31.py for GB200 and GB300).
_SUPERCHIPS, _FSDP = ("Blackwell", "Blackwell Ultra"), 3


def run_kept(run: MeasuredRun, software: Software | None, method: str) -> Kept:
    """What a measured run kept."""
    kept = named_kept(run.framework, software, run.precision, method, run.options)
    recipe = Trait.RECIPES in traits_of(run.framework) and run.accelerator.architecture in _SUPERCHIPS
    if recipe and run.zero_stage == _FSDP:
        return replace(kept, offload=kept.offload | {"activations"})
    return kept


@cache
def named_kept(
    framework: str,
    software: Software | None,
    precision: Precision,
    method: str,
    options: frozenset[str] = frozenset(),
) -> Kept:
    """What is kept by software of that name with those options."""
    named, kept = traits_of(framework), usual_kept(software, precision, method)
    changes: dict[str, Any] = {}
    if software is Software.FUSED and Trait.FUSED_GATE not in named:
        changes |= {"gate": True}
    if Trait.RECIPES in named:
        changes |= {"gradient_bytes": 2.0, "copies_bytes": 0.0}
    if Trait.ONE_PRODUCT in named:
        changes |= {"rotated": True}
    if Trait.GATHERED in named:
        changes |= {"gathered": True}
    return replace(kept, **changes, **_by_options(kept, options))


def _by_options(kept: Kept, options: Collection[str]) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if any(option in _FAST for option in options):
        changes |= {"gate": False, "wide_norms": False, "logit_bytes": min(kept.logit_bytes, _FAST_LOGIT_BYTES)}
    if any(option in _NO_LOGITS for option in options):
        changes |= {"logit_bytes": 0.0}
    # Adapters of libraries that do not turn the rest of a model into fp32 first (fms-acceleration, Unsloth).
    if kept.wide_inputs == 0 and any(option in (*_FAST, "accelerated") for option in options):
        changes |= {"wide_inputs": 3}
    hosted = {option.removeprefix("offload-") for option in options if option.startswith("offload-")}
    if "states" in hosted:
        hosted.add("optimizer")
    return changes | {"offload": frozenset(hosted & {"activations", "optimizer"})}
