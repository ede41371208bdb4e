"""Checks that go in pieces, and one that does not."""

import pytest

from tests.support.problems import data, machine_code, many_pieces, network


@pytest.fixture(scope="module")
def by_machine_code():
    with machine_code():
        yield


@pytest.fixture
def small():
    """What NumPy does at once."""
    net = network([6, 40, 20, 3], "tanh", "softmax", "cross_entropy", 0.1)
    parameters, (X, Y) = net.initialize(0), data(net, 9)
    return net, parameters, net.gradients(parameters, X, Y), X, Y


@pytest.fixture(scope="module")
def given():
    return many_pieces()
