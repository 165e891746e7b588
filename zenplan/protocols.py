"""The contracts of what plugins hand over that is more than data. Each has at most three members."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from zenplan.domain.launch.job import LaunchJob, Submission
from zenplan.domain.market.offer import PriceTable
from zenplan.domain.measured.tracked_run import TrackedRun
from zenplan.domain.model.workload import Workload
from zenplan.domain.report import Report

if TYPE_CHECKING:
    from zenplan.domain.training.several import Several


class Http(Protocol):
    """What a live price source may do with the network.

    Whoever gives it sees to time-outs, limits of size, a second try where a server asks for one, and answers that have not
    changed. Addresses are https; those of this machine itself, http too. A key goes into a header, never into the address.
    All methods raise ``errors.DataError`` in one line where there is no good answer.
    """

    def get_json(self, url: str, headers: Mapping[str, str] = ..., body: Mapping[str, Any] | None = ...) -> Any:
        """The decoded JSON answer of a GET, or of a POST when there is a body."""

    def stream(
        self, url: str, headers: Mapping[str, str] = ..., most_bytes: float = ...
    ) -> AbstractContextManager[Iterable[bytes]]:
        """The answer of a GET piece by piece, unpacked, for what is too large to be held: nothing of it is kept.

        It may have so many bytes; 2 GB where its reader gives no other limit.
        """


@runtime_checkable
class PriceProvider(Protocol):
    """A source of prices for one provider."""

    @property
    def name(self) -> str:
        """The provider's name, as in ``--provider``; the first plugin to name one keeps it."""

    def bundled(self) -> PriceTable:
        """The dated table that ships with the plugin. It must not use the network."""

    def fetch(self, http: Http) -> PriceTable:
        """The table as it is now; a price without a day is of today.

        Raises ``errors.NoLiveSource`` where there never is one, ``errors.DataError`` where it cannot be had.
        """


@runtime_checkable
class WorkloadFamily(Protocol):
    """A family of models that can be lowered to operators."""

    @property
    def name(self) -> str:
        """The family's name, as in ``decoder``."""

    def presets(self) -> Iterable[str]:
        """Names that ``--model`` takes."""

    def lower(self, options: Mapping[str, Any]) -> Workload:
        """The workload of a preset (``model``), a configuration (``config``) or a size (``params``)."""


@runtime_checkable
class Engine(Protocol):
    """A training framework that runs in a worker process of its own.

    It may have ``several``, a ``Several``: on what it trains one model beyond one device of one worker.
    """

    @property
    def name(self) -> str:
        """The engine's name, as in ``--backend``."""

    @property
    def extra(self) -> str:
        """What to install when it is missing, as in ``zenplan[jax]``."""

    def worker(self) -> Sequence[str]:
        """The command line of its worker process."""


def several_of(engine: Engine) -> Several:
    """On what that engine trains one model; one device of one worker where it says nothing."""
    from zenplan.domain.training.several import ONE_DEVICE

    found: Several = getattr(engine, "several", ONE_DEVICE)
    return found


@runtime_checkable
class Exporter(Protocol):
    """A format that a report can be written in."""

    @property
    def name(self) -> str:
        """The format's name, as in ``--format``."""

    def export(self, report: Report) -> str:
        """The whole report as text, ending in a newline."""


@runtime_checkable
class Tracking(Protocol):
    """A run that a tracker follows."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Figures of a step: ``loss``, ``step_s``, ...; or of an evaluation after it: ``validation/loss``, ..."""

    def finish(self, state: str) -> None:
        """The run is over: ``finished``, ``stopped``, ``preempted`` or ``failed``."""


@runtime_checkable
class Tracker(Protocol):
    """A service or a kind of file that follows runs. It is called in a thread of its own, and nobody waits for it."""

    @property
    def name(self) -> str:
        """The tracker's name, as in ``--tracker``."""

    def start(self, run: TrackedRun) -> Tracking:
        """Follow that run. Raises ``errors.UsageError``: what it needs is not installed or not set up."""


@runtime_checkable
class Launcher(Protocol):
    """A cluster or a cloud that runs a job on many machines, from files of its own."""

    @property
    def name(self) -> str:
        """The system's name, as in ``--on``."""

    def write(self, job: LaunchJob) -> Mapping[str, str]:
        """The system's files: the name of each, and all of its text. Raises ``errors.UsageError``: it cannot run that."""

    def submit(self, job: LaunchJob) -> Submission:
        """The command of its own client that takes those files."""
