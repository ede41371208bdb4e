"""The short way to a verdict says what the long way says, of right gradients and of wrong ones."""

import pickle

import numpy as np
import pytest

import fastcheck as fc
from fastcheck.verdict import judge
from fastcheck.verdict.clear_case import difference_if_clear
from tests.support.problems import PAIRS, data, network


def both_ways(monkeypatch, net, change=lambda gradients: None, **options):
    """The same check judged at once, if it can be, and looked at closely."""
    parameters, (X, Y) = net.initialize(3), data(net, 5, seed=3)
    gradients = net.gradients(parameters, X, Y)
    change(gradients)
    short = []
    monkeypatch.setattr(judge, "difference_if_clear",
                        lambda *arguments: short.append(difference_if_clear(*arguments)) or short[-1])
    quick = fc.check(net, parameters, gradients, X, Y, **options)
    monkeypatch.setattr(judge, "difference_if_clear", lambda *arguments: None)
    return quick, fc.check(net, parameters, gradients, X, Y, **options), short[0] is not None


@pytest.mark.parametrize(("hidden", "cost", "output"), PAIRS)
def test_right_gradients(monkeypatch, hidden, cost, output):
    quick, close, was_clear = both_ways(monkeypatch, network([4, 5, 4, 3], hidden, output, cost, 0.1))
    assert quick.verdict == close.verdict
    assert quick.difference == pytest.approx(close.difference, rel=1e-9)
    assert not was_clear or close.verdict == "pass"
    for one, other in zip(quick.tensors, close.tensors, strict=True):
        assert (one.verdict, one.difference, one.noise_floor) == (other.verdict, other.difference, other.noise_floor)
    assert quick.summary == close.summary
    # Where nothing was compiled yet, the first of the two says how long that took.
    assert [note for note in quick.notes if not note.startswith("Compiling")] == list(close.notes)


def test_most_right_gradients_are_clear(monkeypatch):
    assert both_ways(monkeypatch, network([4, 5, 4, 3], "tanh", "softmax", "cross_entropy"))[2]


def spoil(name, factor):
    """Multiply one entry, the second of a tensor's last row."""
    def change(gradients):
        gradients[name][-1, 0] *= factor
    return change


@pytest.mark.parametrize("name", ["dW1", "db2", "dW3"])
@pytest.mark.parametrize("factor", [1.0 + 1e-13, 1.0 + 1e-9, 1.0 + 3e-7, 1.01, -1.0, np.nan, np.inf])
def test_mistakes_are_never_clear(monkeypatch, name, factor):
    net = network([4, 5, 4, 3], "tanh", "softmax", "cross_entropy")
    quick, close, was_clear = both_ways(monkeypatch, net, spoil(name, factor))
    assert quick.verdict == close.verdict
    assert quick.difference == pytest.approx(close.difference, rel=1e-9, nan_ok=True)
    assert was_clear == (abs(factor - 1.0) < 1e-8)  # below the tolerance


@pytest.mark.parametrize("factor", [1.0, 1.0 + 1e-8, 1.0 + 3e-7, 1.01, -1.0, np.nan])
@pytest.mark.parametrize("noise", [0.0, 1e-9, 1e-3])
def test_ordinary_differences(monkeypatch, factor, noise):
    """Their errors are those of single entries: each is held to its own."""
    theta = np.geomspace(0.1, 1.0, 40)

    def cost(theta):
        rough = noise * (np.sum(theta * 1e9) % 1.0)
        return np.sum(theta[:20] ** 3) + np.prod(np.cos(theta[20:])) + rough

    gradient = np.concatenate([3.0 * theta[:20] ** 2, -np.tan(theta[20:]) * np.prod(np.cos(theta[20:]))])
    gradient[7] *= factor
    short = []
    monkeypatch.setattr(judge, "difference_if_clear",
                        lambda *arguments: short.append(difference_if_clear(*arguments)) or short[-1])
    quick = fc.check_function(cost, theta, gradient, engine="differences")
    monkeypatch.setattr(judge, "difference_if_clear", lambda *arguments: None)
    close = fc.check_function(cost, theta, gradient, engine="differences")
    assert (quick.verdict, quick.summary) == (close.verdict, close.summary)
    assert quick.difference == pytest.approx(close.difference, rel=1e-9, nan_ok=True)
    assert (short[0] is not None) == (noise < 1e-3 and abs(factor - 1.0) < 5e-8)


@pytest.mark.parametrize("options", [{"norm": 1}, {"norm": np.inf}, {"method": "sample", "samples": 9},
                                     {"tolerance": 1e-18}, {"tolerance": 1e-3}])
def test_options(monkeypatch, options):
    net = network([4, 5, 4, 3], "tanh", "softmax", "cross_entropy")
    quick, close, _ = both_ways(monkeypatch, net, **options)
    assert quick.verdict == close.verdict
    assert quick.difference == pytest.approx(close.difference, rel=1e-9)


@pytest.mark.parametrize("size", [0.0, 1e-200, 1e-150, 1e150])
def test_gradients_out_of_the_ordinary(monkeypatch, size):
    """Zeros, and squares that underflow or overflow."""
    net = network([4, 3, 2], "tanh", "identity", "squared_error")
    parameters, X, Y = net.initialize(0), size * np.ones((4, 2)), np.zeros((2, 2))
    parameters["W1"] *= 1e-3
    made = {}
    for way in (difference_if_clear, lambda *arguments: None):
        monkeypatch.setattr(judge, "difference_if_clear", way)
        made[way] = fc.check(net, parameters, net.gradients(parameters, X, Y), X, Y).verdict
    assert len(set(made.values())) == 1


def test_a_report_judged_at_once_can_be_sent(monkeypatch):
    net = network([4, 3, 2], "tanh", "softmax", "cross_entropy")
    parameters, (X, Y) = net.initialize(0), data(net, 3)
    report = fc.check(net, parameters, net.gradients(parameters, X, Y), X, Y)
    assert isinstance(report.judgement.tensors, judge.Later)
    sent = pickle.loads(pickle.dumps(report.judgement))
    assert [t.verdict for t in sent.tensors] == ["pass"] * 4


def test_the_largest_tolerance_allows_everything():
    theta = np.linspace(0.1, 1.0, 40)
    options = {"engine": "differences", "tolerance": 1e300}
    assert fc.check_function(lambda theta: np.sum(theta**3), theta, np.ones(40), **options).verdict == "pass"
