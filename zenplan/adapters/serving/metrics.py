"""What a server counts, for Prometheus and for the line on the terminal."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from zenplan.adapters.serving.worker import ModelWorker
from zenplan.adapters.workers.process import resident_bytes
from zenplan.domain.measured.drift import FeatureDrift
from zenplan.units import HOUR_S

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_SIZES: Final = tuple(float(1 << power) for power in range(11))
# Of throughput and of the quantiles on the terminal: requests that are looked back on, and seconds.
_LATEST, _WINDOW_S = 1000, 60.0
_FIRST_FAILURE: Final = 400


class Metrics:
    """Of one server, each in a registry of its own.

    Attributes:
        answered: requests for answers of the model that it gave.
        usd_per_h: of the machine; None where it is not known.
        in_flight: requests that are being answered; cut: that were left without an answer at the end.
        batches, samples: that were predicted.
    """

    def __init__(self, usd_per_h: float | None) -> None:
        self.usd_per_h, self.answered, self._start = usd_per_h, 0, time.monotonic()
        self.in_flight = self.cut = self.batches = self.samples = 0
        self._latest: deque[tuple[float, float]] = deque(maxlen=_LATEST)
        own = self._registry = CollectorRegistry()
        self._requests = Counter("zenplan_requests", "Requests.", ("route", "code"), registry=own)
        self._seconds = Histogram(
            "zenplan_request_seconds",
            "From a request's headers to its last byte.",
            ("route",),
            registry=own,
            buckets=_SECONDS,
        )
        self._samples = Counter("zenplan_samples", "Samples that were predicted.", registry=own)
        self._tokens = Counter("zenplan_tokens", "Tokens that were written.", registry=own)
        self._sizes = Histogram("zenplan_batch_size", "Samples of a batch.", registry=own, buckets=_SIZES)
        self._calls = Histogram("zenplan_batch_seconds", "A call of the model.", registry=own, buckets=_SECONDS)
        self._ready = Gauge("zenplan_ready", "Whether the model is warm.", registry=own)
        self._waiting = Gauge("zenplan_waiting_samples", "Samples in no batch yet.", registry=own)
        self._restarts = Gauge("zenplan_worker_restarts", "Workers that ended.", registry=own)
        self._memory = Gauge("zenplan_worker_resident_bytes", "Memory of the model's worker.", registry=own)
        self._rate = Gauge("zenplan_requests_per_second", "Answered requests, over the last minute.", registry=own)
        self._index = Gauge("zenplan_drift_psi", "Population stability index.", ("feature",), registry=own)
        self._drifted = Gauge("zenplan_drifted", "Whether it is over the threshold.", ("feature",), registry=own)
        self._observed = Gauge("zenplan_drift_observations", "That the index is of.", ("feature",), registry=own)
        self._usd = usd_per_h and Gauge(
            "zenplan_usd_per_1000_requests", "Dollars of the machine so far, for 1000 answered requests.", registry=own
        )

    def request(self, route: str, code: int, seconds: float, of_model: bool) -> None:
        """A request that has ended."""
        self._requests.labels(route, str(code)).inc()
        self._seconds.labels(route).observe(seconds)
        if of_model and code < _FIRST_FAILURE:
            self.answered += 1
            self._latest.append((time.monotonic(), seconds))

    def batch(self, samples: int, seconds: float) -> None:
        """A call of the model."""
        self._samples.inc(samples)
        self.batches += 1
        self.samples += samples
        self._sizes.observe(samples)
        self._calls.observe(seconds)

    def token(self) -> None:
        """One that was written."""
        self._tokens.inc()

    @property
    def mean_batch(self) -> float | None:
        """Samples of a batch; None without any."""
        return self.samples / self.batches if self.batches else None

    @property
    def rate_per_s(self) -> float:
        """Answered requests a second, over the last minute."""
        now = time.monotonic()
        recent = [at for at, _ in self._latest if now - at <= _WINDOW_S]
        return len(recent) / max(1.0, min(_WINDOW_S, now - self._start, now - recent[0])) if recent else 0.0

    @property
    def usd_per_thousand(self) -> float | None:
        """Dollars of the machine since the start, for a thousand answered requests; None where unknown."""
        if self.usd_per_h is None or not self.answered:
            return None
        return self.usd_per_h * (time.monotonic() - self._start) / HOUR_S / self.answered * 1000

    def quantile_s(self, share: float) -> float | None:
        """Of the latest answered requests; None without any."""
        found = sorted(seconds for _, seconds in self._latest)
        return found[min(len(found) - 1, int(share * len(found)))] if found else None

    def text(self, worker: ModelWorker, waiting: int, drifts: Iterable[FeatureDrift]) -> bytes:
        """In the format of Prometheus."""
        self._ready.set(worker.serving is not None)
        self._waiting.set(waiting)
        self._restarts.set(worker.restarts)
        self._memory.set(resident_bytes(worker.pid) if worker.pid is not None else 0)
        self._rate.set(self.rate_per_s)
        for each in drifts:
            self._index.labels(each.name).set(each.index)
            self._drifted.labels(each.name).set(each.drifted)
            self._observed.labels(each.name).set(each.seen)
        if self._usd and self.usd_per_thousand is not None:
            self._usd.set(self.usd_per_thousand)
        return generate_latest(self._registry)
