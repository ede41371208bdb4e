"""A backward pass that runs again: how its rounding spreads."""

import math

import numpy as np
import pytest

from fastcheck.problems.functions.repeats import Repeats

X = np.random.default_rng(0).standard_normal(6).astype(np.float32)


def repeats(gradient, deadline=math.inf):
    return Repeats(lambda values: np.asarray(gradient(values[0]), np.float64), (X,), 3, deadline)


def test_pairs_give_the_gradient_at_the_point_itself():
    found, x = repeats(lambda x: x * (x @ x))(), X.astype(float)
    np.testing.assert_allclose(found.mean(axis=0), x * (x @ x), rtol=1e-6)
    assert found.std(axis=0).any()


@pytest.mark.parametrize("factor", [1.0, 1.5])
def test_what_is_rounded_is_measured_against_the_same_pass_in_double_precision(factor):
    """Right or wrong: a mistake is in both, and is no rounding."""
    low, double = next(repeats(lambda x: np.float32(factor) * (1 - x) * (1 + x)).further())
    assert 0.0 < np.abs(low - double).max() < 1e-6
    low, double = next(repeats(lambda x: np.float64(factor) * x.astype(np.float64)).further())
    np.testing.assert_array_equal(low, double)


def test_there_is_nothing_where_time_is_up_or_a_run_fails():
    def refused(x):
        raise ValueError

    for one in (repeats(lambda x: x, deadline=0.0), repeats(refused)):
        assert one() is None
        assert not list(one.further())
