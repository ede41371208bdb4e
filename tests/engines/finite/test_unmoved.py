"""Costs that hardly move since everything is learned: differences of zero prove nothing there."""

import numpy as np
import pytest

import fastcheck as fc

X = np.array([[1.0, 0.5, -0.2], [0.7, 1.0, 0.3], [1.2, 0.1, 0.4]])


def cost(w):
    return np.mean(np.log(1.0 + np.exp(-(X @ w))))


def gradient(w):
    return -X.T @ (1.0 / (1.0 + np.exp(X @ w))) / len(X)


@pytest.mark.parametrize("size", [60.0, 100.0, 300.0])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_a_cost_of_zero_proves_nothing(size, scale):
    w = size * np.ones(3)
    assert cost(w) == 0.0
    report = fc.check_function(lambda w: scale * cost(w), w, scale * gradient(w), engine="differences")
    assert report.verdict == "inconclusive", str(report)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("factor", [1.05, -1.0, 2.0])
def test_mistakes_fail_where_the_cost_is_more_than_its_rounding(factor, scale):
    w = 5.0 * np.ones(3)
    report = fc.check_function(lambda w: scale * cost(w), w, factor * scale * gradient(w), engine="differences")
    assert report.verdict == "fail"


def test_what_nothing_moves_fails_where_its_gradient_is_not_next_to_nothing():
    w = 60.0 * np.ones(3)
    assert fc.check_function(cost, w, gradient(w) + 1e-6, engine="differences").verdict == "fail"
    assert fc.check_function(lambda w: 0.0 * w.sum(), w, np.ones(3), engine="differences").verdict == "fail"
