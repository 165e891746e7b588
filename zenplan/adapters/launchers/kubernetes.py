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
    check_package,
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
_CLAIM: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
# Labels that clouds and device plugins give their nodes.
_SPOT: Final = (
    "--option node-selector=cloud.google.com/gke-spot=true (GKE), eks.amazonaws.com/capacityType=SPOT (EKS), "
    "karpenter.sh/capacity-type=spot (Karpenter)"
)
_KIND: Final[Mapping[str, str]] = {
    "NVIDIA": "--option node-selector=nvidia.com/gpu.product=NVIDIA-H100-80GB-HBM3",
    "Google": "--option node-selector=cloud.google.com/gke-tpu-accelerator=tpu-v5-lite-podslice",
    "": "--option node-selector=node.kubernetes.io/instance-type=NAME",
}
# What 'zenplan train' ends with where its machine is taken (EX_TEMPFAIL), and where a SIGTERM ended it.
_TAKEN: Final = (75, 143)
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
        check_package(job, self.name, job.shared)
        _check_claim(job.volume)
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
        selected = "node-selector" in job.options
        if job.spot and not selected:
            notes.append(f"nothing asks for spot nodes; a node selector does, as in: {_SPOT}")
        if job.accelerator is not None and not selected:
            notes.append(
                f"any node that has such devices is taken, whether {job.accelerator.name} or not; a node selector says "
                f"which, as in: {_KIND.get(job.accelerator.vendor, _KIND[''])}"
            )
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
                {"action": "Count", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                {
                    # An error, wrong usage, a limit that was reached: no second try changes it.
                    "action": "FailJob",
                    "onExitCodes": {"containerName": "train", "operator": "NotIn", "values": list(_TAKEN)},
                },
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
    selected = _selected(options.get("node-selector", ""))
    return {
        "restartPolicy": "Never",
        "subdomain": job.name,
        "terminationGracePeriodSeconds": STOP_S,
        **({"nodeSelector": selected} if selected else {}),
        "containers": [container],
        "volumes": volumes,
    }


def _selected(text: str) -> dict[str, str]:
    """Labels of the nodes, of a list with commas."""
    found: dict[str, str] = {}
    for each in text.split(",") if text else ():
        key, equals, value = each.partition("=")
        if not (key and equals and value) or key in found:
            raise UsageError(f"--option node-selector={text} is none", f"as in: {_KIND['NVIDIA']},KEY=VALUE")
        found[key] = value
    return found


def _check_claim(name: str) -> None:
    """Raise UsageError: no PersistentVolumeClaim can be called so (RFC 1123)."""
    if name and not _CLAIM.fullmatch(name):
        raise UsageError(
            f"--volume {name} is no name of a claim",
            "that of a PersistentVolumeClaim in the namespace: kubectl get pvc",
        )


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
