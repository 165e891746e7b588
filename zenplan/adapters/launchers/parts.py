"""What files of several systems have in common: their first lines, shell words, YAML, and the scripts beside them."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Mapping
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from zenplan.domain.launch.job import PORT, LaunchJob
from zenplan.errors import UnknownName, UsageError
from zenplan.units import MINUTE_S

# The script that starts the ranks of a node, and what pip installs.
NODE, REQUIREMENTS = "node.sh", "requirements.txt"
# Longer than a rank takes for its last checkpoint: a worker whose parent is gone is waited for that long.
STOP_S: Final = 150
# What 'zenplan train' ends with where its machine is taken (EX_TEMPFAIL), and where a SIGTERM ended it.
TAKEN, TERMINATED = 75, 143


def script(name: str) -> str:
    """The text of one that is the same for every job: ``node.sh``, ``ray_job.py``, ..."""
    return (Path(str(files("zenplan"))) / "templates" / "launch" / name).read_text(encoding="utf-8")


def heading(job: LaunchJob) -> str:
    """What the file is, as a comment."""
    most = f", {job.max_usd:.2f} dollars" if job.max_usd is not None else ""
    found = (
        f"# {job.name}: written by zenplan {job.zenplan_version} of the plan sha256:{job.plan_sha256}.\n"
        f"# The run ends after {minutes(job.max_duration_s)} minutes{most}.\n"
    )
    if job.usd_per_h is None or not job.price_of:
        return found
    return f"{found}# Price: {job.usd_per_h:,.2f} dollars an hour of all machines, {job.price_of}.\n"


def minutes(seconds: float) -> int:
    """Whole minutes, rounded up."""
    return math.ceil(seconds / MINUTE_S)


def requirements(job: LaunchJob) -> dict[str, str]:
    """The file that pip reads; none where zenplan is there already."""
    return {REQUIREMENTS: "\n".join(job.requirements) + "\n"} if job.requirements else {}


def install(job: LaunchJob) -> str:
    """The shell line that installs them."""
    return f"python3 -m pip install --quiet -r {REQUIREMENTS}" if job.requirements else ":"


def check_package(job: LaunchJob, system: str, folder: str) -> None:
    """Raise UsageError where a wheel was named, and the system carries texts alone.

    Args:
        job: that is launched.
        system: by name.
        folder: that nodes see when they install, for a hint; empty where there is none.
    """
    if job.package:
        raise UsageError(
            f"{system} carries no wheel to its nodes",
            f"put it where they see it, and name that: --package {folder}/{job.package}; or a URL"
            if folder
            else "a URL that its nodes reach: --package URL",
        )


def lost(job: LaunchJob, place: str, keeper: str = "--volume") -> list[str]:
    """A line where nothing keeps what the run has written.

    Args:
        job: that is launched.
        place: where it is written; keeper: the flag that keeps it.
    """
    return [] if job.volume else [f"what the run has written is lost with its {place}: {keeper} keeps it"]


def exports(job: LaunchJob) -> list[str]:
    """Shell lines that set the variables."""
    return [f"export {name}={shlex.quote(value)}" for name, value in job.environment.items()]


def on_node(job: LaunchJob) -> str:
    """The shell line that starts the ranks of a node and takes the place of the shell."""
    head = ["bash", NODE, str(job.nodes), str(job.node_ranks), str(math.ceil(job.deadline_s))]
    return f"exec {shlex.join([*head, *job.command])}"


def port(job: LaunchJob) -> int:
    """Of the rendezvous, where nobody else is on the machines."""
    return job.port or PORT


def options_of(job: LaunchJob, system: str, known: Iterable[str]) -> Mapping[str, str]:
    """The options that were given. Raises UnknownName: the system's file has no such one; UsageError: one is empty."""
    names = tuple(known)
    for name, value in job.options.items():
        if name not in names:
            raise UnknownName(f"option of {system}", name, names)
        if not value or value != value.strip():
            raise UsageError(f"--option {name}={value} says nothing", f"as in: --option {name}=VALUE")
    return job.options


def check_shared(job: LaunchJob, system: str, volume: str) -> None:
    """Raise UsageError where nodes of the system could not see the data and the run.

    Args:
        job: that is launched.
        system: by name.
        volume: what ``--volume`` is there, for a hint.
    """
    if not job.shared:
        raise UsageError(
            f"nodes of {system} do not see the folders of this machine",
            f"--shared /shared says where the data are there, --volume {volume} what is mounted there",
        )
    if job.nodes > 1 and not job.volume:
        raise UsageError(f"{job.nodes} nodes of {system} share no folder without a volume", f"as in: --volume {volume}")


def to_yaml(*documents: Mapping[str, Any]) -> str:
    """YAML that people can read: keys in their order, a text of several lines as such, a line of shell on one.

    Raises:
        UsageError: PyYAML is not installed.
    """
    if not find_spec("yaml"):
        raise UsageError("PyYAML is not installed, which writes the file", "pip install 'zenplan[launch]'")
    import yaml

    # One of its own: SafeDumper quotes whatever YAML could take for something else; two mappings that are one are two here.
    dumper: Any = type("Dumper", (yaml.SafeDumper,), {"ignore_aliases": lambda self, data: True})

    def text(own: Any, value: str) -> Any:
        return own.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)

    dumper.add_representer(str, text)
    written: str = yaml.dump_all(
        documents, Dumper=dumper, sort_keys=False, allow_unicode=True, width=10_000, explicit_start=len(documents) > 1
    )
    return written
