"""Federated: what is asked of a federated training, as far as it is priced."""

from __future__ import annotations

from dataclasses import dataclass

from zenplan.domain import checks
from zenplan.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Federated:
    """Federated averaging among clients; None is not given.

    Attributes:
        clients: that have data, in equal parts.
        rounds: of averaging.
        local_epochs: passes of a client over its own data in a round.
        participating: clients of a round; None for all.
        bytes_per_s: of a client's line, down and up.
        flop_per_s: that a client's device keeps up in training.
        spread: in ln, one standard deviation of how long clients take.
        penalty: what rounds are multiplied with for data that differ among clients: low, middle, high.
        usd_per_h: of a client's device.
    """

    clients: int
    rounds: int
    local_epochs: float = 1.0
    participating: int | None = None
    bytes_per_s: float | None = None
    flop_per_s: float | None = None
    spread: float | None = None
    penalty: tuple[float, float, float] | None = None
    usd_per_h: float | None = None

    def __post_init__(self) -> None:
        checks.positive(
            "federated",
            clients=self.clients,
            rounds=self.rounds,
            local_epochs=self.local_epochs,
            participating=self.participating,
            bytes_per_s=self.bytes_per_s,
            flop_per_s=self.flop_per_s,
        )
        checks.not_negative("federated", spread=self.spread, usd_per_h=self.usd_per_h)
        if self.participating is not None and self.participating > self.clients:
            raise DataError(f"federated: {self.participating} clients take part, of {self.clients}")
