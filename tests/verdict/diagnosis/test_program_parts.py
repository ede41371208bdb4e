"""Parts of a program that a gradient lacks, or holds too often: told where they are proven, and never otherwise."""

import pickle
import re

import numpy as np
import pytest

import fastcheck as fc
from tests.verdict.diagnosis.programs_with_mistakes import LAYERS, RNG, W, X, logistic


@pytest.mark.parametrize("name", LAYERS)
def test_the_mistake_is_named(name):
    forward, backward, inputs, tensor, words = LAYERS[name]
    report = fc.check_vjp(forward, backward, inputs)
    assert report.verdict == "fail"
    assert re.search(words, report.tensor(tensor).diagnosis), report.tensor(tensor).diagnosis


@pytest.mark.parametrize("name", LAYERS)
def test_what_only_nearly_fits_is_not_said(name):
    """The same mistakes with a hundred thousandth of noise on top."""
    forward, backward, inputs, tensor, words = LAYERS[name]

    def noisy(d, *given):
        found = backward(d, *given)
        rng = np.random.default_rng(0)
        several = found if isinstance(found, tuple) else (found,)
        return tuple(g * (1.0 + 1e-4 * rng.standard_normal(g.shape)) for g in several)

    assert not re.search(words, fc.check_vjp(forward, noisy, inputs).tensor(tensor).diagnosis)


BATCHES = [(RNG.standard_normal((n, 4)), RNG.standard_normal((n, 3))) for n in (2, 5, 3)]


def loss(W, batch):
    x, y = batch
    return float(((logistic(x @ W) - y) ** 2).sum())


def of_loss(W, batch):
    x, y = batch
    a = logistic(x @ W)
    return x.T @ (2 * (a - y) * a * (1 - a))


def total(p):
    return sum(loss(p["W"], batch) for batch in BATCHES) / 10


def clipped(g, bound):
    return g * min(1.0, bound / np.linalg.norm(g))


def clipped_on_the_way(W):
    g = np.zeros_like(W)
    for batch in BATCHES:
        g = clipped(g + of_loss(W, batch) / 10, 0.05)
    return g


ADDED = {
    "the last left out": (lambda W: sum(of_loss(W, b) for b in BATCHES[:-1]) / 10, r"the 3rd of 3 times \(the last\)"),
    "the first left out": (lambda W: sum(of_loss(W, b) for b in BATCHES[1:]) / 10, r"the 1st of 3 times: that part"),
    "overwritten": (lambda W: of_loss(W, BATCHES[-1]) / 10, r"^dW holds only the last of the 3 evaluations of "),
    "means of means": (lambda W: sum(of_loss(W, b) / len(b[0]) for b in BATCHES) / 3, r"\(6, 15, 9\), a mean of means"),
    "means over all": (lambda W: sum(of_loss(W, b) / len(b[0]) for b in BATCHES) / 10, r"a mean of means"),
    "means summed": (lambda W: sum(of_loss(W, b) / len(b[0]) for b in BATCHES), r"a mean of means"),
    "each clipped": (lambda W: sum(clipped(of_loss(W, b) / 10, 0.02) for b in BATCHES), r"0\.02: each was clipped"),
    "each clipped more": (lambda W: sum(clipped(of_loss(W, b), 0.3) for b in BATCHES) / 10, r"each was clipped"),
    "clipped on the way": (clipped_on_the_way, r"scaled to the norm 0\.05 each time .* clipped after each part"),
}


@pytest.mark.parametrize("name", ADDED)
def test_batches_whose_losses_are_added_up_in_python(name):
    gradient, words = ADDED[name]
    report = fc.check_function(total, {"W": W}, {"W": gradient(W)})
    assert report.verdict == "fail"
    assert re.search(words, report.tensor("W").diagnosis), report.tensor("W").diagnosis


def fading(p):
    """A sum over time of squares that fade."""
    u, total = p["u"], 0.0
    for t in range(6):
        u = u + 0.2 * np.tanh(p["A"] @ u)
        total = total + np.exp(-0.3 * t) * (u**2).sum()
    return total


def of_fading(p, weight):
    path = [p["u"]]
    for _ in range(6):
        path.append(path[-1] + 0.2 * np.tanh(p["A"] @ path[-1]))
    adjoint, dA = np.zeros(3), np.zeros((3, 3))
    for t in reversed(range(6)):
        adjoint = adjoint + weight(t) * 2 * path[t + 1]
        slope = 0.2 * (1 - np.tanh(p["A"] @ path[t]) ** 2) * adjoint
        dA += np.outer(slope, path[t])
        adjoint = adjoint + p["A"].T @ slope
    return {"u": adjoint, "A": dA}


