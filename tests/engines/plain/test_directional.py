"""Exact differences along directions, against the response engine's single entries and against subtraction."""

import numpy as np
import pytest

from fastcheck.engines.plain.directional import differences_along
from fastcheck.engines.response import engine
from fastcheck.rules import activation_changes, loss_changes
from fastcheck.rules.activations import ACTIVATIONS
from tests.support.problems import HIDDEN, OUTPUTS, RUN, gradient, network, problem

SOFTMAX = ACTIVATIONS["softmax"]


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize(("cost", "output"), OUTPUTS[::3])
def test_along_the_axes(hidden, cost, output):
    given = problem(network([3, 4, 3, 2], hidden, output, cost, 0.4), 3, seed=2)
    found = engine.differences(given, None, 1e-5, RUN)
    along = differences_along(given)
    plus, minus = np.transpose([along(axis, 1e-5) for axis in np.eye(given.theta.size)])
    scale = 1e-11 * np.max(np.abs(found.gradapprox)) * 2e-5
    assert np.all(np.abs((plus - minus) - 2e-5 * found.gradapprox) <= scale)
    assert np.all(np.abs(found.cost + plus - found.J_plus) <= 1e-13 * max(1.0, abs(found.cost)))


@pytest.mark.parametrize("hidden", ["tanh", "gelu", "identity"])
def test_along_random_directions(hidden):
    given = problem(network([5, 6, 4], hidden, "softmax", "cross_entropy", 0.2), 7)
    along, rng = differences_along(given), np.random.default_rng(0)
    for _ in range(5):
        direction = rng.standard_normal(given.theta.size)
        plus, minus = along(direction, 1e-9)
        assert (plus - minus) / 2e-9 == pytest.approx(gradient(given) @ direction, rel=1e-9)
        plus, minus = along(direction, 0.5)
        net, before = given.network, given.network.cost_of(given.parameters, given.X, given.Y)
        for value, sign in ((plus, 1.0), (minus, -1.0)):
            moved = net.to_parameters(given.theta + sign * 0.5 * direction)
            assert value == pytest.approx(net.cost_of(moved, given.X, given.Y) - before, rel=1e-9)


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize(("cost", "output"), OUTPUTS)
def test_kernels_say_the_same_where_there_are_no_array_rules(hidden, cost, output, monkeypatch):
    given = problem(network([3, 4, 2], hidden, output, cost), 3, seed=1)
    direction = np.random.default_rng(1).standard_normal(given.theta.size)
    along = differences_along(given)
    by_rules = along(direction, 1e-3)
    monkeypatch.setattr(activation_changes, "ACTIVATION_CHANGES", {"softmax": activation_changes.change_of(SOFTMAX)})
    monkeypatch.setattr(loss_changes, "LOSS_CHANGES", {})
    assert differences_along(given)(direction, 1e-3) == pytest.approx(by_rules, rel=1e-12)
