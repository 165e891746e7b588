"""How many replicas a rate needs, what they take and cost, and from which rate on they are cheaper than an API."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from zenplan.domain.answer.serving import Wanted
from zenplan.domain.fit.efficiency import Interval
from zenplan.domain.range import Range
from zenplan.planning.serving.steady import Loaded, batch_at, capacity, requests_per_s, tpot_s, ttft_s
from zenplan.units import HOUR_S

# Of what a replica answers at its limit, the share that is planned with: requests come at random, and a queue at a server
# that is 80 % busy is five times as long as at one that is 40 % busy (M/D/1). Our assumption.
BUSY = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Sized:
    """Replicas of one kind for what is wanted.

    Attributes:
        replicas: low, middle and high by the range of the predicted throughput.
        rate_per_s: of all; ``most_per_s`` of one at its limit; ``planned_per_s`` of one as it is planned with.
        batch: in flight in one; ``limit`` the most.
        why_not: why it cannot do it; empty where it can.
    """

    replicas: Range
    rate_per_s: float
    most_per_s: float
    planned_per_s: float
    batch: float
    limit: int
    ttft_s: float
    tpot_s: float
    why_not: str = ""


def sized(of: Loaded, wanted: Wanted, throughput: Interval) -> Sized:
    """The fewest replicas that answer what is wanted within its limits of latency."""
    limit = int(capacity(of))
    if limit < 1:
        return _no("the weights and one request do not fit its memory")
    batches = np.arange(1.0, limit + 1.0)
    rates, waits, steps = (each(of, batches) for each in (requests_per_s, ttft_s, tpot_s))
    fits = np.ones(limit, dtype=bool)
    for most, found, name in ((wanted.ttft_s, waits, "its first token"), (wanted.tpot_s, steps, "each further token")):
        if most is not None:
            if found[0] > most:
                return _no(f"even alone a request takes {_ms(found[0])} for {name}, more than {_ms(most)}")
            fits &= found <= most
    # Latency grows with the batch: the last of those within the limits.
    last = int(np.flatnonzero(fits)[-1])
    most_per_s = float(rates.max())
    planned = min(float(rates[last]), BUSY * most_per_s)
    if wanted.rate_per_s is not None:
        rate = wanted.rate_per_s
        replicas = _whole([rate / planned * math.exp(side * throughput.new) for side in (-1.0, 0.0, 1.0)])
        batch = float(batch_at(of, np.array([rate / replicas.mid]))[0])
    else:
        asked = wanted.concurrency or 1.0
        replicas = _whole([asked / float(last + 1)] * 3)
        batch = asked / replicas.mid
        rate = replicas.mid * float(requests_per_s(of, batch))
    return Sized(
        replicas=replicas,
        rate_per_s=rate,
        most_per_s=most_per_s,
        planned_per_s=planned,
        batch=batch,
        limit=limit,
        ttft_s=float(ttft_s(of, batch)),
        tpot_s=float(tpot_s(of, batch)),
    )


def _no(why: str) -> Sized:
    nothing = Range.exactly(0.0)
    return Sized(
        replicas=nothing, rate_per_s=0, most_per_s=0, planned_per_s=0, batch=0, limit=0, ttft_s=0, tpot_s=0, why_not=why
    )


def _whole(each: list[float]) -> Range:
    low, mid, high = (float(max(1, math.ceil(x - 1e-9))) for x in each)
    return Range(low=low, mid=mid, high=high)


def _ms(value_s: float) -> str:
    return f"{1e3 * value_s:.3g} ms"


def copies(throughput: Interval) -> Range:
    """Replicas that answer what one is predicted to, low, middle and high by the range of that."""
    return _whole([math.exp(side * throughput.new) for side in (-1.0, 0.0, 1.0)])


def around(value: float, interval: Interval) -> Range:
    """A predicted time with its range."""
    return Range(low=value * math.exp(-interval.new), mid=value, high=value * math.exp(interval.new))


def even_rate_per_s(machine_usd_per_h: float, machine_per_s: float, api_usd: float) -> float | None:
    """From which rate on machines cost less than an API, which is paid for by the request; None where they never do.

    Args:
        machine_usd_per_h: of one machine, around the clock.
        machine_per_s: what one answers as it is planned with.
        api_usd: of a request.
    """
    rate = machine_usd_per_h / HOUR_S / api_usd
    return rate if rate <= machine_per_s else None
