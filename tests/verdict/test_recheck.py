import numpy as np
import pytest

from fastcheck.checks.network import check, network_problem
from fastcheck.engines.base import engine
from fastcheck.verdict import recheck as module
from fastcheck.verdict.judge import judge
from fastcheck.verdict.recheck import recheck
from tests.support.problems import RUN, data, network


def steep(size=1e5):
    """Inputs so large that epsilon = 1e-7 bends the cost, with weights to match."""
    net = network([6, 8, 5, 3], "tanh", "softmax", "cross_entropy")
    rng = np.random.default_rng(0)
    parameters = net.initialize(0)
    parameters["W1"] = parameters["W1"] / size
    X, Y = size * rng.standard_normal((6, 7)), rng.integers(3, size=7)
    return net, parameters, X, Y


@pytest.mark.parametrize("size", [1e4, 1e5, 1e6, 1e7])
def test_a_right_gradient_passes_where_epsilon_is_a_large_step(size):
    net, parameters, X, Y = steep(size)
    report = check(net, parameters, net.gradients(parameters, X, Y), X, Y)
    assert report.ok
    assert report.difference > 1e-9
    if size > 1e5:
        assert report.difference > 1e-7
        assert "is a large step" in " ".join(report.notes)


@pytest.mark.parametrize("factor", [1.0 + 1e-6, 1.001, 2.0, -1.0])
def test_a_mistake_does_not_hide_behind_a_large_step(factor):
    net, parameters, X, Y = steep()
    gradients = net.gradients(parameters, X, Y)
    gradients["dW1"][2, 3] *= factor
    report = check(net, parameters, gradients, X, Y)
    assert [t.name for t in report.failures] == ["W1"]
    assert report.tensor("W1").wrong == 1
    assert "only one entry is wrong, dW1[2, 3]" in report.failures[0].diagnosis


def test_of_a_sample_too():
    net, parameters, X, Y = steep(1e6)
    gradients = net.gradients(parameters, X, Y)
    assert check(net, parameters, gradients, X, Y, method="sample", samples=20).ok
    gradients["dW1"] = 1.0001 * gradients["dW1"]
    assert not check(net, parameters, gradients, X, Y, method="sample", samples=20).ok


def test_several_kinks_close_by_leave_one_right_gradient():
    net = network([4, 6, 6, 2], "relu", "identity", "squared_error")
    rng = np.random.default_rng(3)
    parameters, X, Y = net.initialize(3), rng.standard_normal((4, 3)), rng.standard_normal((2, 3))
    for k, A in ((1, X), (2, None)):
        A = np.maximum(parameters["W1"] @ X + parameters["b1"], 0) if A is None else A
        Z = parameters[f"W{k}"] @ A + parameters[f"b{k}"]
        parameters[f"b{k}"][:, 0] += rng.choice([1e-9, -1e-9], Z.shape[0]) - Z[:, 0]
    gradients = net.gradients(parameters, X, Y)
    assert check(net, parameters, gradients, X, Y).ok
    gradients["dW1"] = gradients["dW1"] * 1.01
    assert not check(net, parameters, gradients, X, Y).ok


def test_where_steps_explain_nothing_there_is_none():
    net = network([4, 3, 2], "tanh", "identity", "squared_error")
    rng = np.random.default_rng(0)
    parameters, X, Y = net.initialize(0), rng.standard_normal((4, 5)), rng.standard_normal((2, 5))
    gradients = net.gradients(parameters, X, Y)
    for factor in (1.0, 2.0):
        gradients["dW2"] = factor * gradients["dW2"]
        problem, subject = network_problem(net, parameters, gradients, X, Y)
        found = engine("response")(problem, None, 1e-7, RUN)
        judgement = judge(subject, found, epsilon=1e-7, norm=2)
        assert recheck(engine("response"), problem, subject, found, judgement, 1e-7, RUN) is None


def test_more_disagreements_than_are_looked_at_first(monkeypatch):
    monkeypatch.setattr("fastcheck.verdict.recheck.FIRST", 10)
    net, parameters, X, Y = steep(1e6)
    assert check(net, parameters, net.gradients(parameters, X, Y), X, Y).ok


@pytest.mark.parametrize("hidden", ["relu", "tanh", "silu"])
@pytest.mark.parametrize("power", [-100, -60, -30, -16, -7, -2, 0, 3, 5, 6, 7, 9, 11, 14, 30, 60, 100])
def test_no_step_makes_a_right_gradient_fail(power, hidden):
    net = network([4, 5, 3], hidden, "softmax", "cross_entropy", 0.1)
    parameters, (X, Y) = net.initialize(0), data(net, 6)
    report = check(net, parameters, net.gradients(parameters, X, Y), X, Y, epsilon=10.0**power)
    assert report.verdict != "fail", report
    assert power > 0 or report.ok, report


def test_a_few_at_first_come_to_what_all_at_once_do(monkeypatch):
    """With kinks on the way, and the first few drawn at random."""
    net = network([4, 6, 6, 2], "relu", "tanh", "squared_error")
    rng = np.random.default_rng(3)
    parameters, X, Y = net.initialize(3), rng.standard_normal((4, 3)), rng.standard_normal((2, 3))
    Z = parameters["W1"] @ X + parameters["b1"]
    parameters["b1"][:3, 0] -= Z[:3, 0] + 1e-4
    problem, subject = network_problem(net, parameters, net.gradients(parameters, X, Y), X, Y)
    found = engine("response")(problem, None, 1e-3, RUN)
    judgement = judge(subject, found, epsilon=1e-3, norm=2, tolerance=None)
    whole = module.recheck(engine("response"), problem, subject, found, judgement, 1e-3, RUN)
    assert np.count_nonzero(whole.truncation) > 5
    monkeypatch.setattr(module, "FIRST", 4)
    parts = module.recheck(engine("response"), problem, subject, found, judgement, 1e-3, RUN)
    assert parts.notes == whole.notes
    np.testing.assert_allclose(parts.truncation, whole.truncation, rtol=1e-9, atol=1e-15)
    np.testing.assert_array_equal(parts.kinks.where, whole.kinks.where)
    assert (np.diff(parts.kinks.where) > 0).all()
