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


@pytest.mark.parametrize("seed", range(6))
def test_logits_in_the_thousands_hide_no_error(seed):
    """An output of nearly one hardly feels the rounding of its own logit, however large that is."""
    rng = np.random.default_rng(seed)
    net = fc.Network([fc.Dense(3, 4, "softmax")], cost="cross_entropy")
    X, W = rng.standard_normal((3, 8)).astype(np.float32), rng.standard_normal((4, 3)).astype(np.float32)
    Y = np.argmax(W @ X, axis=0)
    parameters = {"W1": 1000 * W, "b1": np.zeros((4, 1), np.float32)}
    Z = parameters["W1"] @ X
    E = np.exp(Z - Z.max(0))
    D = E / E.sum(0)
    D[Y, np.arange(8)] -= 1
    D /= np.float32(8)
    gradients = {"dW1": D @ X.T, "db1": D.sum(1, keepdims=True)}
    assert fc.check(net, parameters, gradients, X, Y).verdict != "fail"
    gradients["db1"][2] += np.float32(1e-4)
    assert fc.check(net, parameters, gradients, X, Y).verdict == "fail"


@pytest.mark.parametrize("hidden", [None, "tanh", "relu"])
@pytest.mark.parametrize(("output", "cost"), [
    ("sigmoid", "squared_error"), ("tanh", "mean_squared_error"), ("softmax", "mean_squared_error"),
    ("softmax", "cross_entropy"),
])  # fmt: skip
def test_saturated_outputs_that_meet_their_targets_are_no_fault_of_the_engine(hidden, output, cost):
    """Losses of 1e-100 and derivatives as small, beside steps a million times longer than what is left."""
    for seed in range(12):
        rng = np.random.default_rng(seed)
        layers = [fc.Dense(3, 4, hidden)] if hidden else []
        layers.append(fc.Dense(4 if hidden else 3, 3, output))
        net = fc.Network(layers, cost=cost)
        parameters, X = net.initialize(seed), rng.standard_normal((3, 7))
        last = f"W{len(layers)}"
        parameters[last] = 10.0 ** rng.uniform(1.0, 3.5) * parameters[last]
        A = net.forward(parameters, X).A[-1]
        Y = (A.max(0) == A) * 1.0 if output == "softmax" else np.sign(A) if output == "tanh" else np.round(A)
        gradients = net.gradients(parameters, X, Y)
        assert fc.check(net, parameters, gradients, X, Y).verdict != "fail", seed
        gradients[f"db{len(layers)}"][1] += 1e-4
        assert fc.check(net, parameters, gradients, X, Y).verdict == "fail", seed


@pytest.mark.parametrize("bias", [-50.0, -100.0, -300.0])
def test_slopes_far_below_the_loss_own_curvature_keep_their_digits(bias):
    net = fc.Network([fc.Dense(1, 1, "sigmoid")], cost="squared_error")
    parameters, X, Y = {"W1": np.array([[0.3]]), "b1": np.array([[bias]])}, np.ones((1, 1)), np.zeros((1, 1))
    gradients = net.gradients(parameters, X, Y)
    report = fc.check(net, parameters, gradients, X, Y)
    assert report.ok
    assert report.difference < 1e-12


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
