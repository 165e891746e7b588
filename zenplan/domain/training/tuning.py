"""Tuning: what software overlaps, fuses and replays, as far as its name and release tell.

Two releases of one framework train a model at the same speed where they lay it out alike, but for this. Each fact
has the page, paper or file that it is from.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from zenplan.domain.training.traits import Trait, traits_of
from zenplan.errors import DataError


class TensorOverlap(StrEnum):
    """Under what the exchanges of tensor parallelism travel."""

    NONE = "none"  # each is waited for
    BACKWARD = "backward"  # the gradient of a product's input, under that of its weight
    PIPELINED = "pipelined"  # in pieces, under the products beside them, forward and backward


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """What a step's software does beside its products.

    Attributes:
        tensor: how exchanges of tensor parallelism are overlapped.
        data: whether gradients travel under the backward pass, and ZeRO's weights under the passes.
        sums_wide: whether gradients that were computed in bf16 are summed over devices in fp32.
        experts: whether tokens travel to their experts under the computation of another micro-batch.
        once_a_node: tokens cross the network once for all experts of a node (DeepEP), not once for each.
        once_a_device: tokens come once to each device that has any of their experts (DeepEP, is_token_in_rank), not once
            for each.
        permutation: tokens are put in the order of their experts by a fused kernel.
        grouped: the products of a layer's experts are one kernel, not one for each expert.
        dropless: experts get all tokens that are sent to them, so that the host waits to know how many; else a fixed
            number, and what is more is dropped.
        balanced: every expert is made to get as many tokens as any other, as benchmarks do.
        replayed: of a mixture's launches, the share that a CUDA graph replays. 0 to 1.
        apart: the optimizer goes over the weights one tensor at a time, not over all at once.
    """

    tensor: TensorOverlap = TensorOverlap.BACKWARD
    data: bool = True
    sums_wide: bool = False
    experts: bool = False
    once_a_node: bool = True
    once_a_device: bool = False
    permutation: bool = True
    grouped: bool = False
    dropless: bool = True
    balanced: bool = False
    replayed: float = 0.0
    apart: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.replayed <= 1:
            raise DataError(f"tuning: a share of {self.replayed:g} of the launches cannot be replayed")


# What is taken where the software is not known: what today's have in common.
USUAL: Final = Tuning()

# Grouped products whose shapes the device reads, and with them graphs of whole steps of dropless mixtures: in the
# recipes of Megatron Bridge from June 2026 on (NVIDIA-NeMo/Megatron-Bridge, MoE optimization; commit 55443cbfb).
_WHOLE_STEPS: Final = (26, 6)
_RELEASE: Final = re.compile(r"v?(\d{2})\.(\d{1,2})")


def tuning_of(framework: str, release: str = "", options: Collection[str] = ()) -> Tuning:
    """What software of that name and release does.

    Args:
        framework: as a table of runs or a stack names it (``NeMo 24.07``).
        release: as its maker numbers it, if known.
        options: words of a row that say what was on or off (``no-overlap``, ``deepep``).
    """
    name = f"{framework} {release}".strip()
    named = traits_of(name)
    found = USUAL
    if Trait.MEGATRON_FAMILY not in named:
        # What is not of that family divides products rarely, and waits where it does.
        found = replace(found, tensor=TensorOverlap.NONE)
    elif Trait.TENSOR_WAITS in named:
        found = replace(found, tensor=TensorOverlap.NONE, once_a_node=False, permutation=False)
    elif Trait.TENSOR_PIPELINES in named:
        found = replace(found, tensor=TensorOverlap.PIPELINED)
    if Trait.REDUCES_LAST in named:
        found = replace(found, data=False)
    if named & {Trait.MEGATRON, Trait.NEMO}:
        fused = Trait.FUSES_EXPERTS in named
        found = replace(found, permutation=fused, once_a_node=fused, experts=fused)
    found = replace(found, sums_wide=Trait.SUMS_WIDE in named)
    if Trait.LOOPS_EXPERTS in named:
        found = replace(found, permutation=False)
    if Trait.UPDATES_APART in named:
        found = replace(found, apart=True)
    if _newest(name):
        found = replace(found, grouped=True, replayed=0.9)
    return _with_options(found, options)


def _newest(name: str) -> bool:
    match = _RELEASE.search(name.lower()) if Trait.RECIPES in traits_of(name) else None
    return match is not None and (int(match[1]), int(match[2])) >= _WHOLE_STEPS


def _with_options(found: Tuning, options: Collection[str]) -> Tuning:
    if "no-overlap" in options:
        found = replace(found, tensor=TensorOverlap.NONE, data=False, experts=False)
    if "tp-overlap" in options:
        found = replace(found, tensor=TensorOverlap.PIPELINED)
    if "deepep" in options:
        found = replace(found, once_a_node=True, once_a_device=True, permutation=True)
    if "balanced-routing" in options:
        found = replace(found, balanced=True)
    if "token-drop" in options:
        found = replace(found, dropless=False, balanced=True)
    if "cuda-graphs" in options:
        found = replace(found, replayed=max(found.replayed, 0.9))
    return found
