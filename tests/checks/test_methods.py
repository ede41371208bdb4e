"""Sampled and directional checks of networks: what they find, what they say they prove."""

import pytest

import fastcheck as fc
from tests.support.problems import data, network


@pytest.fixture(scope="module", params=["relu", "tanh"])
def case(request):
    net = network([60, 50, 40, 10], request.param, "softmax", "cross_entropy", 0.1)
    parameters = net.initialize(0)
    X, Y = data(net, 30)
    return net, parameters, net.gradients(parameters, X, Y), X, Y


def with_wrong_entry(gradients, name="dW2", at=(7, 11), factor=1.5):
    wrong = {key: value.copy() for key, value in gradients.items()}
    wrong[name][at] = factor * wrong[name][at] + 1e-4
    return wrong


@pytest.mark.parametrize("method", ["sample", "directional"])
def test_right_gradients_pass_and_say_what_that_proves(case, method):
    net, parameters, gradients, X, Y = case
    report = fc.check(net, parameters, gradients, X, Y, method=method)
    assert report.ok, str(report)
    assert report.gradapprox.size < net.size
    assert any("missed with probability" in note for note in report.notes)


def test_a_sample_represents_every_tensor(case):
    net, parameters, gradients, X, Y = case
    report = fc.check(net, parameters, gradients, X, Y, method="sample", samples=60)
    assert report.gradapprox.size == 60
    assert all(tensor.checked >= 1 for tensor in report.tensors)


@pytest.mark.parametrize(("name", "at"), [("dW1", (3, 4)), ("dW2", (7, 11)), ("db1", (5, 0)), ("dW3", (9, 39))])
def test_directions_lead_to_one_wrong_entry(case, name, at):
    net, parameters, gradients, X, Y = case
    report = fc.check(net, parameters, with_wrong_entry(gradients, name, at), X, Y, method="directional")
    assert report.verdict == "fail"
    worst = report.worst(1)[0]
    assert (f"d{worst.tensor}" if not worst.tensor.startswith("d") else worst.tensor, tuple(worst.index)) == (name, at)


def test_directions_find_a_whole_tensor_wrong(case):
    net, parameters, gradients, X, Y = case
    wrong = {**gradients, "dW3": 2.0 * gradients["dW3"]}
    report = fc.check(net, parameters, wrong, X, Y, method="directional")
    assert report.verdict == "fail"
    assert {t.name.split()[0] for t in report.failures} == {"W3"}


@pytest.mark.parametrize("option", [{"samples": 5}, {"directions": 2}, {"method": "sample", "samples": 0}])
def test_options_that_do_not_fit_are_named(case, option):
    with pytest.raises(ValueError, match=next(k for k in option if k != "method")):
        fc.check(*case, **option)
