"""What systems call accelerators: the table, each name with its source."""

from __future__ import annotations

from functools import cache
from typing import Final

from zenplan.adapters.files.csv_file import data_rows
from zenplan.domain.launch.job import LaunchJob
from zenplan.errors import UsageError

_NAMES: Final = ("system", "accelerator", "name", "source", "status", "date")


def device_name(job: LaunchJob, system: str) -> str:
    """The name that was given, or that of the table.

    Raises:
        UsageError: the table has none, and none was given.
    """
    if job.accelerator is None or job.accelerator_name:
        return job.accelerator_name
    found = _names().get((system, job.accelerator.name))
    if found is None:
        raise UsageError(
            f"it is not known what {system} calls {job.accelerator.name}", "--accelerator NAME says it, as in H100"
        )
    return found


@cache
def _names() -> dict[tuple[str, str], str]:
    rows = (row.cells for row in data_rows("launch_names.csv", _NAMES))
    return {(cells["system"], cells["accelerator"]): cells["name"] for cells in rows}
