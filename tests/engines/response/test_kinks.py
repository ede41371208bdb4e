"""The response engine where a perturbation crosses or meets a kink."""

import numpy as np
import pytest

from fastcheck.engines.response import engine, unit_responses
from tests.engines.response.digits import agrees
from tests.support.mpmath_network import literal_differences
from tests.support.problems import PIECEWISE, RUN, gradient, network, problem

pytestmark = pytest.mark.usefixtures("each_form")

SLOW = pytest.mark.slow


@pytest.mark.parametrize("hidden", PIECEWISE)
@pytest.mark.parametrize("offset", [0.0, -1e-8, *(pytest.param(slow, marks=SLOW) for slow in (1e-8, 1e-12, -1e-12))])
@pytest.mark.parametrize("layers", [(1,), *(pytest.param(slow, marks=SLOW) for slow in ((2,), (1, 2))), (1, 2, 3)])
def test_kinks(hidden, offset, layers):
    """Pre-activations at a kink or within epsilon of it, in one layer or several at once."""
    from fastcheck.rules.activations import ACTIVATIONS

    net = network([2, 3, 3, 3, 2], hidden, "softmax", "cross_entropy")
    parameters = net.initialize(7)
    X, Y = np.random.default_rng(7).normal(size=(2, 2)), np.array([0, 1])
    for layer in layers:
        run = net.forward(parameters, X)
        breakpoints = ACTIVATIONS[hidden].breakpoints
        for unit in (0, 2):
            parameters[f"b{layer}"][unit] += breakpoints[unit % len(breakpoints)] + offset - run.Z[layer - 1][unit, 0]
    given = problem(net, parameters=parameters, X=X, Y=Y)
    found = agrees(given, 1e-7, oracle=literal_differences)
    assert found.kinks.where.size > 0
    slack = 1e-9 * np.max(np.abs(gradient(given)))
    wanted = gradient(given)[found.kinks.where]
    assert np.all(found.kinks.low - slack <= wanted)
    assert np.all(wanted <= found.kinks.high + slack)
    clean = np.setdiff1d(np.arange(net.size), found.kinks.where)
    assert np.allclose(found.gradapprox[clean], gradient(given)[clean], rtol=1e-9, atol=slack)


def test_a_kink_that_only_several_changes_together_reach():
    """Four units pass a change on; their sum wakes a unit that none of them alone would."""
    net = network([1, 1, 4, 1, 1], "relu", "identity", "squared_error")
    parameters = {
        "W1": [[1.0]], "b1": [[1.0]], "W2": np.ones((4, 1)), "b2": np.ones((4, 1)),
        "W3": np.ones((1, 4)), "b3": [[-8.0 - 2.5e-7]], "W4": [[3.0]], "b4": [[0.5]],
    }  # fmt: skip
    parameters = {name: np.array(value) for name, value in parameters.items()}
    given = problem(net, parameters=parameters, X=np.zeros((1, 1)), Y=np.zeros((1, 1)))
    found = agrees(given, 1e-7, oracle=literal_differences)
    assert net.tensors[1].start in found.kinks.where
    assert found.gradapprox[net.tensors[1].start] > 1.0


def test_kinks_at_a_perfect_fit():
    """The cost is zero and rises as a square to one side of each kink: half of that is its even part."""
    net = network([1, 2, 1], "relu", "identity", "squared_error")
    parameters = {"W1": [[0.5], [-2.0]], "b1": [[-0.5], [2.0]], "W2": [[1.5, -3.0]], "b2": [[0.25]]}
    parameters = {name: np.array(value) for name, value in parameters.items()}
    given = problem(net, parameters=parameters, X=np.ones((1, 1)), Y=np.full((1, 1), 0.25))
    found = engine.differences(given, None, 1e-7, RUN)
    plus, minus, _ = literal_differences(given, 1e-7)
    assert found.cost == 0.0
    np.testing.assert_allclose(found.J_plus, plus, rtol=1e-7)
    np.testing.assert_allclose(found.J_minus, minus, rtol=1e-7)


@pytest.mark.parametrize("epsilon", [unit_responses.QUADRATIC_REACH, unit_responses.QUARTIC_REACH])
def test_kinks_at_the_longest_steps(epsilon):
    """Steps as long as a quadratic, or a quartic, is good for."""
    net = network([2, 3, 2], "elu", "identity", "squared_error")
    parameters = net.initialize(3)
    parameters["b1"][1] = 0.0
    given = problem(net, 2, parameters=parameters, X=np.array([[0.0, 0.5], [0.0, -0.25]]))
    found = agrees(given, epsilon, oracle=literal_differences)
    assert net.tensors[1].start + 1 in found.kinks.where


@pytest.mark.parametrize("bias", [0.0, 0.5])
def test_a_kink_that_only_rounding_keeps_away_is_met(bias):
    """The pre-activation is an ulp of its terms: on which side of the kink it lies nobody knows."""
    net = network([2, 1, 1], "relu", "identity", "squared_error")
    parameters = {"W1": [[1e6, bias - 1e6]], "b1": [[-bias]], "W2": [[1.0]], "b2": [[0.0]]}
    parameters = {name: np.array(value) for name, value in parameters.items()}
    X = np.array([[1.0], [1.0 - 2.0**-53]])
    found = engine.differences(problem(net, parameters=parameters, X=X, Y=np.ones((1, 1))), None, 1e-12, RUN)
    assert found.kinks.where.tolist() == [0, 1, 2]


def test_only_changes_that_reach_a_kink_are_at_it():
    """Half a step from its kink: the larger input's weight and the bias get there, the smaller input's does not."""
    net = network([2, 1, 1], "relu", "identity", "squared_error")
    X = np.array([[1.0], [0.1]])
    parameters = net.initialize(2)
    parameters["b1"][:] = 0.5e-7 - parameters["W1"] @ X
    found = agrees(problem(net, parameters=parameters, X=X, Y=np.ones((1, 1))), 1e-7, oracle=literal_differences)
    assert found.kinks.where.tolist() == [0, net.tensors[1].start]
