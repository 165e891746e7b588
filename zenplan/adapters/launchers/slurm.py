"""Slurm: a batch script, in which ``srun`` starts a task for each rank."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from zenplan.adapters.launchers.parts import exports, heading, minutes
from zenplan.adapters.launchers.sbatch import OPTIONS
from zenplan.adapters.run_folder.folder import STATUS
from zenplan.domain.launch.job import LaunchJob, Submission
from zenplan.domain.measured.training_run import PREEMPTED
from zenplan.errors import UnknownName, UsageError

_FILE: Final = "job.sh"
# Of sbatch, in its long form. What the plan says is not among them.
_OPTION: Final = re.compile(r"[a-z][a-z0-9-]*")
_OF_THE_PLAN: Final = ("nodes", "ntasks", "ntasks-per-node", "time", "job-name", "wrap", "array")
# Options that say how many CPUs a task gets.
_CPUS: Final = ("cpus-per-task", "cpus-per-gpu", "tres-per-task")
# In the status of a run whose machine was taken.
_TAKEN: Final = f'"state": *"{PREEMPTED}"'
# Seconds before the end of its time at which each rank is told to write its checkpoint.
_WARNED_S: Final = 120
# In the environment of each task; SLURM_LOCALID and SLURM_PROCID are srun's.
_RANK: Final = """\
export RANK=$SLURM_PROCID LOCAL_RANK=$SLURM_LOCALID WORLD_SIZE=$SLURM_NTASKS
found=$("$2" --version) || exit 2
if [ "$found" != "$1" ]; then echo "$(hostname): $found, not $1" >&2; exit 2; fi
shift
exec "$@"
"""


@dataclass(frozen=True, slots=True)
class Slurm:
    """Writes ``job.sh``. ``--option`` are those of sbatch: partition, account, gres, ..."""

    name: str = "slurm"

    def write(self, job: LaunchJob) -> Mapping[str, str]:
        """The script. Raises UsageError: an option is none, or the plan's own."""
        version = f"zenplan {job.zenplan_version}"
        step = ["srun", "--kill-on-bad-exit=1", "bash", "-c", _RANK, "rank", version, *job.command]
        port = str(job.port) if job.port else "$((20000 + SLURM_JOB_ID % 20000))"
        lines = [
            "set -u",
            'cd "${SLURM_SUBMIT_DIR:?}" || exit 1',
            *exports(job),
            # srun takes it from its own variable alone (Slurm 22.05 and later).
            *(["export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK"] if _cpus(job) else []),
            'MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)',
            f"MASTER_PORT={port}",
            "export MASTER_ADDR MASTER_PORT",
            shlex.join(step),
            "code=$?",
            # A run whose machine is taken says so; scancel and an error are no reason to begin again.
            f"status={shlex.quote(f'{job.run_folder}/{STATUS}')}",
            f'if [ "${{SLURM_RESTART_COUNT:-0}}" -lt {job.retries} ] && grep -q {shlex.quote(_TAKEN)} "$status"; then',
            '  scontrol requeue "$SLURM_JOB_ID"',
            "fi",
            'exit "$code"',
        ]
        directives = "".join(f"#SBATCH --{each}\n" for each in _directives(job))
        return {_FILE: f"#!/usr/bin/env bash\n{heading(job)}{directives}" + "\n".join(lines) + "\n"}

    def submit(self, job: LaunchJob) -> Submission:
        """``sbatch``."""
        notes = ["the folder of these files, the data and the run have to be where all nodes see them"]
        if not job.command[0].startswith("/"):
            notes.append(
                "nothing is installed: zenplan is of the environment that hands the job over, or --venv names one"
            )
        if not _cpus(job) and not job.options.keys() & set(_CPUS):
            notes.append(
                "the script asks for no CPUs, and a rank gets what is the site's default, often one core: "
                "--option cpus-per-task=8, or threads in [train]"
            )
        notes += ["spot machines are a partition's: --option partition=NAME"] if job.spot else []
        return Submission(
            command=("sbatch", _FILE), install="sbatch is on a login node of the cluster", notes=tuple(notes)
        )


def _cpus(job: LaunchJob) -> str:
    """The CPUs of a task, as given or as its run says; empty where Slurm is left to say it."""
    if "cpus-per-task" in job.options:
        return job.options["cpus-per-task"]
    return str(job.rank_cpus) if job.rank_cpus and not job.options.keys() & set(_CPUS) else ""


def _directives(job: LaunchJob) -> list[str]:
    """Of the options of ``sbatch``, each as it stands behind ``#SBATCH --``."""
    hours, rest = divmod(minutes(job.deadline_s), 60)
    found = [f"job-name={job.name}", f"nodes={job.nodes}", f"ntasks-per-node={job.node_ranks}"]
    found += [f"time={hours}:{rest:02d}:00", f"signal=TERM@{_WARNED_S}", "open-mode=append"]
    found += ["requeue" if job.retries else "no-requeue"]
    if job.accelerator is not None and not job.options.keys() & {"gres", "gpus-per-node", "gpus", "gpus-per-task"}:
        if not re.fullmatch(r"[A-Za-z0-9_.-]*", job.accelerator_name):
            raise UsageError(
                f"--accelerator {job.accelerator_name} is no type of a gres", "as 'scontrol show node' has it"
            )
        kind = f"{job.accelerator_name}:" if job.accelerator_name else ""
        found.append(f"gpus-per-node={kind}{job.node_ranks}")
    if (cpus := _cpus(job)) and "cpus-per-task" not in job.options:
        found.append(f"cpus-per-task={cpus}")
    for name, value in job.options.items():
        if _OPTION.fullmatch(name) and name not in OPTIONS:
            raise UnknownName("option of sbatch", name, OPTIONS)
        if not _OPTION.fullmatch(name) or name in _OF_THE_PLAN:
            raise UsageError(f"--option {name} is none of sbatch's that may be given", "as in: --option partition=gpu")
        if re.search(r"[\s\"'\\#]", value):
            raise UsageError(f"--option {name}={value}: a line of sbatch's takes no blanks and quotes", "one word")
        found.append(f"{name}={value}" if value else name)
    return found
