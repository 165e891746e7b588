"""Profile: the machine as it is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from zenplan.adapters.machine.host import read_host
from zenplan.adapters.machine.nvml import read_gpus
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.hardware.device import Profile


def profile(catalogue: Catalogue) -> tuple[Profile, Mapping[int, Accelerator | None]]:
    """Every GPU and the host, and the data sheet of each GPU that has one in the catalogue."""
    import platformdirs

    driver, devices = read_gpus()
    host = read_host(platformdirs.user_data_path("zenplan", appauthor=False))
    taken = Profile(driver=driver, devices=devices, host=host, taken_at=datetime.now(UTC))
    sheets = {d.index: catalogue.by_nvml(d.name.value) if d.name.value else None for d in devices}
    return taken, sheets
