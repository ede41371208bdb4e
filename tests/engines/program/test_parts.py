"""One vector of all parameters, and loops over samples: as few columns as separate arrays and one batch would take."""

import numpy as np
import pytest

import fastcheck as fc

SHAPES = [(12, 9), (9,), (9, 4), (4,)]
ENDS = np.cumsum([0, *(int(np.prod(shape)) for shape in SHAPES)])
RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((30, 12)), RNG.standard_normal((30, 4))
THETA = RNG.standard_normal(ENDS[-1]) / 3.0
WEIGHTS = np.concatenate([np.full(108, 1.0), np.zeros(9), np.full(36, 1.0), np.zeros(4)])


def parts(theta):
    return [theta[a:b].reshape(shape) for a, b, shape in zip(ENDS, ENDS[1:], SHAPES, strict=False)]


def cost(theta):
    W, b, V, c = parts(theta)
    return np.mean((np.maximum(X @ W + b, 0.0) @ V + c - Y) ** 2)


def gradient(theta):
    W, b, V, c = parts(theta)
    z = X @ W + b
    d = 2.0 * (np.maximum(z, 0.0) @ V + c - Y) / Y.size
    dz = (d @ V.T) * (z > 0.0)
    return np.concatenate([one.ravel() for one in (X.T @ dz, dz.sum(0), np.maximum(z, 0.0).T @ d, d.sum(0))])


def shared(theta):
    """The first layer's weights also scale what the second multiplies."""
    return cost(theta) + np.mean((X @ parts(theta)[0] * np.sum(theta[:108] ** 3)) @ parts(theta)[2])


def gradient_of_shared(theta):
    W, _, V, _ = parts(theta)
    s, d = np.sum(theta[:108] ** 3), np.full((30, 4), 1.0 / 120.0)
    own = np.zeros_like(theta)
    own[:108] = (s * X.T @ (d @ V.T)).ravel() + 3.0 * theta[:108] ** 2 * np.sum(d * (X @ W @ V))
    own[117:153] = ((s * X @ W).T @ d).ravel()
    return gradient(theta) + own


COSTS = {
    "bare": (cost, gradient),
    "decay of all": (lambda t: cost(t) + 0.1 * np.sum(t * t), lambda t: gradient(t) + 0.2 * t),
    "a sum of all, scaled": (lambda t: cost(t) + 0.1 * (2.0 * t).sum(), lambda t: gradient(t) + 0.2),
    "decay by a product of all": (lambda t: cost(t) + 0.1 * np.vdot(t, t), lambda t: gradient(t) + 0.2 * t),
    "decay by a product": (lambda t: cost(t) + 0.1 * (t @ t), lambda t: gradient(t) + 0.2 * t),
    "decay of weights": (
        lambda t: cost(t) + 0.1 * np.sum(WEIGHTS * t * t), lambda t: gradient(t) + 0.2 * WEIGHTS * t
    ),
    "decay by a norm": (
        lambda t: cost(t) + 0.1 * np.linalg.norm(t) ** 2 + np.linalg.norm(t[:108].reshape(12, 9)),
        lambda t: gradient(t) + 0.2 * t + np.where(np.arange(157) < 108, t / np.linalg.norm(t[:108]), 0.0),
    ),
    "absolute values": (lambda t: cost(t) + 0.1 * np.sum(np.abs(t)), lambda t: gradient(t) + 0.1 * np.sign(t)),
}


@pytest.mark.parametrize("name", COSTS)
def test_the_parts_of_a_vector_are_served_by_their_products(name):
    function, right = COSTS[name]
    report = fc.check_function(function, THETA, right(THETA))
    assert report.verdict == "pass"
    assert report.difference < 1e-14
    assert report.facts["ways"] == {"theta": "units"}
    assert report.facts["columns"] < THETA.size


@pytest.mark.parametrize("name", COSTS)
@pytest.mark.parametrize("entry", [5, 110, 130, 155])
def test_one_wrong_entry_of_any_part_fails(name, entry):
    function, right = COSTS[name]
    wrong = right(THETA)
    wrong[entry] *= 1.001
    report = fc.check_function(function, THETA, wrong)
    assert report.verdict == "fail"
    assert (report.failures[0].wrong, report.failures[0].worst) == (1, (entry,))


def test_what_weights_do_beside_their_products_is_not_lost():
    report = fc.check_function(shared, THETA, gradient_of_shared(THETA))
    assert (report.verdict, report.engine) == ("pass", "program")
    assert report.difference < 1e-14


