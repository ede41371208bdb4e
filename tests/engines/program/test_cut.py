"""The cut: where a scalar cost is a weighted sum, and that it is not cut where it is not."""

import numpy as np
import pytest

import fastcheck as fc
from fastcheck.engines.program.arrays.program import Program
from fastcheck.engines.program.cut import terms_of

N, D, H, C = 20, 6, 9, 4
GENERATOR = np.random.default_rng(0)
X, Y = GENERATOR.normal(size=(N, D)), GENERATOR.integers(0, C, N)
INPUTS = [GENERATOR.normal(size=(D, H)), GENERATOR.normal(size=H), GENERATOR.normal(size=(H, C))]


def scores(W, b, V):
    return np.tanh(X @ W + b) @ V


def cross_entropy(W, b, V):
    s = scores(W, b, V)
    s = s - s.max(axis=1, keepdims=True)
    return -(s - np.log(np.exp(s).sum(axis=1, keepdims=True)))[np.arange(N), Y].mean()


def textbook(W, b, V):
    s = scores(W, b, V)
    p = np.exp(s - np.max(s, axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    return np.sum(-np.log(p[range(N), Y])) / N


def penalty(W, V):
    return 0.05 * (np.sum(W * W) + np.sum(V**2))


def hinge(W, b, V):
    s = scores(W, b, V)
    margins = np.maximum(0, s - s[np.arange(N), Y][:, None] + 1)
    margins[np.arange(N), Y] = 0
    return margins.sum() / N


CUT = {
    "mean of a gather": (cross_entropy, 1),
    "sum of logarithms": (textbook, 1),
    "hinge": (hinge, 1),
    "two penalties": (lambda W, b, V: cross_entropy(W, b, V) + penalty(W, V), 3),
    "the penalty first": (lambda W, b, V: penalty(W, V) + textbook(W, b, V), 3),
    "by a float": (lambda W, b, V: float(textbook(W, b, V)), 1),
    "a weighted sum": (lambda W, b, V: np.dot(scores(W, b, V).ravel(), np.arange(N * C)), 1),
}
WHOLE = {
    "a product of means": lambda W, b, V: np.mean(X @ W) * np.sum(np.sin(V)),
    "a root of a mean": lambda W, b, V: np.sqrt(np.mean(scores(W, b, V) ** 2)),
    "a maximum": lambda W, b, V: np.max(scores(W, b, V)),
    "a ratio": lambda W, b, V: np.sum(scores(W, b, V)) / (1.0 + np.sum(b**2)),
}


def terms(function):
    program = Program(function, INPUTS)
    return program, terms_of(program, INPUTS, np.random.default_rng(1))


@pytest.mark.parametrize("name", CUT)
def test_a_weighted_sum_is_cut(name):
    function, count = CUT[name]
    program, found = terms(function)
    assert len(found) == count
    assert sum(term.weight.size for term in found) >= N
    change = {k: 0.3 * np.random.default_rng(k).normal(size=(3, *x.shape)) for k, x in enumerate(INPUTS)}
    response = program.run(change, observe=[term.site for term in found])
    parts = [(response.observed[term.site] * term.weight).reshape(3, -1).sum(axis=1) for term in found]
    np.testing.assert_allclose(sum(parts), response.changes[0], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", WHOLE)
def test_what_is_no_sum_is_left_whole(name):
    _, found = terms(WHOLE[name])
    assert found == ()


def test_a_cost_that_is_not_finite_is_left_whole():
    assert terms(lambda W, b, V: np.sum(W) + np.inf * np.sum(V**2))[1] == ()


@pytest.mark.parametrize("penalized", [False, True])
def test_units_serve_weights_with_a_penalty_too(penalized):
    generator = np.random.default_rng(2)
    p = {"W": generator.normal(size=(40, 30)), "V": generator.normal(size=(30, 5))}
    x, y = generator.normal(size=(15, 40)), generator.integers(0, 5, 15)

    def cost(p):
        s = np.tanh(x @ p["W"]) @ p["V"]
        loss = -np.log(np.exp(s[range(15), y]) / np.exp(s).sum(axis=1)).mean()
        return loss + 0.1 * (np.sum(p["W"] ** 2) + np.sum(p["V"] ** 2)) if penalized else loss

    a = np.tanh(x @ p["W"])
    q = np.exp(a @ p["V"])
    q /= q.sum(axis=1, keepdims=True)
    q[range(15), y] -= 1.0
    q /= 15
    gradient = {"W": x.T @ (q @ p["V"].T * (1.0 - a * a)), "V": a.T @ q}
    if penalized:
        gradient = {name: value + 0.2 * p[name] for name, value in gradient.items()}
    report = fc.check_function(cost, p, gradient)
    assert report.ok
    assert report.difference < 1e-14
    assert report.facts["ways"] == {"W": "units", "V": "units"}
    assert report.facts["columns"] < 200
    gradient["W"][3, 4] *= 1.0 + 1e-6
    assert fc.check_function(cost, p, gradient).verdict == "fail"


@pytest.mark.filterwarnings("error")
def test_complex_results_are_no_terms():
    """Their two parts weigh each by itself; nothing casts one away, and a wrong entry fails."""
    def spectrum(v):
        return np.sum(np.abs(np.fft.fft(v)) ** 4) / v.size**2

    v = np.random.default_rng(0).normal(size=600)
    F = np.fft.fft(v)
    right = 4.0 * np.real(np.fft.ifft(np.abs(F) ** 2 * F)) / v.size
    wrong = right.copy()
    wrong[7] *= 1.01
    assert fc.check_function(spectrum, v, right).verdict == "pass"
    assert fc.check_function(spectrum, v, wrong).verdict == "fail"
