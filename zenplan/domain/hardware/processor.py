"""Processors (CPUs) as devices: what a machine has of one, and the names that systems give them."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.market.offer import Instance

# What systems write around a product's name: ``12th Gen Intel(R) Core(TM) i9-12900K``, ``Intel(R) Xeon(R) CPU E5-2690 v4 @
# 2.60GHz``, ``AMD EPYC 9654 96-Core Processor``, ``AMD Ryzen 7 5800H with Radeon Graphics``.
_AROUND: Final = re.compile(
    r"\((?:r|tm)\)|[®™]|\b\d+th gen\b|\bcpu\b|\bprocessor\b|\b\d+-cores?\b|@.*|\bwith radeon.*", re.IGNORECASE
)


def product(model: str) -> str:
    """The product in what a system calls its processor, as in ``AMD EPYC 9654``."""
    return " ".join(_AROUND.sub(" ", model).split())


def share_of(whole: Accelerator, instance: Instance) -> Accelerator:
    """What a machine has of its processor: as many of its threads as it has virtual ones, the same share of its memory's
    bandwidth, and the machine's own memory. Of a machine of which they are not known, the whole."""
    memory_bytes, sources = whole.memory_bytes, whole.sources
    if instance.ram_bytes is not None:
        memory_bytes = instance.ram_bytes
        sources = {name: source for name, source in sources.items() if name != "memory_bytes"}
    threads = whole.threads
    if threads is None or instance.vcpus is None:
        return replace(whole, memory_bytes=memory_bytes, sources=sources)
    share = min(1.0, instance.vcpus / threads / instance.devices)
    return replace(
        whole,
        threads=max(1, round(threads * share)),
        multiprocessors=whole.multiprocessors and max(1, round(whole.multiprocessors * share)),
        peak_flop_per_s={dtype: peak * share for dtype, peak in whole.peak_flop_per_s.items()},
        memory_bytes=memory_bytes / instance.devices,
        memory_bytes_per_s=whole.memory_bytes_per_s * share,
        power_w=whole.power_w and whole.power_w * share,
        sources=sources,
    )
