"""Profile: the machine as it is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from zenplan.adapters.machine import apple
from zenplan.adapters.machine.gpus import read_gpus
from zenplan.adapters.machine.host import read_host
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.hardware.device import Profile

Sheets = Mapping[int, Accelerator | None]


def profile(catalogue: Catalogue) -> tuple[Profile, Sheets, Mapping[int, str]]:
    """Every GPU and the host; by its index the data sheet of each GPU that has one in the catalogue, and why others have
    none."""
    import platformdirs

    driver, devices = read_gpus()
    host = read_host(platformdirs.user_data_path("zenplan", appauthor=False))
    taken = Profile(driver=driver, devices=devices, host=host, taken_at=datetime.now(UTC))
    # The memory of a chip that shares it with its processor is the machine's.
    shown = {
        d.index: (d.name.value or "", None if d.vendor == apple.VENDOR else d.memory_total_bytes.value) for d in devices
    }
    sheets = {index: catalogue.by_nvml(*each) for index, each in shown.items()}
    why = {index: catalogue.why_none(*each) if each[0] else "the GPU gave no name" for index, each in shown.items()}
    return taken, sheets, why
