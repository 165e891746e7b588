"""Latency and bandwidth of collectives, from those that were timed: at some sizes, among some workers, on some links."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from zenplan.domain import checks
from zenplan.domain.measured.collectives import Collective, work
from zenplan.errors import DataError
from zenplan.planning.calibration.nnls import nonnegative


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """A collective that was timed.

    Attributes:
        size_bytes: of the larger of a worker's two buffers.
        link_bytes_per_s: of the link that a worker sends over; None where nothing is known of it.
    """

    workers: int
    size_bytes: float
    seconds: float
    link_bytes_per_s: float | None = None

    def __post_init__(self) -> None:
        checks.positive(
            "collective",
            size_bytes=self.size_bytes,
            seconds=self.seconds,
            link_bytes_per_s=self.link_bytes_per_s,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A kind of collective over links of any rate: what a byte takes in the machines, and what it takes on its way.

    Attributes:
        host_s_per_byte: of a byte that is sent, whatever the link.
        carried: bytes on the link for each that is sent: one, and what protocols add.
    """

    name: str
    latency_s: float
    host_s_per_byte: float
    carried: float
    spread: float = 0.0

    @property
    def host(self) -> Collective:
        """What the machines have to do for it, as over a link that takes no time."""
        return replace(self._none, latency_s=self.latency_s, s_per_byte=self.host_s_per_byte)

    def on_link(self, link_bytes_per_s: float) -> Collective:
        """What it takes on a link of that rate, as between machines that have nothing to do for it."""
        return replace(self._none, s_per_byte=self.carried / link_bytes_per_s)

    def at(self, link_bytes_per_s: float) -> Collective:
        """Over a link of that rate."""
        host, on_link = self.host, self.on_link(link_bytes_per_s)
        return replace(host, s_per_byte=host.s_per_byte + on_link.s_per_byte)

    @property
    def _none(self) -> Collective:
        return Collective(name=self.name, latency_s=0.0, s_per_byte=0.0, spread=self.spread)


def fitted(name: str, timed: Sequence[Timed]) -> Collective:
    """Latency and bandwidth of the least relative error; how many workers there were is no part of them.

    Raises:
        DataError: all are of one size, or of one worker.
    """
    terms = [work(name, each.workers) for each in timed]
    _check_sizes(name, timed)
    rows = [[exchanges, share * each.size_bytes] for (exchanges, share), each in zip(terms, timed, strict=True)]
    (latency_s, s_per_byte), spread = _least(rows, [each.seconds for each in timed])
    return Collective(name=name, latency_s=latency_s, s_per_byte=s_per_byte, spread=spread)


def fitted_link(name: str, timed: Sequence[Timed]) -> Link:
    """What a byte takes in the machines and on the link, from collectives over links of different rates.

    Raises:
        DataError: all are of one size, of one rate, or of a link of which none is known.
    """
    _check_sizes(name, timed)
    rates = [each.link_bytes_per_s for each in timed if each.link_bytes_per_s is not None]
    if len(rates) < len(timed) or len(set(rates)) < 2:
        raise DataError(f"{name} over links of one rate says nothing of another")
    terms = [work(name, each.workers) for each in timed]
    rows = [
        [exchanges, share * each.size_bytes, share * each.size_bytes / rate]
        for (exchanges, share), each, rate in zip(terms, timed, rates, strict=True)
    ]
    (latency_s, host, carried), spread = _least(rows, [each.seconds for each in timed])
    return Link(name=name, latency_s=latency_s, host_s_per_byte=host, carried=carried, spread=spread)


def _check_sizes(name: str, timed: Sequence[Timed]) -> None:
    if len({each.size_bytes for each in timed}) < 2:
        raise DataError(f"{name} of one size says nothing of another")
    if any(each.workers < 2 for each in timed):
        raise DataError(f"{name} of one worker is none")


def _least(rows: Sequence[Sequence[float]], seconds: Sequence[float]) -> tuple[list[float], float]:
    """Coefficients, and the relative error that they leave."""
    terms, took_s = np.array(rows, float), np.array(seconds, float)
    found = nonnegative(terms, took_s, 1.0 / took_s)
    off = terms @ found / took_s - 1.0
    free = max(1, len(took_s) - terms.shape[1])
    return [float(each) for each in found], math.sqrt(float(off @ off) / free)
