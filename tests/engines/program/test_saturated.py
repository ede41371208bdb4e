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
    assert report.verdict in (("pass",) if outputs < 22.0 else ("pass", "inconclusive"))


@pytest.mark.parametrize("outputs", [12.0, 15.0, 17.0, 18.5, 20.0, 22.0])
@pytest.mark.parametrize("name", ["W1", "W2", "b2"])
@pytest.mark.parametrize("Y", [[1, 1, 1, 1], [0, 0, 0, 0], [1, 0, 1, 1]])
def test_wrong_gradients_fail(outputs, Y, name):
    p, Y = point(outputs), np.array([Y], dtype=float)
    wrong = gradient(p, Y)
    wrong[name] = 1.01 * wrong[name]
    assert fc.check_function(cost, p, wrong, (Y,)).verdict == "fail"


def cost_with_epsilon(p, Y, epsilon):
    """The textbook's with an epsilon inside the logarithms, which divides the rounding of a by it."""
    a = sigmoid(p["W2"] @ np.tanh(p["W1"] @ X) + p["b2"])
    return -np.sum(Y * np.log(a + epsilon) + (1.0 - Y) * np.log(1.0 - a + epsilon)) / X.shape[1]


def gradient_with_epsilon(p, Y, epsilon):
    h = np.tanh(p["W1"] @ X)
    a = sigmoid(p["W2"] @ h + p["b2"])
    d = ((1.0 - Y) / (1.0 - a + epsilon) - Y / (a + epsilon)) * a * (1.0 - a) / X.shape[1]
    return {"W1": (p["W2"].T @ d * (1.0 - h * h)) @ X.T, "W2": d @ h.T, "b2": d.sum(axis=1, keepdims=True)}


@pytest.mark.parametrize("outputs", [10.0, 20.0, 24.0, 27.0, 30.0])
@pytest.mark.parametrize("epsilon", [1e-8, 1e-10, 1e-12, 1e-15])
@pytest.mark.parametrize("Y", [[0, 0, 0, 0], [1, 0, 1, 1]])
def test_right_gradients_with_an_epsilon_inside_the_logarithm_do_not_fail(outputs, epsilon, Y):
    p, Y = point(outputs), np.array([Y], dtype=float)
    assert fc.check_function(cost_with_epsilon, p, gradient_with_epsilon(p, Y, epsilon), (Y, epsilon)).verdict != "fail"


@pytest.mark.parametrize("outputs", [10.0, 20.0, 24.0])
@pytest.mark.parametrize("epsilon", [1e-8, 1e-10])
@pytest.mark.parametrize("name", ["W1", "W2", "b2"])
def test_wrong_gradients_with_an_epsilon_inside_the_logarithm_fail(outputs, epsilon, name):
    p, Y = point(outputs), np.zeros((1, 4))
    wrong = gradient_with_epsilon(p, Y, epsilon)
    wrong[name] = 1.01 * wrong[name]
    assert fc.check_function(cost_with_epsilon, p, wrong, (Y, epsilon)).verdict == "fail"


def test_right_gradients_do_not_fail_where_an_exponential_is_infinite():
    p, Y, inputs = {"w": np.array([0.6, -0.4]), "b": np.array(9.5)}, np.ones(4), np.array(
        [[2e3, 1.0], [-3e3, 0.5], [9.0, -50.0], [40.0, 0.1]])

    def loss(p):
        with np.errstate(over="ignore"):
            a = sigmoid(inputs @ p["w"] + p["b"])
        return -np.sum(Y * np.log(a + 1e-8) + (1.0 - Y) * np.log(1.0 - a + 1e-8))

    with np.errstate(over="ignore"):
        a = sigmoid(inputs @ p["w"] + p["b"])
    d = -Y / (a + 1e-8) * a * (1.0 - a)
    assert fc.check_function(loss, p, {"w": inputs.T @ d, "b": d.sum()}).verdict != "fail"


