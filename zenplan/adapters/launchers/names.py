"""What systems call accelerators and providers: the table, each name with its source."""

from __future__ import annotations

from functools import cache
from typing import Final

from zenplan.adapters.files.csv_file import data_rows
from zenplan.domain.launch.job import LaunchJob
from zenplan.errors import UsageError

_NAMES: Final = ("system", "accelerator", "provider", "name", "source", "status", "date")


def device_name(job: LaunchJob, system: str) -> str:
    """The name that was given, or that of the table.

    Raises:
        UsageError: the table has none, and none was given.
    """
    if job.accelerator is None or job.accelerator_name:
        return job.accelerator_name
    found = _names("accelerator").get((system, job.accelerator.name))
    if found is None:
        raise UsageError(
            f"it is not known what {system} calls {job.accelerator.name}", "--accelerator NAME says it, as in H100"
        )
    return found


def provider_name(job: LaunchJob, system: str) -> str:
    """What the system calls the plan's provider; empty where it has none of its machines, or the plan has no provider."""
    return _names("provider").get((system, job.provider), "")


def strange_provider(job: LaunchJob, system: str, taken: str, instead: str) -> list[str]:
    """A line where the machines are not those whose price the plan has; none where they are, or it has no provider.

    Args:
        job: that is launched.
        system: by name.
        taken: whose machines an option takes, by the system's name; empty without one.
        instead: what the system does where it has none of the provider's.
    """
    own = provider_name(job, system)
    given = bool(job.price_of) and job.provider not in job.price_of.split()
    if not job.provider or given or (own and taken in ("", own)):
        return []
    what = f"--option takes those of {taken}" if taken else f"{system}, which has none of {job.provider}, {instead}"
    return [
        f"the plan's price is of machines of {job.provider}: {what}, and dollars are counted at the plan's price all the "
        "same; an estimate with another --provider, or --usd-per-hour, says theirs"
    ]


@cache
def _names(what: str) -> dict[tuple[str, str], str]:
    """By system and ``accelerator`` or ``provider``."""
    rows = (row.cells for row in data_rows("launch_names.csv", _NAMES))
    return {(cells["system"], cells[what]): cells["name"] for cells in rows if cells[what]}
