"""Peaks of memory, of a GPU's allocator or of this process, and the errors that say it was not enough.

No framework is imported before it is asked.
"""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zenplan.worker.protocol import lacks_memory

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
# What forgets the highest resident set so far: proc(5).
_FORGET = "5"
_SHORT = ("RESOURCE_EXHAUSTED", "out of memory", "can't allocate memory", "ALLOC_FAILED")


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """Memory as it is at one moment.

    Attributes:
        how: ``allocator`` of a GPU, ``resident set`` of this process.
        used_bytes, peak_bytes: now, and at most since it was last forgotten.
    """

    how: str
    used_bytes: float
    peak_bytes: float


@dataclass(frozen=True, slots=True)
class Memory:
    """Of what steps run on.

    Attributes:
        framework: ``jax``, ``torch`` or ``tensorflow``.
        device: ``cpu`` or ``gpu``.
    """

    framework: str
    device: str

    def level(self) -> Level | None:
        """Of the GPU as the framework allocates it, or of this process; None where nobody tells."""
        return _on_gpu(self.framework) if self.device == "gpu" else _resident()

    def forget_peak(self) -> bool:
        """Let the peak begin anew; False where that cannot be done, as with jax."""
        if self.device == "cpu":
            try:
                _CLEAR.write_text(_FORGET, encoding="ascii")
            except OSError:
                return False
        elif self.framework == "torch":
            import torch

            torch.cuda.reset_peak_memory_stats()
        elif self.framework == "tensorflow":
            import tensorflow

            tensorflow.config.experimental.reset_memory_stats("GPU:0")
        return self.device == "cpu" or self.framework != "jax"

    def give_back(self) -> None:
        """What nothing refers to any more goes back to the system, so that it is not counted as the next one's."""
        gc.collect()
        if self.device == "gpu" and self.framework == "torch":
            import torch

            torch.cuda.empty_cache()
        # Only glibc has it; other systems keep what they keep.
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)

    @property
    def keeps_what_is_free(self) -> bool:
        """Whether the framework holds on to memory of models that are gone, so that the next one's peak does not show.

        TensorFlow's allocator for processors does: of equal models the second rose by a tenth of the first.
        """
        return self.device == "cpu" and self.framework == "tensorflow"

    def kinds_of_shortage(self) -> tuple[type[Exception], ...]:
        """Classes of exceptions that a lack of memory may be told by; ``is_shortage`` says whether one is."""
        if self.framework != "tensorflow":
            return (MemoryError, RuntimeError)
        import tensorflow

        return (MemoryError, RuntimeError, tensorflow.errors.ResourceExhaustedError)


def peak_over(before: Level | None, after: Level | None, forgotten: bool) -> float | None:
    """Bytes at the peak, over what was in use before; None where nobody tells.

    One that was not forgotten in between, and has not risen since, may be that of something else.
    """
    if before is None or after is None or not (forgotten or after.peak_bytes > before.peak_bytes):
        return None
    return max(0.0, after.peak_bytes - before.used_bytes) or None


def is_shortage(error: Exception) -> bool:
    """Whether it says that memory was not enough: frameworks do so by a class of theirs or by their words."""
    return lacks_memory(error) or any(words in str(error) for words in _SHORT)


def _on_gpu(framework: str) -> Level | None:
    if framework == "torch":
        import torch

        used, peak = torch.cuda.memory_allocated(), torch.cuda.max_memory_allocated()
    elif framework == "tensorflow":
        import tensorflow

        found = tensorflow.config.experimental.get_memory_info("GPU:0")
        used, peak = found["current"], found["peak"]
    else:
        import jax

        stats: dict[str, Any] | None = jax.devices()[0].memory_stats()
        if stats is None:
            return None
        used, peak = stats["bytes_in_use"], stats["peak_bytes_in_use"]
    return Level(how="allocator", used_bytes=used, peak_bytes=peak)


def _resident() -> Level | None:
    try:
        lines = _STATUS.read_text(encoding="ascii").splitlines()
        found = {
            name: float(rest.split()[0]) * 1024
            for name, _, rest in (line.partition(":") for line in lines)
            if name in ("VmRSS", "VmHWM")
        }
        return Level(how="resident set", used_bytes=found["VmRSS"], peak_bytes=found["VmHWM"])
    except (OSError, KeyError):
        return None
