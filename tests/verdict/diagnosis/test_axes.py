"""Patterns along axes: each mistake in a layer as people write it is named, and what only looks like it is not."""

import numpy as np
import pytest

import fastcheck as fc
from tests.verdict.diagnosis.patterns import (
    PATTERNS,
    overwritten,
    put,
    spoiled,
    with_a_mask_not_applied,
    with_a_shared_array,
)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_are_named(pattern):
    shape, new, words = PATTERNS[pattern]
    assert words in spoiled(shape, new)


@pytest.mark.parametrize("shape", [(7,), (4, 5), (6, 6), (3, 4, 5), (2, 3, 4, 4)])
def test_a_gradient_that_is_wrong_all_over_is_not_said_to_be_any_of_these(shape):
    rng = np.random.default_rng(1)
    for _ in range(30):
        assert spoiled(shape, lambda g: rng.standard_normal(g.shape)) == ""
        assert spoiled(shape, lambda g: g * rng.uniform(0.5, 2.0, g.shape)) == ""


@pytest.mark.parametrize("pattern", ["epsilon", "weights", "constant", "mean", "reversed", "shifted", "permuted"])
def test_what_only_nearly_fits_is_not_said(pattern):
    shape, new, words = PATTERNS[pattern]
    rng = np.random.default_rng(2)
    assert words not in spoiled(shape, lambda g: new(g) * (1.0 + 1e-5 * rng.standard_normal(g.shape)))


def test_a_mask_that_is_not_applied():
    diagnosis = with_a_mask_not_applied().failures[0].diagnosis
    assert diagnosis.startswith("dx is wrong only where the numerical gradient is zero")
    assert "a mask is not applied there" in diagnosis


def test_the_sum_of_two_gradients_of_one_array():
    report = with_a_shared_array()
    assert report.tensor("q").diagnosis.startswith("dq equals the sum of the numerical gradients of q and k")
    assert report.tensor("k").diagnosis.startswith("dk equals the sum of the numerical gradients of k and q")


@pytest.mark.parametrize("known", [True, False])
def test_repeated_indices_overwritten(known):
    """The rows that are looked up twice are wrong: with the indices in hand that is said, without them where."""
    rng = np.random.default_rng(3)
    W, indices = rng.standard_normal((9, 4)), np.array([2, 5, 2, 7, 0, 5])

    def backward(d, W, indices):
        dW = np.zeros_like(W)
        dW[indices] = d
        return dW

    if known:
        report = fc.check_vjp(lambda W, indices: np.tanh(W[indices]),
                              lambda d, W, indices: backward(d * (1 - np.tanh(W[indices]) ** 2), W, indices),
                              (W, indices))  # fmt: skip
        said = "wrong exactly at the indices of axis 0 that indices holds more than once: gradients of repeated indices"
    else:
        several = [int(i) for i in indices]
        report = fc.check_vjp(lambda W: np.tanh(W[several]),
                              lambda d, W: backward(d * (1 - np.tanh(W[several]) ** 2), W, several), (W,))  # fmt: skip
        said = "dW is wrong in rows 2 and 5 of 9 only"
    assert said in report.failures[0].diagnosis


def test_the_indices_are_found_in_closures_and_arguments():
    rng = np.random.default_rng(3)
    W, rows = rng.standard_normal((9, 4)), np.array([2, 5, 2, 7, 0, 5])
    wrong = np.zeros_like(W)
    wrong[rows] = 3 * W[rows] ** 2
    for report in (fc.check_function(lambda W: np.sum(W[rows] ** 3), W, wrong),
                   fc.check_function(lambda W, i: np.sum(W[i] ** 3), W, wrong, args=(rows,))):  # fmt: skip
        assert "gradients of repeated indices are overwritten" in report.failures[0].diagnosis


def recurrent(x, U, W):
    """tanh(U x_t + W h) step by step; x is (batch, steps, inputs)."""
    h, states = np.zeros((x.shape[0], W.shape[0])), []
    for t in range(x.shape[1]):
        h = np.tanh(x[:, t] @ U + h @ W)
        states.append(h)
    return np.stack(states, axis=1)


def recurrent_backward(d, x, U, W):
    """Forgets to pass dh on to the step before."""
    h = recurrent(x, U, W)
    before = np.concatenate([np.zeros_like(h[:, :1]), h[:, :-1]], axis=1)
    da = d * (1 - h**2)
    return da @ U.T, np.einsum("bti,bto->io", x, da), np.einsum("bti,bto->io", before, da)