def contrast(p, temperature):
    """The contrastive cost of normalised embeddings, which no shrinking makes forgotten."""
    a = p["A"] / np.sqrt(np.sum(p["A"] ** 2, axis=1, keepdims=True))
    b = p["B"] / np.sqrt(np.sum(p["B"] ** 2, axis=1, keepdims=True))
    z = a @ b.T / temperature
    z = z - np.max(z, axis=1, keepdims=True)
    return -np.mean(np.diagonal(z) - np.log(np.sum(np.exp(z), axis=1)))


def gradient_of_contrast(p, temperature):
    sizes = {name: np.linalg.norm(p[name], axis=1, keepdims=True) for name in p}
    a, b = (p[name] / sizes[name] for name in "AB")
    z = a @ b.T / temperature
    e = np.exp(z - z.max(axis=1, keepdims=True))
    d = (e / e.sum(axis=1, keepdims=True) - np.eye(len(z))) / len(z) / temperature
    da, db = d @ b, d.T @ a
    return {"A": (da - a * np.sum(da * a, axis=1, keepdims=True)) / sizes["A"],
            "B": (db - b * np.sum(db * b, axis=1, keepdims=True)) / sizes["B"]}


def embeddings(seed):
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(3, 4))
    return {"A": 100.0 * A, "B": A + 0.01 * rng.normal(size=A.shape)}


@pytest.mark.parametrize("temperature", [0.2, 0.1, 0.05, 0.03, 0.02])
@pytest.mark.parametrize("seed", range(4))
def test_right_gradients_of_normalised_embeddings_that_are_learned_do_not_fail(temperature, seed):
    p = embeddings(seed)
    assert fc.check_function(contrast, p, gradient_of_contrast(p, temperature), (temperature,)).verdict != "fail"


@pytest.mark.parametrize("temperature", [0.2, 0.1])
@pytest.mark.parametrize("name", ["A", "B"])
def test_wrong_gradients_of_normalised_embeddings_fail(temperature, name):
    p = embeddings(0)
    wrong = gradient_of_contrast(p, temperature)
    wrong[name] = 1.01 * wrong[name]
    assert fc.check_function(contrast, p, wrong, (temperature,)).verdict == "fail"


def softmax(z):
    e = np.exp(z - np.max(z))
    return e / np.sum(e)


def backward_of_softmax(dy, z):
    p = softmax(z)
    return p * (dy - np.sum(dy * p))


def backward_of_layer(dy, x, W):
    d = dy * (1.0 - np.tanh(x @ W) ** 2)
    return d @ W.T, x.T @ d


@pytest.mark.parametrize("gap", [15.0, 30.0, 36.0, 40.0, 45.0, 50.0, 60.0])
def test_a_softmax_that_more_digits_cannot_resolve_either_does_not_fail(gap):
    for z in (np.array([0.0, gap, -gap]), np.array([0.3, gap, 1.7])):
        assert fc.check_vjp(softmax, backward_of_softmax, (z,)).verdict != "fail"


@pytest.mark.parametrize("size", [8.0, 15.0, 20.0, 24.0, 30.0])
def test_a_layer_that_more_digits_cannot_resolve_either_does_not_fail(size):
    x, W = np.array([[0.6, -0.8], [1.0, 0.1], [-0.2, 1.0]]), size * np.array([[1.0, 0.9], [-1.0, 1.1]])
    assert fc.check_vjp(lambda x, W: np.tanh(x @ W), backward_of_layer, (x, W)).verdict != "fail"
    assert fc.check_vjp(lambda x, W: np.tanh(x @ W), backward_of_layer, (x[:1], W)).verdict != "fail"


@pytest.mark.parametrize("gap", [2.0, 10.0, 20.0, 25.0])
def test_a_wrong_softmax_fails_where_it_can_be_resolved(gap):
    z = np.array([0.3, gap, 1.7])
    assert fc.check_vjp(softmax, lambda dy, z: 1.01 * backward_of_softmax(dy, z), (z,)).verdict == "fail"


