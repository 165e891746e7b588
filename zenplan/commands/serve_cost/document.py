"""The JSON document of what serving takes. Its schema is made of it."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from zenplan.commands.shared.document import (
    AmountDocument,
    Count,
    Day,
    FactDocument,
    Name,
    NotNegative,
    Positive,
    RangeDocument,
    Ratio,
    documents_of,
)
from zenplan.documents import Document, fill
from zenplan.domain.answer.serving import Service, Serving


class ServiceDocument(Document):
    """Replicas of one kind that do what is wanted."""

    accelerator: Annotated[Name, Meta(description="Canonical name of the accelerator.")]
    devices: Annotated[Count, Meta(description="Of all replicas, a count.")]
    replicas: Annotated[RangeDocument, Meta(description="Copies of the model, a count.")]
    tp: Annotated[Count, Meta(description="Tensor-parallel degree of a replica, in devices.")]
    pp: Annotated[Count, Meta(description="Pipeline-parallel degree of a replica, in devices.")]
    weights: Annotated[Name, Meta(description="Number format of the layers' weights.")]
    cache: Annotated[Name, Meta(description="Number format of the KV cache.")]
    engine: Annotated[Name, Meta(description="Software that serves.")]
    stored_bytes: Annotated[Positive, Meta(description="Weights of one replica, in bytes.")]
    kept_bytes: Annotated[NotNegative, Meta(description="KV cache of a request on average over its life, in bytes.")]
    batch: Annotated[Positive, Meta(description="Requests in flight in one replica, a count.")]
    batch_limit: Annotated[Count, Meta(description="The most of them, by memory and engine, a count.")]
    rate_per_s: Annotated[Positive, Meta(description="Answered by all replicas, requests a second.")]
    most_per_s: Annotated[Positive, Meta(description="What one replica answers at its limit, requests a second.")]
    utilisation: Annotated[
        Ratio, Meta(description="Of what all answer at their limit, the share that is asked, a ratio.")
    ]
    ttft_s: Annotated[RangeDocument, Meta(description="Time to the first token, in seconds.")]
    tpot_s: Annotated[RangeDocument, Meta(description="Time per output token after the first, in seconds.")]
    provider: Annotated[str | None, Meta(description="Who rents it out; null without an offer.")]
    instance: Annotated[str | None, Meta(description="Machine type of the provider; null without an offer.")]
    region: Annotated[str | None, Meta(description="Where it is; null without an offer.")]
    machines: Annotated[Count, Meta(description="That have room for the replicas, a count.")]
    price_as_of: Annotated[Day | None, Meta(description="The day the price was seen, ISO 8601; null without one.")]
    usd_per_h: Annotated[
        AmountDocument | None, Meta(description="Of all machines, US dollars an hour; null without a price.")
    ]
    usd_per_month: Annotated[
        AmountDocument | None, Meta(description="Of all machines around the clock, US dollars a month.")
    ]
    usd_per_request: Annotated[AmountDocument | None, Meta(description="On reservation, US dollars a request.")]
    usd_per_request_used: Annotated[
        AmountDocument | None, Meta(description="On usage, as though always at the limit, US dollars a request.")
    ]
    even_rate_per_s: Annotated[
        NotNegative | None,
        Meta(description="Requests a second from which on it costs less than the API; null where it never does."),
    ]


class RefusedDocument(Document):
    """What was tried and does not do it."""

    tp: Annotated[Count, Meta(description="Tensor-parallel degree, in devices.")]
    why: Annotated[Name, Meta(description="Why not.")]


class ServeCostDocument(Document, tag_field="schema", tag="zenplan.serve-cost/1"):
    """Answer of 'zenplan serve-cost'.

    What serving a language model takes. Quantities are in base units, named by the suffix of the field.
    """

    model: Annotated[Name, Meta(description="That is served.")]
    parameters: Annotated[Positive, Meta(description="All of them, a count.")]
    active_parameters: Annotated[Positive, Meta(description="That one token meets in products, a count.")]
    input_tokens: Annotated[Positive, Meta(description="Of a prompt, a count.")]
    output_tokens: Annotated[Positive, Meta(description="Of an answer, a count.")]
    api_usd_per_request: Annotated[Positive | None, Meta(description="Of the API given, US dollars; null without one.")]
    services: Annotated[tuple[ServiceDocument, ...], Meta(min_length=1, description="The recommended one first.")]
    fresh: Annotated[
        ServiceDocument | None,
        Meta(
            description="The cheapest at a fresh price of a machine that is listed, where the recommended has none; "
            "null where it has one, or nobody has."
        ),
    ]
    refused: Annotated[tuple[RefusedDocument, ...], Meta(description="Other degrees, and why they do not do.")]
    facts: Annotated[tuple[FactDocument, ...], Meta(description="Every input, with its origin.")]
    basis: Annotated[Name, Meta(description="What the ranges rest on.")]


def document(found: Serving) -> ServeCostDocument:
    """The whole answer in base units."""
    model, wanted = found.model, found.wanted
    return fill(
        ServeCostDocument,
        found,
        model=model.name,
        parameters=model.parameters,
        active_parameters=model.active + model.head,
        input_tokens=wanted.traffic.input_tokens,
        output_tokens=wanted.traffic.output_tokens,
        api_usd_per_request=wanted.api_usd,
        services=tuple(map(_service, found.services)),
        fresh=_service(found.fresh) if found.fresh else None,
        refused=tuple(RefusedDocument(tp=on.tp, why=why) for on, why in found.refused),
        facts=tuple(fill(FactDocument, fact) for fact in found.facts),
    )


def _service(each: Service) -> ServiceDocument:
    offer = each.offer
    price = offer.on_demand if offer else None
    return fill(
        ServiceDocument,
        each,
        **documents_of(AmountDocument, each, "usd_per_h", "usd_per_month", "usd_per_request", "usd_per_request_used"),
        **documents_of(RangeDocument, each, "replicas", "ttft_s", "tpot_s"),
        accelerator=each.on.accelerator.name,
        tp=each.on.tp,
        pp=each.on.pp,
        weights=each.on.weights,
        cache=each.on.cache,
        engine=each.on.software,
        batch_limit=each.limit,
        provider=offer.instance.provider if offer else None,
        instance=offer.instance.name if offer else None,
        region=offer.region if offer else None,
        price_as_of=price.as_of.isoformat() if price and price.as_of else None,
    )
