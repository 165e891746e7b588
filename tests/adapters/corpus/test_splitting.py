"""Parts: their shares, what is never parted, and that they depend on the seed and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenplan.adapters.corpus.splitting import DROPPED, TEST, TRAIN, VALIDATION, alone, joined, parts
from zenplan.errors import DataError


def groups_of(count: int, seed: int = 0) -> np.ndarray:  # type: ignore[type-arg]  # whatever its shape
    return np.random.default_rng(seed).integers(0, 2**63, count).astype(np.uint64)


@given(
    st.integers(3, 60),
    st.integers(0, 2**40),
    st.lists(st.integers(0, 59), min_size=3, max_size=300),
    st.sampled_from([(0.1, 0.1), (0.95, 0.04), (0.01, 0.9), (1e-6, 1e-6)]),
)
def test_a_group_is_in_one_part_and_no_part_is_empty(
    count: int, seed: int, members: list[int], shares: tuple[float, float]
) -> None:
    groups = groups_of(count)[np.array(members) % count]
    sizes, kept = np.ones(len(groups)), np.ones(len(groups), bool)
    if len(set(groups.tolist())) < 3:
        with pytest.raises(DataError, match="too few"):
            parts(groups, sizes, kept, shares, seed)
        return
    found = parts(groups, sizes, kept, shares, seed)
    assert all(len(set(found[groups == group].tolist())) == 1 for group in set(groups.tolist()))
    assert set(found.tolist()) == {TRAIN, VALIDATION, TEST}


def test_parts_get_their_shares() -> None:
    groups, kept = groups_of(20_000), np.ones(20_000, bool)
    for found in (parts(groups, np.ones(20_000), kept, (0.05, 0.1), 7), alone(groups, kept, (0.05, 0.1), 7)):
        shares = np.bincount(found, minlength=4) / 20_000
        assert shares[[TRAIN, VALIDATION, TEST]] == pytest.approx([0.85, 0.05, 0.1], abs=0.01)


def test_by_hashes_alone_no_sample_needs_another_one() -> None:
    groups, kept = groups_of(999), np.arange(999) % 3 > 0
    whole = alone(groups, kept, (0.2, 0.1), 7)
    halves = [alone(groups[part], kept[part], (0.2, 0.1), 7) for part in (slice(0, 500), slice(500, None))]
    assert (np.concatenate(halves) == whole).all()
    assert (whole[~kept] == DROPPED).all()


def test_the_order_does_not_matter_and_the_seed_does() -> None:
    groups, order = groups_of(500), np.random.default_rng(1).permutation(500)
    all_of_them = np.ones(500), np.ones(500, bool)
    found = parts(groups, *all_of_them, (0.1, 0.1), 1)
    assert (parts(groups[order], *all_of_them, (0.1, 0.1), 1) == found[order]).all()
    assert (parts(groups, *all_of_them, (0.1, 0.1), 2) != found).any()


def test_what_is_dropped_is_in_no_part_and_does_not_count() -> None:
    kept = np.arange(100) % 2 == 0
    found = parts(groups_of(100), np.ones(100), kept, (0.2, 0.0), 0)
    assert (found[~kept] == DROPPED).all()
    assert (found == VALIDATION).sum() == 10
    assert (found == TEST).sum() == 0


def test_a_large_group_goes_to_train() -> None:
    groups = np.concatenate([np.full(900, 5, np.uint64), groups_of(100)])
    for seed in range(20):
        found = parts(groups, np.ones(1000), np.ones(1000, bool), (0.05, 0.05), seed)
        assert (found[:900] == TRAIN).all()
        assert 30 <= (found == VALIDATION).sum() <= 63


def test_without_shares_all_is_train() -> None:
    assert (parts(groups_of(1), np.ones(1), np.ones(1, bool), (0.0, 0.0), 0) == TRAIN).all()


def test_groups_of_near_duplicates_become_one() -> None:
    groups = np.array([10, 11, 12, 13, 12], np.uint64)
    # The second is like the first, the fourth like the third: 11 goes with 10, 13 with 12 and so with the last.
    found = joined(groups, np.array([0, 0, 2, 2, 4]))
    assert found.tolist() == [10, 10, 12, 12, 12]
    assert (joined(groups, np.arange(5)) == groups).all()
