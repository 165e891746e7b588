"""Kubernetes: an Indexed Job, a pod for each node, and the headless Service through which pods find the first one; or a
TrainJob of Kubeflow Trainer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from zenplan import units
from zenplan.adapters.launchers import kubeflow
from zenplan.adapters.launchers.parts import (
    NODE,
    check_package,
    check_shared,
    heading,
    options_of,
    port,
    requirements,
    script,
    to_yaml,
)
from zenplan.adapters.launchers.pods import (
    AGAIN,
    FILES,
    IMAGE,
    OPTIONS,
    check_name,
    command,
    environment,
    labels,
    mounts,
    notes,
    of_pod,
    resources,
)
from zenplan.domain.launch.job import LaunchJob, Submission
from zenplan.errors import UnknownName, UsageError

_FILE: Final = "job.yaml"
JOB, TRAIN_JOB = _KINDS = ("Job", "TrainJob")
# How long the job is kept once it has ended, for its logs (assumed).
_KEPT_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class Kubernetes:
    """Writes ``job.yaml``; ``--volume`` is a PersistentVolumeClaim that all pods may write to (ReadWriteMany)."""

    name: str = "kubernetes"

    def write(self, job: LaunchJob) -> Mapping[str, str]:
        """The manifest. Raises UsageError: no folder is shared, or the devices have no device plugin."""
        options = options_of(job, self.name, (*OPTIONS, "namespace", "kind", "runtime"))
        check_shared(job, self.name, "CLAIM")
        check_package(job, self.name, job.shared)
        kind = _kind(options)
        check_name("--option namespace", options.get("namespace", ""), "namespace", "namespaces")
        check_name("--option runtime", options.get("runtime", ""), "runtime", "clustertrainingruntimes")
        scope = {"namespace": options["namespace"]} if "namespace" in options else {}
        about = {"zenplan/version": job.zenplan_version, "zenplan/plan-sha256": job.plan_sha256}
        meta = {"name": job.name, **scope, "labels": {"app": job.name}, "annotations": about}
        config = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": meta,
            "data": {**job.files, NODE: script(NODE), **requirements(job)},
        }
        queued = {**meta, "labels": labels(job, options)}
        if kind == TRAIN_JOB:
            return {_FILE: heading(job) + to_yaml(config, kubeflow.train_job(job, options, queued))}
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": meta,
            # A pod is found before it is ready: nothing says that it is.
            "spec": {"clusterIP": "None", "publishNotReadyAddresses": True, "selector": {"app": job.name}},
        }
        found = {"apiVersion": "batch/v1", "kind": "Job", "metadata": queued, "spec": _job(job, options)}
        return {_FILE: heading(job) + to_yaml(service, config, found)}

    def submit(self, job: LaunchJob) -> Submission:
        """``kubectl apply``."""
        trains = _kind(job.options) == TRAIN_JOB
        return Submission(
            command=("kubectl", "apply", "-f", _FILE),
            install="https://kubernetes.io/docs/tasks/tools/",
            notes=(_waits(job), *(kubeflow.notes(job) if trains else ()), *notes(job)),
            restarts=kubeflow.RESTARTS if trains else "",
        )


def _waits(job: LaunchJob) -> str:
    return (
        f"Kubernetes counts the {units.duration(job.deadline_s)} to the Job's end from when it is handed over: waiting for "
        "nodes is among them, and a longer --max-hours leaves time for it"
    )


def _kind(options: Mapping[str, str]) -> str:
    """What starts the pods. Raises UsageError: it is none, or has no runtime."""
    given = options.get("kind", JOB)
    kind = next((each for each in _KINDS if each.lower() == given.lower()), None)
    if kind is None:
        raise UnknownName("kind", given, _KINDS)
    if "runtime" in options and kind != TRAIN_JOB:
        raise UsageError("--option runtime is of a TrainJob of Kubeflow's", f"--option kind={TRAIN_JOB}")
    return kind


def _job(job: LaunchJob, options: Mapping[str, str]) -> dict[str, Any]:
    return {
        "completions": job.nodes,
        "parallelism": job.nodes,
        "completionMode": "Indexed",
        "activeDeadlineSeconds": math.ceil(job.deadline_s),
        "ttlSecondsAfterFinished": _KEPT_S,
        # Where one pod is lost the others end too, and all are begun again.
        "backoffLimit": job.retries * job.nodes,
        "podFailurePolicy": {
            "rules": [
                {"action": "Count", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                {
                    # An error, wrong usage, a limit that was reached: no second try changes it.
                    "action": "FailJob",
                    "onExitCodes": {"containerName": "train", "operator": "NotIn", "values": list(AGAIN)},
                },
            ]
        },
        "template": {"metadata": {"labels": {"app": job.name}}, "spec": _pod(job, options)},
    }


def _pod(job: LaunchJob, options: Mapping[str, str]) -> dict[str, Any]:
    met = [
        f"export NODE_RANK=$JOB_COMPLETION_INDEX MASTER_ADDR={job.name}-0.{job.name}",
        f"export MASTER_PORT={port(job)}",
    ]
    asked = resources(job, options)
    container: dict[str, Any] = {
        "name": "train",
        "image": job.image or IMAGE,
        "command": command(job, met),
        "workingDir": FILES,
        "env": environment(job),
        "volumeMounts": mounts(job),
        **({"resources": asked} if asked else {}),
    }
    return {"restartPolicy": "Never", "subdomain": job.name, "containers": [container], **of_pod(job, options)}
