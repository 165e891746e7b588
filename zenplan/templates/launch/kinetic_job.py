"""Hands the job in job.json beside it to Kinetic, which runs it on one machine of Google's cloud.

It prints the id of the job: 'kinetic jobs' lists, follows and ends it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import kinetic


def train(job: dict[str, Any], files: dict[str, str]) -> int:
    """Runs there: the exit code of the ranks. What the run leaves is copied to KINETIC_OUTPUT_DIR."""
    import os
    import pathlib
    import subprocess
    import tempfile

    folder = pathlib.Path(tempfile.mkdtemp())
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    environment = {**os.environ, **job["environment"], "NODE_RANK": "0", "MASTER_ADDR": "127.0.0.1"}
    environment["MASTER_PORT"] = str(job["port"])
    head = ["bash", "node.sh", "1", str(job["node_ranks"]), str(job["deadline_s"])]
    done = subprocess.run([*head, *job["command"]], cwd=folder, env=environment, check=False)  # noqa: S603 - the job's
    kept = os.environ.get("KINETIC_OUTPUT_DIR", "")
    if kept and pathlib.Path(job["run_folder"]).is_dir():
        copy = ["gcloud", "storage", "cp", "--recursive", job["run_folder"], kept]
        subprocess.run(copy, check=False)  # noqa: S603 - the same
    return done.returncode


def main() -> None:
    """Submit it."""
    here = Path(__file__).parent
    job = json.loads((here / "job.json").read_text(encoding="utf-8"))
    files = {name: (here / name).read_text(encoding="utf-8") for name in job["files"]}
    volumes = {job["shared"]: kinetic.Data(job["volume"], fuse=True)}
    remote = kinetic.run(accelerator=job["accelerator"], spot=job["spot"], volumes=volumes, **job["options"])(train)
    print(remote.run_async(job, files).job_id)  # noqa: T201 - its one line of output


if __name__ == "__main__":
    main()
