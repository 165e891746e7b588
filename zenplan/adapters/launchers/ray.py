"""Ray: a job whose driver holds a node for each of the run's, and starts the ranks there."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from zenplan.adapters.launchers.parts import NODE, check_shared, options_of, script
from zenplan.domain.launch.job import LaunchJob, Submission

_DRIVER, _JOB, _RUNTIME = "ray_job.py", "job.json", "runtime_env.json"
_HERE = "${RAY_RUNTIME_ENV_CREATE_WORKING_DIR}"


@dataclass(frozen=True, slots=True)
class Ray:
    """Writes the driver and its runtime environment. ``--option address=`` is that of the cluster's dashboard."""

    name: str = "ray"

    def write(self, job: LaunchJob) -> Mapping[str, str]:
        """The driver, and the job that it reads. Raises UsageError: no folder is shared."""
        import json

        options_of(job, self.name, ("address",))
        check_shared(job, self.name, job.shared or "/shared")
        # Ray reads the list before it is in its working folder, and puts that in place of the name.
        named = [
            each.replace(f"./{job.package}", f"{_HERE}/{job.package}") if job.package else each
            for each in job.requirements
        ]
        runtime = {"pip": named} if named else {}
        told = {
            "command": job.command,
            "environment": dict(job.environment),
            "nodes": job.nodes,
            "node_ranks": job.node_ranks,
            "gpus": job.accelerator is not None,
            "port": job.port,
            "retries": job.retries,
            "deadline_s": math.ceil(job.deadline_s),
        }
        texts = {_RUNTIME: {**runtime, "env_vars": dict(job.environment)}, _JOB: told}
        written = {name: json.dumps(each, ensure_ascii=False, indent=2) + "\n" for name, each in texts.items()}
        return {_DRIVER: script(_DRIVER), NODE: script(NODE), **written}

    def submit(self, job: LaunchJob) -> Submission:
        """``ray job submit``."""
        address = ("--address", job.options["address"]) if "address" in job.options else ()
        words = ("ray", "job", "submit", "--no-wait", *address, "--working-dir", ".", "--runtime-env", _RUNTIME)
        notes = ["Ray mounts nothing: --volume says that the machines have the shared folder"]
        notes += ["whether machines are spot is the cluster's, not the job's"] if job.spot else []
        return Submission(
            command=(*words, "--", "python3", _DRIVER),
            install="pip install 'ray[default]'",
            notes=tuple(notes),
        )
