"""What serving the model of a finished run takes on a machine where its calls were measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from zenplan.domain import checks
from zenplan.domain.range import Range
from zenplan.errors import DataError
from zenplan.units import HOUR_S, MONTH_S


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTimes:
    """What was measured of a server of ``zenplan serve`` and its model, on a machine with nothing else to do.

    Attributes:
        calls_s: samples of a call, or texts of a step, to its seconds.
        padded: whether calls are padded to those sizes.
        request_s, batch_s: that the server itself works for a request, and for a call.
        apart_s: of a request, that neither server nor model works: the way there and back.
        wait_s: that a sample waits for others.
        shared: whether server and model share the cores, so that one waits for the other.
    """

    calls_s: Mapping[int, float]
    padded: bool
    request_s: float
    batch_s: float
    apart_s: float
    wait_s: float
    shared: bool = False

    def __post_init__(self) -> None:
        if not self.calls_s or any(size < 1 or not 0.0 < s < float("inf") for size, s in self.calls_s.items()):
            raise DataError("server: no call was measured, or a time that cannot be")
        checks.not_negative(
            "server", request_s=self.request_s, batch_s=self.batch_s, apart_s=self.apart_s, wait_s=self.wait_s
        )

    @property
    def max_batch(self) -> int:
        """The most samples of a call."""
        return max(self.calls_s)

    def call_s(self, samples: int) -> float:
        """Seconds of a call with so many: of the next measured size where calls are padded, else between two."""
        above = min((size for size in self.calls_s if size >= samples), default=self.max_batch)
        if self.padded or above == samples:
            return self.calls_s[above]
        below = max(size for size in self.calls_s if size < samples)
        share = (samples - below) / (above - below)
        return self.calls_s[below] + share * (self.calls_s[above] - self.calls_s[below])


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """How one server answers at a load.

    Attributes:
        rate_per_s: requests that it answers a second.
        batch: samples of a call, or texts of a step, on average.
        mean_s, p50_s, p99_s: of a request, from when it is sent to its last byte.
    """

    rate_per_s: float
    batch: float
    mean_s: float
    p50_s: float
    p99_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunServing:
    """The answer.

    Attributes:
        run: id of it; ``name`` of its model; ``backend`` that answers, with so many ``threads``.
        processor: that was measured.
        output_tokens: of a text; None of a model that writes none.
        asked_per_s: requests that come a second; None where ``concurrency`` are in flight instead.
        replicas: servers, each on a machine as this one, with the range that the prediction leaves.
        each: how one of them answers.
        most_per_s: that one answers at its limit.
        p50_s, p99_s: latencies with their ranges.
        usd_per_h: of one machine; None where nobody said.
        basis: what the ranges rest on.
    """

    run: str
    name: str
    backend: str
    threads: int
    processor: str
    times: ServerTimes
    output_tokens: int | None
    asked_per_s: float | None
    concurrency: int | None
    replicas: Range
    each: Answered
    most_per_s: float
    p50_s: Range
    p99_s: Range
    usd_per_h: float | None
    basis: str

    @property
    def rate_per_s(self) -> float:
        """Requests that all of them answer a second."""
        return self.replicas.mid * self.each.rate_per_s

    @property
    def utilisation(self) -> float:
        """Of what they answer at their limit, the share that is asked."""
        return min(1.0, self.each.rate_per_s / self.most_per_s)

    @property
    def usd_per_month(self) -> Range | None:
        """Of all machines, around the clock."""
        return None if self.usd_per_h is None else self.replicas * (self.usd_per_h * MONTH_S / HOUR_S)

    @property
    def usd_per_1000(self) -> Range | None:
        """Of 1000 requests on reservation: all machines, over what is asked of them."""
        month = self.usd_per_month
        return None if month is None else month * (1000.0 / MONTH_S / self.rate_per_s)

    @property
    def usd_per_1000_used(self) -> Range | None:
        """On usage: as though they were always at their limit."""
        return None if self.usd_per_1000 is None else self.usd_per_1000 * self.utilisation
