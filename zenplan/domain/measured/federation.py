"""A federated run: what its clients had and did, what went between them, and the same trained in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from zenplan.domain import checks
from zenplan.domain.mapping import read_only


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """One of them.

    Attributes:
        number: from 1.
        samples: of training data that it has; classes: how many of each, empty where the target is no class.
        steps: that it makes in a round.
        averaged, dropped, left_out: rounds in which its weights were in the average, it failed, or what it sent was no
            number.
    """

    number: int
    samples: int
    classes: tuple[int, ...] = ()
    steps: int
    averaged: int = 0
    dropped: int = 0
    left_out: int = 0

    def __post_init__(self) -> None:
        counts = {"samples": self.samples, "steps": self.steps, "averaged": self.averaged}
        checks.counts("client", number=self.number, dropped=self.dropped, left_out=self.left_out, **counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Central:
    """A run on all the data in one place.

    Attributes:
        run: its id; steps: of it; samples: that it trained on, those seen again among them; wall_s: it took in all.
        metrics: of the last evaluation of each part, by part and name.
    """

    run: str
    steps: int
    samples: int
    wall_s: float
    metrics: Mapping[str, Mapping[str, float]]

    def __post_init__(self) -> None:
        object.__setattr__(self, "metrics", read_only(self.metrics))
        checks.not_negative("central run", wall_s=self.wall_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Federation:
    """What became of it beside its run.

    Attributes:
        clients: all of them.
        rounds: that were made; wanted: that were asked for.
        round_s: of each, from the first message to the average; client_s: of it, that clients trained.
        weights_bytes: of the weights that are sent to a client, and back.
        up_bytes: that went from clients to the server; down_bytes: to them; None where nobody counted.
        engine: what moved them; how: how it was secured.
        alpha: by which classes were split; None for samples at random. dropout, noise, clip: as of the job.
        central: the same in one place; None where there is no such run.
    """

    clients: tuple[Client, ...]
    rounds: int
    wanted: int
    local_epochs: int
    round_s: tuple[float, ...] = ()
    client_s: tuple[float, ...] = ()
    weights_bytes: int = 0
    up_bytes: int | None = None
    down_bytes: int | None = None
    engine: str = ""
    how: str = ""
    alpha: float | None = None
    dropout: float = 0.0
    noise: float = 0.0
    clip: float = 0.0
    central: Central | None = None

    def __post_init__(self) -> None:
        checks.not_negative("federation", dropout=self.dropout, noise=self.noise, clip=self.clip, alpha=self.alpha)
        checks.not_negative("federation", up_bytes=self.up_bytes, down_bytes=self.down_bytes)
