"""The machine's state: whether it is fit to be measured, before it is and while it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from zenplan.adapters.machine.nvml import read_gpus, watched
from zenplan.adapters.machine.state import crowded, crowded_now, gpu_in_use, on_battery, processor_time
from zenplan.commands.calibrate.how import How, gpu_of
from zenplan.domain.hardware.device import Device, Profile, Reading
from zenplan.errors import ZenplanError

_Look = Callable[[], tuple[Reading[float], Reading[str]]]


def before(how: How, profile: Profile) -> tuple[str, ...]:
    """What speaks against measuring now, one line each.

    Raises:
        ZenplanError: there is something, and ``--strict`` was asked for.
    """
    gpu = gpu_of(profile) if how.device == "gpu" else None
    found = (
        crowded_now(profile.host.logical_cores.value or how.threads, how.threads),
        on_battery(),
        gpu_in_use(gpu) if gpu else "",
        _slowed_now(gpu) if gpu else "",
    )
    notes = tuple(note for note in found if note)
    if notes and how.strict:
        raise ZenplanError(f"not measured under --strict: {notes[0]}", "wait until it is over, or leave --strict out")
    return notes


def _slowed_now(gpu: Device) -> str:
    with watched(gpu.index) as look:
        return _slowed(look()[1])


def _slowed(held: Reading[str]) -> str:
    """Why the GPU is not as fast as it could be; empty where it is, or the driver does not tell."""
    return f"throttled: the GPU's clock was held down by {held.value}" if held.value else ""


@dataclass(slots=True, kw_only=True)
class Watch:
    """What is seen while it is measured.

    Attributes:
        look: reads the GPU's clock and why it is held down; None on a processor.
        seen: notes, each once.
        lost: why the GPU no longer answers; empty where it does, or never did.
    """

    look: _Look | None = None
    seen: list[str] = field(default_factory=list)
    lost: str = ""
    answered: bool = False

    def clock_hz(self) -> float | None:
        """Of the GPU now; None where nobody tells."""
        if self.look is None:
            return None
        clock, held = self.look()
        self.note(_slowed(held))
        self.answered |= clock.value is not None
        if self.answered and clock.value is None:
            self.lost = f"the GPU no longer answers: {clock.reason}"
            self.note(self.lost)
        return clock.value or None

    def note(self, text: str) -> None:
        """Keep it, unless it is empty or there already."""
        if text and text not in self.seen:
            self.seen.append(text)


@contextmanager
def watching(how: How, profile: Profile, seen: list[str]) -> Iterator[Watch]:
    """A watch on the machine, which has looked back at all of it when the context ends.

    Args:
        seen: gets the notes.
    """
    gpu = gpu_of(profile) if how.device == "gpu" else None
    cores = profile.host.logical_cores.value or how.threads
    begin = processor_time()
    with ExitStack() as stack:
        watch = Watch(look=stack.enter_context(watched(gpu.index)) if gpu else None, seen=seen)
        try:
            yield watch
        finally:
            if gpu is None:
                watch.note(crowded(begin, processor_time(), cores, how.threads))
            else:
                now = next((d for d in read_gpus()[1] if d.index == gpu.index), None)
                watch.note(gpu_in_use(now, just_used=True) if now else "")
            watch.note(on_battery())