def one_by_one(theta):
    """The same network as students write it: sample by sample, with a branch for each hidden unit."""
    W, b, V, c = parts(theta)
    loss = 0.0
    for x, y in zip(X, Y, strict=True):
        h = W.T.dot(x) + b
        for j in range(9):
            if h[j] < 0.0:
                h[j] = 0.0
        loss += np.sum((h @ V + c - y) ** 2)
    return loss / Y.size


def test_a_loop_over_samples_takes_about_the_columns_of_one_batch():
    report = fc.check_function(one_by_one, THETA, gradient(THETA))
    assert (report.verdict, report.engine) == ("pass", "program")
    assert report.difference < 1e-14
    assert report.facts["columns"] <= 1.5 * fc.check_function(cost, THETA, gradient(THETA)).facts["columns"]
    for entry in (5, 110, 130, 155):
        wrong = gradient(THETA)
        wrong[entry] *= 1.001
        assert fc.check_function(one_by_one, THETA, wrong).failures[0].worst == (entry,)


def test_layers_of_one_width_are_told_apart_in_a_loop():
    """Their places have one shape, and those of one sample meet; those of one layer do not."""
    layers = RNG.standard_normal((4, 12, 12)) / 4.0

    def states(p, samples):
        for W in p:
            samples = np.tanh(samples @ W)
        return samples

    def loss(p):
        total = 0.0
        for x in X:
            total += np.sum(states(p, x) ** 3)
        return total

    h = [X]
    for W in layers:
        h.append(np.tanh(h[-1] @ W))
    found, d = [], 3.0 * h[-1] ** 2
    for W, before, after in zip(layers[::-1], h[-2::-1], h[:0:-1], strict=True):
        dz = d * (1.0 - after * after)
        found.append(before.T @ dz)
        d = dz @ W.T
    report = fc.check_function(loss, list(layers), found[::-1])
    assert (report.verdict, report.engine) == ("pass", "program")
    assert report.facts["columns"] < layers.size / 3


def test_steps_that_lead_to_one_another_are_not_moved_as_one():
    """A loop over time has as many places of one shape as one over samples, but they meet."""
    def states(p):
        h, total = np.zeros(6), 0.0
        for x in X[:, :6]:
            h = np.tanh(x @ p["W"] + h @ p["U"])
            total += np.sum(h**3)
        return total

    p = {"W": RNG.standard_normal((6, 6)) / 3.0, "U": RNG.standard_normal((6, 6)) / 3.0}
    W, U, h = p["W"], p["U"], [np.zeros(6)]
    for x in X[:, :6]:
        h.append(np.tanh(x @ W + h[-1] @ U))
    dW, dU, d = np.zeros((6, 6)), np.zeros((6, 6)), np.zeros(6)
    for t in reversed(range(30)):
        dz = (d + 3.0 * h[t + 1] ** 2) * (1.0 - h[t + 1] ** 2)
        dW, dU, d = dW + np.outer(X[t, :6], dz), dU + np.outer(h[t], dz), U @ dz
    report = fc.check_function(states, p, {"W": dW, "U": dU})
    assert (report.verdict, report.engine) == ("pass", "program")
    assert report.difference < 1e-14


@pytest.mark.parametrize("factor", [1.0, 1.01])
def test_steps_are_rows_of_what_enters_all_of_them(factor):
    """The inputs of a recurrence are multiplied at once, and their product is added to the steps row by row."""
    def states(p):
        h, total, entering = np.zeros((2, 12)), 0.0, inputs @ p["W"]
        for t in range(5):
            h = np.tanh(entering[t] + h @ p["U"])
            total += np.sum(h**3)
        return total

    inputs = RNG.standard_normal((5, 2, 12))
    p = {"W": RNG.standard_normal((12, 12)) / 3.0, "U": RNG.standard_normal((12, 12)) / 3.0}
    h = [np.zeros((2, 12))]
    for t in range(5):
        h.append(np.tanh(inputs[t] @ p["W"] + h[-1] @ p["U"]))
    dW, dU, d = np.zeros((12, 12)), np.zeros((12, 12)), np.zeros((2, 12))
    for t in reversed(range(5)):
        dz = (d + 3.0 * h[t + 1] ** 2) * (1.0 - h[t + 1] ** 2)
        dW, dU, d = dW + inputs[t].T @ dz, dU + h[t].T @ dz, dz @ p["U"].T
    report = fc.check_function(states, p, {"W": dW, "U": factor * dU})
    assert [tensor.name for tensor in report.failures] == (["U"] if factor != 1.0 else [])
    assert (report.ok, report.engine) == (factor == 1.0, "program")
