"""Exact differences far out: saturated units and large steps give numbers, and the right ones."""

import numpy as np
import pytest

from fastcheck.checks.network import network_problem
from fastcheck.engines.base import engine
from fastcheck.rules.activations import ACTIVATIONS
from fastcheck.rules.kernels.softmax import softmax, softmax_difference
from tests.support.problems import RUN, network

FAR = [0.0, 1.0, 5.5, 30.0, 38.6, 39.5, 100.0, 700.0, 750.0, 1e3, 1e6, 1e12, 1e30]
STEPS = [1e-20, 1e-7, 0.3, 3.9, 5.0, 39.0, 100.0, 745.0, 1500.0, 1e6, 1e9, 1e30]


@pytest.mark.parametrize("name", [name for name, entry in ACTIVATIONS.items() if entry.elementwise])
@pytest.mark.parametrize("side", [1.0, -1.0])
def test_a_difference_is_finite_and_right_wherever_a_unit_is(name, side):
    entry = ACTIVATIONS[name]
    for far in FAR:
        for d in (*STEPS, *(-step for step in STEPS)):
            z = side * far
            found = entry.difference(z, d)
            with np.errstate(all="ignore"):
                before, after = (float(entry.value(np.array([at]))[0]) for at in (z, z + d))
            # z + d rounds, and the function with it; the difference itself must be as near as that.
            room = 1e-14 * (abs(before) + abs(after)) + 1e-15 * (abs(z) + abs(d))
            assert np.isfinite(found), (z, d)
            assert abs(found - (after - before)) <= room, (z, d)
            assert abs(found) <= 2.0 * abs(d), (z, d)


@pytest.mark.parametrize("step", [1e-9, 1e-3, 1.0, 500.0, 700.0, 1e4, 1e8])
def test_a_softmax_moved_far_is_finite_and_right(step):
    z = np.array([0.3, -1.0, 0.5, -600.0])
    d = step * np.array([1.0, -0.7, 0.2, 0.5])
    out = np.empty(4)
    softmax_difference(softmax(z[:, None])[:, 0], d, out)
    assert np.allclose(out, (softmax((z + d)[:, None]) - softmax(z[:, None]))[:, 0], rtol=1e-6, atol=1e-14)
    assert abs(out.sum()) < 1e-14


@pytest.mark.parametrize("size", [1.0, 1e6, 1e9, 1e11, 1e14])
@pytest.mark.parametrize(
    ("cost", "output"),
    [("cross_entropy", "softmax"), ("binary_cross_entropy", "sigmoid"), ("squared_error", "softmax"),
     ("squared_error", "tanh")],
)  # fmt: skip
def test_costs_of_large_steps_are_the_costs(cost, output, size):
    net = network([1, 3], None, output, cost)
    parameters = {"W1": np.array([[1.0], [0.2], [-1.5]]) / size, "b1": np.array([[0.1], [0.2], [0.3]])}
    X, Y = np.array([[size]]), np.array([[0.0], [1.0], [0.0]])
    given, _ = network_problem(net, parameters, {"dW1": parameters["W1"], "db1": parameters["b1"]}, X, Y)
    found = engine("response")(given, None, 1e-7, RUN)
    assert np.isfinite(found.gradapprox).all()
    for costs, sign in ((found.J_plus, 1.0), (found.J_minus, -1.0)):
        for k in range(3):
            moved = parameters["W1"].copy()
            moved[k] += sign * 1e-7
            literal = net.cost_of({**parameters, "W1": moved}, X, Y)
            assert costs[k] == pytest.approx(literal, rel=1e-9, abs=1e-15 * (1.0 + 1e-7 * size))
