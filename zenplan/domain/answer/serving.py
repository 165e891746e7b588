"""What serving a language model takes: replicas, latency, dollars on reservation and on usage."""

from __future__ import annotations

from dataclasses import dataclass

from zenplan.domain import checks
from zenplan.domain.market.offer import Offer
from zenplan.domain.provenance import Fact
from zenplan.domain.range import Range
from zenplan.domain.serving.deployment import Deployment, Traffic
from zenplan.domain.serving.model import ServedModel
from zenplan.units import HOUR_S, MONTH_S

HOURS_A_MONTH = MONTH_S / HOUR_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the service has to do.

    Attributes:
        rate_per_s: requests a second, None where so many are in flight instead.
        concurrency: requests in flight, None where they come at a rate.
        ttft_s, tpot_s: the most that they may take, None where nobody said.
        usd_per_input_token, usd_per_output_token: of an API that answers too; None without one.
    """

    traffic: Traffic
    rate_per_s: float | None
    concurrency: float | None
    ttft_s: float | None = None
    tpot_s: float | None = None
    usd_per_input_token: float | None = None
    usd_per_output_token: float | None = None

    def __post_init__(self) -> None:
        checks.positive(
            "serving", rate_per_s=self.rate_per_s, concurrency=self.concurrency, ttft_s=self.ttft_s, tpot_s=self.tpot_s
        )

    @property
    def api_usd(self) -> float | None:
        """Of a request."""
        if self.usd_per_input_token is None or self.usd_per_output_token is None:
            return None
        own = self.traffic
        return own.input_tokens * self.usd_per_input_token + own.output_tokens * self.usd_per_output_token


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Replicas of one kind that do what is wanted.

    Attributes:
        replicas: with the range that the predicted throughput leaves.
        rate_per_s: answered by all of them; ``most_per_s`` what one answers at its limit.
        batch: requests in flight in one replica.
        limit: the most of them, by memory and software; ``kept_bytes`` of one, all devices.
        stored_bytes: weights of one replica.
        utilisation: of what the replicas answer at their limit, the share that is asked.
        ttft_s, tpot_s: time to the first token, and for each after it.
        offer, machines: that have room for the replicas; None where nobody has a price.
        usd_per_h: of all machines, around the clock.
        even_rate_per_s: from which rate on these GPUs cost less than the API; None where they never do, or without one.
    """

    on: Deployment
    replicas: Range
    rate_per_s: float
    most_per_s: float
    batch: float
    limit: int
    kept_bytes: float
    stored_bytes: float
    utilisation: float
    ttft_s: Range
    tpot_s: Range
    offer: Offer | None
    machines: int
    usd_per_h: Range | None
    even_rate_per_s: float | None

    @property
    def devices(self) -> int:
        """Of all replicas."""
        return round(self.replicas.mid) * self.on.devices

    @property
    def usd_per_month(self) -> Range | None:
        """Of all machines, around the clock."""
        return self.usd_per_h * HOURS_A_MONTH if self.usd_per_h else None

    @property
    def usd_per_request(self) -> Range | None:
        """On reservation: all machines, over what is asked of them."""
        return self.usd_per_h * (1.0 / HOUR_S / self.rate_per_s) if self.usd_per_h else None

    @property
    def usd_per_request_used(self) -> Range | None:
        """On usage: as though they were always at their limit."""
        return self.usd_per_request * self.utilisation if self.usd_per_request else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """The answer.

    Attributes:
        services: the cheapest first; the others are other degrees of tensor parallelism.
        refused: what was tried and why it does not do.
        facts: every input.
        basis: what the ranges rest on.
        fresh: the cheapest at a fresh price of a machine that is listed, where the best has no such price; None where it
            has one, or nobody has.
        left_out: prices that were left out, a line each.
    """

    model: ServedModel
    wanted: Wanted
    services: tuple[Service, ...]
    refused: tuple[tuple[Deployment, str], ...]
    facts: tuple[Fact, ...]
    basis: str
    fresh: Service | None = None
    left_out: tuple[str, ...] = ()

    @property
    def best(self) -> Service:
        """The one that is recommended."""
        return self.services[0]
