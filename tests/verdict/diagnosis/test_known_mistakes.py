"""Mistakes made in a back-propagation are named by making them again; what is none of them is not named."""

import re

import numpy as np
import pytest

import fastcheck as fc
from fastcheck.problems.networks.mistakes.backward import Backward
from fastcheck.problems.networks.mistakes.own_lines import mistaken_biases, mistaken_weights
from fastcheck.problems.networks.mistakes.signals import mistaken_signals
from tests.reliability import bugs
from tests.reliability.corpus import Case, outcomes
from tests.reliability.names import said_of
from tests.support.clocks import seconds_of
from tests.support.problems import HIDDEN, OUTPUTS, data, network, problem

EVERY = {bug.number for bug in bugs.BUGS}
# The gradients of another batch cannot be made again.
OF_OTHER_DATA = {41, 42}
# Whatever these leave, the numbers of the gradient say it.
SHAPES = [
    ("tanh", "softmax", "cross_entropy", 0.7), ("leaky_relu", "identity", "mean_squared_error", 0.0),
    ("sigmoid", "sigmoid", "binary_cross_entropy", 0.0), ("relu", "softmax", "squared_error", 0.0),
]  # fmt: skip


@pytest.mark.parametrize(("hidden", "output", "cost", "l2"), SHAPES)
def test_every_mistake_that_can_be_made_again_is_named(hidden, output, cost, l2):
    net = network([4, 4, 4, 3], hidden, output, cost, l2)
    for outcome in outcomes(Case("", net, EVERY - OF_OTHER_DATA), 3):
        assert said_of(outcome).kind == "named", outcome


def test_nothing_else_is_named_for_other_data():
    net = network([4, 4, 4, 3], "tanh", "softmax", "cross_entropy")
    for outcome in outcomes(Case("", net, OF_OTHER_DATA), 3):
        assert said_of(outcome).kind == "not named", outcome


def checked(net, gradients, m=6, seed=0):
    X, Y = data(net, m, seed)
    return fc.check(net, net.initialize(seed), gradients, X, Y)


def by_hand(net, m=6, seed=0, **mistakes):
    """Gradients by hand of tanh-tanh-softmax; a mistake replaces the derivative of a layer, by number."""
    p, (X, Y) = net.initialize(seed), data(net, m, seed)
    A1 = np.tanh(p["W1"] @ X + p["b1"])
    A2 = np.tanh(p["W2"] @ A1 + p["b2"])
    P = np.exp(p["W3"] @ A2 + p["b3"])
    dZ3 = (P / P.sum(axis=0) - np.eye(P.shape[0])[Y].T) / m
    dZ2 = p["W3"].T @ dZ3 * mistakes.get("second", lambda a: 1 - a**2)(A2)
    dZ1 = p["W2"].T @ dZ2 * mistakes.get("first", lambda a: 1 - a**2)(A1)
    signals = ((1, dZ1, X), (2, dZ2, A1), (3, dZ3, A2))
    return {f"dW{k}": d @ a.T for k, d, a in signals} | {f"db{k}": d.sum(1, keepdims=True) for k, d, a in signals}


NET = network([5, 4, 6, 3], "tanh", "softmax", "cross_entropy")


def test_what_follows_from_a_mistake_is_told_from_the_mistake():
    report = checked(NET, by_hand(NET, second=lambda a: 1 - a))
    slip = "equals what back-propagation gives with 1 - a instead of 1 - a^2 for tanh's derivative in layer 2."
    assert report.tensor("W2").diagnosis == f"dW2 {slip}"
    assert report.tensor("b2").diagnosis == f"db2 {slip}"
    assert report.tensor("W1").diagnosis.startswith("dW1 follows from the mistake in layer 2")


def test_two_mistakes_are_both_named():
    report = checked(NET, by_hand(NET, second=lambda a: 1 - a, first=np.ones_like))
    assert "with 1 - a instead of" in report.tensor("W2").diagnosis
    assert "without tanh's derivative in layer 1" in report.tensor("W1").diagnosis


def test_a_mistake_in_one_gradient_alone_spreads_nowhere():
    gradients = by_hand(NET)
    gradients["dW2"] = by_hand(NET, second=np.ones_like)["dW2"]
    report = checked(NET, gradients)
    assert [t.name for t in report.failures] == ["W2"]
    assert "with dA2 instead of dZ2 (the derivative is missing) in dW2" in report.tensor("W2").diagnosis


def test_a_right_gradient_beside_a_wrong_one_is_not_spoken_of():
    report = checked(NET, by_hand(NET, first=np.ones_like))
    assert {t.name for t in report.tensors if t.diagnosis} == {"W1", "b1"}


def test_what_is_no_known_mistake_is_not_named():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        gradients = {name: rng.standard_normal(value.shape) for name, value in by_hand(NET).items()}
        assert not any(t.diagnosis for t in checked(NET, gradients).tensors)
        slope = rng.uniform(0.5, 2.0, (6, 6))
        report = checked(NET, by_hand(NET, second=lambda a, slope=slope: (1 - a**2) * slope))
        assert not report.tensor("W2").diagnosis, report


@pytest.mark.parametrize("off", [1e-6, 1e-3])
def test_what_is_nearly_a_known_mistake_is_not_named(off):
    rng = np.random.default_rng(0)
    report = checked(NET, by_hand(NET, second=lambda a: (1 - a) * (1 + off * rng.standard_normal(a.shape))))
    assert not report.tensor("W2").diagnosis


