"""Collective: what workers do together, and how long it takes by its size and by how many they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from zenplan.domain import checks

ALL_REDUCE, ALL_GATHER, REDUCE_SCATTER, ALL_TO_ALL = COLLECTIVES = (
    "all_reduce",
    "all_gather",
    "reduce_scatter",
    "all_to_all",
)
# Of a ring of n workers: how often each goes through its n - 1 neighbours.
_ROUNDS: Final = {ALL_REDUCE: 2, ALL_GATHER: 1, REDUCE_SCATTER: 1, ALL_TO_ALL: 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Collective:
    """One kind of collective among workers that are joined alike.

        seconds = r·(n - 1)·latency + r·(n - 1)/n · bytes / bandwidth,   r = 2 for an all-reduce, 1 for the others

    of n workers, with the bytes of the larger of a worker's two buffers: an all-reduce is a reduce-scatter and an
    all-gather, each of n - 1 exchanges of one part in n (Patarasuk & Yuan 2009, a ring; Thakur, Rabenseifner & Gropp
    2005, the others; the same factors as of the bus bandwidth in NVIDIA's nccl-tests). Software that does one by another
    algorithm differs by a factor, which a fit puts into latency and bandwidth.

    Attributes:
        name: one of ``COLLECTIVES``.
        latency_s: of an exchange.
        s_per_byte: that a worker sends; one over the bandwidth.
        spread: of what it was fitted on, its relative error, one standard deviation.
    """

    name: str
    latency_s: float
    s_per_byte: float
    spread: float = 0.0

    def __post_init__(self) -> None:
        checks.one_of("collective", "name", self.name, COLLECTIVES)
        checks.not_negative(self.name, latency_s=self.latency_s, s_per_byte=self.s_per_byte, spread=self.spread)

    @property
    def bytes_per_s(self) -> float | None:
        """The bandwidth of a worker; None where size made no difference."""
        return 1.0 / self.s_per_byte if self.s_per_byte else None

    def seconds(self, size_bytes: float, workers: int) -> float:
        """Of a buffer that large, among so many workers."""
        exchanges, share = work(self.name, workers)
        return exchanges * self.latency_s + share * size_bytes * self.s_per_byte


def work(name: str, workers: int) -> tuple[int, float]:
    """Exchanges of a collective, and the bytes that a worker sends for each byte of its buffer; none of one worker."""
    exchanges = _ROUNDS[name] * (workers - 1)
    return exchanges, exchanges / workers
