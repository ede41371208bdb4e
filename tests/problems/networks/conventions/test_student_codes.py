"""Back-propagation as people write it, each in conventions of its own: the right one passes, a mistake is found."""

import copy
from typing import NamedTuple

import numpy as np
import pytest

import fastcheck as fc
from fastcheck.problems.parameters.containers import is_container

RNG = np.random.default_rng(7)
X, LABELS = RNG.standard_normal((6, 4)), np.array([0, 1, 2, 1, 0, 2])  # samples in rows
ONE_HOT, BITS = np.eye(3)[LABELS], np.array([0.0, 1.0, 1.0, 0.0, 1.0, 0.0])


def normal(*shape):
    return RNG.standard_normal(shape) * 0.7


def softmax(scores):
    exps = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exps / exps.sum(axis=-1, keepdims=True)


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def two_layer(W1, b1, W2, b2, X, Y, slope, act):
    """Rows, weights (inputs, outputs), softmax: dW1, db1, dW2, db2."""
    h = act(X @ W1 + b1)
    d = (softmax(h @ W2 + b2) - Y) / len(X)
    dh = (d @ W2.T) * slope(h)
    return X.T @ dh, dh.sum(0), h.T @ d, d.sum(0)


def relu(z):
    return np.maximum(0.0, z)


def relu_slope(h):
    return (h > 0) * 1.0


def cs231n():
    """CS231n's TwoLayerNet: samples in rows, (inputs, outputs), flat biases, gradients under the parameters' names."""
    p = {"W1": normal(4, 5), "b1": normal(5), "W2": normal(5, 3), "b2": normal(3)}
    g = two_layer(*p.values(), X, ONE_HOT, relu_slope, relu)
    return ("relu", "softmax", "cross_entropy"), p, dict(zip(p, g, strict=True)), X, LABELS


def deep_learning_ai():
    """Columns, and the dictionary of gradients holds dZ and dA too."""
    p = {"W1": normal(5, 4), "b1": normal(5, 1), "W2": normal(1, 5), "b2": normal(1, 1)}
    A1 = np.tanh(p["W1"] @ X.T + p["b1"])
    dZ2 = sigmoid(p["W2"] @ A1 + p["b2"]) - BITS[None, :]
    dA1 = p["W2"].T @ dZ2
    dZ1 = dA1 * (1 - A1**2)
    g = {"dZ2": dZ2, "dW2": dZ2 @ A1.T / 6, "db2": dZ2.sum(1, keepdims=True) / 6, "dA1": dA1, "dZ1": dZ1,
         "dW1": dZ1 @ X / 6, "db1": dZ1.sum(1, keepdims=True) / 6}
    return ("tanh", "sigmoid", "bce"), p, g, X.T, BITS[None, :]


def nielsen():
    """Nielsen's network.py: (biases, weights), (nabla_b, nabla_w), the quadratic cost summed over a mini batch."""
    biases, weights = [normal(5, 1), normal(3, 1)], [normal(5, 4), normal(3, 5)]
    nabla_b, nabla_w = [np.zeros(b.shape) for b in biases], [np.zeros(w.shape) for w in weights]
    for x, y in zip(X[:, :, None], ONE_HOT[:, :, None], strict=True):
        activations = [x]
        for b, w in zip(biases, weights, strict=True):
            activations.append(sigmoid(w @ activations[-1] + b))
        delta = (activations[-1] - y) * activations[-1] * (1 - activations[-1])
        for k in (-1, -2):
            nabla_b[k] += delta / 6
            nabla_w[k] += delta @ activations[k - 1].T / 6
            delta = (weights[k].T @ delta) * activations[k - 1] * (1 - activations[k - 1])
    return ("sigmoid", "sigmoid", "quadratic"), (biases, weights), (nabla_b, nabla_w), X.T, ONE_HOT.T


