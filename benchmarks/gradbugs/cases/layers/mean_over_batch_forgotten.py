"""A weight gradient that is summed over the batch although the cost is a mean."""

import numpy as np

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import normal, sigmoid
from benchmarks.gradbugs.subjects import Cost

X = normal((20, 2), seed=3)[0]
Y = (X[:, :1] * X[:, 1:] > 0).astype(float)


def activations(p):
    a = sigmoid(X @ p["W1"] + p["b1"])
    return a, sigmoid(a @ p["W2"] + p["b2"])


def cost(p):
    _, out = activations(p)
    return float(-np.mean(Y * np.log(out) + (1 - Y) * np.log(1 - out)))


def backward(p, share):
    a, out = activations(p)
    d2 = (out - Y) * share
    d1 = d2 @ p["W2"].T * a * (1 - a)
    return {"W1": X.T @ d1, "b1": d1.sum(0), "W2": a.T @ d2, "b2": d2.sum(0)}


CASE = Case(
    source="hunkim/DeepLearningZeroToAll#173",
    mistake="The gradients are sums over the samples where the cost is their mean, and grow with the number of "
            "samples.",
    kind="batch factor",
    precision="float64",
    wrong=("W1", "b1", "W2", "b2"),
    says=r"20(\.0+)? times|mean over|number of samples|batch|divided by",
    subject=Cost(
        cost,
        lambda p: backward(p, 1 / len(X)),
        lambda p: backward(p, 1.0),
        lambda: dict(zip(("W1", "b1", "W2", "b2"), normal((2, 3), (3,), (3, 1), (1,), seed=4), strict=True)),
    ),
)
