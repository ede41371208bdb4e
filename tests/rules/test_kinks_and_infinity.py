"""What comparisons say beside infinity, and functions with a threshold on both sides of it."""

import numpy as np
import pytest

from fastcheck.rules.branches import Branches
from fastcheck.rules.table import RULES

INFINITY = np.array([-np.inf, np.inf, -np.inf, 1.0])


def test_comparisons_beside_infinity_do_not_change():
    """A masked score of attention stays masked, however it is moved."""
    other = np.array([-np.inf, np.inf, 3.0, np.inf])
    for name in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"):
        branches = Branches(np)
        out = getattr(np, name)(INFINITY, other)
        change = RULES[name].change(np, (INFINITY, other), (np.full(4, 0.3), None), out, branches)
        assert not np.any(change), name
        assert not branches.crossed


def test_softplus_on_both_sides_of_its_threshold():
    """Straight, bent, from one to the other and back: what two values say where they differ by much."""

    def softplus(z):
        return np.where(2.0 * z > 1.0, z, np.log1p(np.exp(2.0 * z)) / 2.0)

    z, d = np.array([0.2, 0.7, 0.2, 0.7]), np.array([0.1, 0.1, 0.9, -0.9])
    branches = Branches(np)
    change = RULES["softplus"].change(np, (z,), (d,), softplus(z), branches, beta=2.0, threshold=1.0)
    np.testing.assert_allclose(change, softplus(z + d) - softplus(z), rtol=1e-14)
    assert branches.crossed


def test_entropies_from_nothing():
    """x log y is 0 where both are, and its change from there is all of the new value."""
    x, y, dx, dy = np.zeros(3), np.array([0.0, 0.0, 2.0]), np.array([1e-20, 0.0, 1e-3]), np.array([1e-20, 1e-20, 0.0])
    expected = np.array([1e-20 * np.log(1e-20), 0.0, 1e-3 * np.log(2.0)])
    with np.errstate(all="ignore"):
        change = RULES["xlogy"].change(np, (x, y), (dx, dy), np.zeros(3), None)
        likewise = RULES["xlog1py"].change(np, (x, y - 1.0), (dx, dy), np.zeros(3), None)
    np.testing.assert_allclose(change, expected, rtol=1e-15)
    np.testing.assert_allclose(likewise, expected, rtol=1e-15)


def test_what_is_infinite_before_and_after_does_not_change():
    """Sums over paths begin with the logarithm of zero, and a saturated sigmoid divides by an overflow."""
    without, up, down = np.full(3, -np.inf), np.array([0.3, 0.0, -0.2]), np.array([-0.1, 0.2, 0.0])
    for name in ("logaddexp", "logaddexp2", "maximum", "minimum", "fmax", "fmin"):
        for changes in ((up, down), (up, None), (None, down)):
            branches = Branches(np)
            with np.errstate(all="ignore"):
                change = RULES[name].change(np, (without, without), changes, without, branches)
            assert np.isfinite(change).all(), name
            assert not branches.crossed, name
            assert not branches.ties, name


def test_exponentials_that_overflow():
    x, d = np.array([800.0, 800.0, 1100.0, np.inf, 1.0]), np.array([1e-9, -1e-9, 2.0, 1.0, 0.5])
    for function in (np.exp, np.expm1, np.exp2):
        with np.errstate(all="ignore"):
            out = function(2.0 * x)
            change = RULES[function.__name__].change(np, (2.0 * x,), (d,), out, None)
            falling = RULES[function.__name__].change(np, (2.0 * x[:1],), (np.array([-1500.0]),), out[:1], None)
        np.testing.assert_array_equal(change[:4], 0.0)
        np.testing.assert_allclose(change[4], function(2.5) - function(2.0), rtol=1e-14)
        assert falling[0] == -np.inf


@pytest.mark.parametrize("lost", [np.nan, np.inf, -np.inf])
def test_where_hides_what_it_does_not_choose(lost):
    """A missing number, or a quotient of zero, does nothing to what stands in its place, nor does its change."""
    mask, moving, d = np.array([True, False]), np.array([1.0, lost]), np.array([0.1, lost])
    for values, changes in (((mask, moving, 0.0), (None, d, None)), ((~mask, 0.0, moving), (None, None, d))):
        change = RULES["where"].change(np, values, changes, np.array([1.0, 0.0]), Branches(np))
        np.testing.assert_array_equal(change, [0.1, 0.0])
