"""Scans: their FLOP, what they keep, and the time that they take."""

from dataclasses import replace
from typing import Any

import pytest

from zenplan.domain.model.count import moved_elements
from zenplan.domain.model.operators import Scan
from zenplan.domain.training.layout import Layout
from zenplan.errors import DataError
from zenplan.planning.physics.operators import operator_work

# As in a layer of Mamba-2 2.7B, and of Mamba 2.8B.
CHUNKED = Scan(name="scan", steps=4096, heads=80, key_dim=128, value_dim=64, chunk=256)
ELEMENTS = Scan(name="scan", steps=4096, heads=5120, key_dim=16, value_dim=1)


def work(make: Any, op: Scan, micro: int = 1) -> Any:
    hw = make.hardware(make.cluster())
    plan = make.plan(make.only(op))
    return operator_work(op, plan.workload.blocks[0], plan, make.columns(Layout(micro_batch=micro)), hw)


def test_flop_are_those_of_states_and_of_scores_in_chunks() -> None:
    assert ELEMENTS.flop == 9 * 4096 * 5120 * 16
    assert CHUNKED.flop == 4096 * 80 * (256 * (128 + 64) + 4 * 128 * 64)
    # A sequence shorter than a chunk has no more scores than it has steps.
    assert replace(CHUNKED, steps=64).flop == 64 * 80 * (64 * (128 + 64) + 4 * 128 * 64)


@pytest.mark.parametrize("op", [CHUNKED, ELEMENTS], ids=["in chunks", "element by element"])
def test_twice_the_steps_are_twice_of_everything(make: Any, op: Scan) -> None:
    twice = replace(op, steps=2 * op.steps)
    assert twice.flop == 2 * op.flop
    assert twice.io_elements == 2 * op.io_elements
    assert twice.saved_elements == 2 * op.saved_elements
    assert moved_elements(twice) == 2 * moved_elements(op)
    for short, long in zip(work(make, op), work(make, twice), strict=True):
        assert float(long.total_s[0]) == pytest.approx(2 * float(short.total_s[0]))
    assert float(work(make, op, micro=2)[0].total_s[0]) == pytest.approx(2 * float(work(make, op)[0].total_s[0]))


def test_element_by_element_it_runs_on_the_plain_cores(make: Any) -> None:
    forward, backward = work(make, ELEMENTS)
    assert float(forward.compute_s[0]) == pytest.approx(16 * ELEMENTS.flop / 100e12)
    assert float(backward.compute_s[0]) == pytest.approx(2.5 * float(forward.compute_s[0]))
    assert float(work(make, CHUNKED)[0].compute_s[0]) == pytest.approx(CHUNKED.flop / 100e12)


def test_chunks_keep_the_states_between_them() -> None:
    states = 80 * 128 * 64 * 4096 / 256
    assert CHUNKED.saved_elements == CHUNKED.io_elements + states
    assert ELEMENTS.saved_elements == ELEMENTS.io_elements


def test_a_scan_of_nothing_is_refused() -> None:
    for field in ("steps", "heads", "key_dim", "value_dim", "groups"):
        with pytest.raises(DataError):
            replace(CHUNKED, **{field: 0})
    with pytest.raises(DataError):
        replace(CHUNKED, chunk=-1)
