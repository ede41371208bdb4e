"""Kinks in ordinary data: a gradient is right if it is that of a branch, whichever convention its author chose."""

import numpy as np
import pytest

import fastcheck as fc

W = np.array([[1.0, -2.0], [3.0, 1.0]])
BACKWARDS = {
    "slope 0": lambda d, x: W.T @ (d * (W @ x > 0)),
    "slope 1": lambda d, x: W.T @ (d * (W @ x >= 0)),
    "slope 1/2": lambda d, x: W.T @ (d * (0.5 * (np.sign(W @ x) + 1))),
}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", list(BACKWARDS))
def test_relu_at_zero_passes_under_every_convention(name, seed):
    """Several kinks on one line: the gradient of a branch may lie outside the derivatives to both sides."""
    report = fc.check_vjp(lambda x: np.maximum(W @ x, 0), BACKWARDS[name], np.zeros(2), seed=seed)
    assert report.ok, report
    report = fc.check_vjp(lambda x: np.maximum(W @ x, 0), BACKWARDS[name], np.zeros(2), seed=seed, engine="differences")
    assert report.verdict != "fail", report


def test_what_follows_no_convention_does_not_pass():
    def wrong(d, x):
        return 2 * BACKWARDS["slope 1"](d, x)

    assert fc.check_vjp(lambda x: np.maximum(W @ x, 0), wrong, np.zeros(2)).verdict != "pass"


X = np.random.default_rng(0).integers(-2, 3, (6, 4)).astype(float)
PICTURES = np.random.default_rng(1).integers(-1, 2, (2, 4, 4)).astype(float)


