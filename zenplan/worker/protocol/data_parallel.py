"""The job ``data_parallel``: models and collectives, timed by several workers that are joined as those of a run are."""

from __future__ import annotations

import msgspec

from zenplan.domain.measured.collectives import COLLECTIVES
from zenplan.unions import Whole
from zenplan.worker.protocol.events import Event
from zenplan.worker.protocol.jobs import Job
from zenplan.worker.protocol.models import Model
from zenplan.worker.protocol.training import Ranks


class Replica(msgspec.Struct, frozen=True, kw_only=True):
    """A model that every rank has a copy of.

    Attributes:
        batch: of one rank.
        ways: in which it is timed, of ``WAYS``.
    """

    key: str
    batch: int
    model: Model
    ways: tuple[str, ...]


# Rank 0 steps and the others wait; all step and reduce nothing; all step, and gradients are averaged.
ALONE, AT_ONCE, TOGETHER = WAYS = ("alone", "at_once", "together")


class DataParallel(Job, frozen=True, kw_only=True, tag="data_parallel"):
    """Step models as one of several ranks, and time them and collectives. Of the ranks' jobs only ``ranks`` differ.

    Attributes:
        ranks: where this one stands.
        device, precision, threads: as of ``Measure``; each rank has cores, or a GPU, of its own where there are enough.
        collectives: that are timed in each round of each group; sizes: bytes of the larger buffer of each.
        rounds: of each group.
        groups: models of a group are held together and take turns.
    """

    ranks: Ranks
    device: str = "cpu"
    precision: str
    threads: int
    collectives: tuple[str, ...] = COLLECTIVES
    sizes: tuple[int, ...]
    rounds: int
    groups: tuple[tuple[Replica, ...], ...]

    @property
    def workers(self) -> int:
        """Processes, with a device each."""
        return self.ranks.size


class Communicated(Event, frozen=True, kw_only=True):
    """One collective was timed, with nothing else going on.

    Attributes:
        collective: one of ``domain.measured.collectives.COLLECTIVES``.
        bytes: of the larger of a worker's two buffers.
        group: of models, between whose steps it was.
    """

    collective: str
    bytes: Whole
    group: Whole
    round: Whole
    wall_s: float
