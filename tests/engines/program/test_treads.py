"""Costs that are rounded: no right gradient is blamed for the slope of a tread, and wrong ones still fail."""

import collections

import numpy as np
import pytest

import fastcheck as fc

ROUNDED = {
    "four decimals": lambda z: np.round(z, 4),
    "eight decimals": lambda z: np.round(z, 8),
    "down to a hundred-thousandth": lambda z: np.floor(z * 1e5) / 1e5,
    "whole numbers of a ten-millionth": lambda z: (z * 1e7).astype(np.int64) / 1e7,
}


def network(seed, rounded):
    """Return a cost whose hidden values are rounded, the weights, and the gradient without the rounding."""
    rng = np.random.default_rng(seed)
    X, W, V, y = (rng.standard_normal(shape) for shape in ((12, 4), (4, 5), (5, 1), (12, 1)))

    def cost(W):
        return np.mean((rounded(np.tanh(X @ W)) @ V - y) ** 2)

    H = np.tanh(X @ W)
    return cost, W, X.T @ ((2.0 * (H @ V - y) / 12.0 @ V.T) * (1.0 - H * H))


def verdicts(kind, factor):
    found = collections.Counter()
    for seed in range(20):
        cost, W, gradient = network(seed, ROUNDED[kind])
        found[fc.check_function(cost, W, factor * gradient).verdict] += 1
    return found


@pytest.mark.parametrize("kind", ROUNDED)
def test_right_gradients_are_not_blamed(kind):
    assert verdicts(kind, 1.0)["fail"] == 0


@pytest.mark.parametrize("factor", [0.5, -1.0, 2.0])
@pytest.mark.parametrize("kind", ROUNDED)
def test_wrong_gradients_fail(kind, factor):
    assert verdicts(kind, factor)["fail"] == 20


def test_a_rounded_cost_is_subtracted_and_the_report_says_why():
    x = np.linspace(0.3, 2.0, 7)
    right = fc.check_function(lambda x: np.round(np.sum(x * x), 6), x, 2.0 * x)
    assert right.ok
    assert any("rises in jumps" in note for note in right.notes)
    assert fc.check_function(lambda x: np.round(np.sum(x * x), 6), x, 2.02 * x).verdict == "fail"


def test_quantised_values_have_the_slope_of_their_treads():
    """Sixteen levels are no rounding: what passes gradients on there (a straight-through estimator) is not right."""
    cost, W, gradient = network(0, lambda z: np.round(16.0 * z) / 16.0)
    assert fc.check_function(cost, W, gradient).verdict == "fail"


@pytest.mark.parametrize(("cost", "wrong"), [
    (lambda x: np.sum(np.abs(x)), np.zeros(4)),
    (lambda x: np.sum(np.maximum(x, 0.0)), np.full(4, 0.4)),
    (lambda x: np.sum(np.sin(1e6 * x)) * 1e-6 + np.sum(x), np.ones(4)),
    (lambda x: np.sum(x**3), np.zeros(4)),
])
def test_kinks_ripples_and_curves_are_no_jumps(cost, wrong):
    """Their chords are not as the gradient says to both sides, or only where they are long."""
    assert fc.check_function(cost, np.array([1e-9, 1e-8, 0.3, -0.2]), wrong).verdict == "fail"


def test_a_cost_with_branches_keeps_its_exact_differences():
    """Far away it goes another way; its chords are taken by plain calls there."""
    x = np.array([0.3, -0.2, 0.9])

    def cost(x):
        return sum(entry * entry if entry > 0.0 else -entry for entry in x)

    right = np.where(x > 0.0, 2.0 * x, -1.0)
    for wrong in (1.1, 2.0, -1.0):
        report = fc.check_function(cost, x, wrong * right)
        assert report.verdict == "fail"
        assert report.engine == "program"
