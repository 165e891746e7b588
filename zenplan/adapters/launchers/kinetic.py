"""Kinetic, of the Keras team: a function that runs on one machine of Google's cloud."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from zenplan.adapters.launchers.names import device_name
from zenplan.adapters.launchers.parts import NODE, check_package, options_of, port, requirements, script
from zenplan.domain.launch.job import LaunchJob, Submission
from zenplan.errors import UsageError

_SCRIPT, _JOB = "kinetic_job.py", "job.json"


@dataclass(frozen=True, slots=True)
class Kinetic:
    """Writes ``kinetic_job.py``; ``--volume`` is a bucket, as in gs://NAME/PATH, which is only read."""

    name: str = "kinetic"

    def write(self, job: LaunchJob) -> Mapping[str, str]:
        """The script, and the job that it reads. Raises UsageError: it is a run of several machines, or of no bucket."""
        import json

        options = options_of(job, self.name, ("project", "zone", "cluster"))
        check_package(job, self.name, "")
        if any(" @ file:" in each for each in job.requirements):
            raise UsageError("Kinetic installs before anything is mounted: nodes see no wheel's path", "--package URL")
        if job.nodes > 1:
            raise UsageError(
                f"Kinetic gives a run one machine of GPUs, and this one has {job.nodes}",
                "an estimate of fewer devices: --gpus; or --on kubernetes",
            )
        if not job.shared or not job.volume.startswith("gs://"):
            raise UsageError(
                "machines of Kinetic do not see the folders of this machine",
                "--shared /shared --volume gs://BUCKET/DATA says where the data are",
            )
        if f"{job.run_folder}/".startswith(f"{job.shared}/"):
            raise UsageError(
                f"{job.shared} is only read there, and the run is written", "as in: --run-folder /root/run"
            )
        told = {
            "accelerator": accelerator(job),
            "spot": job.spot,
            "shared": job.shared,
            # Without the slash Kinetic takes it for a file.
            "volume": f"{job.volume.rstrip('/')}/",
            "options": dict(options),
            "files": [*job.files, NODE],
            "command": job.command,
            "environment": dict(job.environment),
            "run_folder": job.run_folder,
            "node_ranks": job.node_ranks,
            "port": port(job),
            "deadline_s": math.ceil(job.deadline_s),
        }
        text = json.dumps(told, ensure_ascii=False, indent=2) + "\n"
        return {_SCRIPT: script(_SCRIPT), _JOB: text, NODE: script(NODE), **requirements(job)}

    def submit(self, job: LaunchJob) -> Submission:
        """The script itself, which hands the job over."""
        notes = ["what the run has written is copied at its end alone: a machine that is taken takes it along"]
        command = ("python3", _SCRIPT)
        return Submission(
            command=command,
            install="pip install keras-kinetic",
            notes=tuple(notes),
            restarts="not begun again: Kinetic does not",
        )


def accelerator(job: LaunchJob) -> str:
    """As Kinetic calls the devices of a machine."""
    if job.accelerator is None:
        return "cpu"
    count = f"x{job.node_ranks}" if job.node_ranks > 1 else ""
    return f"gpu-{device_name(job, 'kinetic')}{count}"
