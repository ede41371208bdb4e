"""The response engine against fifty digits, against the other engines, and against itself."""

import numpy as np
import pytest

from fastcheck.engines import reference
from fastcheck.engines.response import engine
from tests.engines.response.digits import agrees
from tests.support.mpmath_network import central_differences
from tests.support.problems import HIDDEN, OUTPUTS, PAIRS, RUN, gradient, network, problem

pytestmark = pytest.mark.usefixtures("each_form")

SLOW = pytest.mark.slow


@pytest.mark.parametrize("epsilon", [1e-7, *(pytest.param(slow, marks=SLOW) for slow in (1e-2, 1e-4, 1e-9))])
@pytest.mark.parametrize("hidden", HIDDEN)
def test_fifty_digits_every_activation(hidden, epsilon):
    agrees(problem(network([3, 4, 3, 2], hidden, "softmax", "cross_entropy", 0.1), seed=3), epsilon)


@pytest.mark.parametrize("epsilon", [1e-7, pytest.param(1e-2, marks=SLOW)])
@pytest.mark.parametrize(("cost", "output"), OUTPUTS)
def test_fifty_digits_every_cost(cost, output, epsilon):
    agrees(problem(network([2, 3, 2], "tanh", output, cost, 0.3), seed=5), epsilon)


@pytest.mark.parametrize("depth", range(6))
@pytest.mark.parametrize("m", [1, 4])
def test_fifty_digits_every_depth(depth, m):
    agrees(problem(network([3, *[2] * depth, 1], "relu", "sigmoid", "binary_cross_entropy"), m, seed=depth), 1e-7)


@pytest.mark.parametrize("widths", [[1, 1], [1, 1, 1, 1], [5, 1, 4, 1]])
def test_width_one(widths):
    agrees(problem(network(widths, "tanh", "identity", "squared_error", 1.0), 1, seed=1), 1e-7)


def test_wide_inputs_need_the_quartic():
    given = problem(network([3, 4, 2], "tanh", "softmax", "cross_entropy"), seed=2, X=1000.0 * np.eye(3))
    parameters = {name: 0.003 * value for name, value in given.network.initialize(0).items()}
    agrees(problem(given.network, parameters=parameters, X=1000.0 * np.eye(3), Y=[0, 1, 0]), 1e-7)


def test_exact_zeros_everywhere():
    """Zero inputs and zero parameters: every unit stands on its kink."""
    net = network([3, 4, 4, 2], "relu", "softmax", "cross_entropy")
    parameters = {t.name: np.zeros(t.shape) for t in net.tensors}
    agrees(problem(net, parameters=parameters, X=np.zeros((3, 2)), Y=[0, 1]), 1e-7)


def test_dead_units_and_zero_inputs_have_zero_gradients():
    net = network([3, 4, 2], "relu", "softmax", "cross_entropy")
    parameters = net.initialize(0)
    parameters["b1"][1] = -1e3
    X = np.random.default_rng(0).normal(size=(3, 5))
    X[2] = 0.0
    found = agrees(problem(net, parameters=parameters, X=X, Y=[0, 1, 0, 1, 1]), 1e-7)
    assert np.all(found.gradapprox[:12].reshape(4, 3)[1] == 0.0)
    assert np.all(found.gradapprox[:12].reshape(4, 3)[:, 2] == 0.0)


@pytest.mark.parametrize(("widths", "m", "l2"), [
    pytest.param([4, 3], 5, 0.0, marks=SLOW), ([4, 5, 3], 1, 0.7), pytest.param([3, 6, 5, 4, 2], 6, 0.2, marks=SLOW)])
@pytest.mark.parametrize(("hidden", "cost", "output"), PAIRS)
def test_agrees_with_reference_and_backpropagation(hidden, cost, output, widths, m, l2):
    given = problem(network(widths, hidden, output, cost, l2), m, seed=11)
    found = engine.differences(given, None, 1e-7, RUN)
    slow = reference.differences(given, None, 1e-7, RUN)
    assert np.all(np.abs(found.J_plus - slow.J_plus) <= 1e-13 * max(1.0, abs(found.cost)))
    assert np.all(np.abs(found.J_minus - slow.J_minus) <= 1e-13 * max(1.0, abs(found.cost)))
    wanted = gradient(given)
    assert np.linalg.norm(found.gradapprox - wanted) <= 1e-12 * np.linalg.norm(wanted)


