"""dstack: a task of several nodes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from zenplan.adapters.launchers.names import device_name, provider_name, strange_provider
from zenplan.adapters.launchers.parts import (
    NODE,
    STOP_S,
    check_shared,
    heading,
    install,
    lost,
    on_node,
    options_of,
    port,
    requirements,
    script,
    to_yaml,
)
from zenplan.domain.launch.job import IDLE_S, LaunchJob, Submission
from zenplan.errors import UsageError
from zenplan.units import GB, HOUR_S

_FILE: Final = "task.dstack.yml"
_FOLDER: Final = "/zenplan"
_RESTARTS: Final = "begun again whenever machines were taken, until its time is over"
# A GPU that all the time does next to nothing is taken for idle (assumed).
_IDLE_PERCENT: Final = 2


@dataclass(frozen=True, slots=True)
class Dstack:
    """Writes ``task.dstack.yml``; ``--volume`` is a volume of dstack's, or a folder of the machines."""

    name: str = "dstack"

    def write(self, job: LaunchJob) -> Mapping[str, str]:
        """The task, and what it reads. Raises UsageError: no folder is shared, or the devices have no name there."""
        check_shared(job, self.name, "VOLUME")
        _check_literal(job)
        if ":" in job.volume:
            raise UsageError(
                f"--volume {job.volume} is no volume of dstack's", "its name, or a folder of the machines: /mnt/data"
            )
        options = options_of(job, self.name, ("backend", "region", "fleet"))
        own = provider_name(job, self.name)
        backend = options.get("backend") or own
        # Another backend calls its regions otherwise.
        region = options.get("region") or (job.region if own and backend == own else "")
        parts = [*job.files, NODE, *requirements(job), *([job.package] if job.package else [])]
        deadline_s = math.ceil(job.deadline_s)
        task: dict[str, Any] = {
            "type": "task",
            "name": job.name,
            "nodes": job.nodes,
            **({"image": job.image} if job.image else {"python": "3.12"}),
            "files": [f"{name}:{_FOLDER}/{name}" for name in parts],
            "working_dir": _FOLDER,
            "env": [f"{name}={value}" for name, value in job.environment.items()],
            "shell": "bash",
            "commands": _commands(job),
            "resources": {"gpu": _gpu(job), "shm_size": "16GB"},
            **({"volumes": [f"{job.volume}:{job.shared}"]} if job.volume else {}),
            **({"backends": [backend]} if backend else {}),
            **({"regions": [region]} if region else {}),
            **({"fleets": [options["fleet"]]} if "fleet" in options else {}),
            "spot_policy": "spot" if job.spot else "on-demand",
            "max_duration": f"{deadline_s}s",
            "stop_duration": f"{STOP_S}s",
            "idle_duration": f"{math.ceil(IDLE_S)}s",
        }
        if price := _most_usd_per_h(job):
            task["max_price"] = price
        if job.accelerator is not None:
            window = f"{math.ceil(IDLE_S)}s"
            task["utilization_policy"] = {"min_gpu_utilization": _IDLE_PERCENT, "time_window": window}
        if job.retries:
            task["retry"] = {"on_events": ["no-capacity", "interruption"], "duration": f"{deadline_s}s"}
        return {_FILE: heading(job) + to_yaml(task), NODE: script(NODE), **requirements(job)}

    def submit(self, job: LaunchJob) -> Submission:
        """``dstack apply``."""
        notes = ["of dollars dstack limits an hour's price alone; zenplan train ends the run at its limit"]
        notes += [_priced(job)] if job.usd_per_h else []
        notes += strange_provider(job, self.name, job.options.get("backend", ""), "takes any below that price")
        notes += lost(job, "machine")
        command = ("dstack", "apply", "--yes", "--detach", "-f", _FILE)
        return Submission(command=command, install="pip install dstack", notes=tuple(notes), restarts=_RESTARTS)


def _commands(job: LaunchJob) -> list[str]:
    return [
        "export NODE_RANK=$DSTACK_NODE_RANK MASTER_ADDR=$DSTACK_MASTER_NODE_IP",
        f"export MASTER_PORT={port(job)}",
        install(job),
        on_node(job),
    ]


def _most_usd_per_h(job: LaunchJob) -> float | None:
    """The most that a machine may cost in an hour: at which the dollars last for all the hours that the run may take, but no
    less than the price that is known, at which dollars end it first. None where no price is known."""
    if not job.usd_per_h:
        return None
    lasting = 0.0 if job.max_usd is None else job.max_usd / (job.max_duration_s / HOUR_S)
    return math.ceil(max(lasting, job.usd_per_h) / job.nodes * 1e4) / 1e4


def _priced(job: LaunchJob) -> str:
    """Whose price the most of an hour is."""
    most, seen = _most_usd_per_h(job) or 0.0, (job.usd_per_h or 0.0) / job.nodes
    if job.max_usd is None:
        which = f"the price seen ({job.price_of}), and any rise means that none is taken: --max-usd lets dearer ones in"
    elif most > seen + 1e-4:
        which = "the limit of dollars over that of hours; a larger --max-usd lets dearer ones in"
    else:
        which = "the price seen, as the dollars end the run before its hours: a larger --max-usd lets dearer ones in"
    return f"max_price {most:.4g} is the most dollars an hour of one machine: {which}"


def _check_literal(job: LaunchJob) -> None:
    """Raise UsageError: dstack would put something of its own in place of ``${{ … }}``, which nothing escapes."""
    texts = (*job.command, *job.environment.values(), job.volume, job.image)
    if found := next((text for text in texts if "${{" in text), None):
        raise UsageError(f"dstack reads a variable of its own in '{found}'", "without ${{")


def _gpu(job: LaunchJob) -> Any:
    if job.accelerator is None:
        return 0
    name, memory = device_name(job, "dstack"), round(job.accelerator.memory_bytes / GB)
    return {"name": name, "memory": f"{memory}GB", "count": job.node_ranks}
