"""The textbook's own a - y where a fits y: its rounding is that of one, not of the difference."""

import numpy as np
import pytest

import fastcheck as fc


def fitted(loss, dtype):
    """A softmax regression with this loss, and the textbook's gradients."""
    rng = np.random.default_rng(0)
    net = fc.Network([fc.Dense(4, 3, "softmax")], cost="cross_entropy")
    X, W = rng.standard_normal((4, 6)), rng.standard_normal((3, 4))
    Y = np.argmax(W @ X, axis=0)
    low, high = 1e-2, 1e8
    for _ in range(200):
        scale = np.sqrt(low * high)
        if net.cost_of({"W1": scale * W, "b1": np.zeros((3, 1))}, X, Y) > loss:
            low = scale
        else:
            high = scale
    parameters, X = {"W1": (scale * W).astype(dtype), "b1": np.zeros((3, 1), dtype)}, X.astype(dtype)
    Z = parameters["W1"] @ X + parameters["b1"]
    E = np.exp(Z - Z.max(0))
    D = E / E.sum(0)
    D[Y, np.arange(6)] -= 1
    D /= dtype(6)
    return net, parameters, {"dW1": D @ X.T, "db1": D.sum(1, keepdims=True)}, X, Y


@pytest.mark.parametrize(("loss", "dtype"), [
    (1e-3, np.float64), (3.6e-5, np.float64), (1e-8, np.float64), (1e-12, np.float64), (1e-3, np.float32),
    (3.6e-5, np.float32),
])  # fmt: skip
def test_the_textbooks_difference_passes_and_twice_it_fails(loss, dtype):
    net, parameters, gradients, X, Y = fitted(loss, dtype)
    assert fc.check(net, parameters, gradients, X, Y).ok
    wrong = {name: 2 * value for name, value in gradients.items()}
    assert fc.check(net, parameters, wrong, X, Y).verdict == "fail"


def test_where_nothing_but_rounding_is_left_nothing_is_proved():
    net, parameters, gradients, X, Y = fitted(1e-15, np.float64)
    for factor in (1.0, 2.0, -1.0):
        scaled = {name: factor * value for name, value in gradients.items()}
        assert fc.check(net, parameters, scaled, X, Y).verdict != "pass"


@pytest.mark.parametrize("bias", [-88.0, -95.0, -105.0])
def test_gradients_below_the_range_of_single_precision_pass(bias):
    """A sigmoid layer that is off: its gradients are zero in single precision, and 1e-42 in truth."""
    rng = np.random.default_rng(0)
    net = fc.Network([fc.Dense(4, 3, "sigmoid"), fc.Dense(3, 2, "softmax")], cost="cross_entropy")
    p = {name: value.astype(np.float32) for name, value in net.initialize(0).items()}
    p["b1"][:] = bias
    X, Y = rng.standard_normal((4, 6)).astype(np.float32), rng.integers(0, 2, 6)
    with np.errstate(over="ignore"):
        A1 = 1 / (1 + np.exp(-(p["W1"] @ X + p["b1"])))
    E = np.exp(p["W2"] @ A1 + p["b2"])
    D2 = E / E.sum(0)
    D2[Y, np.arange(6)] -= 1
    D2 /= np.float32(6)
    D1 = p["W2"].T @ D2 * A1 * (1 - A1)
    gradients = {"dW2": D2 @ A1.T, "db2": D2.sum(1, keepdims=True), "dW1": D1 @ X.T, "db1": D1.sum(1, keepdims=True)}
    assert fc.check(net, p, gradients, X, Y).ok
    gradients["db2"] = gradients["db2"] * np.float32(1.01)
    assert fc.check(net, p, gradients, X, Y).verdict == "fail"