@pytest.mark.parametrize("epsilon", [1e-7, 1e-3])
def test_chosen_positions_equal_those_of_all(epsilon):
    given = problem(network([6, 8, 7, 3], "relu", "softmax", "cross_entropy", 0.4), 9)
    whole = engine.differences(given, None, epsilon, RUN)
    chosen = np.sort(np.random.default_rng(0).choice(given.theta.size, 40, replace=False))
    part = engine.differences(given, chosen, epsilon, RUN)
    scale = np.max(np.abs(whole.gradapprox))
    assert np.allclose(part.gradapprox, whole.gradapprox[chosen], rtol=0, atol=1e-14 * scale)
    assert np.allclose(part.J_plus, whole.J_plus[chosen], rtol=1e-15)
    assert np.array_equal(part.kinks.where, np.nonzero(np.isin(chosen, whole.kinks.where))[0])


def test_not_a_number_reaches_the_results():
    net = network([3, 4, 2], "relu", "softmax", "cross_entropy")
    parameters = net.initialize(0)
    parameters["W1"][0, 0] = np.nan
    found = engine.differences(problem(net, parameters=parameters), None, 1e-7, RUN)
    assert np.isnan(found.cost)


@pytest.mark.parametrize("seed", [10573, 595566])
def test_rounding_is_no_fault(seed):
    """Once engine errors: responses of 1e-18, and an output that meets its target, both below literal propagation."""
    from tests.reliability.random_networks import draw, outcome

    assert outcome(draw(seed))[0] == "pass"


def test_wide_layers_some_of_whose_units_are_dead():
    """More living units than our own product is made for, and not all of them: their weights are gathered."""
    net = network([2, 3, 5, 70, 2], "relu", "softmax", "cross_entropy")
    parameters = net.initialize(4)
    parameters["b2"][1] = -1e3
    parameters["b3"][::2] += 1.0
    parameters["b3"][1::5] = -1e3
    given = problem(net, 2, parameters=parameters)
    found = engine.differences(given, None, 1e-7, RUN)
    wanted = gradient(given)
    assert np.max(np.abs(found.gradapprox - wanted)) <= 1e-13 * np.max(np.abs(wanted))


def test_one_very_wide_layer():
    given = problem(network([1, 300], "", "identity", "squared_error"), 20)
    found = engine.differences(given, None, 1e-7, RUN)
    np.testing.assert_allclose(found.gradapprox, gradient(given), rtol=0, atol=1e-14)


def test_units_with_a_gap_between_them():
    """Positions of the first and the third unit only: no run of neighbours."""
    given = problem(network([3, 4, 2], "tanh", "softmax", "cross_entropy"))
    chosen = np.array([0, 1, 2, 6, 7, 8])
    whole = engine.differences(given, None, 1e-7, RUN)
    part = engine.differences(given, chosen, 1e-7, RUN)
    np.testing.assert_allclose(part.gradapprox, whole.gradapprox[chosen], rtol=1e-12)


@pytest.mark.parametrize("hidden", ["tanh", "silu"])
def test_costs_near_a_perfect_fit_keep_the_fourth_power(hidden):
    """Where the cost is zero its change is even: what the quartic adds to it is then seen."""
    net = network([3, 4, 2], hidden, "identity", "squared_error")
    X, parameters = 2.0 * np.random.default_rng(1).normal(size=(3, 3)), net.initialize(1)
    given = problem(net, parameters=parameters, X=X, Y=net.forward(parameters, X).A[-1])
    epsilon = 1e-4
    found = engine.differences(given, None, epsilon, RUN)
    plus, minus, _ = central_differences(given, epsilon)
    np.testing.assert_allclose(found.J_plus, plus, rtol=3e-10)
    np.testing.assert_allclose(found.J_minus, minus, rtol=3e-10)


@pytest.mark.parametrize("hidden", ["tanh", "sigmoid", "relu"])
@pytest.mark.parametrize("epsilon", [1e-4, 1e-7, 1e-14])
def test_a_perfect_fit_is_no_fault(hidden, epsilon):
    """Once an engine error: where losses are flat, rounding moves the perturbed ones the more."""
    net = network([3, 4, 2], hidden, "identity", "squared_error")
    for seed in range(10):
        X, parameters = np.random.default_rng(seed).normal(size=(3, 3)), net.initialize(seed)
        given = problem(net, parameters=parameters, X=X, Y=net.forward(parameters, X).A[-1])
        found = engine.differences(given, None, epsilon, RUN)
        assert found.cost == 0.0
        assert np.max(np.abs(found.gradapprox)) <= 10.0 * epsilon  # one-sided where a kink is within reach
