"""Commitments: what a run does not use of them is a part of the bill, or paid anyway. Every figure by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from zenplan.domain.market.committed import Committed
from zenplan.domain.market.offer import Terms
from zenplan.planning.money.commitments import UNUSED, paid_anyway, unused_parts, unused_usd


def terms(**committed: Any) -> Terms:
    return Terms(provider="p", source="s", committed=Committed(what="reservation for 1 yr", **committed))


def test_what_is_left_of_a_term_is_paid() -> None:
    compute = np.array([[10.0, 10.0, 10.0], [20.0, 20.0, 5000.0], [30.0, 30.0, 9000.0]])
    whole = terms(term_s=100 * 3600.0, usd_per_h=40.0)
    own = terms(term_s=100 * 3600.0)
    found = unused_usd([whole, None, own], compute, np.array([20.0, 20.0, 40.0]))
    assert found[:, 0].tolist() == [3990.0, 3980.0, 3970.0]
    assert found[:, 1].tolist() == [0.0, 0.0, 0.0]
    # A run that is longer than the term has used all of it.
    assert found[:, 2].tolist() == [3990.0, 0.0, 0.0]
    (part,) = unused_parts(whole, found[:, 0])
    assert (part.name, part.low_usd, part.high_usd) == (UNUSED, 3990.0, 3970.0)
    assert unused_parts(None, found[:, 1]) == ()


def test_one_that_has_begun_is_paid_with_the_run_and_without() -> None:
    held = terms(term_s=None, usd_per_h=40.0)
    compute, billed_s = np.array([10.0, 20.0, 40.0]), np.array([1800.0, 3600.0, 7200.0])
    assert not unused_usd([held], compute[:, None], np.array([20.0])).any()
    part = paid_anyway(held, compute, billed_s)
    assert part is not None
    assert (part.low_usd, part.mid_usd, part.high_usd) == (10.0, 20.0, 40.0)
    assert paid_anyway(held, 40.0 * billed_s / 3600, billed_s) is None
    assert paid_anyway(terms(term_s=3600.0, usd_per_h=40.0), compute, billed_s) is None
