"""A single neuron whose gradient lacks the two of the squared error."""

import numpy as np

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import normal, sigmoid
from benchmarks.gradbugs.subjects import Cost

X = normal((12, 3), seed=5)[0]
Y = (X.sum(1) > 0).astype(float)


def cost(p):
    return float(np.mean((sigmoid(X @ p["weights"] + p["bias"]) - Y) ** 2))


def backward(p, factor):
    out = sigmoid(X @ p["weights"] + p["bias"])
    d = factor / len(X) * (out - Y) * out * (1 - out)
    return {"weights": X.T @ d, "bias": d.sum(keepdims=True)}


CASE = Case(
    source="Open-Deep-ML/DML-OpenProblem#54",
    mistake="The gradient of the mean squared error is divided by n without the factor 2.",
    kind="factor", precision="float64", wrong=("weights", "bias"), says=r"0\.500? times|factor (of )?2|half",
    subject=Cost(cost, lambda p: backward(p, 2.0), lambda p: backward(p, 1.0),
                 lambda: dict(zip(("weights", "bias"), normal((3,), (1,), seed=6), strict=True))),
)
