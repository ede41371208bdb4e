"""The reference engine is the textbook's loop, to the last bit."""

import subprocess
import sys

import numpy as np
import pytest

from fastcheck.engines.reference import differences, textbook_cost
from fastcheck.runtime.run import Run
from tests.support.problems import OUTPUTS, RUN, network, problem

EPSILON = 1e-7


def relu(x):
    return np.maximum(0, x)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def course_cost(parameters, X, Y):
    """J of a ReLU, ReLU, sigmoid network as the course writes it."""
    A1 = relu(np.dot(parameters["W1"], X) + parameters["b1"])
    A2 = relu(np.dot(parameters["W2"], A1) + parameters["b2"])
    A3 = sigmoid(np.dot(parameters["W3"], A2) + parameters["b3"])
    logprobs = np.multiply(-np.log(A3), Y) + np.multiply(-np.log(1 - A3), 1 - Y)
    return 1.0 / X.shape[1] * np.sum(logprobs)


@pytest.fixture
def exercise():
    return problem(network((4, 5, 3, 1), "relu", "sigmoid", "binary_cross_entropy"), m=3)


def test_every_cost_is_the_courses(exercise):
    found = differences(exercise, None, EPSILON, RUN)
    assert found.J_plus.shape == found.J_minus.shape == found.gradapprox.shape == (47,)
    for k in range(47):
        costs = []
        for sign in (1, -1):
            theta = np.copy(exercise.theta)
            theta[k] = theta[k] + sign * EPSILON
            costs.append(course_cost(exercise.network.to_parameters(theta), exercise.X, exercise.Y))
        assert [found.J_plus[k], found.J_minus[k]] == costs
        assert found.gradapprox[k] == (costs[0] - costs[1]) / (2.0 * EPSILON)
    assert found.cost == course_cost(exercise.parameters, exercise.X, exercise.Y)


@pytest.mark.parametrize(("cost", "output"), OUTPUTS)
def test_textbook_cost_is_the_networks_but_for_rounding(cost, output):
    given = problem(network((3, 4, 3), "tanh", output, cost, l2=0.9))
    stable = given.network.cost_of(given.parameters, given.X, given.Y)
    assert textbook_cost(given, given.theta) == pytest.approx(stable, rel=1e-13)


def test_chosen_positions_only(exercise):
    every = differences(exercise, None, EPSILON, RUN)
    indices = np.array([0, 7, 20, 46])
    some = differences(exercise, indices, EPSILON, RUN)
    np.testing.assert_array_equal(some.J_plus, every.J_plus[indices])
    np.testing.assert_array_equal(some.J_minus, every.J_minus[indices])
    np.testing.assert_array_equal(some.gradapprox, every.gradapprox[indices])
    assert some.cost == every.cost
    assert np.size(some.noise) in (1, 4)


def test_noise_is_of_the_size_of_the_error(exercise):
    found = differences(exercise, None, EPSILON, RUN)
    exact = exercise.network.to_vector({
        name[1:]: array
        for name, array in exercise.network.gradients(exercise.parameters, exercise.X, exercise.Y).items()
    })
    error = float(np.sqrt(np.mean((found.gradapprox - exact) ** 2)))
    assert error / 10 < float(np.mean(found.noise)) < 100 * error


def test_progress_counts_the_parameters_and_can_end_the_run(exercise):
    seen = []
    differences(exercise, None, EPSILON, Run(1, 1 << 20, lambda done, total: seen.append((done, total))))
    assert seen[-1] == (47, 47)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)

    class Enough(Exception):
        pass

    def stop(done, total):
        raise Enough

    before = exercise.theta.copy()
    with pytest.raises(Enough):
        differences(exercise, None, EPSILON, Run(1, 1 << 20, stop))
    np.testing.assert_array_equal(exercise.theta, before)


def test_what_is_not_finite_stays_so():
    given = problem(network((2, 1), "relu", "sigmoid", "binary_cross_entropy"), parameters={
        "W1": np.array([[np.nan, 1.0]]), "b1": np.array([[0.0]]),
    })
    found = differences(given, None, EPSILON, RUN)
    assert np.isnan(found.cost)
    assert np.isnan(found.gradapprox).all()


def test_needs_no_compiler():
    code = (
        "import sys, numpy as np, fastcheck as fc; net = fc.Network([fc.Dense(2, 1)], 'squared_error'); "
        "p = net.initialize(0); X, Y = np.eye(2), np.ones(2); "
        "fc.check(net, p, net.gradients(p, X, Y), X, Y, engine='reference'); print('numba' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ended.stdout == "False\n", ended.stderr
