"""What was exported of a run, in published documents."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from zenplan.commands.shared.document import Count, CountFromZero, Moment, Name, NotNegative, one_of
from zenplan.documents import Document, fill
from zenplan.domain.measured.export import STATES, Export
from zenplan.domain.training.forms import FORMS, QUANTIZED

_Text = Annotated[str, Meta(description="A line.")]


class ModelInputDocument(Document):
    """What the model is called with."""

    name: Annotated[Name, Meta(description="In the prepared data.")]
    written: Annotated[Name, Meta(description="In the artefact, where converters allow fewer letters.")]
    shape: Annotated[tuple[Count | None, ...], Meta(description="Of one sample; null for any length.")]
    type: Annotated[Name, Meta(description="Of its numbers, as float32.")]


class ScoresDocument(Document):
    """What a model comes to on data that it was not trained on."""

    values: Annotated[
        dict[str, Annotated[float, Meta(description="A figure.")]], Meta(description="The loss, and others by name.")
    ]
    one_s: Annotated[
        NotNegative | None, Meta(description="Seconds of a call with one sample, the median; null if not timed.")
    ]
    batch_s: Annotated[
        NotNegative | None, Meta(description="Seconds of a call with a batch, the median; null if not timed.")
    ]


class ExportDocument(Document):
    """An artefact of a run's model, opened again in another process and scored there."""

    state: Annotated[
        str,
        one_of(*STATES),
        Meta(description="Differs: it returns other numbers than the model. Of that and of refused nothing is left."),
    ]
    why: Annotated[str, Meta(description="It is not written; empty where it is.")]
    layer: Annotated[str, Meta(description="Of the model, that is at fault; empty where none is known.")]
    run: Annotated[Name, Meta(description="Its id.")]
    form: Annotated[str, one_of(*FORMS), Meta(description="That it is written in.")]
    quantize: Annotated[str, one_of("", *QUANTIZED), Meta(description="Of its weights; empty for floats.")]
    made_at: Annotated[Moment, Meta(description="When, with its time zone.")]
    path: Annotated[str, Meta(description="Where it is; empty where it is not written.")]
    bytes: Annotated[CountFromZero | None, Meta(description="Of all its files; null where it is not written.")]
    sha256: Annotated[str, Meta(description="Of the file, or of the digests and names of a folder's files.")]
    tokenizer: Annotated[str, Meta(description="Path of the copy beside it; empty where the data have none.")]
    batch: Annotated[Count | None, Meta(description="Samples of a call, if the form fixes them; null for any number.")]
    inputs: Annotated[tuple[ModelInputDocument, ...], Meta(description="What it takes.")]
    classes: Annotated[tuple[_Text, ...], Meta(description="Names of what it tells apart; empty without.")]
    preparing: Annotated[
        tuple[_Text, ...], Meta(description="Layers within it that make numbers of the data what the others take.")
    ]
    part: Annotated[str, Meta(description="Of the data that it was scored on; empty where it was not.")]
    samples: Annotated[CountFromZero, Meta(description="Of it, that were scored, a count.")]
    timed: Annotated[CountFromZero, Meta(description="Samples of the batch that was timed, a count.")]
    original: Annotated[ScoresDocument | None, Meta(description="The run's own model in fp32; null if not scored.")]
    scores: Annotated[ScoresDocument | None, Meta(description="This; null where it was not scored.")]
    difference: Annotated[
        NotNegative | None, Meta(description="The largest from what the model returns; null where it is no number.")
    ]
    relative: Annotated[
        NotNegative | None, Meta(description="The same over the largest number of the model; null where that is 0.")
    ]
    original_bytes: Annotated[CountFromZero, Meta(description="Of the file of the run's model, in bytes.")]
    versions: Annotated[
        dict[str, Annotated[str, Meta(description="Its version.")]], Meta(description="Of what wrote it, by name.")
    ]
    threads: Annotated[Count, Meta(description="It was timed with, a count.")]


def export_document(found: Export) -> ExportDocument:
    """One of them."""
    return fill(
        ExportDocument,
        found,
        made_at=found.made_at.isoformat(),
        inputs=tuple(fill(ModelInputDocument, each) for each in found.inputs),
        original=None if found.original is None else fill(ScoresDocument, found.original),
        scores=None if found.scores is None else fill(ScoresDocument, found.scores),
    )