def scikit_learn():
    """coefs_ and intercepts_."""
    coefs, intercepts = [normal(4, 5), normal(5, 3)], [normal(5), normal(3)]
    a, b, c, d = two_layer(coefs[0], intercepts[0], coefs[1], intercepts[1], X, ONE_HOT, lambda h: 1 - h**2, np.tanh)
    parameters = {"coefs_": coefs, "intercepts_": intercepts}
    return ("tanh", "softmax", "ce"), parameters, {"coef_grads": [a, c], "intercept_grads": [b, d]}, X, ONE_HOT


def keras():
    """get_weights(): one list, kernel and bias in turn, (inputs, outputs)."""
    p = [normal(4, 5), normal(5), normal(5, 3), normal(3)]
    return ("ReLU", "Softmax", "sparse_categorical_crossentropy"), p, list(
        two_layer(*p, X, ONE_HOT, relu_slope, relu)), X, LABELS


def flax():
    """Nested dictionaries of kernels and biases."""
    p = [normal(4, 5), normal(5), normal(5, 3), normal(3)]
    g = two_layer(*p, X, ONE_HOT, relu_slope, relu)

    def nested(a, b, c, d):
        return {"params": {"Dense_0": {"kernel": a, "bias": b}, "Dense_1": {"kernel": c, "bias": d}}}

    return ("relu", "softmax", "ce"), nested(*p), nested(*g), X, LABELS


def torch_names():
    """PyTorch's names and (outputs, inputs), with samples in rows."""
    p = {"fc1.weight": normal(5, 4), "fc1.bias": normal(5), "fc2.weight": normal(3, 5), "fc2.bias": normal(3)}
    a, b, c, d = two_layer(p["fc1.weight"].T, p["fc1.bias"], p["fc2.weight"].T, p["fc2.bias"], X, ONE_HOT, relu_slope,
                           relu)
    return ("relu", "softmax", "CrossEntropyLoss"), p, dict(zip(p, (a.T, b, c.T, d), strict=True)), X, LABELS


def fastai():
    """What is a module's number is no layer's: 0.weight and 2.weight of a Sequential; gradients as .g beside them."""
    p = {"0.weight": normal(4, 5), "0.bias": normal(5), "2.weight": normal(5, 1), "2.bias": normal(1)}
    h = relu(X @ p["0.weight"] + p["0.bias"])
    d = 2.0 * (h @ p["2.weight"] + p["2.bias"] - BITS[:, None]) / len(X)
    dh = (d @ p["2.weight"].T) * relu_slope(h)
    g = {"0.weight.g": X.T @ dh, "0.bias.g": dh.sum(0), "2.weight.g": h.T @ d, "2.bias.g": d.sum(0)}
    return ("relu", "linear", "mse"), p, g, X, BITS[:, None]


def pairs():
    """A list of (W, b), as the JAX tutorials have it."""
    p = [(normal(4, 5), normal(5)), (normal(5, 3), normal(3))]
    a, b, c, d = two_layer(*p[0], *p[1], X, ONE_HOT, lambda h: 1 - h**2, np.tanh)
    return ("tanh", "softmax", "ce"), p, [(a, b), (c, d)], X, ONE_HOT


class Layer(NamedTuple):
    W: object
    b: object


def named_tuples():
    settings, p, g, *data = pairs()
    return settings, [Layer(*one) for one in p], [Layer(*one) for one in g], *data


def zero_based():
    """w0, b0, w1, b1, and grad_w0 beside them."""
    settings, p, g, *data = pairs()
    parameters = {f"{kind}{layer}": p[layer][place] for layer in range(2) for place, kind in enumerate("wb")}
    gradients = {f"grad_{kind}{layer}": g[layer][place] for layer in range(2) for place, kind in enumerate("wb")}
    return settings, parameters, gradients, *data


def suffixes():
    """W_1, b_1, and W_1_grad."""
    settings, p, g, *data = pairs()
    parameters = {f"{kind}_{layer + 1}": p[layer][place] for layer in range(2) for place, kind in enumerate("Wb")}
    gradients = {f"{kind}_{layer + 1}_grad": g[layer][place] for layer in range(2) for place, kind in enumerate("Wb")}
    return settings, parameters, gradients, *data


