"""Acme runs training jobs of zenplan: a file of JSON, to begin with."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from zenplan import Launcher, LaunchJob, Submission, UsageError, hookimpl


@dataclass(frozen=True, slots=True)
class Acme:
    """Writes ``acme.json``. Acme starts the command once for each rank, without a shell."""

    name: str = "acme"

    def write(self, job: LaunchJob) -> Mapping[str, str]:
        """The job. What Acme calls its variables becomes the rendezvous of each rank."""
        for name in job.options:
            if name != "queue":
                raise UsageError(f"Acme has no option {name}", "as in: --option queue=long")
        told = {
            "name": job.name,
            "queue": job.options.get("queue", "default"),
            "nodes": job.nodes,
            "tasks_per_node": job.node_ranks,
            "gpus_per_task": 0 if job.accelerator is None else 1,
            "argv": job.command,
            "env": dict(job.environment),
            "rendezvous": {
                "RANK": "QUEUE_TASK",
                "LOCAL_RANK": "QUEUE_TASK_ON_NODE",
                "WORLD_SIZE": "QUEUE_TASKS",
                "MASTER_ADDR": "QUEUE_FIRST_NODE",
                "MASTER_PORT": job.port or "QUEUE_PORT",
            },
            "pip": job.requirements,
            "preemptible": job.spot,
            "retries": job.retries,
            "seconds": job.deadline_s,
            "comment": f"zenplan {job.zenplan_version}, plan {job.plan_sha256}",
        }
        return {"acme.json": json.dumps(told, indent=2) + "\n"}

    def submit(self, job: LaunchJob) -> Submission:
        """Acme's own client."""
        return Submission(command=("acme", "submit", "acme.json"), install="https://acme.example/install")


@hookimpl
def zenplan_launchers() -> Iterable[Launcher]:
    """One launcher, ``acme``."""
    return (Acme(),)
