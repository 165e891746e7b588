"""The JSON document of a comparison of smaller versions. Its schema is made of it."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from zenplan.commands.shared.document import Count, CountFromZero, Moment, Name, NotNegative, Ratio, one_of
from zenplan.commands.shared.exported import ScoresDocument
from zenplan.documents import Document, fill
from zenplan.domain.measured.compression import METHODS, Compression, Version
from zenplan.domain.training.forms import QUANTIZED

_Option = Annotated[int | float, Meta(description="A number.")]


class VersionDocument(Document):
    """A version of a model, scored in another process, or why it could not be made."""

    name: Annotated[Name, Meta(description="That it is told apart by.")]
    method: Annotated[str, one_of("", *METHODS), Meta(description="That made it; empty for the model itself.")]
    quantize: Annotated[str, one_of("", *QUANTIZED), Meta(description="Of its weights; empty for floats.")]
    why: Annotated[str, Meta(description="It could not be made; empty where it was.")]
    layer: Annotated[str, Meta(description="Of the model, that is at fault; empty where none is known.")]
    bytes: Annotated[CountFromZero | None, Meta(description="Of its files; null where it could not be made.")]
    packed_bytes: Annotated[CountFromZero | None, Meta(description="Bytes of them in a zip.")]
    share: Annotated[NotNegative | None, Meta(description="Of the size of the run's model, a ratio.")]
    parameters: Annotated[CountFromZero | None, Meta(description="A count.")]
    zeros: Annotated[Ratio, Meta(description="Of the weights of matrices, those that are zero, a ratio.")]
    steps: Annotated[CountFromZero, Meta(description="That it was trained, a count.")]
    train_s: Annotated[NotNegative, Meta(description="Seconds that they took.")]
    options: Annotated[dict[str, _Option], Meta(description="Of the built-in kind that was distilled into, by name.")]
    scores: Annotated[ScoresDocument | None, Meta(description="Null where it could not be made.")]
    kept: Annotated[NotNegative | None, Meta(description="Of the model's own figure, a ratio.")]
    usd_per_million: Annotated[NotNegative | None, Meta(description="Dollars for a million samples in batches.")]
    misses: Annotated[tuple[Name, ...], Meta(description="Bounds that it does not keep to.")]


class BoundsDocument(Document):
    """What the chosen version keeps to; null for no such bound."""

    min_accuracy: Annotated[Ratio | None, Meta(description="On the scored part.")]
    min_kept: Annotated[NotNegative | None, Meta(description="Of the model's own figure, a ratio.")]
    max_share: Annotated[NotNegative | None, Meta(description="Of the size of the run's model, a ratio.")]
    max_mb: Annotated[NotNegative | None, Meta(description="Of its files, in 1e6 bytes.")]
    max_ms: Annotated[NotNegative | None, Meta(description="Of a call with one sample, in milliseconds.")]


class CompressionDocument(Document, tag_field="schema", tag="zenplan.compression/1"):
    """Answer of 'zenplan compress'.

    Smaller versions of a run's model beside it, and the one that was chosen.
    """

    run: Annotated[Name, Meta(description="Its id.")]
    name: Annotated[Name, Meta(description="Of what was trained.")]
    backend: Annotated[Name, Meta(description="That all were made and scored on.")]
    made_at: Annotated[Moment, Meta(description="When, with its time zone.")]
    metric: Annotated[
        Name, Meta(description="That versions are judged by: accuracy, or rmse or loss, lower is better.")
    ]
    part: Annotated[Name, Meta(description="Of the data that all were scored on.")]
    samples: Annotated[CountFromZero, Meta(description="Of it, a count.")]
    timed: Annotated[CountFromZero, Meta(description="Samples of the batch that was timed, a count.")]
    threads: Annotated[Count, Meta(description="It was timed with, a count.")]
    usd_per_h: Annotated[NotNegative | None, Meta(description="Dollars an hour of serving; null where not known.")]
    original: Annotated[VersionDocument, Meta(description="The run's own model in fp32.")]
    versions: Annotated[tuple[VersionDocument, ...], Meta(description="In the order in which they were made.")]
    bounds: Annotated[BoundsDocument, Meta(description="That the chosen one keeps to.")]
    predicted_s: Annotated[NotNegative | None, Meta(description="Of all trainings, in seconds, by the run's steps.")]
    chosen: Annotated[str, Meta(description="Name of the smallest version within the bounds; empty for none.")]
    path: Annotated[str, Meta(description="Where that is; empty for none.")]


def compression_document(found: Compression) -> CompressionDocument:
    """The document of a comparison."""
    return fill(
        CompressionDocument,
        found,
        made_at=found.made_at.isoformat(),
        original=_version(found, found.original),
        versions=tuple(_version(found, each) for each in found.versions),
        bounds=fill(BoundsDocument, found.bounds),
    )


def _version(found: Compression, version: Version) -> VersionDocument:
    return fill(
        VersionDocument,
        version,
        options=dict(version.options),
        scores=None if version.scores is None else fill(ScoresDocument, version.scores),
        share=found.share(version),
        kept=found.kept(version),
        usd_per_million=found.usd_per_million(version),
        misses=found.misses(version) if version.method and version.scores is not None else (),
    )
