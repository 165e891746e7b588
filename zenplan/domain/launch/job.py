"""LaunchJob: one description of a run on many machines, of which each system's files are made."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from zenplan.domain import checks
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.mapping import read_only
from zenplan.errors import DataError

# A label of Kubernetes (RFC 1123), short enough for what systems append; every other system takes it too.
NAME: Final = re.compile(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?")
VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# The rendezvous, which each rank has in its environment.
RENDEZVOUS: Final = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
# torchrun's default.
PORT: Final = 29500
# A system ends a job that much after zenplan would have: what is installed before the run, and its last checkpoint, come
# on top of what was planned (assumed).
GRACE_S: Final = 600.0
# Machines that do nothing for so long are given back, where a system can do that (assumed).
IDLE_S: Final = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchJob:
    """A run on many machines.

    The command is started once for each rank, with ``RENDEZVOUS`` in its environment, in a folder that has ``files``. The
    same command begins the run and goes on with it.

    Attributes:
        name: of the job, as ``NAME`` has it.
        command: its words; no shell reads them.
        files: name to text of what it reads beside it.
        nodes: machines; node_ranks: ranks of each, one for a device.
        accelerator: the devices; None for processors alone.
        accelerator_name: what the system calls them; empty for what zenplan knows.
        rank_cpus: processor cores that a rank computes with, a count; None where nothing says it.
        provider, region: whose machines the plan is of; empty where that is not known.
        environment: variables beside the rendezvous.
        shared: the folder that all nodes see, an absolute path; empty where they see this machine's own folders.
        volume: what the system calls the storage that it mounts there; empty where it is there.
        run_folder: of the run, an absolute path as all nodes see it.
        port: of the rendezvous; None for one that the system makes of the job's number.
        spot: machines that can be taken away, at the spot price.
        retries: how often the job is begun again after machines were taken or lost.
        requirements: of pip, zenplan's exact version first.
        package: the wheel beside the files that the first of them names; empty where it names none.
        image: of the container, where there is one; empty for the system's own.
        options: of the system, by its own names.
        zenplan_version: that wrote it.
        plan_sha256: of the plan that it is made from.
        max_duration_s: after which the run ends.
        max_usd: before which the run ends; None where no price is known.
        usd_per_h: of all machines; None where it is not known.
        price_of: whose price that is, of which day, for people; empty where it is not known.
    """

    name: str
    command: tuple[str, ...]
    files: Mapping[str, str] = field(default_factory=dict)
    nodes: int = 1
    node_ranks: int = 1
    accelerator: Accelerator | None = None
    accelerator_name: str = ""
    rank_cpus: int | None = None
    provider: str = ""
    region: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    shared: str = ""
    volume: str = ""
    run_folder: str = ""
    port: int | None = None
    spot: bool = False
    retries: int = 0
    requirements: tuple[str, ...] = ()
    package: str = ""
    image: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    zenplan_version: str
    plan_sha256: str
    max_duration_s: float
    max_usd: float | None = None
    usd_per_h: float | None = None
    price_of: str = ""

    def __post_init__(self) -> None:
        for name in ("files", "environment", "options"):
            object.__setattr__(self, name, read_only(getattr(self, name)))
        if not NAME.fullmatch(self.name):
            raise DataError(f"job: name {self.name!r} must be small letters, digits and hyphens, 40 at most")
        if not self.command:
            raise DataError("job: it has no command")
        checks.positive("job", nodes=self.nodes, node_ranks=self.node_ranks, max_duration_s=self.max_duration_s)
        checks.positive("job", max_usd=self.max_usd, port=self.port, rank_cpus=self.rank_cpus)
        checks.not_negative("job", retries=self.retries, usd_per_h=self.usd_per_h)
        texts = (*self.command, *self.environment.values(), *self.options.values(), *self.requirements)
        checks.lines("job", **{f"text {number}": text for number, text in enumerate(texts)})
        checks.lines("job", shared=self.shared, volume=self.volume, run_folder=self.run_folder)
        checks.lines(
            "job", image=self.image, plan_sha256=self.plan_sha256, package=self.package, price_of=self.price_of
        )
        checks.lines("job", accelerator_name=self.accelerator_name, provider=self.provider, region=self.region)
        for what in ("image", "accelerator_name", "volume", "package"):
            if re.search(r"\s", getattr(self, what)):
                raise DataError(f"job: {what.partition('_')[0]} {getattr(self, what)!r} must be one word")
        for name in self.environment:
            if not VARIABLE.fullmatch(name) or name in RENDEZVOUS:
                raise DataError(f"job: no variable {name!r} can be set")
        for folder in filter(None, (self.shared, self.run_folder)):
            if not folder.startswith("/") or ".." in folder.split("/"):
                raise DataError(f"job: the folder {folder!r} must be an absolute path")

    @property
    def ranks(self) -> int:
        """Of all nodes."""
        return self.nodes * self.node_ranks

    @property
    def deadline_s(self) -> float:
        """After which the system ends it, if zenplan has not."""
        return self.max_duration_s + GRACE_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """How files are handed to a system.

    Attributes:
        command: of the system's own client, run in the folder of the files.
        install: how its client is got, a line.
        notes: what it does not do of the job, a line each.
        restarts: when the system begins the job again, in words; empty where it is as often as the job says.
    """

    command: tuple[str, ...]
    install: str
    notes: tuple[str, ...] = ()
    restarts: str = ""

    def __post_init__(self) -> None:
        if not self.command:
            raise DataError("submission: it has no command")
        checks.lines("submission", install=self.install, restarts=self.restarts)
