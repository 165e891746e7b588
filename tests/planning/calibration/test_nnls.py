"""Least squares with coefficients that are not negative, against the conditions that only the best answer meets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zenplan.planning.calibration.nnls import nonnegative


def test_the_truth_is_found_where_it_is_exact():
    terms = np.array([[1.0, 2e9], [1.0, 5e9], [1.0, 9e9], [1.0, 1e10]])
    truth = np.array([0.01, 2e-11])
    assert nonnegative(terms, terms @ truth, np.ones(4)) == pytest.approx(truth, rel=1e-9)


def test_what_would_be_negative_is_zero():
    # A line that falls: its slope would be negative, so only the constant is left.
    found = nonnegative(np.array([[1.0, 1.0], [1.0, 2.0], [1.0, 3.0]]), np.array([3.0, 2.0, 1.0]), np.ones(3))
    assert found == pytest.approx([2.0, 0.0])


def test_weights_say_which_row_counts():
    rows, aims = np.array([[1.0], [1.0]]), np.array([1.0, 3.0])
    assert nonnegative(rows, aims, np.array([1.0, 0.0])) == pytest.approx([1.0])


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_no_other_answer_is_better(seed):
    """The Karush-Kuhn-Tucker conditions: the gradient is zero where a term is used, and not downhill where it is not."""
    rng = np.random.default_rng(seed)
    terms = rng.random((rng.integers(2, 20), rng.integers(1, 12))) * 10.0 ** rng.integers(-3, 9)
    aims = rng.standard_normal(len(terms)) + 0.5
    found = nonnegative(terms, aims, np.ones(len(terms)))
    gradient = terms.T @ (aims - terms @ found)
    scale = np.abs(terms.T @ aims).max() + 1e-30
    assert (found >= 0).all()
    assert np.abs(gradient[found > 0]).max(initial=0.0) < 1e-6 * scale
    assert gradient[found == 0].max(initial=-1.0) < 1e-6 * scale
