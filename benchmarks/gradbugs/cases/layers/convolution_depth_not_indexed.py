"""A convolution in depth whose input gradient is written by the wrong index."""

import numpy as np

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import normal
from benchmarks.gradbugs.subjects import Layer


def forward(x, w):
    return np.stack([np.einsum("dc,dck->k", x[m : m + 2], w) for m in range(len(x) - 1)])


def backward(upstream, x, w, right):
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for m in range(len(upstream)):
        for d in range(2):
            dx[m + d if right else m] += w[d] @ upstream[m]
            dw[d] += np.outer(x[m + d], upstream[m])
    return dx, dw


CASE = Case(
    source="NervanaSystems/neon#111",
    mistake="The gradient of each depth of the window is added at the depth of the output instead of its own.",
    kind="off by one",
    precision="float64",
    wrong=("x",),
    says=r"index|shift|off by|place|neighbour|edge|last",
    third=4,
    subject=Layer(
        forward, lambda u, x, w: backward(u, x, w, True), lambda u, x, w: backward(u, x, w, False),
        lambda: normal((5, 3), (2, 3, 2), seed=168),
    ),
)
