"""Networks whose parameters and data are small integers: units stand on their kinks by the dozen."""

import numpy as np
import pytest

import fastcheck as fc

HIDDEN = ["relu", "leaky_relu", "relu6", "hardtanh", "elu", "selu", "identity"]
OUTPUTS = [("sigmoid", "binary_cross_entropy"), ("softmax", "cross_entropy"), ("identity", "squared_error"),
           ("relu", "mean_squared_error")]  # fmt: skip


def integer_network(seed):
    """A network of up to three layers, its parameters, data, and right gradients."""
    rng = np.random.default_rng(seed)
    depth, m = int(rng.integers(1, 4)), 0
    widths = [int(rng.integers(1, 5)) for _ in range(depth + 1)]
    m, (output, cost) = int(rng.integers(1, 6)), OUTPUTS[rng.integers(4)]
    if output == "sigmoid":
        widths[-1] = 1
    if output == "softmax":
        widths[-1] = max(2, widths[-1])
    hidden = [HIDDEN[rng.integers(len(HIDDEN))] for _ in range(depth - 1)]
    layers = [fc.Dense(a, b, name) for a, b, name in zip(widths, widths[1:], [*hidden, output], strict=False)]
    net = fc.Network(layers, cost=cost)
    parameters = {name: rng.integers(-1, 2, value.shape).astype(float) for name, value in net.initialize(0).items()}
    X = rng.integers(-1, 2, (widths[0], m)).astype(float)
    Y = (rng.integers(0, 2, m) if output == "sigmoid" else rng.integers(0, widths[-1], m) if output == "softmax"
         else rng.integers(-1, 2, (widths[-1], m)).astype(float))  # fmt: skip
    return net, parameters, net.gradients(parameters, X, Y), X, Y


@pytest.mark.parametrize("engine", ["response", "full", "reference"])
def test_nothing_right_fails_and_most_of_it_passes(engine):
    """Of 787 networks none failed in any engine, and 708 to 724 passed; 14 failed, and half were left open, before the
    second look of engines that know no kinks asked for them.
    """
    verdicts, wrong = [], []
    for seed in (*range(40), 173, 215, 371, 395, 423):
        net, parameters, gradients, X, Y = integer_network(seed)
        verdicts.append(fc.check(net, parameters, gradients, X, Y, engine=engine).verdict)
        if any(gradient.any() for gradient in gradients.values()):
            spoilt = {name: -1.5 * gradient for name, gradient in gradients.items()}
            wrong.append(fc.check(net, parameters, spoilt, X, Y, engine=engine).verdict)
    assert "fail" not in verdicts
    assert verdicts.count("pass") >= 0.8 * len(verdicts)
    assert "pass" not in wrong
    assert wrong.count("fail") >= 0.95 * len(wrong)
