"""Federated averaging takes more the more rounds and clients there are, and waits for the slowest."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zenplan.domain.market.offer import Terms
from zenplan.domain.provenance import Origin
from zenplan.domain.range import Range
from zenplan.domain.training.federated import Federated
from zenplan.errors import DataError
from zenplan.planning.money.federated import federation, slowest_of

ASKED = Federated(clients=100, rounds=50)
RATE = Range(low=1.0, mid=1.0, high=1.0)


def found(make: Any, asked: Federated = ASKED, terms: Terms | None = None) -> Any:
    return federation(make.plan(), asked, terms, RATE, "made up")


def test_the_slowest_of_one_is_the_mean_and_of_many_what_is_drawn() -> None:
    assert slowest_of(10, 0.0) == 1.0
    assert slowest_of(1, 0.5) == pytest.approx(math.exp(0.125), rel=1e-3)
    drawn = np.random.default_rng(0).lognormal(0.0, 0.5, (20_000, 20)).max(axis=1)
    assert slowest_of(20, 0.5) == pytest.approx(drawn.mean(), rel=0.01)


@settings(max_examples=20, deadline=None)
@given(clients=st.integers(1, 10_000), more=st.integers(1, 1000), spread=st.floats(0.05, 2.0))
def test_more_clients_or_spread_wait_longer(clients: int, more: int, spread: float) -> None:
    assert slowest_of(clients + more, spread) >= slowest_of(clients, spread)
    assert slowest_of(clients + 1, spread * 1.1) >= slowest_of(clients + 1, spread)


def test_all_of_it_grows_with_rounds(make: Any) -> None:
    once, twice = found(make), found(make, replace(ASKED, rounds=100))
    assert twice.wall_clock_s.mid == pytest.approx(2.0 * once.wall_clock_s.mid)
    assert twice.down_bytes == pytest.approx(2.0 * once.down_bytes)
    assert twice.client_h.mid == pytest.approx(2.0 * once.client_h.mid)
    assert twice.total_usd.mid == pytest.approx(2.0 * once.total_usd.mid)


def test_the_traffic_is_two_ways_of_all_who_take_part(make: Any) -> None:
    weights = make.plan().workload.trainable_parameters * 2
    some = found(make, replace(ASKED, participating=10))
    assert some.down_bytes == some.up_bytes == pytest.approx(weights * 10 * 50)
    assert found(make).down_bytes == pytest.approx(10.0 * some.down_bytes)
    assert some.passes == pytest.approx(5.0)


def test_egress_is_the_way_down_at_the_providers_price(make: Any) -> None:
    terms = Terms(provider="p", egress_usd_per_byte=1e-9, source="made up")
    paid = found(make, terms=terms)
    assert paid.egress_usd == Range.exactly(paid.egress_usd.mid)
    assert paid.egress_usd.mid == pytest.approx(1e-9 * paid.down_bytes)
    assert found(make).egress_usd.high > found(make).egress_usd.low


def test_clients_are_not_paid_unless_they_have_a_price(make: Any) -> None:
    plain, paid = found(make), found(make, replace(ASKED, usd_per_h=0.5))
    assert plain.client_usd is None
    assert paid.client_usd.mid == pytest.approx(0.5 * paid.client_h.mid)
    assert paid.total_usd.mid == pytest.approx(plain.total_usd.mid + paid.client_usd.mid)


def test_without_a_penalty_it_is_not_known_and_with_one_a_range(make: Any) -> None:
    plain, more = found(make), found(make, replace(ASKED, penalty=(1.0, 2.0, 4.0)))
    (fact,) = (fact for fact in plain.facts if fact.name == "penalty of unlike data")
    assert (fact.value, fact.origin) == ("not known", Origin.ASSUMED)
    assert more.wall_clock_s.mid == pytest.approx(2.0 * plain.wall_clock_s.mid)
    assert more.wall_clock_s.high == pytest.approx(4.0 * plain.wall_clock_s.mid)


def test_no_more_take_part_than_there_are() -> None:
    with pytest.raises(DataError):
        Federated(clients=5, rounds=1, participating=6)
