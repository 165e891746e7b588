"""SkyPilot: a task of several nodes, run as a managed job, which SkyPilot begins again where machines are taken."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from zenplan.adapters.launchers.names import device_name, provider_name, strange_provider
from zenplan.adapters.launchers.parts import (
    NODE,
    TAKEN,
    check_shared,
    heading,
    install,
    lost,
    minutes,
    on_node,
    options_of,
    port,
    requirements,
    script,
    to_yaml,
)
from zenplan.domain.launch.job import IDLE_S, LaunchJob, Submission
from zenplan.errors import UsageError

_FILE: Final = "task.yaml"
_RESTARTS: Final = "begun again whenever machines were taken"
_BUCKET: Final = re.compile(r"[a-z][a-z0-9+.-]*://[^/:]+(/.*)?")


@dataclass(frozen=True, slots=True)
class SkyPilot:
    """Writes ``task.yaml``; ``--volume`` is a bucket, as in s3://NAME, or a volume of SkyPilot's."""

    name: str = "skypilot"

    def write(self, job: LaunchJob) -> Mapping[str, str]:
        """The task, and what it reads. Raises UsageError: no folder is shared, or the devices have no name there."""
        check_shared(job, self.name, "s3://BUCKET")
        options = options_of(job, self.name, ("infra",))
        resources: dict[str, Any] = {}
        if job.accelerator is not None:
            resources["accelerators"] = f"{device_name(job, self.name)}:{job.node_ranks}"
        if infra := options.get("infra") or _infra(job):
            resources["infra"] = infra
        resources["use_spot"] = job.spot
        # A managed job's machines are given back at its end; this is for those of a plain 'sky launch'.
        resources["autostop"] = {"idle_minutes": minutes(IDLE_S), "down": True}
        if job.retries:
            resources["job_recovery"] = {"max_restarts_on_errors": 0, "recover_on_exit_codes": [TAKEN]}
        if job.image:
            resources["image_id"] = f"docker:{job.image}"
        lines = [
            "set -e",
            'MASTER_ADDR=$(echo "$SKYPILOT_NODE_IPS" | head -n 1)',
            f"export MASTER_ADDR MASTER_PORT={port(job)} NODE_RANK=$SKYPILOT_NODE_RANK",
            on_node(job),
        ]
        task = {
            "name": job.name,
            "num_nodes": job.nodes,
            "workdir": ".",
            "resources": resources,
            **_mounts(job),
            "envs": dict(job.environment),
            "setup": f"{install(job)}\n",
            "run": "\n".join(lines) + "\n",
        }
        return {_FILE: heading(job) + to_yaml(task), NODE: script(NODE), **requirements(job)}

    def submit(self, job: LaunchJob) -> Submission:
        """``sky jobs launch``."""
        notes = ["SkyPilot itself limits neither dollars nor hours; zenplan train ends the run at its limits"]
        taken = job.options.get("infra", "").partition("/")[0]
        notes += strange_provider(job, self.name, taken, "takes the cheapest of its own")
        notes += lost(job, "machine")
        command = ("sky", "jobs", "launch", "--yes", "--detach-run", "--name", job.name, _FILE)
        return Submission(
            command=command, install="pip install 'skypilot[aws]'", notes=tuple(notes), restarts=_RESTARTS
        )


def _infra(job: LaunchJob) -> str:
    cloud = provider_name(job, "skypilot")
    return f"{cloud}/{job.region}" if cloud and job.region else cloud


def _mounts(job: LaunchJob) -> dict[str, Any]:
    if ":" in job.volume and not _BUCKET.fullmatch(job.volume):
        raise UsageError(f"--volume {job.volume} is no bucket", "as in: s3://NAME, gs://NAME/PATH; or a volume's name")
    if "://" in job.volume:
        return {"file_mounts": {job.shared: {"source": job.volume, "mode": "MOUNT_CACHED"}}}
    return {"volumes": {job.shared: job.volume}} if job.volume else {}
