"""The JSON document of a launch, which is written beside the files too. Its schema is made of it."""

from __future__ import annotations

import hashlib
from typing import Annotated

from msgspec import Meta

from zenplan.commands.launch.launched import Launched
from zenplan.commands.shared.document import Count, CountFromZero, Name, NotNegative, Positive
from zenplan.documents import Document, fill

Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class FileDocument(Document):
    """A file that was written."""

    name: Annotated[Name, Meta(description="In the folder.")]
    sha256: Annotated[Sha256, Meta(description="Of what was written.")]


class JobDocument(Document):
    """The job: the same for every system."""

    name: Annotated[Name, Meta(description="Of the job.")]
    command: Annotated[
        tuple[str, ...], Meta(min_length=1, description="Started once for each rank, with the rendezvous set.")
    ]
    nodes: Annotated[Count, Meta(description="Machines, a count.")]
    node_ranks: Annotated[Count, Meta(description="Ranks of each, one a device, a count.")]
    accelerator: Annotated[str | None, Meta(description="The devices; null for processors.")]
    rank_cpus: Annotated[Count | None, Meta(description="Processor cores of a rank; null where nothing says it.")]
    environment: Annotated[dict[str, str], Meta(description="Variables of each rank beside the rendezvous.")]
    shared: Annotated[str, Meta(description="The folder that all nodes see; empty: those of the submitting machine.")]
    volume: Annotated[str, Meta(description="What is mounted there; empty for nothing.")]
    run_folder: Annotated[str, Meta(description="Where the run is kept.")]
    port: Annotated[Count | None, Meta(description="Of the rendezvous; null where the system chooses one.")]
    spot: Annotated[bool, Meta(description="Whether its machines can be taken away.")]
    retries: Annotated[CountFromZero, Meta(description="New starts after machines were taken, a count.")]
    requirements: Annotated[tuple[str, ...], Meta(description="Of pip; empty where zenplan is there.")]
    package: Annotated[str, Meta(description="The wheel beside the files that pip installs; empty for none.")]
    image: Annotated[str, Meta(description="Of the container; empty for the system's own.")]
    zenplan_version: Annotated[Name, Meta(description="That wrote it.")]
    plan_sha256: Annotated[Sha256, Meta(description="Of the plan.")]
    max_duration_s: Annotated[Positive, Meta(description="After which the run ends, in seconds.")]
    deadline_s: Annotated[Positive, Meta(description="After which the system ends it, in seconds.")]
    max_usd: Annotated[Positive | None, Meta(description="Before which the run ends, in dollars; null for no limit.")]
    usd_per_h: Annotated[NotNegative | None, Meta(description="Of all machines; null where it is not known.")]
    price_of: Annotated[str, Meta(description="Whose price that is, of which day; empty where it is not known.")]
    provider: Annotated[str, Meta(description="Whose machines the plan is of; empty where it has none.")]


class LaunchDocument(Document, tag_field="schema", tag="zenplan.launch/1"):
    """Answer of 'zenplan launch'.

    A job for a cluster or a cloud, the files that were written for it, and the command that hands them over.
    """

    system: Annotated[Name, Meta(description="By name, as in slurm.")]
    job: Annotated[JobDocument, Meta(description="What runs there.")]
    files: Annotated[tuple[FileDocument, ...], Meta(min_length=1, description="That were written.")]
    submit: Annotated[
        tuple[str, ...], Meta(min_length=1, description="The command that hands them over, in their folder.")
    ]
    notes: Annotated[tuple[str, ...], Meta(description="What differs from the plan, or is not done there.")]


def launch_document(found: Launched) -> LaunchDocument:
    """All of it."""
    job = found.job
    texts = found.files.items()
    return LaunchDocument(
        system=found.system,
        job=fill(
            JobDocument,
            job,
            accelerator=job.accelerator.name if job.accelerator else None,
            environment=dict(job.environment),
        ),
        files=tuple(
            FileDocument(name=name, sha256=hashlib.sha256(text.encode("utf-8")).hexdigest()) for name, text in texts
        ),
        submit=found.submission.command,
        notes=found.notes,
    )
