"""Every sample belongs to one client; classes are split as the Dirichlet distribution has it; who drops out is drawn."""

from __future__ import annotations

import numpy as np
import pytest
from zenplan import UsageError

from zenplan_flower.splits import drops_out, split

LABELS = np.random.default_rng(0).integers(0, 5, 2000)


@pytest.mark.parametrize("alpha", [None, 0.1, 0.5, 100.0])
@pytest.mark.parametrize("clients", [2, 7])
def test_every_sample_belongs_to_one_client(alpha: float | None, clients: int) -> None:
    parts = split(len(LABELS), clients, 3, alpha, LABELS)
    assert len(parts) == clients
    assert all(len(part) for part in parts)
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(len(LABELS)))


def test_at_random_each_has_as_many_and_all_classes_alike() -> None:
    parts = split(len(LABELS), 4, 0)
    assert {len(part) for part in parts} == {500}
    shares = np.array([np.bincount(LABELS[part], minlength=5) / len(part) for part in parts])
    # The standard deviation of a share of a fifth among 500 is 0.018.
    assert np.abs(shares - 0.2).max() < 5 * 0.018


def test_a_seed_draws_the_same_and_another_another() -> None:
    first, again, other = (split(400, 3, seed, 0.5, LABELS[:400]) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert any(len(a) != len(b) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("alpha", [0.5, 2.0, 50.0])
def test_shares_of_a_class_vary_as_dirichlet_says(alpha: float) -> None:
    clients = 5
    found = []
    for seed in range(200):
        parts = split(len(LABELS), clients, seed, alpha, LABELS)
        counts = np.array([np.bincount(LABELS[part], minlength=5) for part in parts])
        found.append(counts / counts.sum(axis=0))
    shares = np.concatenate(found, axis=1)
    variance = (1 / clients) * (1 - 1 / clients) / (clients * alpha + 1)
    assert shares.mean(axis=1) == pytest.approx(np.full(clients, 1 / clients), abs=5 * np.sqrt(variance / 1000))
    # A thousand draws of each, which clients without a sample make a little fewer of.
    assert shares.var() == pytest.approx(variance, rel=0.1)


@pytest.mark.parametrize(
    ("samples", "clients", "alpha", "labels"),
    [(5, 6, None, None), (100, 1, None, None), (100, 3, 0.5, None), (4, 4, 0.001, np.zeros(4, np.int64))],
)
def test_what_cannot_be_split_is_refused(samples: int, clients: int, alpha: float | None, labels: object) -> None:
    with pytest.raises(UsageError) as caught:
        split(samples, clients, 0, alpha, labels)  # type: ignore[arg-type]  # an array or None
    assert caught.value.hint


def test_clients_drop_out_as_often_as_was_said_and_the_same_ones_again() -> None:
    drawn = [[drops_out(4, client, round, 0.2) for client in range(8)] for round in range(250)]
    assert drawn == [[drops_out(4, client, round, 0.2) for client in range(8)] for round in range(250)]
    assert np.mean(drawn) == pytest.approx(0.2, abs=5 * np.sqrt(0.16 / 2000))
    assert not any(drops_out(4, client, 1, 0.0) for client in range(100))
