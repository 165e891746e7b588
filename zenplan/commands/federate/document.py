"""The JSON document of a federated run. Its schema is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta

from zenplan.commands.shared.document import Count, CountFromZero, Name, NotNegative, Ratio
from zenplan.documents import Document, fill
from zenplan.domain.measured.federation import Federation
from zenplan.domain.measured.training_run import RunResult

Figures = dict[str, Annotated[dict[str, Annotated[float, Meta(description="A figure.")]], Meta(description="By name.")]]
_Metrics = Annotated[Figures, Meta(description="Of the last evaluation of each part, by part and name.")]


class ClientDocument(Document):
    """A client."""

    number: Annotated[Count, Meta(description="From 1.")]
    samples: Annotated[CountFromZero, Meta(description="Of training data that it has, a count.")]
    classes: Annotated[
        tuple[CountFromZero, ...], Meta(description="Of these, how many of each class; empty without classes.")
    ]
    steps: Annotated[CountFromZero, Meta(description="That it makes in a round, a count.")]
    averaged: Annotated[CountFromZero, Meta(description="Rounds in which its weights were in the average, a count.")]
    dropped: Annotated[CountFromZero, Meta(description="Rounds in which it failed, a count.")]
    left_out: Annotated[CountFromZero, Meta(description="Rounds in which it sent what is no number, a count.")]


class CentralDocument(Document):
    """The same trained in one place."""

    run: Annotated[Name, Meta(description="Its id.")]
    steps: Annotated[CountFromZero, Meta(description="Of it, a count.")]
    samples: Annotated[CountFromZero, Meta(description="That it trained on, a count.")]
    wall_s: Annotated[NotNegative, Meta(description="It took in all, in seconds.")]
    metrics: _Metrics


class FederationDocument(Document, tag_field="schema", tag="zenplan.federation/1"):
    """Answer of 'zenplan federate', and federation.json of a run's folder.

    A model trained among clients that keep their rows.
    """

    run: Annotated[Name, Meta(description="Id of the run.")]
    state: Annotated[Name, Meta(description="As of the run: finished, stopped, ...")]
    model: Annotated[str, Meta(description="Path of the trained model; empty where it is not finished.")]
    metrics: _Metrics
    wall_s: Annotated[NotNegative, Meta(description="The run took in all, in seconds.")]
    rounds: Annotated[CountFromZero, Meta(description="That were made, a count.")]
    wanted: Annotated[Count, Meta(description="Rounds that were asked for, a count.")]
    local_epochs: Annotated[Count, Meta(description="Passes of a client over its rows in a round, a count.")]
    alpha: Annotated[NotNegative | None, Meta(description="By which classes were split; null for samples at random.")]
    dropout: Annotated[Ratio, Meta(description="Chance of a client to fail in a round, a ratio.")]
    noise: Annotated[NotNegative, Meta(description="Of differential privacy, over clip; 0 for none.")]
    clip: Annotated[NotNegative, Meta(description="Norm of what a client may change; 0 for no such.")]
    round_s: Annotated[tuple[NotNegative, ...], Meta(description="Each round, in seconds.")]
    client_s: Annotated[tuple[NotNegative, ...], Meta(description="Of each, that clients trained, in seconds.")]
    weights_bytes: Annotated[CountFromZero, Meta(description="Weights that go to a client, and back, in bytes.")]
    up_bytes: Annotated[
        CountFromZero | None, Meta(description="From clients to the server in all, in bytes; null where not counted.")
    ]
    down_bytes: Annotated[
        CountFromZero | None, Meta(description="To clients in all, in bytes; null where not counted.")
    ]
    engine: Annotated[str, Meta(description="What moved them, with its version.")]
    how: Annotated[str, Meta(description="How that was secured.")]
    clients: Annotated[tuple[ClientDocument, ...], Meta(description="All of them, by their numbers.")]
    central: Annotated[CentralDocument | None, Meta(description="The same in one place; null without such a run.")]


def federation_document(result: RunResult, found: Federation) -> FederationDocument:
    """What became of it."""
    central = found.central
    return fill(
        FederationDocument,
        found,
        run=result.status.id,
        state=result.status.state,
        model=result.model,
        metrics=_figures(result.metrics),
        wall_s=result.status.spent.total_s,
        clients=tuple(fill(ClientDocument, each) for each in found.clients),
        central=None if central is None else fill(CentralDocument, central, metrics=_figures(central.metrics)),
    )


def _figures(metrics: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    return {part: dict(values) for part, values in metrics.items()}
