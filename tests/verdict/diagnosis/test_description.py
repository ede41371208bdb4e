"""Where every gradient is wrong, the description of the network is questioned before the gradients."""

import numpy as np
import pytest

import fastcheck as fc
from tests.support.clocks import seconds_of
from tests.support.problems import data, network

# The network as it was described, and as the gradients were computed, and what the report then says.
SHAPE = [4, 5, 6, 3]
OTHERS = [
    (("relu", "softmax", "cross_entropy"), ("tanh", "softmax", "cross_entropy"), "agree with hidden='tanh' instead"),
    (("tanh", "identity", "squared_error"), ("tanh", "identity", "mean_squared_error"),
     "agree with cost='mean_squared_error' instead"),
    (("tanh", "sigmoid", "squared_error"), ("tanh", "sigmoid", "binary_cross_entropy"),
     "agree with cost='binary_cross_entropy' instead"),
    (("tanh", "softmax", "cross_entropy"), ("tanh", "sigmoid", "binary_cross_entropy"),
     "agree with output='sigmoid', cost='binary_cross_entropy' instead"),
    (("relu", "identity", "squared_error"), ("sigmoid", "tanh", "mean_squared_error"),
     "agree with hidden='sigmoid', output='tanh', cost='mean_squared_error' instead"),
    (("relu", "softmax", "cross_entropy"), ("gelu", "softmax", "cross_entropy"), "agree with hidden='gelu' instead"),
]


def checked(described, computed, m=7, seed=0):
    X, Y = data(described, m, seed)
    if described.cost == "cross_entropy":
        Y = np.eye(described.widths[-1])[:, Y]
    elif computed.cost == "binary_cross_entropy":
        Y = (Y > 0).astype(float)
    parameters = described.initialize(seed)
    return fc.check(described, parameters, computed.gradients(parameters, X, Y), X, Y)


@pytest.mark.parametrize(("described", "computed", "words"), OTHERS)
def test_the_description_that_agrees_is_named(described, computed, words):
    report = checked(network(SHAPE, *described), network(SHAPE, *computed))
    assert report.verdict == "fail"
    assert words in report.summary
    assert report.advice[0].startswith("Check with the description that agrees")


def test_one_layer_of_another_activation_is_named():
    layers = [fc.Dense(4, 5, "relu"), fc.Dense(5, 6, "tanh"), fc.Dense(6, 3, "softmax")]
    report = checked(network(SHAPE, "relu", "softmax", "cross_entropy"), fc.Network(layers, "cross_entropy"))
    assert "agree with tanh in layer 2 instead" in report.summary


def test_gradients_that_are_right_for_no_description_question_none():
    net = network(SHAPE, "relu", "softmax", "cross_entropy")
    X, Y = data(net, 7)
    rng = np.random.default_rng(0)
    parameters = net.initialize(0)
    right = net.gradients(parameters, X, Y)
    of_tanh = network(SHAPE, "tanh", "softmax", "cross_entropy").gradients(parameters, X, Y)
    for wrong in ({name: value * 2 for name, value in right.items()},
                  {name: rng.standard_normal(value.shape) for name, value in right.items()},
                  {**of_tanh, "dW1": right["dW1"]}):
        assert "instead" not in fc.check(net, parameters, wrong, X, Y).summary


def test_it_takes_little_time():
    net = network(SHAPE, "relu", "softmax", "cross_entropy")
    X, Y = data(net, 7)
    parameters = net.initialize(0)
    report = fc.check(net, parameters, {n: 2 * g for n, g in net.gradients(parameters, X, Y).items()}, X, Y)
    assert seconds_of(lambda: report.summary) < 0.1
    assert report.summary
