"""Right gradients of costs with saturated outputs: 1 - a keeps few digits, or none, and the cost may be nothing."""

import numpy as np
import pytest

import fastcheck as fc

X = np.array([[1.0, -0.5, 0.25, 0.7], [0.3, 1.1, -0.8, 0.2]])


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def cost(p, Y):
    """The textbook's, through one hidden layer."""
    a = sigmoid(p["W2"] @ np.tanh(p["W1"] @ X) + p["b2"])
    return np.sum(-np.log(a) * Y - np.log(1.0 - a) * (1.0 - Y)) / X.shape[1]


def point(outputs):
    """Parameters and what they make: a bias that saturates the outputs by as much as that."""
    rng = np.random.default_rng(0)
    return {"W1": rng.normal(size=(3, 2)), "W2": rng.normal(size=(1, 3)), "b2": np.array([[outputs]])}


def gradient(p, Y):
    h = np.tanh(p["W1"] @ X)
    d = (sigmoid(p["W2"] @ h + p["b2"]) - Y) / X.shape[1]
    return {"W1": (p["W2"].T @ d * (1.0 - h * h)) @ X.T, "W2": d @ h.T, "b2": d.sum(axis=1, keepdims=True)}


@pytest.mark.parametrize("outputs", [12.0, 15.0, 17.0, 18.5, 20.0, 22.0, 25.0])
@pytest.mark.parametrize("Y", [[1, 1, 1, 1], [0, 0, 0, 0], [1, 0, 1, 1]])
def test_right_gradients_do_not_fail_and_are_differenced_exactly(outputs, Y):
    p, Y = point(outputs), np.array([Y], dtype=float)
    report = fc.check_function(cost, p, gradient(p, Y), (Y,))
    assert report.engine == "program"
    assert report.verdict == ("pass" if outputs < 22.0 else report.verdict)
    assert report.verdict != "fail"


@pytest.mark.parametrize("outputs", [12.0, 15.0, 17.0, 18.5, 20.0, 22.0])
@pytest.mark.parametrize("name", ["W1", "W2", "b2"])
@pytest.mark.parametrize("Y", [[1, 1, 1, 1], [0, 0, 0, 0], [1, 0, 1, 1]])
def test_wrong_gradients_fail(outputs, Y, name):
    p, Y = point(outputs), np.array([Y], dtype=float)
    wrong = gradient(p, Y)
    wrong[name] = 1.01 * wrong[name]
    assert fc.check_function(cost, p, wrong, (Y,)).verdict == "fail"
