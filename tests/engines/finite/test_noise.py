"""ECnoise finds the noise that is there, and the noise of a network's cost explains its differences."""

import numpy as np
import pytest

from fastcheck.engines.base import engine
from fastcheck.engines.finite.noise import ecnoise, line_noise, network_noise
from fastcheck.problems.networks.layers.dense import Dense
from fastcheck.problems.networks.network import Network
from fastcheck.problems.networks.problem import Problem
from fastcheck.runtime.run import Run
from tests.support.course_exercise import exercise


@pytest.mark.parametrize("level", [1e-3, 1e-8, 1e-14])
def test_noise_on_a_smooth_function_is_found(level):
    generator = np.random.default_rng(1)
    ratios = []
    for _ in range(200):
        t = np.arange(8) * 1e-5
        found = ecnoise((np.cos(1.0 + t) + level * generator.standard_normal(8)).tolist())
        if found.finding == "noise":
            ratios.append(found.level / level)
    assert len(ratios) > 150
    assert 0.7 < np.median(ratios) < 1.4
    assert np.quantile(ratios, 0.02) > 0.2
    assert np.quantile(ratios, 0.98) < 4.0


def test_equal_values_ask_for_a_longer_step():
    assert ecnoise([3.0] * 8).finding == "too close"


def test_values_far_apart_ask_for_a_shorter_step():
    assert ecnoise((np.arange(1.0, 9.0) ** 3).tolist()).finding == "too far"


def test_smoothness_is_not_noise():
    assert ecnoise(np.exp(0.05 + 0.01 * np.arange(8)).tolist()).finding == "too far"


def test_values_that_are_not_finite_are_no_noise():
    assert ecnoise([1.0, 1.0, np.nan, 1.0, 1.0, 1.0]).level == 0.0


def test_too_few_values_are_refused():
    with pytest.raises(ValueError, match="at least four"):
        ecnoise([1.0] * 3)


@pytest.mark.parametrize("step", [1e-12, 1e-7, 1e-1])
def test_a_bad_first_step_is_mended(step):
    def rounded(t):
        return np.float32(np.sin(1.0 + t)).astype(np.float64)

    assert 0.1 < line_noise(rounded, step, float(rounded(0.0))) / 1.7e-8 < 10.0


def test_a_constant_has_the_rounding_unit():
    assert line_noise(lambda t: np.full(t.size, 2.0), 1e-7, 2.0) == pytest.approx(2.0 * 2.0**-53)


def test_a_cost_that_is_not_finite_has_none():
    assert line_noise(lambda t: np.full(t.size, np.inf), 1e-7, np.inf) == 0.0


def errors_in_noise(net, parameters, X, Y, epsilon):
    problem = Problem(net, net.to_vector(parameters), net.inputs(X), net.targets(Y, X.shape[1]))
    gradient = net.to_vector({name[1:]: value for name, value in net.gradients(parameters, X, Y).items()})
    found = engine("reference")(problem, None, epsilon, Run(1, 1))
    noise = net.layout.spread(found.noise, np.arange(net.size))
    return np.abs(found.gradapprox - gradient) / noise, noise * epsilon * np.sqrt(2.0) / abs(found.cost)


@pytest.mark.parametrize("epsilon", [1e-6, 1e-7, 1e-9])
def test_the_course_exercise_is_explained(epsilon):
    X, Y, parameters = exercise()
    errors, relative = errors_in_noise(
        Network.from_parameters(parameters, hidden="relu", output="sigmoid"), parameters, X, Y, epsilon
    )
    assert 0.5 < errors.max() < 5.0
    assert relative.max() > 30.0 * 2.0**-53  # u|J| is far too low there


@pytest.mark.slow
def test_random_networks_are_explained():
    generator = np.random.default_rng(5)
    worst, typical = [], []
    for trial in range(40):
        widths = [int(w) for w in generator.integers(1, 9, 4)]
        net = Network(
            [Dense(widths[0], widths[1], "tanh"), Dense(widths[1], widths[2], "relu"),
             Dense(widths[2], widths[3], "sigmoid")], cost="binary_cross_entropy")
        X = generator.standard_normal((widths[0], 6)) * 10.0 ** generator.uniform(-1, 1)
        Y = generator.integers(0, 2, (widths[3], 6))
        errors, _ = errors_in_noise(net, net.initialize(trial), X, Y, 1e-7)
        worst.append(errors.max())
        typical.append(np.sqrt(np.mean(errors**2)))
    assert max(worst) < 6.0
    assert 0.3 < np.median(typical) < 1.2


def test_theta_stays_as_it_is():
    parameters = exercise()[2]
    net = Network.from_parameters(parameters, hidden="relu", output="sigmoid")
    theta = net.to_vector(parameters)
    before = theta.copy()
    network_noise(lambda t: float(np.sum(t**2)), theta, net.tensors, 1e-7)
    np.testing.assert_array_equal(theta, before)