@pytest.mark.parametrize(("weight", "words"), [
    (lambda t: np.exp(-1.5), r"0\.2231, 0\.3012, 0\.4066, 0\.5488, 0\.7408, 1 times instead of once each"),
    (lambda t: 1.0, r"1, 1\.35, 1\.822, 2\.46, 3\.32, 4\.482 times instead of once each"),
    (lambda t: np.exp(-0.3 * t) * (t > 2), r"lacks what comes from .*the 1st, 2nd and 3rd of 6 times"),
])  # fmt: skip
def test_weights_of_time_that_the_adjoint_run_does_not_follow(weight, words):
    """What the steps give differs little from step to step: exact numbers tell them apart all the same."""
    at = {"u": RNG.standard_normal(3), "A": RNG.standard_normal((3, 3))}
    report = fc.check_function(fading, at, of_fading(at, weight))
    assert report.verdict == "fail"
    assert any(re.search(words, tensor.diagnosis) for tensor in report.failures), [t.diagnosis for t in report.failures]
    assert fc.check_function(fading, at, of_fading(at, lambda t: np.exp(-0.3 * t))).verdict == "pass"


def test_the_samples_of_a_cost_in_one_expression():
    """The cost is a mean of squares; the gradient has forgotten the last sample."""
    T = RNG.standard_normal((6, 3))
    parts = 2 * (X @ W - T) / 18
    report = fc.check_function(lambda p: np.mean((X @ p["W"] - T) ** 2), {"W": W}, {"W": X[:-1].T @ parts[:-1]})
    assert "lacks what comes from index 5 of axis 0" in report.tensor("W").diagnosis


@pytest.mark.parametrize("shape", [(3,), (7,), (4, 5), (2, 3, 4)])
def test_a_gradient_that_is_wrong_all_over_is_explained_by_no_part(shape):
    rng = np.random.default_rng(3)
    x = rng.standard_normal(shape)

    def forward(x):
        y = np.sin(x) + x.mean() * np.tanh(x) - 0.5 * x**2
        return logistic(y) / (1.0 + (x**2).sum())

    for _ in range(4):
        wrong = rng.standard_normal(shape)
        report = fc.check_vjp(forward, lambda d, x, wrong=wrong: d * wrong, (x,))
        assert "comes" not in report.tensor("x").diagnosis
        assert "holds" not in report.tensor("x").diagnosis


def test_a_report_that_knows_its_program_can_be_sent_away():
    report = fc.check_function(lambda x: np.sum(np.sin(x) * np.tanh(x.mean())), X, np.cos(X) * np.tanh(X.mean()))
    there = pickle.loads(pickle.dumps(report))
    assert there.verdict == "fail"
    assert "lacks" not in there.failures[0].diagnosis
    assert "lacks" in report.failures[0].diagnosis


def test_a_function_without_operations_has_no_parts():
    report = fc.check_vjp(lambda x: x[::2], lambda d, x: np.repeat(d, 2, axis=0) * RNG.random((6, 4)), (X,))
    assert report.verdict == "fail"
    assert "comes" not in report.tensor("x").diagnosis


@pytest.mark.parametrize("large", [1e200, 1e300])
def test_parts_near_the_end_of_double_precision_are_no_cause(large):
    x = np.linspace(0.5, 1.5, 8)
    wrong = np.random.default_rng(4).random(8)
    report = fc.check_vjp(lambda x: x * (large * x) / large - np.tanh(x), lambda d, x: d * wrong, (x,))
    assert report.verdict == "fail"
    assert report.tensor("x").diagnosis == ""


def test_a_program_that_has_changed_since_says_nothing():
    """The diagnosis runs it once more: what it keeps may be another value by then."""
    state = {"scale": 1.0}

    def forward(x):
        return state["scale"] * x / np.sqrt((x**2).sum(1, keepdims=True))

    report = fc.check_vjp(forward, lambda d, x: d / np.sqrt((x**2).sum(1, keepdims=True)), (X,))
    state["scale"] = 2.0
    assert "lacks" not in report.tensor("x").diagnosis


def test_shares_of_many_samples_are_told_in_runs():
    """Twenty numbers in a row, with -0 among them, were what a gradient of half a batch was told by."""
    rng = np.random.default_rng(0)
    x, y, w = rng.standard_normal((20, 6)), rng.standard_normal((20, 5)), rng.standard_normal((6, 5))

    def cost(w):
        return ((np.tanh(x @ w) - y) ** 2).mean()

    a = np.tanh(x[:10] @ w)
    report = fc.check_function(cost, w, x[:10].T @ (2 * (a - y[:10]) * (1 - a**2)) / 50)
    said = report.failures[0].diagnosis
    assert "give 2 times from 0 to 9 and 0 times from 10 to 19 (counted from 0) instead of once each" in said


def test_samples_that_add_nothing_have_the_share_of_the_others():
    """One sample at which relu was off everywhere was said to be there once, beside nineteen that were there twice."""
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((12, 6)), rng.standard_normal((6, 5))
    x[3] = -np.linalg.pinv(w).T @ np.ones(5)

    def cost(w):
        return (np.maximum(x @ w, 0.0) ** 2).mean() + 0.3 * (w**2).sum()

    doubled = x.T @ (2 * np.maximum(x @ w, 0.0)) / 30 + 0.6 * w
    said = fc.check_function(cost, w, doubled).failures[0].diagnosis
    assert re.search(r"^dtheta holds what .* 2 times\.$", said), said
