"""Training among clients, each with rows of its own: what a ``Train`` is told of it, and what its rounds say."""

from __future__ import annotations

import msgspec

from zenplan.unions import Whole
from zenplan.worker.protocol.events import Event


class Federated(msgspec.Struct, frozen=True, kw_only=True):
    """How the rows are split, and what a round is. Of such a run a step is a round.

    Attributes:
        clients: that the training data are split among.
        local_epochs: passes of a client over its rows in a round.
        alpha: of the Dirichlet distribution by which each class is split; None for rows at random.
        dropout: chance of a client to fail in a round.
        noise: of differential privacy, standard deviation of the noise over ``clip``; 0 for none.
        clip: norm that what a client changed is cut down to; 0 for none.
    """

    clients: Whole
    local_epochs: Whole = 1
    alpha: float | None = None
    dropout: float = 0.0
    noise: float = 0.0
    clip: float = 0.0


class Clients(Event, frozen=True, kw_only=True, tag="clients"):
    """How the rows are split; once, before the first round.

    Attributes:
        samples: of each client. classes: of each, its samples by class; empty where the target is no class.
        steps: of each, that it makes in a round.
        bytes: of the weights that are sent to a client, and back.
    """

    samples: tuple[Whole, ...]
    classes: tuple[tuple[Whole, ...], ...] = ()
    steps: tuple[Whole, ...]
    bytes: Whole


class Round(Event, frozen=True, kw_only=True, tag="round"):
    """A round is over.

    Attributes:
        number: from 1.
        averaged: clients whose weights are in the average; dropped: those that failed; left_out: those that sent weights
            that are no numbers.
        wall_s: of the round; client_s: of it, that clients trained, one after the other where they share a machine.
    """

    number: Whole
    averaged: tuple[Whole, ...]
    dropped: tuple[Whole, ...] = ()
    left_out: tuple[Whole, ...] = ()
    wall_s: float
    client_s: float


class Moved(Event, frozen=True, kw_only=True, tag="moved"):
    """What went over the network in the whole run; once, after the last round.

    Attributes:
        up_bytes: from clients to the server; down_bytes: to them.
        engine: what moved it, with its version; how: how it was secured.
    """

    up_bytes: Whole
    down_bytes: Whole
    engine: str
    how: str = ""
