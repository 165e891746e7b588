"""Kubernetes: an Indexed Job, a pod for each node, and the headless Service through which pods find the first one."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from zenplan.adapters.launchers.parts import (
    NODE,
    STOP_S,
    check_shared,
    heading,
    install,
    on_node,
    options_of,
    port,
    requirements,
    script,
    to_yaml,
)
from zenplan.domain.launch.job import LaunchJob, Submission
from zenplan.errors import UsageError

_FILE: Final = "job.yaml"
# By the device plugins of the vendors; and Debian's Python, whose wheels of PyTorch and JAX bring CUDA.
_RESOURCES: Final[Mapping[str, str]] = {
    "NVIDIA": "nvidia.com/gpu",
    "AMD": "amd.com/gpu",
    "Google": "google.com/tpu",
    "AWS": "aws.amazon.com/neuron",
    "Intel": "habana.ai/gaudi",
}
_IMAGE: Final = "python:3.12-slim"
_FILES: Final = "/zenplan"
_EXPANDED: Final = re.compile(r"\$+(?=\()|\${2,}")
# How long the job is kept once it has ended, for its logs (assumed).
_KEPT_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class Kubernetes:
    """Writes ``job.yaml``; ``--volume`` is a PersistentVolumeClaim that all pods may write to (ReadWriteMany)."""

    name: str = "kubernetes"

    def write(self, job: LaunchJob) -> Mapping[str, str]:
        """The manifest. Raises UsageError: no folder is shared, or the devices have no device plugin."""
        options = options_of(job, self.name, ("namespace", "node-selector"))
        check_shared(job, self.name, "CLAIM")
        scope = {"namespace": options["namespace"]} if "namespace" in options else {}
        notes = {"zenplan/version": job.zenplan_version, "zenplan/plan-sha256": job.plan_sha256}
        meta = {"name": job.name, **scope, "labels": {"app": job.name}, "annotations": notes}
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": meta,
            # A pod is found before it is ready: nothing says that it is.
            "spec": {"clusterIP": "None", "publishNotReadyAddresses": True, "selector": {"app": job.name}},
        }
        config = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": meta,
            "data": {**job.files, NODE: script(NODE), **requirements(job)},
        }
        found = {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": _job(job, options)}
        return {_FILE: heading(job) + to_yaml(service, config, found)}

    def submit(self, job: LaunchJob) -> Submission:
        """``kubectl apply``."""
        notes = [] if job.volume else ["what the run has written is lost with its pod: --volume CLAIM keeps it"]
        return Submission(
            command=("kubectl", "apply", "-f", _FILE),
            install="https://kubernetes.io/docs/tasks/tools/",
            notes=tuple(notes),
        )


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
                {
                    # Wrong usage, a limit that was reached: no second try changes it.
                    "action": "FailJob",
                    "onExitCodes": {"containerName": "train", "operator": "In", "values": [2, 3]},
                }
            ]
        },
        "template": {"metadata": {"labels": {"app": job.name}}, "spec": _pod(job, options)},
    }


def _pod(job: LaunchJob, options: Mapping[str, str]) -> dict[str, Any]:
    lines = ["set -e", f"export NODE_RANK=$JOB_COMPLETION_INDEX MASTER_ADDR={job.name}-0.{job.name}"]
    lines += [f"export MASTER_PORT={port(job)}", install(job), on_node(job)]
    mounts = [{"name": "files", "mountPath": _FILES}, {"name": "shm", "mountPath": "/dev/shm"}]  # noqa: S108 - the pod's
    volumes: list[dict[str, Any]] = [
        {"name": "files", "configMap": {"name": job.name}},
        # Of its own a container has 64 MB, which NCCL and data loaders outgrow.
        {"name": "shm", "emptyDir": {"medium": "Memory"}},
    ]
    if job.volume:
        mounts.append({"name": "shared", "mountPath": job.shared})
        volumes.append({"name": "shared", "persistentVolumeClaim": {"claimName": job.volume}})
    container: dict[str, Any] = {
        "name": "train",
        "image": job.image or _IMAGE,
        "command": ["bash", "-c", _literal("\n".join(lines) + "\n")],
        "workingDir": _FILES,
        "env": [{"name": name, "value": _literal(value)} for name, value in job.environment.items()],
        "volumeMounts": mounts,
        **_devices(job),
    }
    selector = {}
    if "node-selector" in options:
        key, equals, value = options["node-selector"].partition("=")
        if not (key and equals and value):
            raise UsageError(
                f"--option node-selector={options['node-selector']} is none",
                "as in: --option node-selector=nvidia.com/gpu.product=NVIDIA-H100-80GB-HBM3",
            )
        selector = {"nodeSelector": {key: value}}
    return {
        "restartPolicy": "Never",
        "subdomain": job.name,
        "terminationGracePeriodSeconds": STOP_S,
        **selector,
        "containers": [container],
        "volumes": volumes,
    }


def _literal(text: str) -> str:
    """The text, for it to come out as it is: Kubernetes makes a value of ``$(NAME)``, and one dollar of two."""
    return _EXPANDED.sub(lambda found: found[0] * 2, text)


def _devices(job: LaunchJob) -> dict[str, Any]:
    if job.accelerator is None:
        return {}
    name = job.accelerator_name or _RESOURCES.get(job.accelerator.vendor, "")
    if not name:
        raise UsageError(
            f"no resource of Kubernetes is known for {job.accelerator.name}",
            "--accelerator names that of your device plugin, as in nvidia.com/gpu",
        )
    return {"resources": {"limits": {name: job.node_ranks}}}
