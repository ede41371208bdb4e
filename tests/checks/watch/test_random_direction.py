"""A glance sees any single wrong entry, takes rounding and kinks for nothing, and remembers what was harmless."""

import math

import numpy as np
import pytest

from fastcheck.checks.watch.random_direction import ROUNDING, Glance
from tests.support.problems import HIDDEN, OUTPUTS, PIECEWISE, gradient, network, problem


def glance(seed=0):
    return Glance(np.random.default_rng(seed))


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("l2", [0.0, 0.5])
def test_right_gradients_of_every_activation(hidden, l2):
    given, looking = problem(network([6, 5, 4, 3], hidden, "softmax", "cross_entropy", l2), 5), glance()
    for _ in range(5):
        assert not looking.suspects(given, gradient(given))
        assert looking.seen < 0.01 * ROUNDING


@pytest.mark.parametrize(("cost", "output"), OUTPUTS)
def test_right_gradients_of_every_cost(cost, output):
    given = problem(network([4, 5, 3], "tanh", output, cost), 4)
    assert not glance().suspects(given, gradient(given))


@pytest.mark.parametrize("hidden", PIECEWISE)
def test_exactly_at_a_kink_any_derivative_between_will_do(hidden):
    net = network([2, 3, 2], hidden, "softmax", "cross_entropy")
    from fastcheck.rules.activations import ACTIVATIONS

    parameters = net.initialize(0)
    X = np.array([[0.0, 1.0], [0.0, -0.5]])
    parameters["b1"][:] = ACTIVATIONS[hidden].breakpoints[0]
    given = problem(net, parameters=parameters, X=X, Y=[0, 1])
    for seed in range(5):
        assert not glance(seed).suspects(given, gradient(given))


@pytest.mark.parametrize("scale", [1.0, 1e-9, 1e30])
def test_every_single_wrong_entry_shows(scale):
    """Whatever the scale of the cost, and in tensors of any size beside each other."""
    net = network([3, 4, 2], "tanh", "identity", "squared_error")
    Y = scale * np.random.default_rng(1).normal(size=(2, 3))
    parameters = {name: value * (scale if name[1] == "2" else 1.0) for name, value in net.initialize(0).items()}
    given = problem(net, parameters=parameters, X=np.random.default_rng(2).normal(size=(3, 3)), Y=Y)
    right = gradient(given)
    assert not glance().suspects(given, right)
    for tensor in net.tensors:
        norm = np.linalg.norm(right[tensor.start : tensor.stop])
        for k in range(tensor.start, tensor.stop):
            wrong = right.copy()
            wrong[k] += 3.0 * math.sqrt(len(net.tensors)) * ROUNDING * norm
            assert glance(k).suspects(given, wrong), (tensor.name, k)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_what_is_not_finite_or_absurd_shows(value):
    given = problem(network([3, 4, 2], "relu", "softmax", "cross_entropy"))
    wrong = gradient(given)
    wrong[7] = value
    assert glance().suspects(given, wrong)


def test_what_is_claimed_to_be_zero_shows():
    given = problem(network([3, 4, 2], "tanh", "softmax", "cross_entropy"))
    wrong = gradient(given)
    wrong[:12] = 0.0
    assert glance().suspects(given, wrong)
    wrong[:] = 0.0
    assert glance().suspects(given, wrong)
    wrong[:] = 1e-300
    assert glance().suspects(given, wrong)


def test_zeros_are_right_where_nothing_moves_the_cost():
    net = network([2, 3, 1], "relu", "identity", "squared_error")
    parameters = {name: np.zeros_like(value) for name, value in net.initialize(0).items()}
    given = problem(net, parameters=parameters, X=np.ones((2, 4)), Y=np.zeros((1, 4)))
    assert not glance().suspects(given, np.zeros(net.size))


def test_what_was_harmless_is_excused_and_worse_is_not():
    given, looking = problem(network([3, 4, 2], "tanh", "softmax", "cross_entropy")), glance()
    right = gradient(given)
    off = right * (1.0 + 1e-8)
    assert looking.suspects(given, off)
    while looking.suspects(given, off):
        looking.excuse()
    assert looking.allowed < 1e-7
    assert looking.suspects(given, right * 1.001)
    looking.suspects(given, right * np.nan)
    looking.excuse()
    assert looking.allowed < 1e-7


def test_directions_come_from_the_seed():
    given = problem(network([3, 4, 2], "tanh", "softmax", "cross_entropy"))
    seen = []
    for seed in (0, 0, 1):
        looking = glance(seed)
        looking.suspects(given, 1.1 * gradient(given))
        seen.append(looking.seen)
    assert seen[0] == seen[1] != seen[2]
