"""The noise that the response engine states is what rounding makes."""

import numpy as np
import pytest

from fastcheck.engines.response import engine
from tests.support.mpmath_network import central_differences
from tests.support.problems import RUN, data, network, problem

pytestmark = pytest.mark.usefixtures("each_form")


def homogeneous(kinks):
    """A network of straight pieces, its parameters, X and Y; where wanted every unit of it stands on its kink."""
    net = network([3, 4, 3, 2], "relu", "identity", "squared_error")
    parameters, (X, Y) = net.initialize(8), data(net, 1 if kinks else 3, seed=8)
    if kinks:
        X, parameters = 0.0 * X, parameters | {f"b{k}": 0.0 * parameters[f"b{k}"] for k in (1, 2, 3)}
    return net, parameters, X, Y


@pytest.mark.parametrize("kinks", [False, True])
def test_noise_grows_with_the_gradient(kinks):
    """Outputs and targets doubled: the cost is four times itself, and so is every hidden layer's gradient."""
    net, parameters, X, Y = homogeneous(kinks)
    before = engine.differences(problem(net, parameters=parameters, X=X, Y=Y), None, 1e-7, RUN)
    doubled = parameters | {"W3": 2.0 * parameters["W3"], "b3": 2.0 * parameters["b3"]}
    after = engine.differences(problem(net, parameters=doubled, X=X, Y=2.0 * Y), None, 1e-7, RUN)
    np.testing.assert_allclose(after.noise, before.noise * [4, 4, 4, 4, 2, 2], rtol=1e-12)
    assert before.noise[1] > 0.0


def test_noise_grows_with_the_inputs():
    """X doubled and W1 halved: nothing changes but the gradient of W1, which doubles."""
    net, parameters, X, Y = homogeneous(kinks=False)
    before = engine.differences(problem(net, parameters=parameters, X=X, Y=Y), None, 1e-7, RUN)
    halved = parameters | {"W1": 0.5 * parameters["W1"]}
    after = engine.differences(problem(net, parameters=halved, X=2.0 * X, Y=Y), None, 1e-7, RUN)
    np.testing.assert_allclose(after.noise, before.noise * [2, 1, 1, 1, 1, 1], rtol=1e-12)


@pytest.mark.parametrize("hidden", ["relu", "tanh"])
def test_the_same_samples_again_change_no_noise(hidden):
    net = network([3, 4, 2], hidden, "softmax", "cross_entropy")
    X, Y = data(net, 4)
    once, twice = (
        engine.differences(problem(net, X=np.tile(X, n), Y=np.tile(Y, n)), None, 1e-7, RUN) for n in (1, 2)
    )
    np.testing.assert_allclose(twice.noise, once.noise, rtol=1e-9)


def test_the_order_of_units_changes_no_noise():
    """One of them sees a far larger pre-activation than the others, whose rounding counts."""
    net = network([1, 3, 2], "tanh", "identity", "squared_error")
    parameters, (X, Y) = net.initialize(0), data(net, 2)
    parameters["b1"][0] = 3.0
    noises = []
    for units in ([0, 1, 2], [2, 1, 0]):
        parameters |= {"W1": parameters["W1"][units], "b1": parameters["b1"][units], "W2": parameters["W2"][:, units]}
        noises.append(engine.differences(problem(net, parameters=parameters, X=X, Y=Y), None, 1e-7, RUN).noise)
    np.testing.assert_allclose(noises[1], noises[0], rtol=1e-12)
    assert np.min(noises[0]) > 0.0


@pytest.mark.parametrize("height", [1.0, 10.0, 40.0])
def test_noise_is_what_rounding_of_the_pre_activations_makes(height):
    """Where a unit is saturated a pre-activation's rounding, some ulps of it, is its slope's relative error."""
    net = network([9, 1], "", "sigmoid", "binary_cross_entropy")
    errors = []
    for seed in range(12):
        X, parameters = np.random.default_rng(seed).normal(size=(9, 1)), net.initialize(seed)
        parameters["W1"] *= -height / (parameters["W1"] @ X).item()
        given = problem(net, parameters=parameters, X=X, Y=np.zeros((1, 1)))
        found = engine.differences(given, None, 1e-7, RUN)
        errors.append(np.max(np.abs(found.gradapprox - central_differences(given, 1e-7)[2])[:9] / found.noise[0]))
    assert 0.1 < np.max(errors) < 4.0
