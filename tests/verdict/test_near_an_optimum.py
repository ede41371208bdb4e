"""Where training has converged, gradients are small beside curvature: wrong ones fail all the same."""

import numpy as np
import pytest

import fastcheck as fc

PROBLEMS = {"squared_error": "identity", "binary_cross_entropy": "sigmoid", "cross_entropy": "softmax"}


def trained(cost):
    """A regression whose largest gradient is 1e-6, with its data."""
    rng = np.random.default_rng(0)
    outputs = 1 if cost == "binary_cross_entropy" else 3
    net = fc.Network([fc.Dense(4, outputs, PROBLEMS[cost])], cost=cost)
    X = rng.standard_normal((4, 40))
    Y = rng.standard_normal((3, 40)) if cost == "squared_error" else rng.integers(0, max(outputs, 2), 40)
    parameters = net.initialize(0)
    for _ in range(20_000):
        gradients = net.gradients(parameters, X, Y)
        if max(np.abs(g).max() for g in gradients.values()) < 1e-6:
            break
        parameters = {name: value - gradients[f"d{name}"] for name, value in parameters.items()}
    return net, parameters, gradients, X, Y


@pytest.mark.parametrize("epsilon", [1e-7, 1e-4, 1e-3, 1e-2])
@pytest.mark.parametrize("cost", list(PROBLEMS))
def test_wrong_gradients_fail_near_an_optimum_at_any_epsilon(cost, epsilon):
    net, parameters, right, X, Y = trained(cost)
    assert fc.check(net, parameters, right, X, Y, epsilon=epsilon).ok
    for factor in (-1.0, 2.0, 0.0, 1.001):
        wrong = {name: factor * value for name, value in right.items()}
        assert fc.check(net, parameters, wrong, X, Y, epsilon=epsilon).verdict == "fail", factor


@pytest.mark.parametrize("engine", ["full", "reference"])
@pytest.mark.parametrize("epsilon", [1e-4, 1e-3])
def test_an_engine_that_subtracts_costs_is_helped_by_exact_differences(engine, epsilon):
    net, parameters, right, X, Y = trained("cross_entropy")
    assert fc.check(net, parameters, right, X, Y, epsilon=epsilon, engine=engine).verdict != "fail"
    for factor in (-1.0, 2.0, 0.0):
        wrong = {name: factor * value for name, value in right.items()}
        report = fc.check(net, parameters, wrong, X, Y, epsilon=epsilon, engine=engine)
        assert report.verdict == "fail", factor
