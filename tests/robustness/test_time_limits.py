"""A time limit holds: to within one evaluation of the cost, or a block of a fifth of a second."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastcheck as fc
from tests.support.problems import data, machine_code, network

SECONDS = 0.02
X = np.random.default_rng(0).standard_normal(2000)
RIGHT = 1.0 - np.tanh(X) ** 2
# What a busy machine may add: another process's turn, a page of memory.
ROOM = 0.6


def slow(p):
    """A cost that takes its time and cannot be followed as a program."""
    time.sleep(SECONDS)
    return float(np.sum(np.tanh(np.frombuffer(p.tobytes(), p.dtype))))


def slow_complex(p):
    time.sleep(SECONDS)
    return np.sum(np.tanh(p))


def slow_stack(rows):
    time.sleep(SECONDS * len(rows) / 10)
    return np.tanh(rows).sum(axis=1)


WAYS = {
    "ordinary": (slow, {}), "order 6": (slow, {"order": 6}), "epsilon": (slow, {"epsilon": 1e-6}),
    "sample": (slow, {"method": "sample"}), "directional": (slow, {"method": "directional"}),
    "complex": (slow_complex, {"complex_step": True}), "stacks": (slow_stack, {"vectorized": True}),
}


def took(call):
    started = time.perf_counter()
    report = call()
    return time.perf_counter() - started, report


@pytest.mark.slow
@pytest.mark.parametrize("factor", [1.0, 1.5])
@pytest.mark.parametrize("way", WAYS)
def test_of_a_function(way, factor):
    cost, options = WAYS[way]
    seconds, report = took(lambda: fc.check_function(cost, X, factor * RIGHT, time_limit=1.0, **options))
    assert seconds < 1.0 + SECONDS + ROOM
    assert report.verdict in (("pass", "inconclusive") if factor == 1.0 else ("fail", "inconclusive")), report
    assert 0 < report.gradapprox.size < 2000
    assert "time limit" in str(report) or way == "directional"


@pytest.mark.slow
def test_of_a_function_in_an_executor():
    with ThreadPoolExecutor(4) as pool:
        seconds, report = took(lambda: fc.check_function(slow, X, RIGHT, time_limit=1.0, executor=pool))
    assert seconds < 1.0 + SECONDS + ROOM
    assert report.verdict == "pass"


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["response", "full", "reference"])
def test_of_a_network(engine):
    """Every tensor is represented, and noise is measured once, or assumed where there is no time for that."""
    net = network([300, 200, 100, 10], "tanh", "softmax", "cross_entropy")
    parameters, (X, Y) = net.initialize(0), data(net, 64)
    gradients = net.gradients(parameters, X, Y)
    with machine_code():
        fc.check(net, parameters, gradients, X, Y, engine=engine, method="sample", samples=4)  # compiles
    seconds, report = took(lambda: fc.check(net, parameters, gradients, X, Y, engine=engine, time_limit=0.5,
                                            epsilon=1e-6))
    assert seconds < 0.5 + 0.2 + ROOM
    assert report.verdict != "fail"
    assert all(tensor.checked for tensor in report.tensors)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["all", "sample", "directional"])
@pytest.mark.parametrize("engine", ["full", "reference"])
def test_of_wide_networks(engine, method):
    """Most of the fifty thousand pieces are never begun, so they are not made either."""
    net = network([784, 256, 10], "relu", "softmax", "cross_entropy")
    parameters, (X, Y) = net.initialize(0), data(net, 128)
    gradients = net.gradients(parameters, X, Y)
    gradients = {name: 1.4 * gradient for name, gradient in gradients.items()}
    small = network([3, 4, 2], "relu", "softmax", "cross_entropy")
    tiny, (x, y) = small.initialize(0), data(small, 2)
    fc.check(small, tiny, small.gradients(tiny, x, y), x, y, engine=engine, method=method)  # compiles
    seconds, report = took(lambda: fc.check(net, parameters, gradients, X, Y, engine=engine, method=method,
                                            time_limit=0.3))
    assert seconds < 0.3 + 0.2 + ROOM
    assert report.verdict != "pass"


@pytest.mark.slow
@pytest.mark.parametrize("method", ["all", "sample", "directional"])
@pytest.mark.parametrize("engine", ["program", "differences"])
def test_of_a_layer_whose_own_passes_take_long(engine, method):
    W, x = np.random.default_rng(0).standard_normal((60, 50)), np.random.default_rng(1).standard_normal((50, 40))

    def forward(W, x):
        time.sleep(2 * SECONDS)
        return np.tanh(W @ x)

    def backward(d, W, x):
        dz = -d * (1 - np.tanh(W @ x) ** 2)
        return dz @ x.T, W.T @ dz

    seconds, report = took(lambda: fc.check_vjp(forward, backward, (W, x), engine=engine, method=method,
                                                time_limit=1.0))
    assert seconds < 1.0 + 4 * SECONDS + ROOM
    assert report.verdict != "pass"