def tanh_backward(d, z):
    return d * (1.0 - np.tanh(z) ** 2)


def sigmoid_backward(d, z):
    return d * sigmoid(z) * (1.0 - sigmoid(z))


@pytest.mark.parametrize("middle", [3.0, 5.0, 7.0, 8.0, 9.0, 10.0, 12.0, 14.0])
@pytest.mark.parametrize(("forward", "backward"), [(np.tanh, tanh_backward), (sigmoid, sigmoid_backward)])
def test_right_layers_in_single_precision_that_are_saturated_all_over_do_not_fail(forward, backward, middle):
    """All points beside them round 1 - a alike."""
    z = (middle + 0.3 * np.random.default_rng(0).normal(size=(4, 3))).astype(np.float32)
    assert fc.check_vjp(forward, backward, (z,)).verdict in (("pass",) if middle < 4.0 else ("pass", "inconclusive"))
    for factor in (1.1, -1.0):
        wrong = fc.check_vjp(forward, lambda d, z, by=factor: (by * backward(d, z)).astype(np.float32), (z,))
        assert wrong.verdict in (("fail",) if middle < 6.0 else ("fail", "inconclusive"))


def softmax_of_rows(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def backward_of_rows(d, z):
    p = softmax_of_rows(z)
    return p * (d - (d * p).sum(axis=1, keepdims=True))


def dense(x, W, b):
    return np.tanh(x @ W + b)


def backward_of_dense(d, x, W, b):
    d = d * (1 - dense(x, W, b) ** 2)
    return d @ W.T, x.T @ d, d.sum(axis=0)


def one_entry(g):
    """The gradient with its largest entry half as large again."""
    g = g.copy()
    g.flat[np.argmax(np.abs(g))] *= g.dtype.type(1.5)
    return g


MISTAKES = (lambda g: g * g.dtype.type(1.01), lambda g: -g, lambda g: 0 * g, one_entry)


@pytest.mark.parametrize("size", [20.0, 40.0, 60.0])
@pytest.mark.parametrize("seed", [2, 3, 4, 8, 13, 16, 21, 26])
def test_a_softmax_in_single_precision_whose_rows_are_learned_does_not_fail_and_mistakes_do(size, seed):
    """What the rows round is far more than all of their gradients; the same pass in double precision tells."""
    z = (size * np.random.default_rng(seed).standard_normal((4, 5))).astype(np.float32)
    right = fc.check_vjp(softmax_of_rows, backward_of_rows, (z,), seed=seed)
    assert right.verdict in (("pass",) if size == 20.0 else ("pass", "inconclusive")), str(right)
    for change in MISTAKES:
        def backward(d, z, change=change):
            return change(backward_of_rows(d, z))

        wrong = fc.check_vjp(softmax_of_rows, backward, (z,), seed=seed)
        assert wrong.verdict == "fail", str(wrong)


@pytest.mark.parametrize("size", [20.0, 40.0, 60.0])
@pytest.mark.parametrize("seed", [4, 5, 6, 13, 18, 33])
def test_a_dense_layer_in_single_precision_whose_units_are_all_saturated_does_not_fail_and_mistakes_do(size, seed):
    generator = np.random.default_rng(seed)
    x = size * generator.standard_normal((4, 3))
    inputs = tuple(a.astype(np.float32) for a in (x, generator.standard_normal((3, 5)), generator.standard_normal(5)))
    assert fc.check_vjp(dense, backward_of_dense, inputs, seed=seed).verdict != "fail"
    for change in MISTAKES:
        def backward(d, x, W, b, change=change):
            dx, dW, db = backward_of_dense(d, x, W, b)
            return dx, change(dW), db

        report = fc.check_vjp(dense, backward, inputs, seed=seed)
        assert "W" in [tensor.name for tensor in report.failures], str(report)
