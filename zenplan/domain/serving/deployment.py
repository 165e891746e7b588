"""Deployment and Traffic: on what a model is served, in which number formats, and what is asked of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from zenplan.domain import checks
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.errors import DataError

# Bytes of a weight, with the scales of its block: NVFP4 has one of 8 bits for 16 weights, AWQ and GPTQ one of 16 bits and a
# zero for 128 (OCP Microscaling Formats 1.0; NVIDIA, Introducing NVFP4; AutoAWQ's default group).
WEIGHT_BYTES: Final[Mapping[str, float]] = {
    "fp32": 4.0,
    "bf16": 2.0,
    "fp16": 2.0,
    "fp8": 1.0,
    "int8": 1.0,
    "fp4": 0.5625,
    "int4": 0.53,
}
CACHE_BYTES: Final[Mapping[str, float]] = {"bf16": 2.0, "fp16": 2.0, "fp8": 1.0, "int8": 1.0}
# In what products of such weights are computed where the device has it; weights of other formats are widened first.
_COMPUTED: Final[Mapping[str, str]] = {"fp32": "fp32", "fp8": "fp8", "fp4": "fp4"}

# Software that serves language models, and the most requests that it has in flight where nobody says another number.
BATCHES: Final[Mapping[str, int]] = {
    "vLLM": 256,
    "SGLang": 2048,
    "TensorRT-LLM": 2048,
    "LMDeploy": 128,
    "TGI": 128,
}
ANY_BATCH: Final = 4096
# vLLM's server takes 1,024 on devices of 70 GiB and more, A100 apart (vllm/engine/arg_utils.py, get_batch_defaults).
_LARGE_BYTES, _LARGE_BATCH = 70 * 2**30, 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One replica: the devices that hold one copy of the weights, and how it is run.

    Attributes:
        tp, pp: degrees of tensor and pipeline parallelism; their product is the replica's devices.
        weights: number format of the layers' weights, one of ``WEIGHT_BYTES``; embedding and head stay at 16 bits.
        cache: of keys and values, one of ``CACHE_BYTES``.
        memory_share: of a device's memory that the software may fill (vLLM's ``gpu-memory-utilization``).
        software: that serves; empty where it is not known.
        max_batch: the most requests in flight, where it is not the software's.
        joined: whether the accelerator's link joins the devices; else they have PCIe.
    """

    accelerator: Accelerator
    tp: int = 1
    pp: int = 1
    weights: str = "bf16"
    cache: str = "bf16"
    memory_share: float = 0.9
    software: str = ""
    max_batch: int | None = None
    joined: bool = True

    def __post_init__(self) -> None:
        checks.positive("deployment", tp=self.tp, pp=self.pp, max_batch=self.max_batch)
        checks.one_of("deployment", "weights", self.weights, tuple(WEIGHT_BYTES))
        checks.one_of("deployment", "cache", self.cache, tuple(CACHE_BYTES))
        if not 0 < self.memory_share <= 1:
            raise DataError(f"deployment: a share of {self.memory_share:g} of the memory is not in 0..1")

    @property
    def devices(self) -> int:
        """Of one replica."""
        return self.tp * self.pp

    @property
    def computed_in(self) -> str:
        """The dtype whose peak the products run at: that of the weights where the device has it, else 16 bits."""
        own = _COMPUTED.get(self.weights)
        return own if own is not None and self.accelerator.peak(own) is not None else self.wide

    @property
    def wide(self) -> str:
        """The 16-bit dtype of what is not quantised; fp32 where the device has none."""
        found = (name for name in ("bf16", "fp16", "fp32") if self.accelerator.peak(name) is not None)
        return next(found, "bf16")

    @property
    def batch_limit(self) -> int:
        """The most requests that the software has in flight."""
        if self.max_batch is not None:
            return self.max_batch
        sheet = self.accelerator
        if self.software == "vLLM" and sheet.capacity_bytes >= _LARGE_BYTES and not sheet.name.startswith("A100"):
            return _LARGE_BATCH
        return BATCHES.get(self.software, ANY_BATCH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What is asked: requests that are alike.

    Attributes:
        input_tokens: of a prompt; ``output_tokens`` generated for it, the first of them by the prompt's own pass.
    """

    input_tokens: float
    output_tokens: float

    def __post_init__(self) -> None:
        checks.positive("traffic", input_tokens=self.input_tokens, output_tokens=self.output_tokens)

    @property
    def mean_tokens(self) -> float:
        """That a request has in the cache, on average over its life."""
        return self.input_tokens + self.output_tokens / 2.0
