"""Kubeflow Trainer: a TrainJob, which a training runtime of the cluster makes the pods of (2.3 and later)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from zenplan.adapters.launchers.pods import (
    AGAIN,
    FILES,
    IMAGE,
    SHARED_MEMORY,
    command,
    environment,
    mounts,
    of_pod,
    resources,
)
from zenplan.domain.launch.job import LaunchJob
from zenplan.errors import UsageError

# Installed with Kubeflow Trainer; another one has to be of PyTorch too, for it is that which sets the variables.
_RUNTIME: Final = "torch-distributed"
# As every runtime calls the pods that train, and their container.
_NODE: Final = "node"
# That the runtime sets, for torchrun; it refuses a TrainJob that sets one itself.
_RESERVED: Final = ("PET_NNODES", "PET_NPROC_PER_NODE", "PET_NODE_RANK", "PET_MASTER_ADDR", "PET_MASTER_PORT")
_ENDED: Final = f"{SHARED_MEMORY}/zenplan-ended"
RESTARTS: Final = "begun again as often as the runtime says"


def train_job(job: LaunchJob, options: Mapping[str, str], meta: Mapping[str, Any]) -> dict[str, Any]:
    """The TrainJob.

    Args:
        job: that it runs.
        options: as they were given.
        meta: its metadata.

    Raises:
        UsageError: a variable is the runtime's; or as ``of_pod`` and ``resources``.
    """
    for name in job.environment:
        if name in _RESERVED:
            raise UsageError(f"--env {name} is set by the runtime", "leave it out")
    asked = resources(job, options)
    trainer = {
        "image": job.image or IMAGE,
        "command": command(job, _met(job)),
        "numNodes": job.nodes,
        "numProcPerNode": job.node_ranks,
        "env": environment(job),
        **({"resourcesPerNode": asked} if asked else {}),
    }
    pod = {**of_pod(job, options), "containers": [{"name": _NODE, "volumeMounts": mounts(job)}]}
    jobs = [{"name": _NODE, "template": {"spec": {"template": {"spec": pod}}}}]
    return {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "metadata": meta,
        "spec": {
            "runtimeRef": {"name": options.get("runtime") or _RUNTIME},
            "activeDeadlineSeconds": math.ceil(job.deadline_s),
            "trainer": trainer,
            "runtimePatches": [
                {"manager": "zenplan/launch", "trainingRuntimeSpec": {"template": {"spec": {"replicatedJobs": jobs}}}}
            ],
        },
    }


def notes(job: LaunchJob) -> list[str]:
    """What a TrainJob does not do of the job, a line each."""
    found = ["a TrainJob stays after its end: 'kubectl delete -f job.yaml' takes it away"]
    if job.retries:
        found.append(f"a TrainJob has no number of new starts: its runtime's says it, not {job.retries}")
    return found


def _met(job: LaunchJob) -> list[str]:
    """Shell lines: where the ranks meet, of the variables that the runtime sets.

    The runtime begins a container again whatever it ended with: what no second start changes is remembered in the pod.
    """
    port = str(job.port) if job.port else "$PET_MASTER_PORT"
    again = " ".join(map(str, AGAIN)) if job.retries else ""
    return [
        f'[ ! -f {_ENDED} ] || exit "$(cat {_ENDED})"',
        ': "${PET_NODE_RANK:?the runtime is none of PyTorch}" "${PET_MASTER_ADDR:?}" "${PET_MASTER_PORT:?}"',
        f'[ "$PET_NNODES" = {job.nodes} ] || {{ echo "$PET_NNODES nodes, and the run has {job.nodes}" >&2; exit 2; }}',
        f"export NODE_RANK=$PET_NODE_RANK MASTER_ADDR=$PET_MASTER_ADDR MASTER_PORT={port}",
        f"export ENDED={_ENDED} AGAIN='{again}'",
        f"cd {FILES}",
    ]