def pool(x):
    n, h, w = x.shape
    return x.reshape(n, h // 2, 2, w // 2, 2).max(axis=(2, 4))


def pool_backward(d, x, ties):
    """``ties`` : "first", "last", "share", "all", or "none" (wrong wherever two are largest)."""
    n, h, w = x.shape
    windows = x.reshape(n, h // 2, 2, w // 2, 2).transpose(0, 1, 3, 2, 4).reshape(n, h // 2, w // 2, 4)
    top = windows == windows.max(axis=-1, keepdims=True)
    count = np.cumsum(top, axis=-1)
    last = count[..., -1:]
    shares = {"first": top & (count == 1), "last": top & (count == last), "share": top / last, "all": top,
              "none": top & (last == 1)}  # fmt: skip
    back = shares[ties] * d[..., None]
    return back.reshape(n, h // 2, w // 2, 2, 2).transpose(0, 1, 3, 2, 4).reshape(x.shape)


ONE_KIND = {
    "leaky relu by where, >": (lambda x: np.where(x > 0, x, 0.2 * x), lambda d, x: d * np.where(x > 0, 1, 0.2)),
    "leaky relu by where, >=": (lambda x: np.where(x > 0, x, 0.2 * x), lambda d, x: d * np.where(x >= 0, 1, 0.2)),
    "leaky relu by maximum": (lambda x: np.maximum(x, 0.2 * x), lambda d, x: d * np.where(x > 0, 1, 0.2)),
    "relu by a mask": (lambda x: x * (x > 0), lambda d, x: d * (x >= 0)),
    "hardtanh": (lambda x: np.clip(x, -1, 1), lambda d, x: d * ((x > -1) & (x < 1))),
    "hardtanh, ends too": (lambda x: np.clip(x, -1, 1), lambda d, x: d * ((x >= -1) & (x <= 1))),
    "abs": (np.abs, lambda d, x: d * np.sign(x)),
    "abs, slope 1": (np.abs, lambda d, x: d * np.where(x >= 0, 1, -1)),
}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", list(ONE_KIND))
def test_kinks_in_integer_inputs(name, seed):
    forward, backward = ONE_KIND[name]
    x = np.random.default_rng(seed).integers(-2, 3, (6, 4)).astype(float)
    report = fc.check_vjp(forward, backward, x)
    assert (report.verdict, report.engine) == ("pass", "program"), report
    for factor in (-1.0, 1.01, 0.0):
        assert fc.check_vjp(forward, lambda d, x, f=factor: f * backward(d, x), x).verdict == "fail"


@pytest.mark.parametrize("ties", ["first", "last", "share", "all"])
@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0])
def test_mixtures_of_conventions(slope, ties):
    """Each convention is held at every kink of its kind: relu's slope and the winner of a maximum are chosen apart."""
    def backward(d, x):
        return pool_backward(d, np.maximum(x, 0), ties) * np.where(x == 0, slope, x > 0)

    report = fc.check_vjp(lambda x: pool(np.maximum(x, 0)), backward, PICTURES)
    assert report.verdict == "pass", report
    assert not any(tensor.loose for tensor in report.tensors)


def test_ends_of_intervals_of_several_entries_need_not_belong_to_one_branch():
    """No gradient where two are largest: each entry by itself does not move the maximum, but one of them has to."""
    x = np.random.default_rng(0).integers(0, 2, (2, 4, 4)).astype(float)
    assert fc.check_vjp(pool, lambda d, x: 0.0 * x, x).verdict != "pass"
    assert fc.check_vjp(pool, lambda d, x: pool_backward(d, x, "none"), x).verdict != "pass"
    assert fc.check_vjp(pool, lambda d, x: pool_backward(d, x, "first"), x).verdict == "pass"


@pytest.mark.parametrize("name", list(ONE_KIND))
def test_kinks_by_ordinary_differences(name):
    """One-sided derivatives are exact enough to be compared with, and so is the mean of both."""
    forward, backward = ONE_KIND[name]
    assert fc.check_vjp(forward, backward, X, engine="differences").verdict == "pass"
    for factor in (-1.0, 1.01):
        wrong = fc.check_vjp(forward, lambda d, x, f=factor: f * backward(d, x), X, engine="differences")
        assert wrong.verdict == "fail"


@pytest.mark.parametrize("ties", ["first", "last"])
def test_ties_by_ordinary_differences(ties):
    report = fc.check_vjp(pool, lambda d, x: pool_backward(d, x, ties), PICTURES, engine="differences")
    assert report.verdict == "pass", report


@pytest.mark.parametrize("length", [
    lambda p: np.linalg.norm(p, axis=0), lambda p: np.hypot(p[0], p[1]), lambda p: np.abs(p[0] + 1j * p[1]),
])
def test_lengths_of_nothing_have_the_kink_of_a_magnitude(length):
    """A penalty on groups has zero groups: their entries do not add up along a direction, and slope 0 is right."""
    at = np.random.default_rng(0).normal(size=(2, 30))
    at[:, 4:8] = 0.0
    sizes = np.hypot(*at)
    gradient = np.cos(at) + at / np.where(sizes == 0.0, 1.0, sizes)
    report = fc.check_function(lambda p: np.sin(p).sum() + length(p).sum(), at, gradient)
    assert report.ok, report
    assert (report.engine, report.kinks) == ("program", 8)
    assert report.difference < 1e-14
    for column, off in ((5, 1.5), (5, -1.5), (0, 1e-5)):
        wrong = gradient.copy()
        wrong[1, column] += off
        assert not fc.check_function(lambda p: np.sin(p).sum() + length(p).sum(), at, wrong).ok


ALONE = np.array([0.0, 1.0, -2.0])
MARGINS, LABELS = np.array([[1.0, 0.0], [2.0, 1.0], [0.5, 0.25]]), np.array([1.0, -1.0, 1.0])


def hinge(w):
    return float(np.sum(np.maximum(0.0, 1.0 - LABELS * (MARGINS @ w))))


# The cost, its gradient for a slope of each kink, the parameters, and the slopes to both sides.
LONE = {
    "abs": (lambda w: np.sum(np.abs(w)), lambda w, s: np.where(w == 0, s, np.sign(w)), ALONE, (-1.0, 1.0)),
    "relu": (lambda w: np.sum(np.maximum(w, 0)), lambda w, s: np.where(w == 0, s, w > 0), ALONE, (0.0, 1.0)),
    "penalty": (lambda w: np.sum(w**2) + 0.1 * np.sum(np.abs(w)),
                lambda w, s: 2 * w + 0.1 * np.where(w == 0, s, np.sign(w)), np.repeat(ALONE, 100), (-1.0, 1.0)),
    "hinge": (hinge, lambda w, s: MARGINS.T @ (-LABELS * np.array([s, 1.0, 1.0])), np.array([1.0, 0.5]), (0.0, 1.0)),
}


@pytest.mark.parametrize("name", LONE)
def test_one_kink_alone_leads_nowhere_but_between_its_slopes(name):
    cost, gradient, w, (low, high) = LONE[name]
    for slope in (low, high, 0.5 * (low + high)):
        assert fc.check_function(cost, w, gradient(w, slope)).ok
    for slope in (low - 1e-3, high + 1e-3, low - 4.0, high + 4.0, high + 20.0):
        assert fc.check_function(cost, w, gradient(w, slope)).verdict == "fail", slope


@pytest.mark.parametrize("shape", [(2, 3), (40, 50)])
def test_each_of_many_kinks_may_be_alone(shape):
    x = np.random.default_rng(0).normal(size=shape)
    x[0, :2] = x[1, 2] = 0.0
    for slope, verdict in ((0.0, "pass"), (1.0, "pass"), (2.0, "fail"), (-0.5, "fail")):
        report = fc.check_vjp(
            lambda x: np.maximum(x, 0), lambda d, x, slope=slope: d * np.where(x == 0, slope, x > 0), x
        )
        assert report.verdict == verdict, slope


# Kinks of several values or operations on one line, and a gradient of mixed conventions that lies outside its sides.
SEVERAL = {
    "two operations": (lambda w: np.sum(np.maximum(w, 0) - 0.9 * np.maximum(w, 0)), [1.0, 0.0, -0.9, 0.1]),
    "written in two ways": (lambda w: np.sum(np.maximum(w, 0) - 0.45 * (w + np.abs(w))), [1.0, 0.0, -0.9, 0.1]),
    "magnitudes": (lambda w: np.sum(np.abs(w) - 0.9 * np.abs(w)), [1.9, -1.9, 0.1, -0.1]),
    "two values": (lambda w: np.sum(np.abs(np.outer(w, [1.0, 1.0])) @ [1.0, -0.9]), [1.9, -1.9, 0.9, 0.1]),
    "a root of a square": (lambda w: np.sum(np.maximum(w, 0) - 0.45 * np.sqrt(w**2)), [0.0, 1.0, -0.45, 0.45, 1.45]),
    "a mask": (lambda w: np.sum(np.maximum(w, 0) - 0.9 * w * (w > 0)), [1.0, 0.0, -0.9, 0.1]),
    "one behind the other": (lambda w: np.sum(np.abs(np.maximum(w, 0)) - 0.9 * np.maximum(w, 0)), [-1.0, 1.0, -0.9]),
    "both ends": (lambda w: np.sum(np.clip(w, 0, 0) + 0.1 * np.abs(w)), [0.1, -0.1, 1.1, 0.9]),
}


@pytest.mark.parametrize("name", SEVERAL)
def test_several_kinks_on_a_line_lead_outside_of_its_sides(name):
    cost, slopes = SEVERAL[name]
    for slope in slopes:
        assert fc.check_function(cost, np.zeros(1), np.array([slope])).verdict != "fail", slope
