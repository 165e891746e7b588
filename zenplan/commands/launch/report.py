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
    often = found.submission.restarts or f"begun again up to {units.many(job.retries, 'time')}"
    restarts = f"; {often}" if job.retries else ""
    price = []
    if job.usd_per_h is not None:
        price.append(("price", f"{units.usd(job.usd_per_h)} an hour of all machines, {job.price_of}"))
    rows = (
        ("files", ", ".join([*found.files, *([job.package] if job.package else []), LAUNCH])),
        ("runs on", f"{where}{devices}{', spot' if job.spot else ''}"),
        ("ends at", f"{most}{f' ({found.limits})' if found.limits else ''}{restarts}"),
        *price,
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
