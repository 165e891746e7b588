"""Einstein sums: their products."""

from __future__ import annotations

import pytest

from zenplan.worker.counting.einsum import contractions


@pytest.mark.parametrize(
    ("equation", "shapes", "expected"),
    [
        ("ij,jk->ik", [(2, 3), (3, 5)], [(1, 2, 3, 5)]),
        ("ij,jk", [(2, 3), (3, 5)], [(1, 2, 3, 5)]),
        ("bhqd,bhkd->bhqk", [(2, 4, 7, 8), (2, 4, 9, 8)], [(8, 7, 8, 9)]),
        ("...ij,...jk->...ik", [(4, 2, 3), (3, 5)], [(1, 8, 3, 5)]),
        ("...ij,...jk", [(4, 2, 3), (4, 3, 5)], [(4, 2, 3, 5)]),
        ("i,j->ij", [(2,), (3,)], [(1, 2, 1, 3)]),
        ("i,i->", [(5,), (5,)], [(1, 1, 5, 1)]),
        ("ij,jk,kl->il", [(2, 3), (3, 5), (5, 7)], [(1, 2, 3, 5), (1, 2, 5, 7)]),
    ],
)
def test_the_products_of_an_equation(
    equation: str, shapes: list[tuple[int, ...]], expected: list[tuple[int, ...]]
) -> None:
    found = [(c.groups, c.rows, c.inner, c.columns) for c in contractions(equation, shapes)]
    assert found == expected


def test_a_dimension_of_one_is_stretched() -> None:
    (step,) = contractions("...ij,...jk->...ik", [(4, 2, 3), (1, 3, 5)])
    assert (step.groups, step.rows) == (4, 2)
