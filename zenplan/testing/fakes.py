"""A GPU that is not there, and an engine whose law is known."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from zenplan.domain.hardware.device import Device, Reading


def fake_device(name: str = "NVIDIA H100 80GB HBM3", memory_bytes: int = 80 << 30, **readings: Any) -> Device:
    """A GPU as its driver describes it.

    Args:
        name: as NVML calls it.
        memory_bytes: all of it, and all free.
        readings: fields of ``Device``: a value, or a ``Reading``. What is not given is not supported.
    """
    known: dict[str, Any] = {
        "name": name,
        "uuid": "GPU-00000000-0000-0000-0000-000000000000",
        "memory_total_bytes": memory_bytes,
        "memory_used_bytes": 0,
        "memory_free_bytes": memory_bytes,
        **readings,
    }
    index: Any = known.pop("index", 0)
    read: dict[str, Any] = {
        field: value if isinstance(value, Reading) else Reading.of(value) for field, value in known.items()
    }
    return replace(Device.unreadable(index, "not supported by this driver"), **read)


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeEngine:
    """An engine that steps nothing, at once: a step takes ``fixed_s``, and ``sample_s`` more for each sample. It measures;
    it neither counts nor trains.

    Attributes:
        sample_bytes: of the peak of memory, for each sample.
    """

    name: str = "fake"
    extra: str = "zenplan"
    fixed_s: float = 1e-3
    sample_s: float = 1e-4
    sample_bytes: float = 1e6

    def step_s(self, batch: int) -> float:
        """The law."""
        return self.fixed_s + self.sample_s * batch

    def worker(self) -> Sequence[str]:
        """As of ``Engine``."""
        law = json.dumps({"fixed_s": self.fixed_s, "sample_s": self.sample_s, "sample_bytes": self.sample_bytes})
        return (sys.executable, "-P", "-m", "zenplan.testing.fake_worker", law)
