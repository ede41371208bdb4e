"""A digit network that updates the output weights before it passes the error back through them."""

import numpy as np

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import normal, sigmoid
from benchmarks.gradbugs.subjects import Cost

X = normal((5,), seed=66)[0]
Y = np.array([0.0, 1.0, 0.0])


def cost(p):
    return float(0.5 * np.sum((sigmoid(p["W2"] @ sigmoid(p["W1"] @ X)) - Y) ** 2))


def backward(p, rate):
    hidden = sigmoid(p["W1"] @ X)
    out = sigmoid(p["W2"] @ hidden)
    d2 = (out - Y) * out * (1 - out)
    passed = (p["W2"] - rate * np.outer(d2, hidden)).T @ d2
    return {"W1": np.outer(passed * hidden * (1 - hidden), X), "W2": np.outer(d2, hidden)}


CASE = Case(
    source="louisjc/mnist-neural-network#1",
    mistake="The output weights are updated before the error is passed back through them.",
    kind="order", precision="float64", wrong=("W1",), says=r"passed back|W2|update|order",
    subject=Cost(cost, lambda p: backward(p, 0.0), lambda p: backward(p, 0.5),
                 lambda: dict(zip(("W1", "W2"), normal((4, 5), (3, 4), seed=67), strict=True))), third=2,
)
