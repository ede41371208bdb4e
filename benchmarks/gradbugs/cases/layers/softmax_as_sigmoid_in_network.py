"""A digit network that back-propagates squared error through softmax as if it were a sigmoid."""

import numpy as np

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import normal, softmax
from benchmarks.gradbugs.subjects import Cost

X = normal((6, 10), seed=145)[0]
Y = np.eye(3)[:, np.arange(10) % 3]


def cost(p):
    return float(0.5 * np.sum((softmax(p["W"] @ X + p["b"], axis=0) - Y) ** 2) / 10)


def backward(p, whole):
    out = softmax(p["W"] @ X + p["b"], axis=0)
    e = (out - Y) / 10
    dz = out * (e - (e * out).sum(0)) if whole else e * out * (1 - out)
    return {"W": dz @ X.T, "b": dz.sum(1, keepdims=True)}


CASE = Case(
    source="zhuozhiyongde/Fundamentals-of-Artificial-Intelligence-2024Spring-PKU#1",
    mistake="softmax(x) (1 - softmax(x)) stands for the Jacobian of softmax.",
    kind="softmax",
    precision="float64",
    wrong=("W", "b"),
    says=r"softmax|diagonal|add up to zero",
    third=3,
    subject=Cost(
        cost,
        lambda p: backward(p, True),
        lambda p: backward(p, False),
        lambda: dict(zip(("W", "b"), normal((3, 6), (3, 1), seed=146), strict=True)),
    ),
)
