"""What a pod of a run has, on whatever of Kubernetes starts it: its command, its volumes, its devices, its nodes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from zenplan.adapters.launchers.parts import STOP_S, TAKEN, TERMINATED, install, lost, on_node
from zenplan.domain.launch.job import LaunchJob
from zenplan.errors import UsageError

# Where the files of the ConfigMap are.
FILES: Final = "/zenplan"
# Of its own a container has 64 MB of it, which NCCL and data loaders outgrow. It lasts as long as the pod.
SHARED_MEMORY: Final = "/dev/shm"  # noqa: S108 - the pod's
# By the device plugins of the vendors; and Debian's Python, whose wheels of PyTorch and JAX bring CUDA.
_RESOURCES: Final[Mapping[str, str]] = {
    "NVIDIA": "nvidia.com/gpu",
    "AMD": "amd.com/gpu",
    "Google": "google.com/tpu",
    "AWS": "aws.amazon.com/neuron",
    "Intel": "habana.ai/gaudi",
}
# Exit codes after which a run is begun again.
AGAIN: Final = (TAKEN, TERMINATED)
IMAGE: Final = "python:3.12-slim"
_EXPANDED: Final = re.compile(r"\$+(?=\()|\${2,}")
_RESOURCE: Final = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?/[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
# Of a request, as Kubernetes writes quantities.
_CPU: Final = re.compile(r"[1-9]\d*(\.\d+)?m?|0?\.\d+")
_MEMORY: Final = re.compile(r"[1-9]\d*(\.\d+)?([kMGTPE]|[KMGTPE]i)?")
# KEY, KEY=VALUE, KEY:EFFECT or KEY=VALUE:EFFECT, as 'kubectl taint' writes a taint.
_TAINT: Final = re.compile(
    r"(?P<key>[A-Za-z0-9][A-Za-z0-9./_-]*)(=(?P<value>[A-Za-z0-9._-]*))?"
    r"(:(?P<effect>NoSchedule|PreferNoSchedule|NoExecute))?"
)
# What may be said of pods beside a system's own, by its options.
OPTIONS: Final = ("node-selector", "toleration", "pull-secret", "queue", "cpu", "memory")
# By which Kueue knows the queue of a job.
_QUEUE: Final = "kueue.x-k8s.io/queue-name"
_SUBDOMAIN: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
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


def command(job: LaunchJob, before: Sequence[str]) -> list[str]:
    """Of its container: what is installed, then the ranks of the node. The lines ``before`` say where all of them meet."""
    lines = ["set -e", *before, install(job), on_node(job)]
    return ["bash", "-c", literal("\n".join(lines) + "\n")]


def environment(job: LaunchJob) -> list[dict[str, str]]:
    """Variables of its container."""
    return [{"name": name, "value": literal(value)} for name, value in job.environment.items()]


def mounts(job: LaunchJob) -> list[dict[str, str]]:
    """Of its container."""
    found = [{"name": "files", "mountPath": FILES}, {"name": "shm", "mountPath": SHARED_MEMORY}]
    return [*found, {"name": "shared", "mountPath": job.shared}] if job.volume else found


def of_pod(job: LaunchJob, options: Mapping[str, str]) -> dict[str, Any]:
    """Its volumes, its nodes, and how long it may take to end.

    Raises:
        UsageError: the node selector or a toleration is none, or no claim or secret can be called so.
    """
    check_name("--volume", job.volume, "claim", "pvc")
    volumes: list[dict[str, Any]] = [
        {"name": "files", "configMap": {"name": job.name}},
        {"name": "shm", "emptyDir": {"medium": "Memory"}},
    ]
    if job.volume:
        volumes.append({"name": "shared", "persistentVolumeClaim": {"claimName": job.volume}})
    selected = _selected(options.get("node-selector", ""))
    tolerated = [_tolerated(each) for each in _several(options, "toleration")]
    secrets = _several(options, "pull-secret")
    for each in secrets:
        check_name("--option pull-secret", each, "secret", "secrets")
    return {
        "terminationGracePeriodSeconds": STOP_S,
        **({"nodeSelector": selected} if selected else {}),
        **({"tolerations": tolerated} if tolerated else {}),
        **({"imagePullSecrets": [{"name": each} for each in secrets]} if secrets else {}),
        "volumes": volumes,
    }


def labels(job: LaunchJob, options: Mapping[str, str]) -> dict[str, str]:
    """Of what is handed over. Raises UsageError: no queue can be called so."""
    queue = options.get("queue", "")
    check_name("--option queue", queue, "queue", "localqueues")
    return {"app": job.name, **({_QUEUE: queue} if queue else {})}


def resources(job: LaunchJob, options: Mapping[str, str]) -> dict[str, Any]:
    """Limits of devices, requests of processors and memory. Raises UsageError: one is no quantity, or the devices have no
    device plugin that is known."""
    asked = {name: options[name] for name in ("cpu", "memory") if name in options}
    for name, kind, example in (("cpu", _CPU, "8"), ("memory", _MEMORY, "64Gi")):
        if name in asked and not kind.fullmatch(asked[name]):
            raise UsageError(f"--option {name}={asked[name]} is no quantity of Kubernetes", f"as in: {name}={example}")
    if "cpu" not in asked and job.rank_cpus:
        # A request is the least: a core is left to what runs on every node, or none had enough.
        asked = {"cpu": str(max(1, job.rank_cpus * job.node_ranks - 1)), **asked}
    limits = _devices(job)
    return {**({"limits": limits} if limits else {}), **({"requests": asked} if asked else {})}


def _devices(job: LaunchJob) -> dict[str, int]:
    if job.accelerator is None:
        return {}
    name, hint = (
        job.accelerator_name or _RESOURCES.get(job.accelerator.vendor, ""),
        "that of your device plugin, as in nvidia.com/gpu",
    )
    if not name:
        raise UsageError(
            f"no resource of Kubernetes is known for {job.accelerator.name}", f"--accelerator names {hint}"
        )
    if not _RESOURCE.fullmatch(name):
        raise UsageError(f"--accelerator {name} is no resource of Kubernetes", hint)
    return {name: job.node_ranks}


def notes(job: LaunchJob) -> list[str]:
    """What is lost, and what nothing asks for, a line each."""
    found = lost(job, "pod", "--volume CLAIM")
    selected = "node-selector" in job.options
    unasked = [] if "cpu" in job.options or job.rank_cpus else ["cpu=8"]
    unasked += [] if "memory" in job.options else ["memory=64Gi"]
    if unasked:
        what = " and no ".join("CPU" if each.startswith("cpu") else "memory" for each in unasked)
        examples = " ".join(f"--option {each}" for each in unasked)
        found.append(
            f"pods ask for no {what}: they share with what else the node runs, and a queue may want it: {examples}"
        )
    if job.spot and not selected:
        found.append(f"nothing asks for spot nodes; a node selector does, as in: {_SPOT}")
    if job.accelerator is not None and not selected:
        found.append(
            f"any node that has such devices is taken, whether {job.accelerator.name} or not; a node selector says "
            f"which, as in: {_KIND.get(job.accelerator.vendor, _KIND[''])}"
        )
    return found


def literal(text: str) -> str:
    """The text, for it to come out as it is: Kubernetes makes a value of ``$(NAME)``, and one dollar of two."""
    return _EXPANDED.sub(lambda found: found[0] * 2, text)


def _several(options: Mapping[str, str], name: str) -> list[str]:
    return options[name].split(",") if name in options else []


def _tolerated(text: str) -> dict[str, str]:
    """A toleration of a taint."""
    found = _TAINT.fullmatch(text)
    if found is None:
        raise UsageError(f"--option toleration={text} is none", "as in: nvidia.com/gpu:NoSchedule or KEY=VALUE:EFFECT")
    key, value, effect = found["key"], found["value"], found["effect"]
    how = {"operator": "Exists"} if value is None else {"operator": "Equal", "value": value}
    return {"key": key, **how, **({"effect": effect} if effect else {})}


def _selected(text: str) -> dict[str, str]:
    """Labels of the nodes, of a list with commas."""
    found: dict[str, str] = {}
    for each in text.split(",") if text else ():
        key, equals, value = each.partition("=")
        if not (key and equals and value) or key in found:
            raise UsageError(f"--option node-selector={text} is none", f"as in: {_KIND['NVIDIA']},KEY=VALUE")
        found[key] = value
    return found


def check_name(what: str, name: str, kind: str, listed: str) -> None:
    """Raise UsageError: nothing can be called so (RFC 1123).

    Args:
        what: the flag.
        name: that was given; empty for none.
        kind: of thing, for people.
        listed: the command of ``kubectl`` that lists them.
    """
    if name and not _SUBDOMAIN.fullmatch(name):
        raise UsageError(f"{what} {name} is no name of a {kind}", f"one that this lists: kubectl get {listed}")