def test_in_single_precision_the_numbers_are_those_of_single_precision():
    gradients = {name: value.astype(np.float32) for name, value in by_hand(NET, second=lambda a: 1 - a).items()}
    assert "with 1 - a instead of 1 - a^2" in checked(NET, gradients).tensor("W2").diagnosis


def test_of_a_sample_of_entries_the_mistake_is_named_as_well():
    X, Y = data(NET, 6, 0)
    report = fc.check(NET, NET.initialize(0), by_hand(NET, second=lambda a: 1 - a), X, Y, method="sample", samples=40)
    assert "with 1 - a instead of 1 - a^2" in report.tensor("W2").diagnosis


def test_of_some_of_the_gradients_the_mistake_is_named_as_well():
    X, Y = data(NET, 6, 0)
    gradients = by_hand(NET, second=lambda a: 1 - a, first=np.ones_like)
    for names in (["dW3", "db3", "dW2", "db2"], ["dW2", "db2"], ["dW1", "dW2"], ["db2"], ["dW3", "dW2", "dW1"]):
        report = fc.check(NET, NET.initialize(0), {name: gradients[name] for name in names}, X, Y)
        assert all("equals what back-propagation gives with" in t.diagnosis for t in report.failures), report
        assert {t.name for t in report.failures} == {name[1:] for name in names if "3" not in name}


def test_without_biases_the_mistake_is_named_as_well():
    p, (X, Y) = NET.initialize(0), data(NET, 6, 0)
    weights = {name: value for name, value in p.items() if name[0] == "W"}
    still = {name: value if name[0] == "W" else 0 * value for name, value in p.items()}
    A1 = np.tanh(p["W1"] @ X)
    A2 = np.tanh(p["W2"] @ A1)
    P = np.exp(p["W3"] @ A2)
    dZ3 = (P / P.sum(axis=0) - np.eye(3)[Y].T) / 6
    dZ2 = p["W3"].T @ dZ3
    dZ1 = p["W2"].T @ dZ2 * (1 - A1**2)
    gradients = {"dW1": dZ1 @ X.T, "dW2": dZ2 @ A1.T, "dW3": dZ3 @ A2.T}
    for parameters in (weights, still):
        report = fc.check(NET, parameters, gradients, X, Y)
        assert "without tanh's derivative in layer 2" in report.tensor("W2").diagnosis
        assert report.tensor("W1").diagnosis.startswith("dW1 follows from the mistake in layer 2")


def test_mistakes_that_give_the_same_numbers_are_named_together():
    net = network([3, 4, 1], "tanh", "sigmoid", "squared_error")
    for outcome in outcomes(Case("", net, {17, 38}), 0):
        if outcome.planted.place.layer == 2:
            first = outcome.report.failures[0].diagnosis
            assert "with cross-entropy's derivative, (a - y) / m, for squared error's (without sigmoid's" in first
            assert ", or without sigmoid's derivative in layer 2" in first
            assert "mask" not in first


def test_one_unit_and_one_sample_prove_no_fitted_number():
    """One number explains any other: only mistakes without a free number can be told there."""
    net = network([1, 1, 1], "leaky_relu", "identity", "squared_error")
    for seed in range(10):
        X, Y = data(net, 1, seed)
        parameters = net.initialize(seed)
        gradients = net.gradients(parameters, X, Y)
        gradients["dW1"], gradients["db1"] = 0.731 * gradients["dW1"], 0.731 * gradients["db1"]
        report = fc.check(net, parameters, gradients, X, Y)
        assert all("slope 0." not in t.diagnosis and "times" not in t.diagnosis for t in report.tensors)


@pytest.mark.parametrize("hidden", HIDDEN)
def test_no_mistake_is_the_right_thing_in_other_words(hidden):
    """A mistake that gives the right gradient everywhere would be no mistake."""
    given = problem(network([4, 4, 4, 4], hidden, "sigmoid", "squared_error"), 6, 1)
    b = Backward(given)
    signal = b.output()
    for k in range(b.depth, 0, -1):
        for mistake in mistaken_signals(b, k, signal):
            same = np.array_equal(mistake.value, signal.dZ)
            assert not same or hidden in ("identity", "relu", "leaky_relu", "hardtanh", "relu6"), mistake.words
        for mistake in (*mistaken_weights(b, k, signal), *mistaken_biases(b, k, signal)):
            assert mistake.value.shape in ((b.widths[k], b.widths[k - 1]), (b.widths[k], 1)), mistake.words
        signal = b.passed_back(k - 1, signal) if k > 1 else signal


@pytest.mark.parametrize(("cost", "output"), OUTPUTS)
def test_words_are_sentences(cost, output):
    net = network([4, 3, 3], "tanh", output, cost)
    b = Backward(problem(net, 4, 0))
    for mistake in mistaken_signals(b, b.depth, b.output()):
        assert re.match("with(out)? ", mistake.words)
        assert mistake.value.shape == (3, 4)


def test_the_trials_take_no_longer_than_a_tenth_of_a_second():
    net = network([5, 4, 4, 4, 3], "gelu", "softmax", "cross_entropy", 0.7)
    for outcome in outcomes(Case("", net, {10, 13, 17, 18, 41}), 0):
        assert seconds_of(lambda tensors=outcome.report.tensors: [tensor.diagnosis for tensor in tensors]) < 0.1
        assert all(isinstance(tensor.diagnosis, str) for tensor in outcome.report.tensors)
