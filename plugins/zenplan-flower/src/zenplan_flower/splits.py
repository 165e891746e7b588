"""The training data split among clients: each sample belongs to one of them, by its number."""

from __future__ import annotations

import numpy as np
from zenplan import UsageError
from zenplan.worker.training.prepared import Array

# Draws until each client has a sample; with fewer samples than that makes likely, the split is refused.
_MOST_DRAWS = 200


def split(
    samples: int, clients: int, seed: int, alpha: float | None = None, labels: Array | None = None
) -> list[Array]:
    """The numbers of each client's samples, in ascending order.

    Args:
        samples: there are.
        alpha: None for samples at random, as many for each. Else the samples of each class are cut by shares that are
            drawn from the symmetric Dirichlet distribution: the smaller it is, the fewer classes a client has (Hsu et
            al. 2019, https://arxiv.org/abs/1909.06335).
        labels: class of each sample, for ``alpha``.

    Raises:
        UsageError: there are too few samples, or no classes to split by.
    """
    if clients < 2 or clients > samples:
        raise UsageError(f"{samples:,} samples are not split among {clients:,} clients", "take 2 clients, or more data")
    random = np.random.default_rng((seed, clients))
    if alpha is None:
        return [np.sort(each) for each in np.array_split(random.permutation(samples), clients)]
    if labels is None:
        raise UsageError("--alpha splits classes, and the data have none", "leave it out: samples at random")
    kinds = [np.flatnonzero(labels == each) for each in np.unique(labels)]
    for _ in range(_MOST_DRAWS):
        found = _drawn(kinds, clients, alpha, random)
        if all(len(each) for each in found):
            return found
    raise UsageError(
        f"with alpha {alpha:g} one of {clients:,} clients has no sample, however often it is drawn",
        "take a larger --alpha, or fewer --clients",
    )


def _drawn(kinds: list[Array], clients: int, alpha: float, random: np.random.Generator) -> list[Array]:
    parts: list[list[Array]] = [[] for _ in range(clients)]
    for numbers in kinds:
        shares = random.dirichlet(np.full(clients, alpha))
        cuts = np.rint(np.cumsum(shares)[:-1] * len(numbers)).astype(np.int64)
        for part, some in zip(parts, np.split(random.permutation(numbers), cuts), strict=True):
            part.append(some)
    return [np.sort(np.concatenate(part)) for part in parts]


def drops_out(seed: int, client: int, round: int, chance: float) -> bool:
    """Whether that client fails in that round."""
    return bool(np.random.default_rng((seed, client, round)).random() < chance)
