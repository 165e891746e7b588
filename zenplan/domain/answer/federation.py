"""Federation: what a federated training takes, beside the central plan."""

from __future__ import annotations

from dataclasses import dataclass

from zenplan.domain.provenance import Fact
from zenplan.domain.range import Range


@dataclass(frozen=True, slots=True, kw_only=True)
class Federation:
    """Time, traffic and dollars of federated averaging.

    Attributes:
        round_s: the middle of a round: the slowest client, and its line.
        wall_clock_s: of all rounds.
        slowest: what the slowest client of a round takes over the middle one, expected.
        down_bytes, up_bytes: to all clients of all rounds, and back; at the middle of rounds.
        client_h: device-hours of clients, theirs.
        passes: over all data, at the middle of rounds.
        server_usd, egress_usd: of the server that is always on, and of what leaves it; None where no price is known.
        client_usd: of clients' devices; None where no price was given, and then in no total.
        facts: what it rests on.
    """

    round_s: float
    wall_clock_s: Range
    slowest: float
    down_bytes: float
    up_bytes: float
    client_h: Range
    passes: float
    server_usd: Range | None
    egress_usd: Range
    client_usd: Range | None
    facts: tuple[Fact, ...]

    @property
    def total_usd(self) -> Range | None:
        """Of server, egress and clients that have a price; None where the server has none."""
        if self.server_usd is None:
            return None
        parts = (self.server_usd, self.egress_usd, self.client_usd)
        return Range.total(part for part in parts if part is not None)
