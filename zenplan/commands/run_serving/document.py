"""The JSON document of what serving a run's model takes. Its schema is made of it."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from zenplan.commands.shared.document import (
    AmountDocument,
    Count,
    Name,
    NotNegative,
    Positive,
    RangeDocument,
    Ratio,
    documents_of,
)
from zenplan.documents import Document, fill
from zenplan.domain.answer.run_serving import RunServing


class CallDocument(Document):
    """A call of the model, or a step of texts, as measured."""

    samples: Annotated[Count, Meta(description="Of it, or texts, a count.")]
    median_s: Annotated[Positive, Meta(description="Median of such calls, in seconds.")]


class RunServingDocument(Document, tag_field="schema", tag="zenplan.run-serving/1"):
    """Answer of 'zenplan serve-cost RUN'.

    What serving the model of a finished run takes, on a machine as the one it was measured on.
    """

    run: Annotated[Name, Meta(description="Its id.")]
    name: Annotated[str, Meta(description="What the run is called.")]
    backend: Annotated[Name, Meta(description="That answers.")]
    threads: Annotated[Count, Meta(description="Of the model, a count.")]
    processor: Annotated[str, Meta(description="That was measured.")]
    max_batch: Annotated[Count, Meta(description="Samples, or texts, of a call at most, a count.")]
    max_wait_s: Annotated[NotNegative, Meta(description="That a sample waits for others, in seconds.")]
    calls: Annotated[tuple[CallDocument, ...], Meta(min_length=1, description="The model's calls by their size.")]
    request_s: Annotated[NotNegative, Meta(description="That the server works for a request, in seconds.")]
    batch_s: Annotated[NotNegative, Meta(description="That the server works for a call, in seconds.")]
    apart_s: Annotated[NotNegative, Meta(description="Of a request, its way there and back, in seconds.")]
    output_tokens: Annotated[Count | None, Meta(description="Of a text, a count; null of a model that writes none.")]
    asked_per_s: Annotated[Positive | None, Meta(description="Requests that come, a second; null where none is said.")]
    concurrency: Annotated[Count | None, Meta(description="Requests in flight, a count; null where none is said.")]
    replicas: Annotated[RangeDocument, Meta(description="Servers, each on such a machine, a count.")]
    rate_per_s: Annotated[Positive, Meta(description="Answered by all of them, requests a second.")]
    most_per_s: Annotated[Positive, Meta(description="What one answers at its limit, requests a second.")]
    utilisation: Annotated[Ratio, Meta(description="Of that, the share that is asked, a ratio.")]
    batch: Annotated[Positive, Meta(description="Samples of a call on average, a count.")]
    mean_s: Annotated[Positive, Meta(description="Mean time of a request, in seconds.")]
    p50_s: Annotated[RangeDocument, Meta(description="Median time of a request, in seconds.")]
    p99_s: Annotated[RangeDocument, Meta(description="The time that 99 of 100 requests take at most, in seconds.")]
    usd_per_h: Annotated[NotNegative | None, Meta(description="Of one machine, US dollars an hour; null if not given.")]
    usd_per_month: Annotated[
        AmountDocument | None, Meta(description="Of all, US dollars a month; null without a price.")
    ]
    usd_per_1000: Annotated[
        AmountDocument | None, Meta(description="Of 1000 requests on reservation, US dollars; null without a price.")
    ]
    usd_per_1000_used: Annotated[
        AmountDocument | None, Meta(description="On usage, as though always at the limit, US dollars; null as before.")
    ]
    basis: Annotated[Name, Meta(description="What the ranges rest on.")]


def document(found: RunServing) -> RunServingDocument:
    """The whole answer in base units."""
    times, each = found.times, found.each
    return fill(
        RunServingDocument,
        found,
        **documents_of(AmountDocument, found, "usd_per_month", "usd_per_1000", "usd_per_1000_used"),
        **documents_of(RangeDocument, found, "replicas", "p50_s", "p99_s"),
        max_batch=times.max_batch,
        max_wait_s=times.wait_s,
        calls=tuple(CallDocument(samples=size, median_s=s) for size, s in sorted(times.calls_s.items())),
        request_s=times.request_s,
        batch_s=times.batch_s,
        apart_s=times.apart_s,
        batch=each.batch,
        mean_s=each.mean_s,
    )
