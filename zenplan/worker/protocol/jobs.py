"""What a parent asks of its worker: jobs."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from zenplan.domain.measured.calibration import STEP
from zenplan.worker.protocol.events import Counted, Done, Event
from zenplan.worker.protocol.models import File, Kind, Model, Target


class Job(msgspec.Struct, frozen=True, kw_only=True, tag_field="job"):
    """What a worker is to do.

    Attributes:
        last: the event that ends it.
        what: how errors call the model.
        events: the descriptor that the worker answers on; its parent fills it in.
    """

    last: ClassVar[type[Event]] = Done
    what: str
    events: int = -1


class Count(Job, frozen=True, kw_only=True, tag="count"):
    """Count a model, layer by layer.

    Attributes:
        batch: samples that it is called with; None for any.
        loop: turns of a loop whose length is not known; None: what it costs is unknown.
        values: whether variables get their values, which a builder may need.
        data: folder of prepared data, for which a ``Kind`` is built.
    """

    last: ClassVar[type[Event]] = Counted
    model: Target | File | Kind
    batch: int | None = None
    loop: int | None = None
    values: bool = False
    data: str = ""


class WantedPoint(msgspec.Struct, frozen=True, kw_only=True):
    """A model to be stepped at a batch.

    Attributes:
        role: of a point: ``step`` and ``operator`` are stepped, a ``program`` is compiled alone.
    """

    key: str
    role: str = STEP
    batch: int
    model: Model


class Rounds(msgspec.Struct, frozen=True, kw_only=True):
    """How often all models are stepped: it ends after ``most``, or once ``least`` are done and took ``seconds``."""

    least: int
    most: int
    seconds: float


class Measure(Job, frozen=True, kw_only=True, tag="measure"):
    """Step models and time them.

    Attributes:
        precision: as in ``domain.precision``; those that Keras has a policy for.
        compiled: by XLA or torch.compile; None for what the builder or Keras chooses.
        threads: of the host.
        device: ``cpu`` or ``gpu``.
        in_turn: False: all models are held, and each round steps every one; True: one is built, stepped, freed.
        count: whether each model is counted.
        more: whether another job may come. Until then models are held, and a point of a model that is held is stepped
            as it is. A worker that cannot says so by the end of this one: ``Done``.
        forget: whether models that are held are forgotten before this job.
        programs: folder in which compiled programs are kept for the next worker; empty for none.
    """

    precision: str
    compiled: bool | None = None
    threads: int
    device: str
    points: tuple[WantedPoint, ...]
    rounds: Rounds
    in_turn: bool = False
    count: bool = False
    more: bool = False
    forget: bool = False
    programs: str = ""
