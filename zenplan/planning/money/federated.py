"""What federated averaging takes (McMahan et al. 2017, arXiv 1602.05629): rounds of local training, and their traffic.

In a round each of n clients takes the weights, trains on its own data, and sends them back; the server waits for all. Where
one takes a time that is log-normal with a spread σ, the slowest of n takes on average

    ∫₀¹ exp(σ · Φ⁻¹(u^(1/n))) du

times the median, as the largest of n has the distribution function Fⁿ.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from math import exp
from statistics import NormalDist
from typing import Final

from zenplan import units
from zenplan.domain.answer.federation import Federation
from zenplan.domain.market.offer import Terms
from zenplan.domain.provenance import Fact, Origin
from zenplan.domain.range import Range
from zenplan.domain.training.federated import Federated
from zenplan.domain.training.plan import TrainingPlan
from zenplan.planning.money.beside import egress_usd_per_byte
from zenplan.units import HOUR_S

# A line of 20 Mbit/s both ways, a device that keeps up 1 TFLOP/s, and clients of which a sixth take over 1.65 times as
# long as the middle one. All assumed.
_BYTES_PER_S: Final = 2.5e6
_FLOP_PER_S: Final = 1e12
_SPREAD: Final = 0.5
_POINTS: Final = 2000


def slowest_of(clients: int, spread: float) -> float:
    """What the slowest of so many takes over the median, expected; 1 without a spread."""
    if spread == 0.0:
        return 1.0
    normal = NormalDist()
    # Midpoints in the quantile, with the last parts made finer: that is where the integrand rises.
    edges = [1.0 - (1.0 - n / _POINTS) ** 3 for n in range(_POINTS + 1)]
    total = 0.0
    for low, high in pairwise(edges):
        quantile = ((low + high) / 2.0) ** (1.0 / clients)
        total += (high - low) * exp(spread * normal.inv_cdf(min(quantile, 1.0 - 1e-16)))
    return total


def federation(
    plan: TrainingPlan, asked: Federated, terms: Terms | None, server_usd_per_h: Range | None, server: str
) -> Federation:
    """Time, traffic and dollars.

    Args:
        plan: the central training; one pass over its data is shared out among the clients.
        asked: how it is federated.
        terms: of the provider of the server.
        server_usd_per_h: of a machine that holds the weights; None where no price is known.
        server: which that is, for people.
    """
    load, taking = plan.workload, asked.participating or asked.clients
    line, speed = asked.bytes_per_s or _BYTES_PER_S, asked.flop_per_s or _FLOP_PER_S
    spread = _SPREAD if asked.spread is None else asked.spread
    slowest = slowest_of(taking, spread)
    weights = load.trainable_parameters * plan.precision.compute_bytes
    samples = plan.samples / plan.epochs / asked.clients * asked.local_epochs
    client_s = samples * load.training_flop_per_sample / speed + 2.0 * weights / line
    low, mid, high = asked.penalty or (1.0, 1.0, 1.0)
    rounds = Range(low=low, mid=mid, high=high) * asked.rounds
    wall_clock_s = rounds * (client_s * slowest)
    moved = weights * taking
    # The mean of a log-normal is above its median.
    client_h = rounds * (client_s * exp(spread**2 / 2.0) * taking / HOUR_S)
    out = egress_usd_per_byte(terms)
    ends = zip((rounds * moved).ends, out.ends, strict=True)
    egress_low, egress_mid, egress_high = (each * usd for each, usd in ends)
    server_usd = None
    if server_usd_per_h is not None:
        hours = wall_clock_s * (1.0 / HOUR_S)
        one, two, three = (h * usd for h, usd in zip(hours.ends, server_usd_per_h.ends, strict=True))
        server_usd = Range(low=one, mid=two, high=three)
    return Federation(
        round_s=client_s * slowest,
        wall_clock_s=wall_clock_s,
        slowest=slowest,
        down_bytes=moved * rounds.mid,
        up_bytes=moved * rounds.mid,
        client_h=client_h,
        server_usd=server_usd,
        egress_usd=Range(low=egress_low, mid=egress_mid, high=egress_high),
        passes=rounds.mid * asked.local_epochs * taking / asked.clients,
        client_usd=None if asked.usd_per_h is None else client_h * asked.usd_per_h,
        facts=tuple(_facts(asked, line, speed, spread, server)),
    )


def _facts(asked: Federated, line: float, speed: float, spread: float, server: str) -> Iterator[Fact]:
    def origin(value: object) -> Origin:
        return Origin.ASSUMED if value is None else Origin.GIVEN

    yield Fact(
        name="clients",
        value=f"{asked.participating or asked.clients:,} of {asked.clients:,} in each of {asked.rounds:,} rounds",
        origin=Origin.GIVEN,
        why=f"{asked.local_epochs:g} local epochs, in equal parts of the data",
    )
    yield Fact(
        name="line of a client",
        value=f"{units.size(line)}/s",
        origin=origin(asked.bytes_per_s),
        why="down and up; bandwidth=20MB",
    )
    yield Fact(
        name="device of a client",
        value=units.flop_per_s(speed),
        origin=origin(asked.flop_per_s),
        why="that it keeps up; flops=1e12",
    )
    yield Fact(
        name="spread of clients",
        value=f"{spread:g} in ln",
        origin=origin(asked.spread),
        why="log-normal; a round waits for the slowest; spread=0.5",
    )
    yield Fact(
        name="penalty of unlike data",
        value="not known" if asked.penalty is None else ":".join(f"{each:g}" for each in asked.penalty),
        origin=origin(asked.penalty),
        why="the rounds are as given; on CIFAR-10 in the most skewed parts averaging came to 30.1 % accuracy, 76.9 % with "
        "momentum on the server (Hsu et al. 2019, arXiv 1909.06335); penalty=1:2:4"
        if asked.penalty is None
        else "what rounds are multiplied with",
    )
    yield Fact(name="server", value=server, origin=Origin.ASSUMED, why="on for all rounds")