def no_biases():
    """Trask's eleven lines: two layers of weights, called syn0 and syn1 there, without biases."""
    w0, w1 = normal(4, 5), normal(5, 1)
    h = sigmoid(X @ w0)
    out = sigmoid(h @ w1)
    d = (out - BITS[:, None]) * out * (1 - out) / len(X)
    dh = (d @ w1.T) * h * (1 - h)
    return ("sigmoid", "sigmoid", "squared_error"), [w0, w1], [X.T @ dh, h.T @ d], X, BITS


def logistic():
    """A single unit: w (inputs, 1), b a number, samples in columns."""
    w, b = normal(4, 1), 0.3
    dz = sigmoid(w.T @ X.T + b) - BITS
    return ("relu", "sigmoid", "logloss"), {"w": w, "b": b}, {"dw": X.T @ dz.T / 6, "db": dz.mean()}, X.T, BITS


def micrograd():
    """Plain lists of numbers, as micrograd and exercises without NumPy have them."""
    p = {"layer1": {"w": normal(5, 4).tolist(), "b": normal(5).tolist()},
         "layer2": {"w": normal(3, 5).tolist(), "b": normal(3).tolist()}}
    arrays = [np.array(p[layer][kind]) for layer in p for kind in "wb"]
    a, b, c, d = two_layer(arrays[0].T, arrays[1], arrays[2].T, arrays[3], X, ONE_HOT, lambda h: 1 - h**2, np.tanh)
    g = {"layer1": {"w": a.T.tolist(), "b": b.tolist()}, "layer2": {"w": c.T.tolist(), "b": d.tolist()}}
    return ("tanh", "softmax", "ce"), p, g, X, LABELS


def kinds_of_lists():
    """{"W": [W1, W2], "b": [b1, b2]}, and dW, db."""
    settings, p, g, *data = pairs()
    return (settings, {"W": [p[0][0], p[1][0]], "b": [p[0][1], p[1][1]]},
            {"dW": [g[0][0], g[1][0]], "db": [g[0][1], g[1][1]]}, *data)


def thetas():
    """Andrew Ng's first course: Theta1 and Theta2 with the biases in their first columns, samples in rows."""
    Theta1, Theta2 = normal(5, 5), normal(3, 6)
    ones = np.ones((6, 1))
    a1 = np.hstack([ones, X])
    a2 = np.hstack([ones, sigmoid(a1 @ Theta1.T)])
    d3 = sigmoid(a2 @ Theta2.T) - ONE_HOT
    d2 = (d3 @ Theta2)[:, 1:] * a2[:, 1:] * (1 - a2[:, 1:])
    return (("sigmoid", "sigmoid", "bce"), {"Theta1": Theta1, "Theta2": Theta2},
            {"Theta1_grad": d2.T @ a1 / 6, "Theta2_grad": d3.T @ a2 / 6}, X, ONE_HOT)


def letters():
    """wh, bh, wout, bout."""
    settings, p, g, *data = pairs()
    parameters = {"wh": p[0][0], "bh": p[0][1][None, :], "wout": p[1][0], "bout": p[1][1][None, :]}
    gradients = {"d_wout": g[1][0], "d_bout": g[1][1][None, :], "d_wh": g[0][0], "d_bh": g[0][1][None, :]}
    return settings, parameters, gradients, *data


CODES = [cs231n, deep_learning_ai, nielsen, scikit_learn, keras, flax, torch_names, fastai, pairs, named_tuples,
         zero_based, suffixes, no_biases, logistic, micrograd, kinds_of_lists, letters]


