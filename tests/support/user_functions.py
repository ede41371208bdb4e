"""Costs that the tests of ``check_function`` share, at module level so that processes can be sent them."""

import numpy as np

SIZE = 40


def cubes(theta, weights=1.0):
    """sum(weights theta^3)."""
    return np.sum(weights * theta**3)


def cubes_gradient(theta, weights=1.0):
    return 3.0 * weights * theta**2


def point(seed=0, size=SIZE):
    return np.random.default_rng(seed).standard_normal(size)


def layer(parameters, x):
    """A layer with nested parameters: squared norm of tanh(W x + b)."""
    return np.sum(np.tanh(parameters["layer"]["W"] @ x + parameters["layer"]["b"]) ** 2) + np.exp(parameters["scale"])


def layer_problem(seed=0):
    generator = np.random.default_rng(seed)
    parameters = {
        "layer": {"W": generator.standard_normal((3, 4)), "b": generator.standard_normal(3)}, "scale": 0.3,
    }
    x = generator.standard_normal(4)
    a = np.tanh(parameters["layer"]["W"] @ x + parameters["layer"]["b"])
    delta = 2.0 * a * (1.0 - a**2)
    return parameters, {"layer": {"dW": np.outer(delta, x), "db": delta}, "scale": np.exp(0.3)}, x


def fails_at_seven(theta):
    """Raises where entry 7 alone is moved."""
    if theta[7] != point()[7] and theta[8] == point()[8]:
        raise OSError("the disk is full")
    return cubes(theta)


def fails_everywhere(theta):
    raise OSError("the disk is full")
