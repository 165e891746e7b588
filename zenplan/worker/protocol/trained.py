"""Jobs about the model of a finished run, and what is answered."""

from __future__ import annotations

from typing import ClassVar

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
        quantize: ``int8`` or ``int4`` where its weights are that; empty for floats.
    """

    form: str
    path: str
    quantize: str = ""


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """What a model is called with.

    Attributes:
        name: in the prepared data; written: in the artefact, where converters allow fewer letters.
        shape: of one sample; None for any length.
        type: of its numbers, as ``float32``.
    """

    name: str
    written: str
    shape: tuple[int | None, ...]
    type: str


class Exported(Event, frozen=True, kw_only=True, tag="exported"):
    """A trained model was written in a form, or why it was not.

    Attributes:
        refused: why not; empty where it was. layer: of the model, that keeps it from it; empty where none is known.
        batch: samples of a call, where the form has a fixed number of them; None for any.
        preparing: layers of the model that make numbers of the data what the others take, each with its class.
        versions: of what wrote it.
    """

    refused: str = ""
    layer: str = ""
    batch: Whole | None = None
    inputs: tuple[Input, ...] = ()
    preparing: tuple[str, ...] = ()
    versions: dict[str, str] = msgspec.field(default_factory=dict)


class Export(Job, frozen=True, kw_only=True, tag="export"):
    """Write a trained model in a form.

    Attributes:
        artefact: form, weights, and a path where nothing is yet.
        threads: of the host.
    """

    last: ClassVar[type[Event]] = Exported
    model: Trained
    artefact: Artefact
    threads: Whole = 1


class Scored(Event, frozen=True, kw_only=True, tag="scored"):
    """A model, or an artefact of it, on data that it was not trained on.

    Attributes:
        name: of the artefact's form; empty for the run's own model.
        values: ``loss`` and what else an evaluation of the run tells, by name.
        samples: that were scored.
        difference: the largest absolute one of any number that it returns from that of the run's own model; None for
            that model, and where one of both is no number.
        largest: absolute number that the run's own model returns.
        one_s, batch_s: of calls with one sample, and with a batch, each.
        batch: samples of a batch.
    """

    name: str = ""
    values: dict[str, float]
    samples: Whole
    difference: float | None = None
    largest: float | None = None
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