def test_a_recurrence_that_forgets_what_comes_back_from_the_next_step():
    rng = np.random.default_rng(4)
    inputs = rng.standard_normal((3, 5, 4)), rng.standard_normal((4, 6)), rng.standard_normal((6, 6))
    report = fc.check_vjp(recurrent, recurrent_backward, inputs)
    assert "dx is right at the last index of axis 1 only" in report.tensor("x").diagnosis
    assert "to the step before" in report.tensor("x").diagnosis


def test_an_epsilon_inside_a_log():
    rng = np.random.default_rng(5)
    z, y = rng.standard_normal((6, 4)), rng.integers(4, size=6)

    def softmax(z):
        e = np.exp(z - z.max(1, keepdims=True))
        return e / e.sum(1, keepdims=True)

    def cost(z):
        return -np.mean(np.log(softmax(z)[np.arange(6), y] + 1e-3))

    report = fc.check_function(cost, z, (softmax(z) - np.eye(4)[y]) / 6)
    assert "scaled along axis 0" in report.failures[0].diagnosis
    assert "an epsilon inside a log" in report.failures[0].diagnosis


@pytest.mark.parametrize(("wanted", "shape", "axes"), [((5,), (8, 5), "axis 0"), ((1, 5), (8, 5), "axis 0"),
                                                       ((5, 1), (5, 8), "axis 1"), ((4,), (8, 3, 4), "axes 0 and 1")])
def test_a_sum_over_the_batch_that_is_missing(wanted, shape, axes):
    with pytest.raises(ValueError, match=f"; sum it over {axes}$"):
        fc.check_function(lambda b: np.sum(b**2), np.ones(wanted), np.ones(shape))


@pytest.mark.parametrize(("wanted", "shape"), [((5,), (4,)), ((3, 4), (4, 3)), ((2, 3), (3,))])
def test_other_shapes_are_not_said_to_lack_a_sum(wanted, shape):
    with pytest.raises(ValueError, match=r"got shape \([\d, ]+\)(?!.*sum it)"):
        fc.check_function(lambda b: np.sum(b**2), np.ones(wanted), np.ones(shape))


def test_where_terms_replace_one_another():
    sentence = overwritten().failures[0].diagnosis
    assert "of the 18 entries that are not zero, and right at the others" in sentence
    assert "overwritten instead of added?" in sentence


def test_both_ends_of_a_vector():
    assert spoiled((9,), lambda g: put(g, [0, 8], 7.0)).startswith("dx is wrong at both ends of axis 0 only")


def test_the_one_gradient_that_is_wrong_gets_advice():
    rng = np.random.default_rng(4)
    W, x = rng.standard_normal((4, 3)), rng.standard_normal(3)
    report = fc.check_vjp(lambda W, x: W @ x, lambda d, W, x: (np.outer(d, x) + np.outer(d**2, x), W.T @ d), (W, x))
    assert report.advice == ("Only dW is wrong: look at its own line, not at what it shares with others.",)


@pytest.mark.parametrize("scale", [1.0, 1 / 6])
def test_the_entries_that_labels_pick_are_told(scale):
    """The 1 that cross-entropy's gradient subtracts at the class of each sample was forgotten."""
    rng = np.random.default_rng(0)
    s, y = rng.standard_normal((6, 4)), np.array([0, 2, 1, 1, 0, 2])

    def probabilities(s):
        e = np.exp(s - s.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def loss(s, y):
        return -scale * np.log(probabilities(s)[np.arange(6), y]).sum()

    report = fc.check_vjp(loss, lambda d, s, y: (d * scale * probabilities(s), None), (s, y))
    said = report.failures[0].diagnosis
    assert said.startswith("ds is wrong exactly at the entries that y picks, one for each index of axis 0 (6 of 24)")
    assert "what is subtracted or added there is missing" in said


def test_single_entries_of_repeated_indices_are_told_as_such():
    """Two wrong numbers, whose rows happened to be looked up twice, were said to be overwritten sums."""
    rng = np.random.default_rng(3)
    W, rows = rng.standard_normal((9, 4)), np.array([2, 5, 2, 7, 0, 5])
    wrong = np.zeros_like(W)
    np.add.at(wrong, rows, 3 * W[rows] ** 2)
    wrong[2, 1] *= 1.7
    wrong[5, 3] += 0.2
    report = fc.check_function(lambda W: np.sum(W[rows] ** 3), W, wrong)
    assert report.failures[0].diagnosis == "only dtheta[2, 1] and dtheta[5, 3] are wrong."
