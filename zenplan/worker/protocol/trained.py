"""Jobs about the model of a finished run, and what is answered."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from zenplan.unions import Whole
from zenplan.worker.protocol.events import Event
from zenplan.worker.protocol.jobs import Job
from zenplan.worker.protocol.models import Kind, Target
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
        name: that it is told apart by; empty for its form.
        builder: that makes its model again, where that is another one than the run's and its classes are one's own.
    """

    form: str
    path: str
    quantize: str = ""
    name: str = ""
    builder: Target | None = None

    @property
    def known_as(self) -> str:
        """What it is told apart by."""
        return self.name or self.form


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
        name: of the artefact, or its form; empty for the run's own model.
        values: ``loss`` and what else an evaluation of the run tells, by name.
        samples: that were scored.
        difference: the largest absolute one of any number that it returns from that of the run's own model; None for
            that model, and where one of both is no number.
        largest: absolute number that the run's own model returns.
        one_s, batch_s: of calls with one sample, and with a batch, each.
        batch: samples of a batch.
        confusion: of classes, samples by their class, and in it by the likeliest one; empty where it was not asked for.
    """

    name: str = ""
    values: dict[str, float]
    samples: Whole
    confusion: tuple[tuple[Whole, ...], ...] = ()
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
        confusion: classes up to which samples are counted by class and likeliest class; 0 for no such count.
        times: calls that are timed of each, those with one sample and those with a batch in turns; 0 for none.
        threads: of the host.
    """

    model: Trained
    artefacts: tuple[Artefact, ...] = ()
    part: str = "test"
    most: Whole = 0
    batch: Whole = 32
    times: Whole = 0
    confusion: Whole = 0
    threads: Whole = 1


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """A smaller version of a trained model that is to be made.

    Attributes:
        method: ``plain`` for the model as it is, ``prune`` or ``distill``.
        artefacts: that it is written to, in this order: one in floats, then one in fewer bits, or one of both.
        sparsity: share of the weights of matrices that pruning makes zero.
        student: builder of what is distilled into; None for the kind of the run, at ``width`` of its own width.
        steps: of training; seconds: after which it ends in any case, 0 for no such end.
    """

    method: str
    artefacts: tuple[Artefact, ...]
    sparsity: float = 0.0
    student: Target | None = None
    width: float = 0.5
    steps: Whole = 0
    seconds: float = 0.0


class Compressed(Event, frozen=True, kw_only=True, tag="compressed"):
    """An artefact of a piece was written, or why it was not.

    Attributes:
        name: of the artefact; path: where it is, which may end otherwise than asked for.
        refused, layer: as of ``Exported``.
        parameters: of the model; zeros: share of the weights of its matrices that are zero.
        steps: that it was trained; wall_s: that they took, compiling left out.
        student: options of the built-in kind that it was distilled into; None of others.
        inputs, preparing, versions: as of ``Exported``.
    """

    name: str
    path: str = ""
    refused: str = ""
    layer: str = ""
    parameters: Whole = 0
    zeros: float = 0.0
    steps: Whole = 0
    wall_s: float = 0.0
    student: Kind | None = None
    inputs: tuple[Input, ...] = ()
    preparing: tuple[str, ...] = ()
    versions: dict[str, str] = msgspec.field(default_factory=dict)


class Compress(Job, frozen=True, kw_only=True, tag="compress"):
    """Make smaller versions of a trained model: a ``Compressed`` for each artefact.

    Attributes:
        model: of the run; adapters are added to the weights that they are beside.
        threads: of the host.
    """

    model: Trained
    pieces: tuple[Piece, ...]
    threads: Whole = 1


class Explain(Job, frozen=True, kw_only=True, tag="explain"):
    """Say what the answers of a trained model come from: an ``Explained`` for each sample, or one ``Importance``.

    Attributes:
        method: ``gradients``, ``occlusion`` or ``permutation``, which needs no sample and looks at a whole part.
        inputs: ``.npz`` file of samples, an array for each input; empty for those of ``part``.
        part: of the prepared data.
        count: samples of it, spread evenly; of ``permutation``, 0 for all.
        target: the class, or the token, that is explained; None for the likeliest, and of numbers.
        place: of a text, after which the next token is explained; None for its end.
        steps: of integrated gradients. repeats: of a permutation.
        seed: of what is shuffled.
    """

    model: Trained
    method: str = "gradients"
    inputs: str = ""
    part: str = "test"
    count: Whole = 4
    target: Whole | None = None
    place: Whole | None = None
    steps: Whole = 64
    repeats: Whole = 5
    seed: Whole = 0
    threads: Whole = 1


class Attribution(msgspec.Struct, frozen=True, kw_only=True):
    """What each place of an input adds to an answer.

    Attributes:
        values: by place, in the order of rows; of images their channels are added up.
        shape: of the places.
        given: the input itself, in the order of rows; given_shape: of it. Empty where there is no one sample.
    """

    values: tuple[float, ...]
    shape: tuple[Whole, ...]
    given: tuple[float, ...] = ()
    given_shape: tuple[Whole, ...] = ()


class Explained(Event, frozen=True, kw_only=True, tag="explained"):
    """What the answer for one sample comes from.

    Attributes:
        number: of the sample in its part, or in the file.
        target: class, or token, that is explained; None of numbers.
        label: that the data have for it; None where none is known.
        score: what the model returns for it; baseline_score: for the baseline.
        inputs: by name.
        completeness: of integrated gradients: how far the attributions' sum is off ``score - baseline_score``, as a share
            of that; None of others.
        randomised: rank correlation of the sizes of attributions with those of the same model with shuffled weights;
            None where it has none. Near 1, they say nothing of what was learned (Adebayo et al. 2018,
            https://arxiv.org/abs/1810.03292).
    """

    number: Whole
    target: Whole | None
    label: float | None = None
    score: float
    baseline_score: float
    inputs: dict[str, Attribution]
    completeness: float | None = None
    randomised: float | None = None


class Importance(Event, frozen=True, kw_only=True, tag="importance"):
    """How much worse the loss of a whole part gets where one place of the input is shuffled among samples.

    Attributes:
        loss: as it is; samples: that it is of.
        inputs: the mean loss that is added, by place; deviations: of the repeats, likewise.
        randomised: as of ``Explained``.
    """

    loss: float
    samples: Whole
    inputs: dict[str, Attribution]
    deviations: dict[str, tuple[float, ...]]
    randomised: float | None = None
