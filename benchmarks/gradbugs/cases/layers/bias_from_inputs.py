"""Word vectors whose bias gradients are summed from the weight gradients."""

import numpy as np

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import normal, softmax
from benchmarks.gradbugs.subjects import Cost

CONTEXT = np.abs(normal((6, 9), seed=8)[0])
TARGET = np.eye(6)[:, np.arange(9) % 6]


def forward(p):
    h = np.maximum(p["W1"] @ CONTEXT + p["b1"], 0)
    return h, softmax(p["W2"] @ h + p["b2"], axis=0)


def cost(p):
    return float(-np.sum(TARGET * np.log(forward(p)[1])) / CONTEXT.shape[1])


def backward(p, right):
    m = CONTEXT.shape[1]
    h, out = forward(p)
    d2 = (out - TARGET) / m
    d1 = p["W2"].T @ d2 * (h > 0)
    db1 = d1.sum(1, keepdims=True) if right else (d1 @ CONTEXT.T).sum(1, keepdims=True)
    return {"W1": d1 @ CONTEXT.T, "b1": db1, "W2": d2 @ h.T, "b2": d2.sum(1, keepdims=True)}


CASE = Case(
    source="rust0258/Deeplearning.ai-Natural-Language-Processing-Specialization#64",
    mistake="The bias gradient sums the rows of the weight gradient instead of the errors of the samples.",
    kind="bias",
    precision="float64",
    wrong=("b1",),
    says=r"bias|own line|sum of the rows|weight gradient",
    subject=Cost(
        cost,
        lambda p: backward(p, True),
        lambda p: backward(p, False),
        lambda: dict(zip(("W1", "b1", "W2", "b2"), normal((4, 6), (4, 1), (6, 4), (6, 1), seed=9), strict=True)),
    ),
)