@pytest.mark.parametrize("code", CODES)
def test_right_code_passes_and_a_mistake_is_found_where_it_is(code):
    (hidden, output, cost), parameters, gradients, X, Y = code()
    before = copy.deepcopy((parameters, gradients))
    net = fc.Network.from_parameters(parameters, hidden, output, cost)
    report = fc.check(net, parameters, gradients, X, Y)
    assert report.ok, str(report)
    assert report.difference < 1e-12
    wrong, shape = spoiled(gradients)
    report = fc.check(net, parameters, wrong, X, Y)
    assert report.verdict == "fail"
    assert [t.shape for t in report.failures] == [shape], str(report)
    assert report.failures[0].worst == tuple(n - 1 for n in shape)
    np.testing.assert_equal((parameters, gradients), before)


def spoiled(gradients):
    """The gradients with the last entry of the largest array wrong, and its shape."""
    places = [(path, value) for path, value in arrays_in(gradients, ()) if not {"Z", "A"} & set(str(path))]
    path, value = max(places, key=lambda one: np.size(one[1]))
    made = np.array(value)
    made[-1, -1] += 0.5
    return replaced(gradients, path, made), made.shape


def arrays_in(value, path):
    if not is_container(value):
        yield path, value
        return
    for key in value if isinstance(value, dict) else range(len(value)):
        yield from arrays_in(value[key], (*path, key))


def replaced(value, path, made):
    if not path:
        return made
    keys = value if isinstance(value, dict) else range(len(value))
    items = {key: replaced(value[key], path[1:], made) if key == path[0] else value[key] for key in keys}
    if isinstance(value, dict):
        return items
    return type(value)(*items.values()) if hasattr(value, "_fields") else type(value)(items.values())


def test_biases_in_the_first_column():
    (hidden, output, cost), parameters, gradients, X, Y = thetas()
    net = fc.Network.from_parameters(parameters, hidden, output, cost)
    assert net.widths == (4, 5, 3)
    report = fc.check(net, parameters, gradients, X, Y)
    assert report.ok, str(report)
    assert "Names: W1 is Theta1[:, 1:], b1 is Theta1[:, 0], W2 is Theta2[:, 1:], b2 is Theta2[:, 0]." in report.notes
    gradients["Theta1_grad"][2, 0] += 0.1
    report = fc.check(net, parameters, gradients, X, Y)
    assert [(t.name, t.worst) for t in report.failures] == [("b1", (2,))]


@pytest.mark.parametrize("method", ["sample", "directional"])
@pytest.mark.parametrize("code", [cs231n, no_biases])
def test_other_methods_read_them_too(code, method):
    (hidden, output, cost), parameters, gradients, X, Y = code()
    net = fc.Network.from_parameters(parameters, hidden, output, cost)
    assert fc.check(net, parameters, gradients, X, Y, method=method).ok
    assert fc.check(net, parameters, spoiled(gradients)[0], X, Y, method=method).verdict == "fail"


def test_entries_are_named_as_the_user_has_them():
    (hidden, output, cost), parameters, gradients, X, Y = cs231n()
    net = fc.Network.from_parameters(parameters, hidden, output, cost)
    gradients["W1"][3, 1] += 1.0
    report = fc.check(net, parameters, gradients, X, Y)
    assert report.worst(1)[0].place == "dW1[3, 1]"
    assert report.tensor("W1").shape == (4, 5)
    right = two_layer(*parameters.values(), X, ONE_HOT, relu_slope, relu)[0]
    np.testing.assert_allclose(report.gradapprox_of("W1"), right, rtol=1e-9)
    assert "weights (inputs, outputs)" in repr(net)


def test_networks_compute_in_the_users_conventions():
    (hidden, output, cost), parameters, gradients, X, Y = cs231n()
    net = fc.Network.from_parameters(parameters, hidden, output, cost, samples="rows")
    found = net.gradients(parameters, X, Y)
    for name, gradient in gradients.items():
        np.testing.assert_allclose(found[f"d{name}"], gradient, rtol=1e-12, atol=1e-15)
    made = net.initialize(0)
    assert [a.shape for a in made.values()] == [(4, 5), (1, 5), (5, 3), (1, 3)]
    again = net.to_parameters(net.to_vector(made))
    np.testing.assert_equal(again, made)
    assert np.isfinite(net.cost_of(made, X, Y))
