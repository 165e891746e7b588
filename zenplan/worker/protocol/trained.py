"""Jobs about the model of a finished run, and what is answered."""

from __future__ import annotations

import msgspec

from zenplan.unions import Whole
from zenplan.worker.protocol.events import Event
from zenplan.worker.protocol.jobs import Job
from zenplan.worker.protocol.training import Train


class Trained(msgspec.Struct, frozen=True, kw_only=True):
    """The model of a finished run.

    Attributes:
        path: of the file that the run wrote, with its weights.
        job: that trained it: its builder, its data and its loss.
        precision: that it computes in, as in ``domain.precision``; empty for that of the run.
        quantize: ``int8`` or ``int4`` for weights made so after they are read; empty for those of the file.
    """

    path: str
    job: Train
    precision: str = ""
    quantize: str = ""


class Artefact(msgspec.Struct, frozen=True, kw_only=True):
    """A file or folder that a trained model was written to.

    Attributes:
        form: of ``zenplan.domain.training.forms``; path: where it is.
    """

    form: str
    path: str


class Scored(Event, frozen=True, kw_only=True, tag="scored"):
    """A model, or an artefact of it, on data that it was not trained on.

    Attributes:
        name: of the artefact's form; empty for the run's own model.
        values: ``loss`` and what else an evaluation of the run tells, by name.
        samples: that were scored.
        difference: the largest absolute one of any number that it returns from that of the run's own model; None for
            that model.
        one_s, batch_s: of calls with one sample, and with a batch, each.
        batch: samples of a batch.
    """

    name: str = ""
    values: dict[str, float]
    samples: Whole
    difference: float | None = None
    one_s: tuple[float, ...] = ()
    batch_s: tuple[float, ...] = ()
    batch: Whole = 0


class Score(Job, frozen=True, kw_only=True, tag="score"):
    """Score a trained model, then artefacts of it, each beside it: a ``Scored`` for each, in this order.

    Attributes:
        part: of the prepared data: ``test``, or ``validation`` where there is none.
        most: samples, spread evenly over the part; 0 for all of it.
        batch: samples of a call.
        times: calls that are timed of each, those with one sample and those with a batch in turns; 0 for none.
        threads: of the host.
    """

    model: Trained
    artefacts: tuple[Artefact, ...] = ()
    part: str = "test"
    most: Whole = 0
    batch: Whole = 32
    times: Whole = 0
    threads: Whole = 1
