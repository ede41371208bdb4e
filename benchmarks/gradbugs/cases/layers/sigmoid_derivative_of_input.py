"""A training script that hands sigmoid's derivative the pre-activation."""

import numpy as np

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import normal, sigmoid
from benchmarks.gradbugs.subjects import Cost

X = normal((4, 9), seed=143)[0]
Y = (X.sum(0) > 0).astype(float)


def hidden(p):
    z = p["W1"] @ X
    return z, sigmoid(z)


def cost(p):
    return float(0.5 * np.mean((sigmoid(p["W2"] @ hidden(p)[1]) - Y) ** 2))


def backward(p, derivative):
    z, a = hidden(p)
    z2 = p["W2"] @ a
    out = sigmoid(z2)
    d2 = (out - Y) / len(Y) * derivative(z2, out)
    d1 = np.outer(p["W2"], d2) * derivative(z, a)
    return {"W1": d1 @ X.T, "W2": a @ d2}


CASE = Case(
    source="kyle8998/Sudo-Productivity#3",
    mistake="The derivative a (1 - a) is given z in the place of a.",
    kind="activation",
    precision="float64",
    wrong=("W1", "W2"),
    says=r"derivative|pre-activation|sigmoid|taken at z",
    third=3,
    subject=Cost(
        cost,
        lambda p: backward(p, lambda z, a: a * (1 - a)),
        lambda p: backward(p, lambda z, a: z * (1 - z)),
        lambda: dict(zip(("W1", "W2"), normal((3, 4), (3,), seed=144), strict=True)),
    ),
)
