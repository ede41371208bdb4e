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


def stable(W, b, V):
    """As log-sum-exp is written: the maximum alone is weighed by the cost, but scores flow in behind it."""
    s = scores(W, b, V)
    shifted = np.exp(s - s.max(axis=1, keepdims=True))
    return np.mean(np.log(shifted.sum(axis=1)) + s.max(axis=1) - s[np.arange(N), Y])


def hinge(W, b, V):
    s = scores(W, b, V)
    margins = np.maximum(0, s - s[np.arange(N), Y][:, None] + 1)
    margins[np.arange(N), Y] = 0
    return margins.sum() / N


def sample_by_sample(W, b, V):
    loss = 0.0
    for x, label in zip(X, Y, strict=True):
        s = (np.tanh(x @ W + b) @ V).copy()
        s -= np.max(s)
        loss += np.log(np.sum(np.exp(s))) - s[label]
    return loss / N


def squares_one_by_one(W, b, V):
    """Of vectors, which are multiplied by themselves: neither factor alone is a term."""
    loss = 0.0
    for x in X:
        d = np.tanh(x @ W + b) @ V
        loss += 0.5 * d @ d
    return loss


def hinge_by_branches(W, b, V):
    loss = 0.0
    for x, label in zip(X, Y, strict=True):
        s = x.dot(W).dot(V)
        for j in range(C):
            margin = s[j] - s[label] + 1.0
            if j != label and margin > 0.0:
                loss += margin
    return loss / N


CUT = {
    "sample by sample": (sample_by_sample, N),
    "squares, one by one": (squares_one_by_one, N),
    "mean of a gather": (cross_entropy, 1),
    "sum of logarithms": (textbook, 1),
    "a stable logarithm": (stable, 1),
    "a stable logarithm with penalties": (lambda W, b, V: stable(W, b, V) + penalty(W, V) + np.sum(b**2), 4),
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


def with_a_number(W, b, V):
    """Where a label has the maximum of its sample, nothing meets the logarithm but for changes far away."""
    return sample_by_sample(W, b, V) + 0.1 * np.sum(V * V) + W[0, 0] ** 2


@pytest.mark.parametrize("function", [hinge_by_branches, with_a_number])
def test_a_loop_with_branches_is_cut_where_moves_far_away_take_others(function):
    program, found = terms(function)
    change = {k: 2.0**-40 * np.random.default_rng(k).normal(size=(3, *x.shape)) for k, x in enumerate(INPUTS)}
    response = program.run(change, observe=[term.site for term in found])
    parts = [(response.observed[term.site] * term.weight).reshape(3, -1).sum(axis=1) for term in found]
    assert len(found) > N / 2  # the samples that have a margin
    np.testing.assert_allclose(sum(parts), response.changes[0], rtol=1e-12)


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


def of_numbers(v):
    """One number after the other, added up by Python."""
    return sum(a * a for a in v)


def recurrence(v):
    """A state that goes from step to step, and a list of what came of it."""
    s, out = 0.0, []
    for t in range(len(v)):
        s = 0.9 * s + v[t]
        out.append(np.tanh(s))
    return np.sum(out)


def written(v):
    """An array that is filled entry by entry."""
    out = np.zeros(len(v))
    for i in range(len(v)):
        out[i] = np.sin(v[i]) * v[i - 1]
    return np.sum(out)


def weighted_steps(v):
    """Small terms of which each entry weighs something else."""
    weights = np.array([1.0, -2.0, 3.0])
    c = 0.0
    for x in v.reshape(-1, 3):
        c = c + weights @ np.tanh(x)
    return c


@pytest.mark.parametrize("cost", [of_numbers, recurrence, written, weighted_steps])
def test_operations_by_the_hundred_share_runs(cost):
    calls = 0

    def counted(v):
        nonlocal calls
        calls += 1
        return cost(v)

    v = np.random.default_rng(3).normal(size=300)
    gradient = np.array([cost(v + 1e-30j * row).imag / 1e-30 for row in np.eye(300)]) if cost is not written else (
        np.cos(v) * np.roll(v, 1) + np.roll(np.sin(v), -1))
    report = fc.check_function(counted, v, gradient)
    assert (report.verdict, report.engine) == ("pass", "program")
    assert report.difference < 1e-14
    assert calls < 100


def test_what_moves_another_term_is_no_term():
    def chain(W, b, V):
        """Terms behind terms: each row's sum flows into the next."""
        total = np.zeros(H)
        kept = []
        for row in np.sin(W):
            total = total + row
            kept.append(total * np.arange(H))
        return np.sum(kept) + np.sum(np.cos(b)) + np.sum(V**2)

    program, found = terms(chain)
    change = {k: 0.3 * np.random.default_rng(k).normal(size=(3, *x.shape)) for k, x in enumerate(INPUTS)}
    response = program.run(change, observe=[term.site for term in found])
    parts = [(response.observed[term.site] * term.weight).reshape(3, -1).sum(axis=1) for term in found]
    assert {term.weight.shape for term in found} == {(D, H), (H,), (H, C)}
    np.testing.assert_allclose(sum(parts), response.changes[0], rtol=1e-12, atol=1e-13)
