"""Targets that are met exactly: the loss is flat, and the spot check must not take what little is left for an error."""

import numpy as np
import pytest

import fastcheck as fc

CURVED = ["gelu", "silu", "tanh", "sigmoid", "softplus", "elu", "gelu_tanh", "selu"]


def exact_fit(seed):
    """A small network that meets its targets, or misses them by 1e-9."""
    rng = np.random.default_rng(seed)
    widths = [1, 1, 8] if seed % 2 else [int(n) for n in rng.integers(1, 8, int(rng.integers(2, 5)))]
    names = [str(name) for name in rng.choice(CURVED, len(widths) - 1)] if seed % 3 else ["gelu"] * (len(widths) - 1)
    if seed % 4 < 2:
        names[-1] = "identity"
    layers = [fc.Dense(a, b, name) for a, b, name in zip(widths, widths[1:], names, strict=False)]
    net = fc.Network(layers, cost=str(rng.choice(["squared_error", "mean_squared_error"])))
    parameters, X = net.initialize(seed), rng.standard_normal((widths[0], int(rng.integers(1, 6))))
    Y = net.forward(parameters, X).A[-1]
    return net, parameters, X, Y if seed % 5 else Y + 1e-9 * rng.standard_normal(Y.shape)


@pytest.mark.parametrize("epsilon", [1e-9, 1e-7, 1e-5, 1e-4, 1e-3])
@pytest.mark.parametrize("part", range(2))
def test_no_engine_error_at_an_exact_fit(part, epsilon):
    for seed in range(12 * part, 12 * part + 12):
        net, parameters, X, Y = exact_fit(seed)
        report = fc.check(net, parameters, net.gradients(parameters, X, Y), X, Y, epsilon=epsilon, threads=1)
        assert report.verdict != "fail", (seed, report)
