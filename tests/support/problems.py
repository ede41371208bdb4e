"""Small problems that many tests share."""

from contextlib import contextmanager

import numpy as np
import pytest

from fastcheck import Dense, Network
from fastcheck.engines import base
from fastcheck.engines.plain import at_once
from fastcheck.problems.networks.problem import Problem
from fastcheck.rules.activations import ACTIVATIONS
from fastcheck.rules.losses import COSTS
from fastcheck.runtime.run import Run
from tests.support.jit_mode import size

RUN = Run(threads=2, memory_limit=1 << 28)
HIDDEN = [name for name, entry in ACTIVATIONS.items() if entry.elementwise]
PIECEWISE = [name for name, entry in ACTIVATIONS.items() if entry.breakpoints]
OUTPUTS = [
    (cost, output) for cost, entry in COSTS.items() for output in ([entry.output] if entry.output else ACTIVATIONS)
]

# Every hidden activation with every cost, and every output activation that a cost takes with one hidden activation.
PAIRS = [
    (hidden, cost, entry.output or "identity") for hidden in HIDDEN for cost, entry in COSTS.items()
] + [("tanh", cost, output) for cost, output in OUTPUTS]


def network(widths, hidden, output, cost, l2=0.0):
    activations = [hidden] * (len(widths) - 2) + [output]
    layers = [Dense(a, b, g) for a, b, g in zip(widths, widths[1:], activations, strict=False)]
    return Network(layers, cost, l2)


def data(net, m, seed=0):
    """X and Y that fit the network's cost."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(net.widths[0], m))
    if net.cost == "cross_entropy":
        return X, rng.integers(net.widths[-1], size=m)
    if net.cost == "binary_cross_entropy":
        return X, (rng.random((net.widths[-1], m)) > 0.5).astype(float)
    return X, rng.normal(size=(net.widths[-1], m))


@contextmanager
def machine_code():
    """The response engine by machine code only, and so in pieces, however small a network is."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("ALWAYS", "ALWAYS_SHALLOW", "WORTH_COMPILING"):
            patch.setattr(base, name, -1.0)
        patch.setattr(at_once, "TOGETHER", -1)
        yield


def many_pieces():
    """What ``fc.check`` takes, of a network that goes to workers in a good many pieces."""
    net = network([6, 1300, size(600, 100), 3], "relu", "softmax", "cross_entropy", 0.1)
    parameters = net.initialize(0)
    X, Y = data(net, 9)
    return net, parameters, net.gradients(parameters, X, Y), X, Y


def problem(net, m=3, seed=0, parameters=None, X=None, Y=None):
    """A problem with random parameters and data unless given."""
    drawn_X, drawn_Y = data(net, m, seed)
    X, Y = drawn_X if X is None else X, drawn_Y if Y is None else Y
    theta = net.to_vector(net.initialize(seed) if parameters is None else parameters)
    return Problem(net, theta, net.inputs(X), net.targets(Y, np.shape(X)[1]))


def gradient(given: Problem) -> np.ndarray:
    """The gradient by the network's own back-propagation, as a vector."""
    named = given.network.gradients(given.parameters, given.X, given.Y)
    return given.network.to_vector({name[1:]: value for name, value in named.items()})


def assert_same_numbers(found, plain):
    """Two reports say the same, to the last digit."""
    for name in ("J_plus", "J_minus", "gradapprox"):
        assert np.array_equal(getattr(found, name), getattr(plain, name)), name
    for name in ("verdict", "difference", "cost", "noise_floor", "kinks"):
        assert getattr(found, name) == getattr(plain, name), name
