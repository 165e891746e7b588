"""A launch as a report."""

from __future__ import annotations

from typing import Any

from zenplan import units
from zenplan.commands.launch.launched import LAUNCH, Launched
from zenplan.domain.report import Column, Report, Table


def launch_report(found: Launched) -> Report:
    """The files, what they run, and the next command."""
    job = found.job
    where = f"{units.many(job.nodes, 'node')} of {units.many(job.node_ranks, 'rank')}"
    devices = f", {job.accelerator.name}" if job.accelerator else ""
    most = f"{units.duration(job.max_duration_s)}"
    most += f", ${job.max_usd:,.2f}" if job.max_usd is not None else ""
    restarts = f"; begun again up to {units.many(job.retries, 'time')}" if job.retries else ""
    rows = (
        ("files", ", ".join([*found.files, LAUNCH])),
        ("runs on", f"{where}{devices}{', spot' if job.spot else ''}"),
        ("ends at", f"{most}{restarts}"),
        ("the run", job.run_folder),
        ("next", found.next),
    )
    return Report(
        make_document=lambda: _document(found),
        make_records=lambda: _document(found).files,
        verdict=f"{job.name} for {found.system} is in {found.folder}/.",
        tables=(Table(columns=(Column(name="launch"), Column(name="")), rows=rows),),
        notes=tuple(f"{note[0].upper()}{note[1:]}." for note in found.notes),
    )


def _document(found: Launched) -> Any:
    from zenplan.commands.launch.document import launch_document

    return launch_document(found)
